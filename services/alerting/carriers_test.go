package alerting

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
)

// teller says who carries spikes as its function does.
type teller struct {
	mu    sync.Mutex
	asked int
	tell  func(ctx context.Context, asked int) (slow.Carried, error)
}

func (x *teller) Explain(ctx context.Context, spikes []slow.Spike, _ time.Time) ([]slow.Carried, error) {
	x.mu.Lock()
	x.asked++
	asked := x.asked
	x.mu.Unlock()
	c, err := x.tell(ctx, asked)
	out := make([]slow.Carried, len(spikes))
	for i := range out {
		out[i] = c
	}
	return out, err
}

func (x *teller) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.asked
}

func carried(stored int64) slow.Carried {
	return slow.Carried{Stored: stored, Carriers: []schemas.AlertCarrier{{Dimension: "campaign", Value: "spring", Bad: stored, Of: stored, OfBad: 1, OfVolume: 0.2}}}
}

const namesSpring = "campaign `spring`: 100 % of these messages"

func TestCarriers_MessageWaitsForThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		asked := &teller{tell: func(_ context.Context, asked int) (slow.Carried, error) {
			if asked == 1 { // analytics is behind the stream
				return slow.Carried{}, nil
			}
			return carried(30), nil
		}}
		r.explainer = asked
		in := r.start()
		r.send(blocked(30, "gmail.com"))
		if got := r.slack.want(t, 1); !strings.Contains(got[0].body, namesSpring) {
			t.Errorf("message: %s", got[0].body)
		}
		if got := r.alerts(in, ""); len(got[0].Carriers) != 1 || asked.count() != 2 {
			t.Errorf("record after %d questions: %+v", asked.count(), got[0].Carriers)
		}
		r.slack.wantQuiet(t, 1)
	})
}

// Who does not answer delays nothing beyond 700 ms, and that once: the next message
// does not wait for it at all. What comes late is in the record.
func TestCarriers_SlowAnswerDelaysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var (
			mu     sync.Mutex
			asked  time.Time // the latest question
			answer = make(chan struct{})
			fault  error
		)
		set := func(comes chan struct{}, with error) {
			mu.Lock()
			defer mu.Unlock()
			answer, fault = comes, with
		}
		r.explainer = &teller{tell: func(ctx context.Context, _ int) (slow.Carried, error) {
			mu.Lock()
			asked = time.Now()
			comes, err := answer, fault
			mu.Unlock()
			select {
			case <-comes:
			case <-ctx.Done():
			}
			return carried(30), err
		}}
		in := r.start()
		// crossed returns how long after the crossing and after the question the message came.
		crossed := func(domain string) (took, held time.Duration) {
			time.Sleep(5 * time.Second) // beyond the pace of Slack
			began, n := time.Now(), len(r.slack.seen())
			r.send(blocked(30, domain))
			got := r.slack.want(t, n+1)
			if strings.Contains(got[n].body, namesSpring) {
				t.Errorf("message: %s", got[n].body)
			}
			mu.Lock()
			defer mu.Unlock()
			return got[n].at.Sub(began), got[n].at.Sub(asked)
		}
		const hold = 700 * time.Millisecond
		if took, held := crossed("slow.example"); took > 2*time.Second || held < hold || held > hold+100*time.Millisecond {
			t.Errorf("message %s after the crossing and %s after the question", took, held)
		}
		close(answer)
		waitFor(t, "the record to have it", func() bool {
			for _, a := range r.alerts(in, "?rule=block_spike") {
				if a.Labels["recipient_domain"] == "slow.example" && len(a.Carriers) == 1 {
					return true
				}
			}
			return false
		})
		set(answer, errors.New("away"))
		crossed("failed.example")
		waitFor(t, "the failure", func() bool { return in.metric(t, "mailstream_alerting_carriers_asked_total", `value:"failed`) > 0 })
		set(make(chan struct{}), nil)
		if _, held := crossed("next.example"); held > 100*time.Millisecond {
			t.Errorf("message %s after the question although the last one failed", held)
		}
	})
}
