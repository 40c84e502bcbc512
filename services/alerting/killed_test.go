package alerting

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/receiver"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/alertmanager"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/pagerduty"
	signedhook "github.com/mailstream/mailstream/services/alerting/internal/receiver/webhook"
	"github.com/mailstream/mailstream/services/alerting/internal/slack"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// plug is the network of one instance: pulled, the instance is to the world what a
// killed one is.
type plug struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	mu   sync.Mutex
	out  bool       // guarded by mu
	all  []net.Conn // guarded by mu
}

func (p *plug) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if p.isOut() {
		return nil, net.ErrClosed
	}
	c, err := p.dial(ctx, network, address)
	if err == nil {
		p.mu.Lock()
		p.all = append(p.all, c)
		p.mu.Unlock()
	}
	return c, err
}

func (p *plug) isOut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out
}

func (p *plug) pull() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = true
	for _, c := range p.all {
		_ = c.Close() // it is to be gone
	}
}

// The steps of a message at which an instance is killed.
const (
	beforeSent = "before it is sent"
	whileTaken = "between the message and its answer"
	beforeNote = "between the answer and its record"
	afterNote  = "after the record"
)

// wire carries HTTP until its step comes, and pulls the plug then.
type wire struct {
	http.RoundTripper
	plug *plug
	step string
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.plug.isOut() {
		return nil, net.ErrClosed
	}
	if w.step == beforeSent {
		w.plug.pull()
		return nil, net.ErrClosed
	}
	answer, err := w.RoundTripper.RoundTrip(r)
	if err != nil || w.step == afterNote {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close() // read to its end
	w.plug.pull()
	if w.step == whileTaken {
		return nil, net.ErrClosed
	}
	answer.Body = io.NopCloser(strings.NewReader(string(body)))
	return answer, nil
}

// everybody stands in for all receivers over HTTP: it counts requests, and what people
// see of them by the key that the receiver joins them with.
type everybody struct {
	mu       sync.Mutex
	requests int
	seen     map[string]bool
}

func (s *everybody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	key := fmt.Sprint("message ", s.requests) // no key: each is one more
	switch r.URL.Path {
	case "/v2/enqueue":
		var e struct {
			Key string `json:"dedup_key"`
		}
		if json.Unmarshal(body, &e) != nil || e.Key == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		key = e.Key
		w.WriteHeader(http.StatusAccepted)
	case "/hook":
		key = r.Header.Get("Webhook-Id")
	case "/api/v2/alerts":
		var alerts []struct {
			Labels map[string]string `json:"labels"`
		}
		if json.Unmarshal(body, &alerts) != nil || len(alerts) != 1 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		key = fmt.Sprint(alerts[0].Labels)
	case "/api/chat.postMessage":
		_, _ = io.WriteString(w, `{"ok":true,"channel":"C1","ts":"1.2"}`) // a gone client repeats
	default:
		_, _ = io.WriteString(w, "ok")
	}
	s.seen[key] = true
}

func (s *everybody) counts() (requests, seen int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, len(s.seen)
}

// An instance is killed at each step of its message, and another one takes over. What a
// receiver can join is seen once; what docs/receivers says that it may repeat, twice.
func TestKilled_AtEachStepOfAMessage(t *testing.T) {
	t.Parallel()
	type kind struct {
		name  string
		joins bool // knows a message that comes again
		to    func(base string) receiver.Config
	}
	const whsec = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	for _, k := range []kind{
		{"slack", false, func(base string) receiver.Config {
			return receiver.Config{Slack: &slack.Webhook{WebhookURL: config.Literal(base + "/services/T0/B0/x")}}
		}},
		{"slack bot", false, func(base string) receiver.Config {
			return receiver.Config{SlackBot: &slack.BotConfig{Token: config.Literal("xoxb-hunter2"), Channel: "C1", APIURL: base + "/api"}}
		}},
		{"pagerduty", true, func(base string) receiver.Config {
			return receiver.Config{PagerDuty: &pagerduty.Config{RoutingKey: config.Literal(strings.Repeat("k", 32)), URL: base + "/v2/enqueue"}}
		}},
		{"webhook", true, func(base string) receiver.Config {
			return receiver.Config{Webhook: &signedhook.Config{URL: config.Literal(base + "/hook"), Secret: config.Literal(whsec)}}
		}},
		{"alertmanager", true, func(base string) receiver.Config {
			return receiver.Config{Alertmanager: &alertmanager.Config{URLs: []string{base}}}
		}},
	} {
		for _, step := range []string{beforeSent, whileTaken, beforeNote, afterNote} {
			t.Run(k.name+" "+step, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					requests, seen := 1, 1
					if step == whileTaken || step == beforeNote {
						requests = 2
						if !k.joins {
							seen = 2
						}
					}
					killAt(t, step, k.to, requests, seen)
				})
			})
		}
	}
}

// pass lets time pass, which is virtual.
func pass(d time.Duration) { <-time.After(d) }

// killAt kills the first of two instances at a step of the message about one spike, and
// wants so many requests at the receiver, and so many messages that people see.
func killAt(t *testing.T, step string, to func(base string) receiver.Config, requests, seen int) {
	r := newRig(t)
	s := &everybody{seen: make(map[string]bool)}
	address := r.address()
	listener, err := r.broker.Network.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s}
	go func() { _ = server.Serve(listener) }() // ends when it is closed
	t.Cleanup(func() { _ = server.Close() })
	only := func(c *Config) {
		c.Slack.WebhookURL = config.Secret{}
		one := to("http://" + address)
		one.Name = "one"
		c.Receivers = []receiver.Config{one}
	}
	noted := func(in *instance) func() bool {
		return func() bool {
			alerts := r.alerts(in, "?state=firing")
			for _, a := range alerts {
				for _, n := range a.Notify {
					if !n.SentAt.IsZero() {
						return true
					}
				}
			}
			return false
		}
	}
	whole, client := r.kafka, r.client
	p := &plug{dial: r.kafka.Dial}
	r.kafka.Dial, r.client = p.Dial, &http.Client{Transport: wire{client.Transport, p, step}}
	first := r.start(only)
	r.kafka, r.client = whole, client
	r.send(blocked(30, "example.com"))
	if step == afterNote {
		waitFor(t, "the record", noted(first))
		p.pull()
	}
	waitFor(t, "the kill", p.isOut)
	first.dead = true
	second := r.launch(only)
	waitFor(t, "the takeover, when the session of the first is over", second.settled)
	waitFor(t, "the record of the second", noted(second))
	pass(30 * time.Second) // less than Alertmanager is sent it again
	if gotRequests, gotSeen := s.counts(); gotRequests != requests || gotSeen != seen {
		t.Errorf("%d requests and %d messages, want %d and %d", gotRequests, gotSeen, requests, seen)
	}
}
