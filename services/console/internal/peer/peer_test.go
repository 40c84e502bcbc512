package peer

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// What is cut off must not be taken for all there is.
func TestPass_RefusesWhatIsLongerThanItHolds(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-of-the-tests" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		text := strings.Repeat("x", answerBytesMax)
		if r.URL.Path == "/longer" {
			text += "x"
		}
		_, _ = w.Write([]byte(text)) // the client may have enough
	}))
	defer server.Close()
	c := New("suppression", Config{URL: server.URL, Token: config.Literal("token-of-the-tests")})
	defer c.Close()
	if text, err := c.Pass(t.Context(), http.MethodGet, "/all", Body{}); err != nil || len(text) != answerBytesMax {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if _, err := c.Pass(t.Context(), http.MethodGet, "/longer", Body{}); !errors.Is(err, ErrLong) {
		t.Errorf("error %v", err)
	}
}

// A change that was sent may have been made, whatever became of the answer; one that was
// not sent was not.
func TestSend_TellsAServiceThatIsAwayFromAnAnswerThatIsLost(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the change is there
		panic(http.ErrAbortHandler)        // and the connection ends
	}))
	deaf := httptest.NewUnstartedServer(http.NotFoundHandler()) // it takes the connection, and no TLS comes of it
	deaf.Start()
	defer deaf.Close()
	tls := strings.Replace(deaf.URL, "http://", "https://", 1)
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	defer server.Close()
	for _, tc := range []struct {
		url, method string
		want        error
	}{
		{server.URL, http.MethodPut, ErrUnsure}, {server.URL, http.MethodDelete, ErrUnsure}, {server.URL, http.MethodGet, ErrAway},
		{away.URL, http.MethodPut, ErrAway}, {tls, http.MethodPut, ErrAway}, {away.URL, http.MethodGet, ErrAway},
	} {
		c := New("suppression", Config{URL: tc.url, Token: config.Literal("token-of-the-tests")})
		if err := c.Send(t.Context(), tc.method, "/v1/suppressions", map[string]string{"address": "ana@example.com"}, nil); !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.method, err, tc.want)
		}
		c.Close()
	}
	c := New("suppression", Config{URL: server.URL, Token: config.Literal("token-of-the-tests")})
	defer c.Close()
	if err := c.Ask(t.Context(), "/v1/suppressions/check", map[string]string{}, nil); !errors.Is(err, ErrAway) {
		t.Errorf("a question: error %v, want %v", err, ErrAway)
	}
}
