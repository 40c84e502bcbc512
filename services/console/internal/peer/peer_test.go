package peer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
	if text, err := c.Pass(t.Context(), http.MethodGet, "/all", Body{File: true}); err != nil || len(text) != answerBytesMax {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if _, err := c.Pass(t.Context(), http.MethodGet, "/longer", Body{File: true}); !errors.Is(err, ErrLong) {
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

// TestAnswers_OfAnotherProgramAreNone has a proxy, or another program behind the address of a
// service, answer: a question is not answered, and a change may have been made or not.
func TestAnswers_OfAnotherProgramAreNone(t *testing.T) {
	t.Parallel()
	refused := errors.New("a refusal")
	for _, tc := range []struct {
		status       int
		says         string
		look, change error // want, nil for none
	}{
		{200, `{"alerts":[]}`, nil, nil},
		{200, `{"Alerts":null}`, nil, nil},
		{204, ``, ErrAway, nil},
		{200, ``, ErrAway, ErrUnsure},
		{200, `null`, ErrAway, ErrUnsure},
		{200, `{}`, ErrAway, ErrUnsure},
		{200, `[{"alerts":[]}]`, ErrAway, ErrUnsure},
		{200, `{"alerts":[]`, ErrAway, ErrUnsure},
		{200, `<html>Sign in at the proxy</html>`, ErrAway, ErrUnsure},
		{200, `{"status":"ok"}`, ErrAway, nil},
		{200, `{"alerts":"none"}`, ErrAway, nil},
		{500, `{"title":"internal error"}`, refused, ErrUnsure},
		{502, ``, ErrAway, ErrUnsure},
		{504, ``, ErrAway, ErrUnsure},
		{503, ``, ErrAway, ErrAway},
		{503, `{"title":"not_acknowledged"}`, ErrAway, ErrUnsure},
		{302, ``, refused, refused},
		{401, ``, refused, refused},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.says) // the client may have enough
		}))
		c := New("alerting", Config{URL: server.URL, Token: config.Literal("token-of-the-tests")})
		var into struct {
			Alerts []string `json:"alerts"`
		}
		got := map[error]error{tc.look: c.Get(t.Context(), "/v1/alerts", &into)}
		got[tc.change] = errors.Join(got[tc.change], c.Send(t.Context(), http.MethodPost, "/v1/silences", map[string]string{}, nil))
		for want, err := range got {
			_, isRefused := errors.AsType[*Refused](err)
			if ok := want == nil && err == nil || errors.Is(want, refused) && isRefused || want != nil && errors.Is(err, want) && !isRefused; !ok {
				t.Errorf("%d %s: %v, want %v", tc.status, tc.says, err, want)
			}
		}
		c.Close()
		server.Close()
	}
}

// TestRefused_SaysSomethingShortAboutNobody has a service refuse in words of its own, which
// everybody sees.
func TestRefused_SaysSomethingShortAboutNobody(t *testing.T) {
	t.Parallel()
	for says, want := range map[string]string{
		"":                           "it answers with the status 418",
		`{"title":"bad request"}`:    "bad request",
		`{"detail":"no such token"}`: "no such token",
		`{"title":"bad","detail":"ana@list.test"}`:                        "bad: a•••@list.test",
		`{"title":"long","detail":"` + strings.Repeat("é ", 1<<20) + `"}`: "long: é é é",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, says) // the client may have enough
		}))
		c := New("suppression", Config{URL: server.URL, Token: config.Literal("token-of-the-tests")})
		err := c.Get(t.Context(), "/v1/suppressions", &struct{}{})
		refused, ok := errors.AsType[*Refused](err)
		if !ok || !strings.HasPrefix(refused.Says(), want) || len(refused.Says()) > saidBytesMax+100 || strings.Contains(err.Error(), "ana@") {
			t.Errorf("%.60s: %.200v", says, err)
		}
		c.Close()
		server.Close()
	}
}

// endless is an answer that stops behind its beginning until it may go on.
type endless struct {
	read int
	more chan struct{}
	held *atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read >= largeBytes {
		e.held.Add(1)
		<-e.more
	}
	e.read += len(p)
	return len(p), nil
}

// TestPass_ReadsFewLargeAnswersAtOnce has many large answers at once: those beyond the few wait,
// at most as long as the call may take, and no longer than they have to.
func TestPass_ReadsFewLargeAnswersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New("alerting", Config{})
		ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
		defer cancel()
		var held, late, long atomic.Int64
		more := make(chan struct{})
		var all sync.WaitGroup
		begin := func(ctx context.Context) {
			all.Go(func() {
				switch text, err := c.readAll(ctx, &endless{more: more, held: &held}); {
				case errors.Is(err, context.DeadlineExceeded):
					late.Add(1)
				case err == nil && len(text) == answerBytesMax+1:
					long.Add(1)
				}
			})
		}
		for range 3 * largeMax {
			begin(ctx)
		}
		synctest.Wait()
		if held.Load() != largeMax {
			t.Errorf("%d are read at once, want %d", held.Load(), largeMax)
		}
		time.Sleep(callTimeout) // of the clock of the test
		synctest.Wait()
		if late.Load() != 2*largeMax {
			t.Errorf("%d waited too long, want %d", late.Load(), 2*largeMax)
		}
		begin(t.Context())
		close(more)
		all.Wait()
		if long.Load() != largeMax+1 {
			t.Errorf("%d are read to the end, want %d", long.Load(), largeMax+1)
		}
	})
}
