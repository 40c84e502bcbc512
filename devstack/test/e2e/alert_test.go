package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/devstack/slack"
	"github.com/mailstream/mailstream/services/servicetest"
)

// mail is what was sent to one domain, all at the same time.
type mail struct {
	domain             string
	blocked, delivered int
	at                 time.Time
}

// items are the events of m, blocks first.
func (m mail) items() (items []item) {
	for i := range m.blocked + m.delivered {
		fields := map[string]any{
			"event": "sent", "time": m.at.Unix(), "MessageID": messageID + i, "email": fmt.Sprintf("person-%d@%s", i, m.domain), "smtp_reply": "sent (250 OK)",
		}
		if i < m.blocked {
			fields["event"], fields["error_related_to"], fields["error"] = "blocked", "spam", "sender blocked"
			fields["comment"] = "550 5.7.1 refused <!channel> because of the reputation of the sender"
		}
		items = append(items, item{fields: fields})
	}
	return items
}

// request is m as one grouped webhook.
func (m mail) request(t *testing.T) string {
	t.Helper()
	return bodies(t, m.items(), false)[0]
}

// mail posts m: what was delivered first, so that whoever counts in between sees no higher
// share of blocks than in the end.
func (w *world) mail(m mail) {
	w.t.Helper()
	all := m.items()
	for _, part := range [][]item{all[m.blocked:], all[:m.blocked]} {
		if len(part) > 0 {
			w.post(http.StatusOK, bodies(w.t, part, false)[0])
		}
	}
}

// settled returns once everything posted so far has gone through the counters:
// a spike at a domain of its own, posted afterwards, has been reported.
func (w *world) settled(probe string) {
	w.t.Helper()
	before := len(w.stack.Slack().Messages())
	w.post(http.StatusOK, mail{probe, 30, 0, time.Now()}.request(w.t))
	servicetest.EventuallyOr(w.t, func() bool { return w.alerts()["recipient_domain="+probe] == "firing" }, func() string { return "probe alert " + probe })
	servicetest.EventuallyOr(w.t, func() bool { return len(w.stack.Slack().Messages()) > before }, func() string { return "probe message " + probe })
}

// messages counts the Slack messages that name domain.
func (w *world) messages(domain string) (n int) {
	for _, m := range w.stack.Slack().Messages() {
		if strings.Contains(jsonOf(w.t, m), domain) {
			n++
		}
	}
	return n
}

func TestAlert_SpikeIsToldOnceWithItsDiagnosis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	for range 3 {
		w.mail(mail{"spike.example", 32, 21, now}) // the last block crosses the line
	}
	posted := time.Now()
	servicetest.EventuallyOr(w.t, func() bool { return w.messages("spike.example") > 0 }, func() string { return "no message" })
	t.Logf("webhook 200 -> Slack: %s", time.Since(posted).Round(time.Millisecond))
	w.settled("probe-one.example")
	if n := w.messages("spike.example"); n != 1 {
		t.Fatalf("%d messages, want one", n)
	}
	text := jsonOf(t, w.stack.Slack().Messages()[0])
	for _, want := range []string{"spike.example", "mailjet", "60.4 %", "32 of 53", "sender", "reputation"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the message: %s", want, text)
		}
	}
	if strings.Contains(text, "<!channel>") || strings.Contains(text, "person-1@") {
		t.Errorf("a mention or an address got through: %s", text)
	}
}

func TestAlert_WhatMustNotFire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	for _, tc := range []mail{
		{"sixty-exactly.example", 24, 16, now},
		{"fifty-seven-of-forty.example", 23, 17, now},
		{"six-of-six.example", 6, 0, now},
		{"an-hour-old.example", 40, 0, now.Add(-time.Hour)},
		{"a-month-old.example", 40, 0, now.AddDate(0, -1, 0)},
	} {
		w.mail(tc)
	}
	w.settled("probe-two.example")
	if n := len(w.stack.Slack().Messages()); n != 1 {
		t.Errorf("%d messages, want the probe's alone", n)
	}
	for key, state := range w.alerts() {
		if key != "recipient_domain=probe-two.example" {
			t.Errorf("alert %s is %s", key, state)
		}
	}
}

func TestAlert_ResentAndRestartedIsNotToldAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := mail{"again.example", 30, 2, time.Now()}.request(t)
	w.post(http.StatusOK, body)
	servicetest.EventuallyOr(w.t, func() bool { return w.messages("again.example") == 1 }, func() string { return "no message" })
	w.stop()
	w.start()
	if n := len(w.stack.Slack().Messages()); n != 0 {
		t.Fatalf("%d messages at the start, before anything was sent", n)
	}
	w.post(http.StatusOK, body)
	w.settled("probe-three.example")
	if n := w.messages("again.example"); n != 0 {
		t.Errorf("%d more messages", n)
	}
	if state := w.alerts()["recipient_domain=again.example"]; state != "firing" {
		t.Errorf("alert is %q after the restart, want firing", state)
	}
}

func TestAlert_SlackAwayForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.stack.Slack().Order(slack.RateLimited(2, 1), slack.ServerError(2), slack.Fault{Drop: true}); err != nil {
		t.Fatal(err)
	}
	w.post(http.StatusOK, mail{"late.example", 30, 0, time.Now()}.request(t))
	servicetest.EventuallyOr(w.t, func() bool { return w.messages("late.example") == 1 }, func() string { return "no message after the faults" })
	w.settled("probe-four.example")
	if n := w.messages("late.example"); n != 1 {
		t.Errorf("%d messages, want one", n)
	}
}
