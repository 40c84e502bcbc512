package simulate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/simulate"
)

// hook stands for an ingress: it counts what it is sent.
type hook struct {
	*httptest.Server
	mu       sync.Mutex
	bodies   map[string]int
	events   []map[string]any
	header   http.Header // of the last request
	refusals int         // requests still to be answered 503
}

func newHook(t *testing.T, refusals int) *hook {
	t.Helper()
	h := &hook{bodies: map[string]int{}, refusals: refusals}
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	user, password, _ := r.BasicAuth()
	if err != nil || r.URL.Path != "/v1/webhooks/acme" || user != "hook" || password != "s3cret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refusals > 0 {
		h.refusals--
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var events []map[string]any
	if body[0] != '[' {
		body = fmt.Appendf(nil, "[%s]", body)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&events); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.header = r.Header
	h.bodies[string(body)]++
	h.events = append(h.events, events...)
	fmt.Fprintf(w, `{"accepted":%d,"dead_lettered":0}`, len(events))
}

func settings(h *hook) simulate.Config {
	cfg := simulate.Default()
	cfg.URL, cfg.Source = h.URL, "acme"
	cfg.Auth = simulate.Auth{Username: "hook", Password: config.Literal("s3cret")}
	cfg.Rate, cfg.Duration = 5000, 200*time.Millisecond
	return cfg
}

func TestRun_SendsTheRateAskedForAndSumsUp(t *testing.T) {
	t.Parallel()
	h := newHook(t, 3)
	cfg := settings(h)
	cfg.Group = 10
	var out strings.Builder
	got, err := simulate.Run(t.Context(), cfg, &out)
	if err != nil {
		t.Fatal(err)
	}
	if got.Accepted != 1000 || len(h.events) != 1000 || got.Retries != 3 || got.Answers[503] != 3 || got.GivenUp != 0 {
		t.Errorf("summary %+v, %d events arrived", got, len(h.events))
	}
	if !strings.Contains(out.String(), "1000 events accepted") {
		t.Errorf("output: %s", out.String())
	}
}

func TestRun_PostsCapturedBodiesOnce(t *testing.T) {
	t.Parallel()
	h := newHook(t, 1)
	cfg := settings(h)
	cfg.Bodies = [][]byte{[]byte(`{"event":"sent"}`), []byte(`[{"event":"open"},{"event":"click"}]`)}
	got, err := simulate.Run(t.Context(), cfg, io.Discard)
	if err != nil || got.Requests != 2 || got.Accepted != 3 || got.Retries != 1 || len(h.bodies) != 2 {
		t.Errorf("%+v, %v, bodies %v", got, err, h.bodies)
	}
	cfg.Provider = "mailgun"
	for _, body := range []string{"no JSON", "null"} {
		cfg.Bodies = [][]byte{[]byte(`{"event-data":{}}`), []byte(body)}
		if _, err = simulate.Run(t.Context(), cfg, io.Discard); err == nil || !strings.Contains(err.Error(), "sign body 2 of 2 as mailgun") {
			t.Errorf("%s, which cannot be signed: %v", body, err)
		}
	}
}

func TestRun_DuplicatesAreTheSameBytes(t *testing.T) {
	t.Parallel()
	h := newHook(t, 0)
	cfg := settings(h)
	cfg.Duplicates = 1
	if _, err := simulate.Run(t.Context(), cfg, io.Discard); err != nil {
		t.Fatal(err)
	}
	if len(h.bodies) != 1000 {
		t.Errorf("%d different bodies, want 1000", len(h.bodies))
	}
	for body, n := range h.bodies {
		if n != 2 {
			t.Fatalf("%d times, want 2: %s", n, body)
		}
	}
}

func TestRun_ScenariosDoWhatTheySay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		scenario simulate.Scenario
		share    func(map[string]any) (counts, of bool)
		min, max float64
	}{
		{simulate.Normal, func(e map[string]any) (bool, bool) { return e["event"] == "blocked", outcome(e) }, 0, 0.02},
		{simulate.BlockSpike, func(e map[string]any) (bool, bool) {
			return e["event"] == "blocked", outcome(e) && strings.HasSuffix(e["email"].(string), "@spike.example")
		}, 0.75, 0.95},
		{simulate.BounceStorm, func(e map[string]any) (bool, bool) { return e["hard_bounce"] == true, outcome(e) }, 0.3, 0.5},
		{simulate.Complaints, func(e map[string]any) (bool, bool) { return e["event"] == "spam", true }, 0.01, 0.1},
	} {
		t.Run(string(tc.scenario), func(t *testing.T) {
			t.Parallel()
			h := newHook(t, 0)
			cfg := settings(h)
			cfg.Scenario, cfg.Group, cfg.Reorder = tc.scenario, 100, true
			if _, err := simulate.Run(t.Context(), cfg, io.Discard); err != nil {
				t.Fatal(err)
			}
			hits, all := 0, 0
			for _, e := range h.events {
				hit, of := tc.share(e)
				if of {
					all++
					if hit {
						hits++
					}
				}
			}
			if share := float64(hits) / float64(all); share < tc.min || share > tc.max {
				t.Errorf("share %.3f of %d, want %g to %g", share, all, tc.min, tc.max)
			}
		})
	}
}

// TestRun_WritesSendGridsBytes is about what a reader of JSON does not see: the
// signature covers it.
func TestRun_WritesSendGridsBytes(t *testing.T) {
	t.Parallel()
	h := newHook(t, 0)
	cfg := settings(h)
	cfg.Provider, cfg.Group = "sendgrid", 10
	if _, err := simulate.Run(t.Context(), cfg, io.Discard); err != nil {
		t.Fatal(err)
	}
	for body := range h.bodies {
		objects := strings.Count(body, `"sg_event_id"`)
		if !strings.HasSuffix(body, "}]\r\n") || strings.Count(body, "},\r\n{") != objects-1 {
			t.Fatalf("no CRLF between %d objects and at the end: %q", objects, body)
		}
	}
	for name, want := range map[string]string{"Content-Type": "application/json;charset=utf-8", "User-Agent": "SendGrid Event API"} {
		if got := h.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, e := range h.events {
		if offset, _ := e["url_offset"].(map[string]any); (e["event"] == "click") != (offset["type"] == "html") {
			t.Fatalf("%v", e)
		}
	}
}

func TestRun_PutsIntoMailgunsStatusWhoSaidIt(t *testing.T) {
	t.Parallel()
	h := newHook(t, 0)
	cfg := settings(h)
	cfg.Provider, cfg.Scenario = "mailgun", simulate.BlockSpike
	if _, err := simulate.Run(t.Context(), cfg, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, r := range h.events {
		if token := r["signature"].(map[string]any)["token"].(string); len(token) != 50 {
			t.Fatalf("token %q", token)
		}
		e := r["event-data"].(map[string]any)
		status, ok := e["delivery-status"].(map[string]any)
		if !ok {
			continue
		}
		code, enhanced, message := fmt.Sprint(status["code"]), fmt.Sprint(status["enhanced-code"]), fmt.Sprint(status["message"])
		if e["reason"] == "suppress-bounce" {
			if code != "605" || message != "" || status["description"] == "" {
				t.Fatalf("Mailgun's own word: %v", status)
			}
		} else if code[0] != enhanced[0] || !strings.HasPrefix(message, enhanced) || status["description"] != "" {
			t.Fatalf("a server's word: %v", status)
		}
	}
}

func outcome(e map[string]any) bool {
	return e["event"] == "sent" || e["event"] == "blocked" || e["event"] == "bounce"
}

func TestRun_NamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	h := newHook(t, 0)
	wrong := settings(h)
	wrong.Auth.Password = config.Literal("hunter2")
	away := settings(h)
	away.URL = "http://127.0.0.1:1"
	invalid := settings(h)
	invalid.Rate, invalid.Scenario, invalid.Provider = 0, "nope", "pigeon"
	for _, tc := range []struct {
		name string
		cfg  simulate.Config
		want string
	}{
		{"wrong password", wrong, "credentials"}, {"nobody there", away, "http://127.0.0.1:1"},
		{"bad settings", invalid, "3 faults"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := simulate.Run(t.Context(), tc.cfg, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Run = %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestRun_GivesUpOnAnIngressThatRefusesAll(t *testing.T) {
	t.Parallel()
	h := newHook(t, math.MaxInt)
	cfg := settings(h)
	cfg.Duration, cfg.Grace = 50*time.Millisecond, 0
	got, err := simulate.Run(t.Context(), cfg, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "never answered 200") || got.GivenUp == 0 || got.Accepted != 0 {
		t.Errorf("Run = %+v, %v", got, err)
	}
}

func TestRun_EndsWithItsContextAndStillSumsUp(t *testing.T) {
	t.Parallel()
	h := newHook(t, 0)
	cfg := settings(h)
	cfg.Duration = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	var got simulate.Summary
	done := make(chan error, 1)
	go func() {
		var err error
		got, err = simulate.Run(ctx, cfg, io.Discard)
		done <- err
	}()
	servicetest.Eventually(t, "some worker has counted an answer", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.events) > cfg.Workers*cfg.Group
	})
	cancel()
	if err := <-done; err != nil || got.Accepted == 0 {
		t.Errorf("Run = %+v, %v", got, err)
	}
}
