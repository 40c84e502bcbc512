package suppression_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/suppression"
)

// daysAgo moves an event to n days ago.
func daysAgo(n int) func(*schemas.Event) {
	return func(e *schemas.Event) {
		e.Time = e.Time.AddDate(0, 0, -n)
		e.ReceivedAt, e.ID, e.MessageID = e.Time, e.ID+e.Time.String(), e.Time.String()
	}
}

// failing returns a soft bounce of addr on each of the last five days.
func failing(tb testing.TB, addr string) []schemas.Event {
	tb.Helper()
	var out []schemas.Event
	for n := range 5 {
		out = append(out, event(tb, schemas.Bounced, addr, n, soft, daysAgo(n)))
	}
	return out
}

func TestService_SoftBouncesAndHealing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		a, b := start(t, options{broker: broker}), start(t, options{broker: broker})
		old := func(addr string, opts ...func(*schemas.Event)) schemas.Event {
			return event(t, schemas.Bounced, addr, 1, append(opts, daysAgo(3))...)
		}
		events := slices.Concat(
			failing(t, "full@example.com"),
			failing(t, "reached@example.com"), []schemas.Event{event(t, schemas.Delivered, "reached@example.com", 9)},
			failing(t, "reached-before@example.com"), []schemas.Event{event(t, schemas.Delivered, "reached-before@example.com", 9, daysAgo(2))},
			[]schemas.Event{old("opens@example.com", hard), event(t, schemas.Opened, "opens@example.com", 9)},
			[]schemas.Event{old("clicks@example.com", hard), event(t, schemas.Clicked, "clicks@example.com", 9)},
			[]schemas.Event{old("dead@example.com", hard), event(t, schemas.Delivered, "dead@example.com", 9)},
			[]schemas.Event{event(t, schemas.Blocked, "dropped@example.com", 1, func(e *schemas.Event) { e.Reason = schemas.SuppressedBounce })},
		)
		rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		publish(t, cfg, slices.Concat(events, events)...)
		servicetest.Eventually(t, "all events are settled", func() bool { return a.settled()+b.settled() == 2*len(events) })
		want := map[string]string{
			"full": "soft_bounce", "reached": "", "reached-before": "", "opens": "", "clicks": "", "dead": "hard_bounce", "dropped": "provider_suppressed",
		}
		for who, reason := range want {
			a.wantCheck(who+"@example.com", "marketing", reason)
			b.wantCheck(who+"@example.com", "marketing", reason)
		}

		// What the replicas know comes from the topic alone.
		fresh := start(t, options{broker: broker})
		got := map[string]string{}
		for who := range want {
			got[who] = fresh.check(who+"@example.com", "marketing")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("a new replica says (-want +got):\n%s", diff)
		}
		publish(t, cfg, event(t, schemas.Delivered, "full@example.com", 60))
		fresh.wantCheck("full@example.com", "marketing", "")
	})
}

func TestConfig_SoftBounces(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*suppression.SoftBounces)
		want   string
	}{
		{"more messages than are kept", func(c *suppression.SoftBounces) { c.MailboxFull.Messages = 11 }, "soft_bounces.mailbox_full.messages: 11 is not in [0, 10]"},
		{"a reason that is off", func(c *suppression.SoftBounces) { c.Timeout.Messages = 0 }, ""},
		{"no day", func(c *suppression.SoftBounces) { c.Timeout.Days = 0 }, "soft_bounces.timeout.days: 0 is not in [1, 5]"},
		{"fewer messages than days", func(c *suppression.SoftBounces) { c.Timeout.Messages = 2 }, "soft_bounces.timeout.messages: 2 is below the 5 days they have to fail on"},
		{"no step", func(c *suppression.SoftBounces) { c.Steps = nil }, "soft_bounces.steps: 0 of them, want 1 to 10"},
		{"a step of a minute", func(c *suppression.SoftBounces) { c.Steps[0] = time.Minute }, "soft_bounces.steps: 1m is not in [1d, 365d]"},
		{"too long a time", func(c *suppression.SoftBounces) { c.Within *= 10 }, "soft_bounces.within: 140d is not in [5d, 90d]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := suppression.Default()
			cfg.AllowUnauthenticated = true
			tt.change(&cfg.SoftBounces)
			var faults config.Problems
			cfg.Validate(faults.At("suppression"))
			if err := faults.Err(); tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}
