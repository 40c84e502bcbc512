package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

const key = "0123456789abcdef0123456789abcdef"

// enqueue stands in for Events API v2 with its documented limits: it joins events by
// dedup_key and drops the end of what is not open.
type enqueue struct {
	open   map[string]event
	taken  []event
	status int // answered instead, when not 0
	header http.Header
}

func (s *enqueue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var e event
	invalid := func(what string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"status":"invalid event","message":"Event object is invalid","errors":[%q]}`, what)
	}
	switch {
	case s.status != 0:
		for name, values := range s.header {
			w.Header()[name] = values
		}
		w.WriteHeader(s.status)
	case err != nil || len(body) > 512<<10 || json.Unmarshal(body, &e) != nil:
		invalid("'body' is invalid")
	case e.RoutingKey != key:
		invalid("Invalid routing key")
	case len(e.DedupKey) > 255 || e.DedupKey == "":
		invalid("'dedup_key' is too long")
	case e.Action == "trigger" && (e.Payload == nil || e.Payload.Summary == "" || len(e.Payload.Summary) > 1024 || e.Payload.Source == "" ||
		!slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity)):
		invalid("'payload' is invalid")
	default:
		if e.Action == "trigger" {
			s.open[e.DedupKey] = e
		} else {
			delete(s.open, e.DedupKey)
		}
		s.taken = append(s.taken, e)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"status":"success","message":"Event processed"}`) // a gone client fails its own test
	}
}

func start(t *testing.T, routingKey string) (*Client, *enqueue) {
	s := &enqueue{open: make(map[string]event)}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return New(Config{RoutingKey: config.Literal(routingKey), URL: srv.URL}, wording.Links{Console: "https://console.example.com/incidents"}, nil), s
}

func TestDeliver_OpensAndClosesOneIncident(t *testing.T) {
	t.Parallel()
	c, s := start(t, key)
	n := wording.Example(schemas.NotifyFiring, time.Now())
	n.Facts.Reasons[0].Sample = strings.Repeat("é", 5_000)
	for i := range 50 {
		n.Facts.Also = append(n.Facts.Also, fmt.Sprintf("recipient_domain d%d.%s.example", i, strings.Repeat("x", 60)))
	}
	for _, kind := range []string{schemas.NotifyFiring, schemas.NotifyRepeat, schemas.NotifyNoTraffic} {
		n.Kind = kind
		if err := c.Deliver(context.Background(), []outbox.Notice{n}); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if len(s.open) != 1 || s.open[n.Facts.Incident].Links[0].Href != "https://console.example.com/incidents/"+n.Facts.Incident {
			t.Errorf("%s: open are %v", kind, s.open)
		}
	}
	n.Kind = schemas.NotifyResolved
	if err := c.Deliver(context.Background(), []outbox.Notice{n}); err != nil || len(s.open) != 0 || len(s.taken) != 4 {
		t.Errorf("the end: %v; open are %v of %d", err, s.open, len(s.taken))
	}
}

func TestDeliver_EndOfWhatWasNeverHeardIsRecordedAndNotUrgent(t *testing.T) {
	t.Parallel()
	c, s := start(t, key)
	n := wording.Example(schemas.NotifyResolved, time.Now())
	n.Alert.Severity, n.Began = schemas.SeverityCritical, &schemas.AlertFacts{Incident: n.Facts.Incident}
	if err := c.Deliver(context.Background(), []outbox.Notice{n}); err != nil || len(s.open) != 0 {
		t.Fatalf("deliver: %v, open %v", err, s.open)
	}
	if len(s.taken) != 2 || s.taken[0].Payload.Severity != "info" || s.taken[1].Action != "resolve" {
		t.Errorf("events: %+v", s.taken)
	}
}

func TestDeliver_ReadsAnswers(t *testing.T) {
	t.Parallel()
	n := wording.Example(schemas.NotifyFiring, time.Now())
	for _, tt := range []struct {
		name   string
		key    string
		status int
		header http.Header
		want   fate.Fate
		after  time.Duration
	}{
		{"wrong key", strings.Repeat("x", 32), 0, nil, fate.Halt, 0},
		{"too many", key, 429, nil, fate.Retry, 2 * time.Minute},
		{"too many for a time", key, 429, http.Header{"Retry-After": {"30"}}, fate.Retry, 30 * time.Second},
		{"server error", key, 500, nil, fate.Retry, 0},
		{"proxy forbids", key, 403, nil, fate.Halt, 0},
		{"bad event", key, 400, nil, fate.DeadLetter, 0},
	} {
		c, s := start(t, tt.key)
		s.status, s.header = tt.status, tt.header
		err := c.Deliver(context.Background(), []outbox.Notice{n})
		f, ok := errors.AsType[*outbox.Fault](err)
		if !ok || fate.Of(err) != tt.want || f.RetryAfter != tt.after || strings.Contains(err.Error(), tt.key) {
			t.Errorf("%s: %v, fate %v", tt.name, err, fate.Of(err))
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ key, url, fault string }{
		{key, "", ""}, {key[1:], "", "routing_key"}, {"", "", "routing_key"}, {key, "events.pagerduty.com", "url"},
	} {
		var p config.Problems
		Config{RoutingKey: config.Literal(tt.key), URL: tt.url}.Validate(&p)
		if err := p.Err(); (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
