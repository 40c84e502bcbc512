package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

const channelID = "C0123456789"

// workspace stands in for Slack's Web API: it answers 200 with a word for every fault,
// and repeats the message that it took.
type workspace struct {
	messages map[string]message // by ts
	threads  map[string][]message
	fault    string // answered instead, when not ""
	next     int
}

func (s *workspace) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var m message
	refuse := func(word string) { fmt.Fprintf(w, `{"ok":false,"error":%q}`, word) }
	known := func(ts string) bool { _, ok := s.messages[ts]; return ok }
	switch method := strings.TrimPrefix(r.URL.Path, "/api/"); {
	case r.Header.Get("Authorization") != "Bearer xoxb-hunter2":
		refuse("invalid_auth")
	case s.fault == "ratelimited":
		w.Header().Set("Retry-After", "20")
		w.WriteHeader(http.StatusTooManyRequests)
		refuse(s.fault)
	case s.fault != "":
		refuse(s.fault)
	case err != nil || json.Unmarshal(body, &m) != nil:
		refuse("invalid_json")
	case m.Channel != channelID:
		refuse("channel_not_found")
	case m.Text == "":
		refuse("no_text")
	case len(m.Blocks) > 50:
		refuse("invalid_blocks")
	case method == "chat.update" && !known(m.TS):
		refuse("message_not_found")
	case method == "chat.update":
		s.messages[m.TS] = m
		s.took(w, m.TS, m)
	case method == "chat.postMessage" && m.ThreadTS != "":
		s.threads[m.ThreadTS] = append(s.threads[m.ThreadTS], m)
		s.took(w, "reply", m)
	case method == "chat.postMessage":
		s.next++
		ts := fmt.Sprintf("17000000%02d.000100", s.next)
		s.messages[ts] = m
		s.took(w, ts, m)
	default:
		refuse("unknown_method")
	}
}

func (s *workspace) took(w http.ResponseWriter, ts string, m message) {
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "channel": m.Channel, "ts": ts, "message": m}) // a gone client fails its own test
}

func newBot(t *testing.T, token, channel string) (*Bot, *workspace) {
	s := &workspace{messages: make(map[string]message), threads: make(map[string][]message)}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return NewBot(BotConfig{Token: config.Literal(token), Channel: channel, APIURL: srv.URL + "/api"}, wording.Links{}, nil), s
}

func TestBot_ChangesItsMessageAndWritesStepsInTheThread(t *testing.T) {
	t.Parallel()
	b, s := newBot(t, "xoxb-hunter2", channelID)
	n := wording.Example(schemas.NotifyFiring, time.Now())
	ref, err := b.DeliverRef(context.Background(), []outbox.Notice{n})
	if err != nil || len(s.messages) != 1 {
		t.Fatalf("post: %v", err)
	}
	_, ts, _ := strings.Cut(ref, ":")
	for i, kind := range []string{schemas.NotifyRepeat, schemas.NotifyNoTraffic, schemas.NotifyResolved} {
		n := wording.Example(kind, time.Now())
		n.Ref = ref
		again, err := b.DeliverRef(context.Background(), []outbox.Notice{n})
		if err != nil || again != ref || len(s.messages) != 1 || len(s.threads[ts]) != i+1 {
			t.Fatalf("%s: %v, %q, %d messages, thread of %d", kind, err, again, len(s.messages), len(s.threads[ts]))
		}
		if seen := s.threads[ts][i].Broadcast; seen != (kind == schemas.NotifyRepeat) {
			t.Errorf("%s: shown in the channel: %v", kind, seen)
		}
	}
	if m := s.messages[ts]; !strings.Contains(m.Text, "back to normal") || len(m.Blocks) == 0 {
		t.Errorf("the message in the end: %+v", m)
	}
	delete(s.messages, ts) // somebody deleted it
	n.Ref = ref
	if again, err := b.DeliverRef(context.Background(), []outbox.Notice{n}); err != nil || again == ref || len(s.messages) != 1 {
		t.Errorf("after it was deleted: %q, %v", again, err)
	}
}

func TestBot_ReadsAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, token, channel, fault string
		want                        fate.Fate
		after                       time.Duration
	}{
		{"wrong token", "xoxb-other", channelID, "", fate.Halt, 0},
		{"unknown channel", "xoxb-hunter2", "C9", "", fate.Halt, 0},
		{"not a member", "xoxb-hunter2", channelID, "not_in_channel", fate.Halt, 0},
		{"too many", "xoxb-hunter2", channelID, "ratelimited", fate.Retry, 20 * time.Second},
		{"outage", "xoxb-hunter2", channelID, "internal_error", fate.Retry, 0},
		{"bad message", "xoxb-hunter2", channelID, "invalid_blocks", fate.DeadLetter, 0},
	} {
		b, s := newBot(t, tt.token, tt.channel)
		s.fault = tt.fault
		err := b.Deliver(context.Background(), []outbox.Notice{wording.Example(schemas.NotifyFiring, time.Now())})
		if err == nil || fate.Of(err) != tt.want || strings.Contains(err.Error(), "xoxb") {
			t.Errorf("%s: %v, fate %v", tt.name, err, fate.Of(err))
		}
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })) // no JSON
	t.Cleanup(page.Close)
	b := NewBot(BotConfig{Token: config.Literal("xoxb-1"), Channel: channelID, APIURL: page.URL}, wording.Links{}, nil)
	if err := b.Deliver(context.Background(), []outbox.Notice{wording.Example(schemas.NotifyFiring, time.Now())}); fate.Of(err) != fate.Halt {
		t.Errorf("an answer that is not Slack's: %v", err)
	}
}

func TestBotConfig_Validate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ token, channel, url, fault string }{
		{"xoxb-1", channelID, "", ""}, {"xoxp-hunter2", channelID, "", "token"}, {"xoxb-1", "", "", "channel"}, {"xoxb-1", channelID, "slack.com", "api_url"},
	} {
		var p config.Problems
		BotConfig{Token: config.Literal(tt.token), Channel: tt.channel, APIURL: tt.url}.Validate(&p)
		if err := p.Err(); (err == nil) != (tt.fault == "") || err != nil && (!strings.Contains(err.Error(), tt.fault) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
