package webhookverify

import (
	"net/http"
	"strings"
	"testing"
)

func TestMailgun_KnowsTheFormItRetired(t *testing.T) {
	t.Parallel()
	v := verifier(t, "mailgun", Settings{Keys: []string{mailgunKey}}, Options{Clock: at(1767225600)})
	form := func(signature string) *Request {
		return &Request{
			Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			Body: []byte("event=dropped&recipient=ana%40example.com&timestamp=1767225600&token=" + mailgunToken + "&signature=" + signature),
		}
	}
	if got := v.Verify(t.Context(), form(mailgunMAC)); got != Genuine {
		t.Errorf("its own form: %v", got)
	}
	if got := v.Verify(t.Context(), form(strings.Repeat("0", 64))); !got.Refuses() {
		t.Errorf("a stranger's form: %v", got)
	}
}
