package webhookverify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// fetchTimeout is below the 5 s that the least patient sender whose keys are
	// fetched waits for an answer.
	fetchTimeout = 3 * time.Second
	// FetchBytesMax bounds a certificate, a key set or the answer to a
	// confirmation; they have one to four KiB.
	FetchBytesMax = 64 << 10
)

// ErrFetch says that something could not be had just now.
var ErrFetch = errors.New("fetch failed")

// Fetcher gets small texts over https, without following redirects. Callers have
// made sure of the URL.
type Fetcher struct{ client http.Client }

// NewFetcher returns a Fetcher with the transport of given, and its timeout where it has
// one, which is for tests; nil is the usual one.
func NewFetcher(given *http.Client) *Fetcher {
	f := &Fetcher{client: http.Client{Timeout: fetchTimeout, CheckRedirect: stay}}
	if given != nil {
		f.client.Transport, f.client.Timeout = given.Transport, cmp.Or(given.Timeout, fetchTimeout)
	}
	return f
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Get returns the body of a 200. It goes on when the request that asked for it
// is gone: others may wait for the same.
func (f *Fetcher) Get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, url, nil)
	if err != nil {
		return nil, ErrFetch
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, ErrFetch // its text has the URL, which may hold a token
	}
	defer func() { _ = resp.Body.Close() }() // read as far as it counts
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", ErrFetch, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, FetchBytesMax+1))
	if err != nil || len(body) > FetchBytesMax {
		return nil, ErrFetch
	}
	return body, nil
}
