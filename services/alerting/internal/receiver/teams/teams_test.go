package teams

import (
	"context"
	"encoding/json"
	"errors"
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

// workflow stands in for a Teams workflow: it accepts adaptive cards up to 1.2 and 28
// KB, and says 202.
func workflow(t *testing.T, answer func(http.ResponseWriter) bool) (*Client, *[]message) {
	var taken []message
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer != nil && answer(w) {
			return
		}
		body, err := io.ReadAll(r.Body)
		var m message
		if err != nil || len(body) > 28_000 || json.Unmarshal(body, &m) != nil || m.Type != "message" || len(m.Attachments) != 1 ||
			m.Attachments[0].Content.Version > "1.2" || m.Attachments[0].Content.Type != "AdaptiveCard" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"code":"InvalidRequestContent"}}`) // a gone client fails its own test
			return
		}
		taken = append(taken, m)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(srv.Close)
	return New(Config{URL: config.Literal(srv.URL + "/hunter2")}, wording.Links{Runbook: "https://docs.example.com/runbook"}, nil), &taken
}

func TestDeliver_CardSaysItAllWithoutMarkup(t *testing.T) {
	t.Parallel()
	c, taken := workflow(t, nil)
	n := wording.Example(schemas.NotifyFiring, time.Now())
	n.Facts.Reasons[0].Sample = "[click](https://evil.test) **now**"
	if err := c.Deliver(context.Background(), []outbox.Notice{n}); err != nil {
		t.Fatalf("deliver: %v", err)
	}
	card := (*taken)[0].Attachments[0].Content
	all := ""
	for _, b := range card.Body {
		if b.Type != "RichTextBlock" { // all others read markdown
			t.Errorf("a block of type %q", b.Type)
		}
		for _, r := range b.Inlines {
			all += r.Text + "\n"
		}
	}
	for _, want := range []string{"78 % at example.com", "threshold 60 %", "reputation", "What usually helps", "rule test", n.Facts.Incident, "[click](https://evil.test)"} {
		if !strings.Contains(all, want) {
			t.Errorf("lacks %q: %s", want, all)
		}
	}
	if len(card.Actions) != 1 || card.Actions[0].URL != "https://docs.example.com/runbook" {
		t.Errorf("actions: %+v", card.Actions)
	}
}

func TestDeliver_StaysBelow28KB(t *testing.T) {
	t.Parallel()
	c, taken := workflow(t, nil)
	n := wording.Example(schemas.NotifyFiring, time.Now())
	for i := range 40 {
		n.Facts.Reasons = append(n.Facts.Reasons, schemas.ReasonCount{Reason: schemas.Policy, Cause: schemas.CauseSender, Count: 1, Sample: strings.Repeat("\u4e16", 4_000)})
		n.Facts.Also = append(n.Facts.Also, strings.Repeat("\u4e16", 250))
		n.Facts.Carriers = append(n.Facts.Carriers, schemas.AlertCarrier{Dimension: "campaign", Value: strings.Repeat("\u4e16", 250) + fmt.Sprint(i)})
	}
	if err := c.Deliver(context.Background(), []outbox.Notice{n}); err != nil || len(*taken) != 1 {
		t.Errorf("deliver: %v, %d taken", err, len(*taken))
	}
}

func TestDeliver_ReadsAnswers(t *testing.T) {
	t.Parallel()
	says := func(status int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body) // a gone client fails its own test
			return true
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter) bool
		want   fate.Fate
		reason string
	}{
		{"too many", says(429, ""), fate.Retry, "status_429"},
		{"switched off", says(400, `{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"x"}}`), fate.Halt, "workflow_unavailable"},
		{"bad card", says(400, `{"error":{"code":"InvalidRequestContent"}}`), fate.DeadLetter, "status_400"},
		{"wrong signature", says(401, ""), fate.Halt, "status_401"},
		{"gone", says(404, `{"error":{"code":"WorkflowNotFound"}}`), fate.Halt, "status_404"},
		{"login page", says(200, "<html>"), fate.Halt, "not_teams"},
		{"busy", says(502, "<html>"), fate.Retry, "status_502"},
	} {
		c, _ := workflow(t, tt.answer)
		err := c.Deliver(context.Background(), []outbox.Notice{wording.Example(schemas.NotifyFiring, time.Now())})
		f, ok := errors.AsType[*outbox.Fault](err)
		if !ok || fate.Of(err) != tt.want || f.Reason != tt.reason || (tt.want == fate.Retry) != (f.RetryAfter == 5*time.Second) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, fate %v", tt.name, err, fate.Of(err))
		}
	}
}
