package alerting

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/receiver"
	signedhook "github.com/mailstream/mailstream/services/alerting/internal/receiver/webhook"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// A receiver takes connections and gives no answer in time, in one of three ways. The
// other one hears of the spike as if nothing were, and after five minutes that the first
// takes no messages; once it answers, the message is there, and once.
func TestHanging_ReceiverDelaysNoOtherAndIsReported(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]func(s *everybody, w http.ResponseWriter, r *http.Request){
		"never answers": func(_ *everybody, _ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else nobody sees that the client is gone
			<-r.Context().Done()
		},
		"answers a byte a second": func(_ *everybody, w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			for _, b := range []byte("HTTP/1.1 200 " + strings.Repeat("fine ", 20)) {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				pass(time.Second)
			}
		},
		"takes it and answers too late": func(s *everybody, w http.ResponseWriter, r *http.Request) {
			pass(11 * time.Second)
			s.ServeHTTP(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { hanging(t, hang) })
		})
	}
}

func hanging(t *testing.T, hang func(s *everybody, w http.ResponseWriter, r *http.Request)) {
	r := newRig(t)
	s, mended := &everybody{seen: make(map[string]bool)}, atomic.Bool{}
	var tries atomic.Int64
	address := r.address()
	listener, err := r.broker.Network.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if mended.Load() {
			s.ServeHTTP(w, req)
			return
		}
		tries.Add(1)
		hang(s, w, req)
	})}
	go func() { _ = server.Serve(listener) }() // ends when it is closed
	t.Cleanup(func() { _ = server.Close() })
	in := r.start(func(c *Config) {
		c.Receivers = []receiver.Config{{Name: "hook", Webhook: &signedhook.Config{
			URL: config.Literal("http://" + address + "/hook"), Secret: config.Literal("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"),
		}}}
	})
	began := time.Now()
	r.send(blocked(30, "example.com"))
	if took := r.slack.want(t, 1)[0].at.Sub(began); took > 2*time.Second {
		t.Errorf("slack heard after %s", took)
	}
	pass(time.Minute)
	began = time.Now()
	r.send(blocked(30, "second.example"))
	if took := r.slack.want(t, 2)[1].at.Sub(began); took > 2*time.Second {
		t.Errorf("slack heard of the second spike after %s", took)
	}
	pass(6 * time.Minute)
	posts := r.slack.want(t, 3)
	if !strings.Contains(posts[2].text, "Receiver hook does not take messages: `timeout`") {
		t.Errorf("slack heard: %q", texts(posts))
	}
	// An attempt takes 10 s, and 20 s at most lie between two.
	if n := tries.Load(); n < 10 || n > 42 {
		t.Errorf("%d attempts in 7 minutes", n)
	}
	mended.Store(true)
	if end := r.slack.want(t, 4)[3].text; !strings.Contains(end, "Receiver hook takes messages") {
		t.Errorf("slack heard: %q", end)
	}
	pass(time.Minute)
	if _, seen := s.counts(); seen != 2 {
		t.Errorf("the receiver has %d messages, want one a spike", seen)
	}
	r.slack.wantQuiet(t, 4)
	if alerts := r.alerts(in, "?rule=receiver_failing&state=firing"); len(alerts) != 0 {
		t.Errorf("alerts: %+v", alerts)
	}
}
