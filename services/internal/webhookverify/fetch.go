package webhookverify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// fetchTimeout is below the 5 s that Postal waits for an answer, the least
	// patient of those whose keys are fetched.
	fetchTimeout = 3 * time.Second
	// fetchBytesMax bounds a certificate, a key set or the answer to a
	// confirmation; they have one to four KiB.
	fetchBytesMax = 64 << 10
)

// errFetch says that something could not be had just now.
var errFetch = errors.New("fetch did not end well")

// fetcher gets small texts over https, without following redirects. Callers have
// made sure of the URL.
type fetcher struct{ client http.Client }

func newFetcher(given *http.Client) *fetcher {
	f := &fetcher{client: http.Client{Timeout: fetchTimeout, CheckRedirect: stay}}
	if given != nil {
		f.client.Transport = given.Transport
	}
	return f
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// get returns the body of a 200. It goes on when the request that asked for it
// is gone: others may wait for the same.
func (f *fetcher) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, url, nil)
	if err != nil {
		return nil, errFetch
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, errFetch // its text has the URL, which may hold a token
	}
	defer func() { _ = resp.Body.Close() }() // read as far as it counts
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", errFetch, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, fetchBytesMax+1))
	if err != nil || len(body) > fetchBytesMax {
		return nil, errFetch
	}
	return body, nil
}
