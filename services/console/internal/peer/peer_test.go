package peer

import (
	"errors"
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
