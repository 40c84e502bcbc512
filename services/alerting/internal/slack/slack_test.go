package slack

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
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

func example() outbox.Notice {
	since := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	return outbox.Notice{
		Kind: schemas.NotifyFiring, Seq: 1, At: since,
		Alert: schemas.Alert{
			Rule: "block_spike", Labels: map[string]string{"source": "acme-mailjet", "recipient_domain": "gmail.com"},
			Threshold: 0.6, MinVolume: 20, Window: "15m0s",
		},
		Facts: schemas.AlertFacts{
			Incident: "inc-0123456789", Since: since, Value: 0.78, Peak: 0.81,
			Counts: schemas.AlertCounts{Delivered: 200, Bounced: 20, Blocked: 1_050},
			Causes: map[string]int64{"sender": 900, "recipient": 150},
			Reasons: []schemas.ReasonCount{
				{Reason: "reputation", Cause: "sender", Count: 900, Sample: "550 5.7.1 blocked by policy"},
				{Reason: "invalid_recipient", Cause: "recipient", Count: 150},
			},
			Also: []string{"mailbox_provider google"},
		},
	}
}

func whole(t *testing.T, m message) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRender_FiringTellsWhatIsNeededToAct(t *testing.T) {
	t.Parallel()
	m := render([]outbox.Notice{example()}, wording.Links{})
	for _, part := range []string{m.Text, whole(t, m)} {
		for _, want := range []string{
			"gmail.com", "acme-mailjet", "78 %", "1,050 of 1,270 blocked in 15 minutes", "200 delivered, 20 bounced",
			"sender 900 · recipient 150", "reputation", "invalid_recipient", "block_spike", "inc-0123456789", "mailbox_provider google",
		} {
			if !strings.Contains(part, want) {
				t.Errorf("lacks %q: %s", want, part)
			}
		}
	}
	for _, want := range []string{"threshold 60 %", "550 5.7.1 blocked by policy", "at least 20 messages", "2026-11-02 09:30:00 UTC"} {
		if !strings.Contains(whole(t, m), want) {
			t.Errorf("lacks %q: %s", want, whole(t, m))
		}
	}
}

func TestRender_ResolvedTellsHowItEnded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		ended schemas.AlertEnd
		want  []string
	}{
		{"recovered", schemas.EndRecovered, []string{"back to normal at gmail.com", "lasted 47 min", "peak 81 %"}},
		{"no traffic", schemas.EndNoTraffic, []string{"No more traffic", "gmail.com", "Too little mail since <!date^1793612700^", "ended after 2 h without"}},
		{"rule gone", schemas.EndRuleGone, []string{"rule is gone", "gmail.com"}},
	}
	for _, tt := range tests {
		n := example()
		n.Kind, n.At, n.Facts.Ended = schemas.NotifyResolved, n.Facts.Since.Add(47*time.Minute), tt.ended
		if tt.ended == schemas.EndNoTraffic {
			since := n.Facts.Since.Add(15 * time.Minute)
			n.Facts.NoTraffic = &schemas.AlertNoTraffic{Since: since, EndsAt: since.Add(2 * time.Hour)}
		}
		m := render([]outbox.Notice{n}, wording.Links{})
		check(t, m)
		for _, want := range tt.want {
			if !strings.Contains(m.Text+whole(t, m), want) {
				t.Errorf("%s: lacks %q: %s", tt.name, want, m.Text)
			}
		}
	}
}

func TestRender_DigestListsTenAndCountsTheRest(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{schemas.NotifyFiring, schemas.NotifyNoTraffic, schemas.NotifyResolved} {
		m := render(domains(37, kind), wording.Links{})
		check(t, m)
		if !strings.Contains(m.Text, "37 destinations") || !strings.Contains(m.Text, "and 27 more") {
			t.Errorf("digest: %s", m.Text)
		}
		if n := strings.Count(m.Blocks[1].Text.Text, ".example"); n != 10 {
			t.Errorf("%d keys are listed, want 10", n)
		}
	}
}

// domains are notices of n domains, all of one mailbox provider.
func domains(n int, kind string) []outbox.Notice {
	notices := make([]outbox.Notice, 0, n)
	for i := range n {
		e := example()
		e.Kind = kind
		e.Alert.Labels = map[string]string{"source": "acme", "recipient_domain": fmt.Sprintf("d%02d.example", i)}
		e.Alert.Group = "acme/@google"
		notices = append(notices, e)
	}
	return notices
}

func TestRender_DigestCountsEachDestinationOnce(t *testing.T) {
	t.Parallel()
	both := domains(30, schemas.NotifyFiring)
	for i := range both {
		both[i].Alert.Group = fmt.Sprintf("acme/@p%d", i)
		if i > 0 { // 29 mailbox providers by a rule of their own
			p := example()
			p.Alert.Labels = map[string]string{"source": "acme", "mailbox_provider": fmt.Sprintf("p%d", i)}
			p.Alert.Group = both[i].Alert.Group
			both = append(both, p)
		}
	}
	twoSources := domains(20, schemas.NotifyFiring)
	for _, n := range domains(20, schemas.NotifyFiring) {
		n.Alert.Labels["source"] = "other"
		twoSources = append(twoSources, n)
	}
	alone := domains(9, schemas.NotifyFiring)
	for i := range alone {
		alone[i].Alert.Labels = map[string]string{"source": "acme", "mailbox_provider": fmt.Sprintf("p%d", i)}
	}
	for _, tt := range []struct {
		name    string
		notices []outbox.Notice
		want    int
	}{
		{"domains and their providers", both, 30}, {"two sources", twoSources, 20}, {"providers alone", alone, 9},
	} {
		m := render(tt.notices, wording.Links{})
		check(t, m)
		if !strings.HasPrefix(m.Text, fmt.Sprintf("%d destinations ", tt.want)) {
			t.Errorf("%s: %s", tt.name, m.Text)
		}
		adds(t, m, tt.want)
	}
}

func TestRender_DigestOfLongNamesStillAddsUp(t *testing.T) {
	t.Parallel()
	notices := domains(25, schemas.NotifyFiring)
	for i := range notices {
		notices[i].Alert.Labels["recipient_domain"] = fmt.Sprintf("%02d.", i) + strings.Repeat("x.", 120) + "example"
		notices[i].Alert.Labels["source"] = strings.Repeat("&", 60)
	}
	m := render(notices, wording.Links{})
	check(t, m)
	adds(t, m, 25)
}

// adds wants the listed and the unlisted rows of a digest to be total ones.
func adds(t *testing.T, m message, total int) {
	t.Helper()
	rows := strings.Split(m.Blocks[1].Text.Text, "\n")
	listed, rest := len(rows), 0
	if _, err := fmt.Sscanf(rows[len(rows)-1], "and %d more", &rest); err == nil {
		listed--
	}
	if listed+rest != total || listed == 0 {
		t.Errorf("%d rows and %d more, want %d: %s", listed, rest, total, m.Blocks[1].Text.Text)
	}
}

func TestRender_NumbersOfAMessageAddUp(t *testing.T) {
	t.Parallel()
	n := example()
	n.Facts.Reasons = n.Facts.Reasons[:1]
	for i := range 14 {
		n.Facts.Also = append(n.Facts.Also, fmt.Sprintf("recipient_domain d%d.example", i))
	}
	m := render([]outbox.Notice{n}, wording.Links{})
	check(t, m)
	for _, want := range []string{"150 for further reasons", "reputation 900, further reasons 150", "and 5 more"} {
		if !strings.Contains(whole(t, m), want) {
			t.Errorf("lacks %q: %s", want, whole(t, m))
		}
	}
}

func TestRender_NoTrafficTellsSinceWhenAndUntilWhen(t *testing.T) {
	t.Parallel()
	n := example()
	n.Kind, n.Facts.Counts, n.Facts.Value = schemas.NotifyNoTraffic, schemas.AlertCounts{}, 0
	n.Facts.NoTraffic = &schemas.AlertNoTraffic{Since: n.Facts.Since.Add(time.Hour), EndsAt: n.Facts.Since.Add(3 * time.Hour)}
	m := render([]outbox.Notice{n}, wording.Links{})
	check(t, m)
	for _, want := range []string{"Too little mail", "gmail.com", "no messages in 15 minutes", "2026-11-02 10:30:00 UTC", "2026-11-02 12:30:00 UTC", "stays open"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("lacks %q: %s", want, m.Text)
		}
	}
	if strings.Contains(whole(t, m), "0 %") {
		t.Errorf("a rate of nothing: %s", whole(t, m))
	}
}

func TestRender_EndOfWhatNobodyHeardTellsTheBeginning(t *testing.T) {
	t.Parallel()
	n := example()
	began := n.Facts
	n.Kind, n.At, n.Facts.Ended = schemas.NotifyResolved, n.Facts.Since.Add(time.Hour), schemas.EndRecovered
	n.Facts.Counts, n.Facts.Causes, n.Facts.Reasons, n.Facts.Also = schemas.AlertCounts{Delivered: 300}, nil, nil, nil
	n.Began = &began
	m := render([]outbox.Notice{n}, wording.Links{})
	check(t, m)
	for _, want := range []string{"back to normal", "1,050 of 1,270 blocked", "could not be delivered", "sender 900", "mailbox_provider google", "2026-11-02 09:30:00 UTC"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("lacks %q: %s", want, m.Text)
		}
	}
}

// check holds what must be true of every message, whoever wrote what is in it.
func check(t *testing.T, m message) {
	t.Helper()
	if m.Text == "" || len(m.Blocks) > 10 {
		t.Fatalf("text of %d bytes, %d blocks", len(m.Text), len(m.Blocks))
	}
	sum := 0
	texts := []text{{"mrkdwn", m.Text}}
	for _, b := range m.Blocks {
		if b.Text != nil {
			texts = append(texts, *b.Text)
		}
		texts = append(texts, b.Fields...)
		texts = append(texts, b.Elements...)
	}
	for i, tx := range texts {
		n := utf8.RuneCountInString(tx.Text)
		if i > 0 {
			sum += n
		}
		if most := map[bool]int{true: headerMax, false: 3_500}[tx.Type == "plain_text"]; n == 0 || n > most {
			t.Errorf("%s of %d characters", tx.Type, n)
		}
		if tx.Type == "plain_text" {
			continue
		}
		rest := tx.Text
		for {
			i := strings.IndexByte(rest, '<')
			if i < 0 {
				break
			}
			if !strings.HasPrefix(rest[i:], "<!date^") {
				t.Errorf("unescaped < in %q", tx.Text)
			}
			rest = rest[i+1:]
		}
	}
	for _, b := range m.Blocks {
		for _, f := range b.Fields {
			if n := utf8.RuneCountInString(f.Text); n > 2_000 {
				t.Errorf("field of %d characters", n)
			}
		}
	}
	if sum > 13_000 {
		t.Errorf("blocks of %d characters together", sum)
	}
}

func FuzzRender(f *testing.F) {
	f.Add("gmail.com", "acme", "550 <!channel> `rm`", "reputation")
	f.Add("<!here>", "*b*", "<https://evil.test|click>", "<@U1>")
	f.Add(strings.Repeat("&", 300), "a\u202eb", strings.Repeat("`", 500), "\n\n")
	f.Fuzz(func(t *testing.T, domain, source, sample, reason string) {
		n := example()
		n.Alert.Labels = map[string]string{"source": source, "recipient_domain": domain}
		n.Facts.Reasons = []schemas.ReasonCount{{Reason: schemas.Reason(reason), Cause: "sender", Count: 1, Sample: sample}}
		n.Facts.Causes = map[string]int64{reason: 5}
		n.Facts.Also = []string{domain}
		check(t, render([]outbox.Notice{n}, wording.Links{}))
		n.Kind = schemas.NotifyResolved
		check(t, render([]outbox.Notice{n}, wording.Links{}))
		check(t, render([]outbox.Notice{n, n, n}, wording.Links{}))
	})
}

func TestClean_LeavesNothingThatMisleads(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"mention", "<!channel>", "`&lt;!channel&gt;`"},
		{"link", "<https://a.test|b>", "`&lt;https://a.test|b&gt;`"},
		{"back-tick", "a`b", "`a'b`"},
		{"line break", "a\nb\r\tc", "`a b  c`"},
		{"direction", "a\u202ecba", "`a cba`"},
		{"ampersand", "a&lt;b", "`a&amp;lt;b`"},
		{"nothing", " ", "`-`"},
		{"invalid utf-8", "a\xffb", "`a?b`"},
	}
	for _, tt := range tests {
		if got := code(tt.in); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// serve answers every post with status, header and body.
func serve(t *testing.T, answers ...func(w http.ResponseWriter)) (*Client, *[]string) {
	t.Helper()
	var bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		bodies = append(bodies, string(b))
		answers[min(len(bodies), len(answers))-1](w)
	}))
	t.Cleanup(srv.Close)
	return New(Webhook{WebhookURL: config.Literal(srv.URL + "/services/T0/B0/hunter2")}, wording.Links{}, nil), &bodies
}

func says(status int, body string, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestDeliver_ReadsEveryAnswerRightly(t *testing.T) {
	t.Parallel()
	const (
		ok = iota
		again
		refused
	)
	tests := []struct {
		name   string
		answer func(http.ResponseWriter)
		want   int
		after  time.Duration
		posts  int
	}{
		{"webhook ok", says(200, "ok"), ok, 0, 1},
		{"empty ok", says(200, ""), ok, 0, 1},
		{"no content", says(204, ""), ok, 0, 1},
		{"api ok", says(200, `{"ok":true,"ts":"1.2"}`), ok, 0, 1},
		{"login page", says(200, "<!DOCTYPE html>"), refused, 0, 1},
		{"refusal with 200", says(200, "no_service"), refused, 0, 1},
		{"api error of a new word", says(200, `{"ok":false,"error":"new_word"}`), again, 0, 1},
		{"api refuses", says(200, `{"ok":false,"error":"channel_not_found"}`), refused, 0, 1},
		{"api rate limit", says(200, `{"ok":false,"error":"ratelimited","retry_after":7}`), again, 7 * time.Second, 1},
		{"rate limit", says(429, "rate_limited", "Retry-After", "30"), again, 30 * time.Second, 1},
		{"rate limit without a time", says(429, ""), again, 0, 1},
		{"rate limit for ever", says(429, "", "Retry-After", "99999999"), again, 15 * time.Minute, 1},
		{"rate limit of nonsense", says(429, "", "Retry-After", "soon"), again, 0, 1},
		{"rate limit with a refusal's word", says(429, "no_service"), again, 0, 1},
		{"server error", says(500, "internal_error"), again, 0, 1},
		{"bad gateway", says(502, "<html>"), again, 0, 1},
		{"unavailable for a while", says(503, "", "Retry-After", "5"), again, 5 * time.Second, 1},
		{"500 that is for good", says(500, "no_service"), refused, 0, 1},
		{"webhook removed", says(404, "no_service"), refused, 0, 1},
		{"channel archived", says(410, "channel_is_archived"), refused, 0, 1},
		{"forbidden", says(403, "action_prohibited"), refused, 0, 1},
		{"redirect", says(302, "", "Location", "http://127.0.0.1:1/"), refused, 0, 1},
		{"unknown 404", says(404, "what?"), refused, 0, 1},
		{"teapot", says(418, ""), again, 0, 1},
		{"bad message stays bad", says(400, "invalid_blocks"), refused, 0, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, bodies := serve(t, tt.answer)
			err := c.Deliver(context.Background(), []outbox.Notice{example()})
			got := ok
			if f, is := errors.AsType[*outbox.Fault](err); is {
				got = again
				if fate.Final(err) {
					got = refused
				}
				if f.RetryAfter != tt.after {
					t.Errorf("retry after %s, want %s", f.RetryAfter, tt.after)
				}
			}
			if got != tt.want || len(*bodies) != tt.posts {
				t.Errorf("verdict %d after %d posts (%v), want %d after %d", got, len(*bodies), err, tt.want, tt.posts)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "<html>")) {
				t.Errorf("error tells too much: %v", err)
			}
		})
	}
}

func TestDeliver_TriesABadMessageOnceInPlainText(t *testing.T) {
	t.Parallel()
	c, bodies := serve(t, says(400, "invalid_blocks"), says(200, "ok"))
	if err := c.Deliver(context.Background(), []outbox.Notice{example()}); err != nil {
		t.Fatalf("deliver: %v", err)
	}
	if len(*bodies) != 2 || !strings.Contains((*bodies)[0], `"blocks"`) || strings.Contains((*bodies)[1], `"blocks"`) {
		t.Errorf("posts: %q", *bodies)
	}
	if !strings.Contains((*bodies)[1], "gmail.com") {
		t.Errorf("plain message lacks the domain: %s", (*bodies)[1])
	}
}

func TestDeliver_NetworkFaultIsPassingAndKeepsTheSecret(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(nil)
	srv.Close()
	c := New(Webhook{WebhookURL: config.Literal(srv.URL + "/services/T0/B0/hunter2")}, wording.Links{}, nil)
	err := c.Deliver(context.Background(), []outbox.Notice{example()})
	if _, is := errors.AsType[*outbox.Fault](err); !is || fate.Final(err) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error: %v", err)
	}
}

func TestDeliver_ReadsNoEndlessAnswer(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, func(w http.ResponseWriter) {
		for range 1_000 {
			_, _ = io.WriteString(w, strings.Repeat("x", 4<<10))
		}
	})
	if err := c.Deliver(context.Background(), []outbox.Notice{example()}); err != nil {
		t.Errorf("deliver: %v", err)
	}
}

func TestValidate_RefusesWhatIsNoURLWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"https://hooks.slack.com/services/T/B/hunter2": true, "http://127.0.0.1:1/x": true,
		"hooks.slack.com/hunter2": false, "ftp://hunter2": false, "http:///hunter2": false,
	} {
		var p config.Problems
		Webhook{WebhookURL: config.Literal(url)}.Validate(&p)
		err := p.Err()
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestRender_FlappingIsSaidOnce(t *testing.T) {
	t.Parallel()
	n := example()
	n.Facts.Flapping = true
	m := render([]outbox.Notice{n}, wording.Links{})
	check(t, m)
	const want = "the third time within an hour"
	if !strings.Contains(m.Text, want) || strings.Count(whole(t, m), want) != 2 { // once for the screen, once as text
		t.Errorf("text %s, whole %s", m.Text, whole(t, m))
	}
}
