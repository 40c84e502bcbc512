package analyticstest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/servicetest"
)

// TestIncident_DrawsMessagesAsItsRuleCountsThem has messages with several outcomes, some of
// one moment, as of servers that accept and refuse afterwards, and repeats, some of which are
// judged anew: at each minute the plot has the share of the messages whose latest outcome
// in the window is a block.
func TestIncident_DrawsMessagesAsItsRuleCountsThem(t *testing.T) {
	t.Parallel()
	const window, span = 15, 70 // minutes
	w := newWorld(t)
	w.analytics(t)
	w.stopMerges(t) // what is judged anew stays beside what was
	since := time.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour)
	begin := since.Add(-2 * window * time.Minute)
	events := outcomesOf(rand.New(rand.NewPCG(1, 2)), begin, span)
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM event_log", fmt.Sprint(len(events)))
	again := slices.Clone(events[:len(events)/2])
	for i := range again {
		again[i].ReceivedAt = again[i].ReceivedAt.Add(time.Minute)
		if again[i].Type == schemas.Bounced { // no block any more
			again[i].Cause = schemas.CauseRecipient
		}
	}
	w.publish(t, again...)
	copy(events, again)
	alert := schemas.Alert{
		Fingerprint: "f", Version: 1, Rule: "block_spike", Incident: "inc-1", Labels: map[string]string{"recipient_domain": "example.com"}, State: schemas.AlertResolved,
		Threshold: .6, Window: "15m0s", Since: since, UpdatedAt: since, ResolvedAt: begin.Add((span - window) * time.Minute), Ended: schemas.EndRecovered,
	}
	w.produce(t, &kgo.Record{Topic: "email.alerts", Key: []byte("f"), Value: mustJSON(t, alert)})
	w.wantSQL(t, "SELECT count() FROM event_log", fmt.Sprint(len(events)+len(again)))
	w.wantSQL(t, "SELECT count() FROM alerts", "1")
	url, want := w.console(t), drawnOf(events, begin, window, span)
	var got string
	servicetest.EventuallyOr(t, func() bool { got = plotted(t, url+"/incidents/inc-1"); return got == want }, func() string {
		return fmt.Sprintf("the plot is\n%s\nof what is\n%s", got, want)
	})
}

// outcomesOf is a message every ten seconds, most with one outcome, others with up to four
// within an hour, of providers with and without a word for blocks.
func outcomesOf(r *rand.Rand, begin time.Time, span int) (events []schemas.Event) {
	for n := range 6 * span {
		at := begin.Add(time.Duration(n) * 10 * time.Second)
		for k := range 1 + max(0, r.IntN(7)-3) {
			e := eventAt(10*n+k, []schemas.Type{schemas.Delivered, schemas.Bounced, schemas.Blocked}[r.IntN(3)], at)
			e.MessageID, e.Provider, e.RecipientHash = fmt.Sprint("m", n), []string{"mailjet", "brevo"}[n%2], fmt.Sprintf("%032x", n)
			if e.Type == schemas.Bounced && r.IntN(2) == 0 {
				e.Cause = schemas.CauseSender
			}
			events = append(events, e)
			if r.IntN(4) > 0 { // else the next one is of the same moment
				at = at.Add(time.Duration(r.IntN(20*60)) * time.Second)
			}
		}
	}
	return slices.DeleteFunc(events, func(e schemas.Event) bool { return !e.Time.Before(begin.Add(time.Duration(span) * time.Minute)) })
}

// drawnOf looks at all messages at the end of each minute in which one had an outcome.
func drawnOf(events []schemas.Event, begin time.Time, window, span int) string {
	rank := func(e *schemas.Event) int {
		switch {
		case e.Type == schemas.Blocked, isBlock(e):
			return 2
		case e.Type == schemas.Bounced:
			return 1
		}
		return 0
	}
	var b strings.Builder
	for m := window; m < span; m++ {
		from, to := begin.Add(time.Duration(m-window+1)*time.Minute), begin.Add(time.Duration(m+1)*time.Minute)
		latest, came := map[string]*schemas.Event{}, false
		for i := range events {
			e := &events[i]
			if e.Time.Before(from) || !e.Time.Before(to) {
				continue
			}
			came = came || !e.Time.Before(to.Add(-time.Minute))
			if other := latest[e.MessageID]; other == nil || e.Time.After(other.Time) || e.Time.Equal(other.Time) && rank(e) > rank(other) {
				latest[e.MessageID] = e
			}
		}
		blocked := 0
		for _, e := range latest {
			if rank(e) == 2 {
				blocked++
			}
		}
		if came {
			fmt.Fprintf(&b, "%s %.4f of %d\n", to.Add(-time.Minute).Format("15:04"), float64(blocked)/float64(len(latest)), len(latest))
		}
	}
	return b.String()
}

// plotted is the plot of an incident.
func plotted(t *testing.T, address string) string {
	t.Helper()
	var page struct {
		Plot struct {
			Rows []struct {
				At     time.Time
				Values []*float64
				N      int
			}
		}
	}
	pageJSON(t, address, &page)
	var b strings.Builder
	for _, row := range page.Plot.Rows {
		if len(row.Values) == 1 && row.Values[0] != nil {
			fmt.Fprintf(&b, "%s %.4f of %d\n", row.At.UTC().Format("15:04"), *row.Values[0], row.N)
		}
	}
	return b.String()
}
