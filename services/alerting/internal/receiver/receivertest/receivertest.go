// Package receivertest tries receivers with answers that no receiver would give.
package receivertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/httppost"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

const (
	// refMax and reasonMax bound what of an answer is kept in the record of an alert, in
	// bytes.
	refMax, reasonMax = 160, 64
	retryAfterMax     = 15 * time.Minute
)

// answer is a transport that gives one answer to every request.
type answer struct {
	status     int
	retryAfter string
	body       []byte
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	h := http.Header{}
	if a.retryAfter != "" {
		h.Set("Retry-After", a.retryAfter)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

// Fuzz gives any answer over HTTP to a receiver. It must not panic; success must be a
// success of HTTP; what plainly asks for somebody's hand must not count as passing,
// unless one of the words that the receiver knows says so; and what is kept of an
// answer is bounded and has no control characters.
func Fuzz(f *testing.F, passing []string, make func(http.RoundTripper) outbox.Receiver, bodies ...string) {
	for _, status := range []int{200, 202, 204, 302, 400, 401, 403, 404, 410, 413, 429, 500, 503} {
		f.Add(status, "", []byte(""))
		f.Add(status, "30", []byte("<html>login</html>"))
		for _, body := range bodies {
			f.Add(status, "NaN", []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		to := make(answer{status, retryAfter, body})
		n := wording.Example(schemas.NotifyFiring, time.Now())
		ref, err := "", error(nil)
		if r, ok := to.(outbox.Referrer); ok {
			ref, err = r.DeliverRef(context.Background(), []outbox.Notice{n})
		} else {
			err = to.Deliver(context.Background(), []outbox.Notice{n})
		}
		if len(ref) > refMax || strings.ContainsFunc(ref, func(r rune) bool { return r < ' ' }) {
			t.Errorf("keeps %d bytes: %q", len(ref), ref[:min(len(ref), refMax)])
		}
		if err == nil {
			if status/100 != 2 {
				t.Errorf("%d is a success", status)
			}
			return
		}
		fault, ok := errors.AsType[*outbox.Fault](err)
		if !ok || fault.Reason == "" || len(fault.Reason) > reasonMax || strings.ContainsFunc(fault.Reason, func(r rune) bool { return r <= ' ' }) {
			t.Fatalf("%d %q: reason of %v", status, body, err)
		}
		if fault.RetryAfter < 0 || fault.RetryAfter > retryAfterMax {
			t.Errorf("waits %s", fault.RetryAfter)
		}
		known := false
		for _, word := range passing {
			known = known || fault.Reason == word
		}
		if !known && httppost.ByStatus(status) == fate.Halt && !fate.Final(err) {
			t.Errorf("%d %q passes by itself: %v", status, body, err)
		}
	})
}
