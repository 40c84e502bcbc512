package httpserver_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// asked is a body as services take it.
type asked struct {
	Until time.Time `json:"until"`
	By    string    `json:"by"`
	Count int       `json:"count"`
	List  []string  `json:"list"`
}

// read returns the answer to a body, "" where it was taken.
func read(body string, bytesMax int64) (status int, said string) {
	w := httptest.NewRecorder()
	var into asked
	if httpserver.Body(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), &into, bytesMax) {
		return http.StatusOK, ""
	}
	return w.Code, w.Body.String()
}

func TestBody_NamesEveryMemberThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		status     int
		says       []string
	}{
		{"all of them", `{"until": "tomorrow", "by": 7, "nobody": {"deep": [1]}, "count": "3", "by": "a", "list": ["x"]} x`, 400,
			[]string{`\"until\" is not a time`, `\"by\" has the wrong type`, `unknown field \"nobody\"`, `\"count\" has the wrong type`, `\"by\" is given twice`, "something follows"}},
		{"what is no JSON ends it", `{"until": "tomorrow", "by": }`, 400, []string{"not JSON in what follows"}},
		{"what is cut ends it", `{"by": 7, "count": 1`, 400, []string{"ends before the JSON object does"}},
		{"what is too long ends it", `{"by": 7, "list": ["` + strings.Repeat("x", 2000) + `"]}`, 413, []string{"the limit is 1000 bytes"}},
		{"no object", `[1]`, 400, []string{"not a JSON object"}},
		{"fine", `{"until": "2026-01-02T15:04:05Z", "by": "a", "count": 3, "list": []}`, 200, nil},
	} {
		status, said := read(tt.body, 1000)
		if status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, status, tt.status, said)
		}
		for _, want := range tt.says {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %q is not in %s", tt.name, want, said)
			}
		}
	}
	if _, said := read("{"+strings.Repeat(`"x": 1, `, 500)+`"y": 1}`, 1<<20); strings.Count(said, "unknown field") != 20 || !strings.Contains(said, "and perhaps more") {
		t.Errorf("of 501 faults: %s", said)
	}
}

// Whatever comes, the answer is one of those that a caller can act on, and short.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"by": 7, "x": 1}`, `{"until": "x"`, `{"a": {"b": [1, 2}`, "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		status, said := read(body, 1<<16)
		if status != http.StatusOK && status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge || len(said) > 1<<14 {
			t.Errorf("%q: status %d, %d bytes", body, status, len(said))
		}
	})
}
