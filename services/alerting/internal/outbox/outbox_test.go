package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// people remember what they were notified of and when, and answer as ordered.
type people struct {
	mu       sync.Mutex
	began    time.Time
	notified []string // "12s firing a b"
	tries    int
	answer   func(try int, since time.Duration) error
	hold     chan struct{} // a delivery waits for it when not nil
}

func (p *people) Deliver(_ context.Context, notices []Notice) error {
	p.mu.Lock()
	p.tries++
	try, hold := p.tries, p.hold
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	since := time.Since(p.began)
	if p.answer != nil {
		if err := p.answer(try, since); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("%ds %s", int(since.Seconds()), notices[0].Kind)
	for _, n := range notices {
		line += " " + n.Alert.Fingerprint
		if n.Began != nil {
			line += "(unheard)"
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notified = append(p.notified, line)
	return nil
}

func (p *people) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.notified...)
}

// run calls test beside a running outbox in a bubble.
func run(t *testing.T, p *people, test func(t *testing.T, b *Outbox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p.began = time.Now()
		b := New("slack", p, zap.NewNop(), NewMetrics(prometheus.NewRegistry(), "slack"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		test(t, b)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func notice(fingerprint, kind string, seq int) Notice {
	return Notice{
		Alert: schemas.Alert{Fingerprint: fingerprint}, Kind: kind, Seq: seq, At: time.Now(),
		Facts: schemas.AlertFacts{Incident: fmt.Sprintf("inc-%s-%d", fingerprint, (seq+1)/2)},
	}
}

func firing(fingerprint string) Notice { return notice(fingerprint, schemas.NotifyFiring, 1) }

func want(t *testing.T, p *people, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, p.heard()); diff != "" {
		t.Errorf("notified (-want +got):\n%s", diff)
	}
}

func TestOutbox_DeliversInOrderAtOneASecond(t *testing.T) {
	t.Parallel()
	p := &people{}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		b.Offer(firing("b"))
		time.Sleep(time.Millisecond)
		b.Offer(notice("a", schemas.NotifyResolved, 2))
		time.Sleep(10 * time.Second)
		want(t, p, "0s firing a", "1s firing b", "2s resolved a")
		if results := b.Results(); len(results) != 3 || results[0].ID != (ID{"a", 1}) || results[0].Failed != "" || results[0].Attempts != 1 {
			t.Errorf("results: %+v", results)
		}
	})
}

func TestOutbox_TakesANoticeOnceUntilItIsSettled(t *testing.T) {
	t.Parallel()
	p := &people{}
	run(t, p, func(t *testing.T, b *Outbox) {
		for range 3 {
			b.Offer(firing("a"))
			time.Sleep(5 * time.Second)
		}
		want(t, p, "0s firing a")
		b.Settled(b.Results()[0].ID)
		b.Offer(firing("a")) // as after a restart that lost the note
		time.Sleep(time.Second)
		want(t, p, "0s firing a", "15s firing a")
	})
}

func TestOutbox_InsistsThroughMinutesOfFaults(t *testing.T) {
	t.Parallel()
	p := &people{answer: func(_ int, since time.Duration) error {
		if since < 10*time.Minute {
			return &Fault{Err: errors.New("status 500")}
		}
		return nil
	}}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		time.Sleep(15 * time.Minute)
		notified := p.heard()
		if len(notified) != 1 || !strings.HasSuffix(notified[0], "firing a") {
			t.Errorf("notified: %q", notified)
		}
		if p.tries < 30 || p.tries > 80 {
			t.Errorf("%d tries in 10 minutes, want about one every 15 seconds", p.tries)
		}
	})
}

func TestOutbox_WaitsAsLongAsItIsAskedTo(t *testing.T) {
	t.Parallel()
	p := &people{answer: func(try int, _ time.Duration) error {
		if try == 1 {
			return &Fault{RetryAfter: 90 * time.Second, Err: errors.New("rate limited")}
		}
		return nil
	}}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		time.Sleep(5 * time.Minute)
		want(t, p, "90s firing a")
	})
}

// refuseUntil answers as a webhook that is mended after so long.
func refuseUntil(mended time.Duration) func(int, time.Duration) error {
	return func(_ int, since time.Duration) error {
		if since < mended {
			return fate.Wrap(fate.Halt, &Fault{Reason: "no_service", Err: errors.New("status 404")})
		}
		return nil
	}
}

func TestOutbox_ARefusalEndsNothing(t *testing.T) {
	t.Parallel()
	p := &people{answer: refuseUntil(time.Second)}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		time.Sleep(59 * time.Second)
		want(t, p)
		first := b.Results()
		if len(first) != 1 || first[0].Ended() || first[0].Answer != "no_service" || first[0].NextTry.Sub(p.began) != time.Minute {
			t.Errorf("results: %+v", first)
		}
		time.Sleep(2 * time.Second)
		want(t, p, "60s firing a")
		if r := b.Results(); len(r) != 1 || !r[0].Ended() || r[0].Answer != "" || r[0].Attempts != 2 {
			t.Errorf("results: %+v", r)
		}
	})
}

func TestOutbox_TriesWhatIsRefusedEverMoreSlowlyAsLongAsItLasts(t *testing.T) {
	t.Parallel()
	var tries []string
	p := &people{}
	p.answer = func(_ int, since time.Duration) error {
		tries = append(tries, since.String())
		return fate.Wrap(fate.Halt, &Fault{Reason: "status_302", Err: errors.New("status 302")})
	}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		time.Sleep(time.Hour)
		if diff := cmp.Diff([]string{"0s", "1m0s", "3m0s", "7m0s", "15m0s", "30m0s", "45m0s"}, tries[:7]); diff != "" {
			t.Errorf("tries (-want +got):\n%s", diff)
		}
		time.Sleep(72 * time.Hour) // the incident lasts
		if n := len(tries); n < 290 || n > 300 {
			t.Errorf("%d tries in three days, want one in 15 minutes", n)
		}
		for _, r := range b.Results() {
			if r.Ended() {
				t.Errorf("given up: %+v", r)
			}
		}
	})
}

func TestOutbox_WhatWasRefusedFollowsTheFirstSuccess(t *testing.T) {
	t.Parallel()
	p := &people{answer: refuseUntil(20 * time.Minute)}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		time.Sleep(21 * time.Minute) // its next try is at 30m
		b.Offer(firing("b"))
		time.Sleep(5 * time.Second)
		want(t, p, "1260s firing b", "1261s firing a")
	})
}

func TestOutbox_AMessageThatIsRefusedHoldsBackNoOther(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{
		"refused": fate.Wrap(fate.DeadLetter, &Fault{Reason: "invalid_blocks", Err: errors.New("status 400")}),
		"failing": &Fault{Reason: "status_500", Err: errors.New("status 500")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &picky{people: &people{}, fault: fault}
			synctest.Test(t, func(t *testing.T) {
				p.began = time.Now()
				b := New("slack", p, zap.NewNop(), NewMetrics(prometheus.NewRegistry(), "slack"))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- b.Run(ctx) }()
				for _, f := range []string{"bad", "b", "c"} {
					b.Offer(firing(f))
				}
				time.Sleep(2 * time.Minute)
				if notified := p.heard(); len(notified) != 2 {
					t.Errorf("notified: %q", notified)
				}
				cancel()
				<-done
			})
		})
	}
}

// picky takes every message but the one about "bad".
type picky struct {
	*people
	fault error
}

func (p *picky) Deliver(ctx context.Context, notices []Notice) error {
	if notices[0].Alert.Fingerprint == "bad" {
		return p.fault
	}
	return p.people.Deliver(ctx, notices)
}

func TestOutbox_AnIncidentNobodyHeardOfIsToldAsOne(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(int, time.Duration) error{
		"refused": refuseUntil(10 * time.Minute),
		"away": func(_ int, since time.Duration) error {
			if since < 10*time.Minute {
				return errors.New("away")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &people{answer: answer}
			run(t, p, func(t *testing.T, b *Outbox) {
				b.Offer(firing("a"))
				time.Sleep(2 * time.Minute)
				stop := notice("a", schemas.NotifyNoTraffic, 2)
				b.Offer(stop)
				end := notice("a", schemas.NotifyResolved, 3)
				end.Facts.Incident = stop.Facts.Incident
				b.Offer(end)
				b.Offer(notice("a", schemas.NotifyFiring, 4)) // the next incident
				time.Sleep(30 * time.Minute)
				notified := p.heard()
				if len(notified) != 2 || !strings.HasSuffix(notified[0], " resolved a(unheard)") || !strings.HasSuffix(notified[1], " firing a") {
					t.Errorf("notified: %q", notified)
				}
				ended := 0
				for _, r := range b.Results() {
					if r.Ended() {
						ended++
					}
				}
				if ended != 4 {
					t.Errorf("%d notices ended, want 4", ended)
				}
			})
		})
	}
}

func TestOutbox_GivesUpADayAfterTheEnd(t *testing.T) {
	t.Parallel()
	p := &people{answer: refuseUntil(1000 * time.Hour)}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		time.Sleep(48 * time.Hour)
		b.Results()
		b.Offer(notice("a", schemas.NotifyResolved, 2))
		time.Sleep(giveUpAfter + time.Hour)
		r := b.Results()
		if len(r) != 2 || r[0].Failed != "no_service" || r[1].Failed != "no_service" {
			t.Errorf("results: %+v", r)
		}
		tries := p.tries
		time.Sleep(24 * time.Hour)
		if p.tries != tries {
			t.Error("tried after it was given up")
		}
	})
}

func TestOutbox_ReportsAFaultOnceAMinute(t *testing.T) {
	t.Parallel()
	p := &people{answer: func(int, time.Duration) error { return &Fault{Reason: "timeout", Err: errors.New("late")} }}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		reports := 0
		for range 600 {
			time.Sleep(time.Second)
			for _, r := range b.Results() {
				reports++
				if r.Answer != "timeout" || !r.NextTry.After(r.At) {
					t.Errorf("result: %+v", r)
				}
			}
		}
		if reports < 8 || reports > 11 {
			t.Errorf("%d reports in ten minutes", reports)
		}
	})
}

func TestOutbox_TellsAFloodInOneMessage(t *testing.T) {
	t.Parallel()
	p := &people{}
	run(t, p, func(t *testing.T, b *Outbox) {
		p.hold = make(chan struct{})
		b.Offer(firing("a"))
		synctest.Wait()
		for i := range digestMin + 1 {
			b.Offer(firing(fmt.Sprint(i)))
		}
		b.Offer(notice("0", schemas.NotifyResolved, 2))
		close(p.hold)
		time.Sleep(10 * time.Second)
		want(t, p, "0s firing a", "1s resolved 0(unheard)", "2s firing 1 2 3 4 5 6 7 8")
	})
}

func TestOutbox_WithdrawnNoticesAreNotDelivered(t *testing.T) {
	t.Parallel()
	p := &people{answer: func(_ int, since time.Duration) error {
		if since < time.Minute {
			return errors.New("away")
		}
		return nil
	}}
	run(t, p, func(t *testing.T, b *Outbox) {
		mine, theirs := firing("mine"), firing("theirs")
		theirs.Partition = 7
		b.Offer(theirs)
		b.Offer(mine)
		time.Sleep(10 * time.Second) // theirs waits for its next try
		b.Withdraw(t.Context(), []int32{7})
		time.Sleep(5 * time.Minute)
		if notified := p.heard(); len(notified) != 1 || notified[0][len(notified[0])-4:] != "mine" {
			t.Errorf("notified: %q", notified)
		}
	})
}

func TestOutbox_WithdrawLetsADeliveryFinish(t *testing.T) {
	t.Parallel()
	p := &people{}
	run(t, p, func(t *testing.T, b *Outbox) {
		p.hold = make(chan struct{})
		b.Offer(firing("a"))
		synctest.Wait()
		withdrawn := make(chan struct{})
		go func() {
			b.Withdraw(t.Context(), []int32{0})
			close(withdrawn)
		}()
		synctest.Wait()
		select {
		case <-withdrawn:
			t.Fatal("withdrawn while the message was under way")
		default:
		}
		close(p.hold)
		<-withdrawn
		if r := b.Results(); len(r) != 1 || r[0].Failed != "" {
			t.Errorf("results: %+v", r)
		}
	})
}

func TestOutbox_RetractsWhatIsNotUnderWay(t *testing.T) {
	t.Parallel()
	p := &people{}
	run(t, p, func(t *testing.T, b *Outbox) {
		p.hold = make(chan struct{})
		under, waits := firing("under"), firing("waits")
		b.Offer(under)
		synctest.Wait()
		b.Offer(waits)
		if b.Retract(under.ID()) {
			t.Error("retracted while the message was under way")
		}
		if !b.Retract(waits.ID()) || !b.Retract(ID{Fingerprint: "never offered"}) {
			t.Error("what was not under way is not retracted")
		}
		close(p.hold)
		synctest.Wait()
		if b.Retract(under.ID()) {
			t.Error("retracted although the result is not noted")
		}
		time.Sleep(time.Minute)
		if notified := p.heard(); len(notified) != 1 {
			t.Errorf("notified: %q", notified)
		}
		b.Offer(waits) // the silence is over
		time.Sleep(time.Minute)
		if notified := p.heard(); len(notified) != 2 {
			t.Errorf("notified: %q", notified)
		}
	})
}

func TestOutbox_StopFinishesTheDeliveryUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &people{hold: make(chan struct{}), began: time.Now()}
		b := New("slack", p, zap.NewNop(), NewMetrics(prometheus.NewRegistry(), "slack"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		b.Offer(firing("a"))
		b.Offer(firing("b"))
		synctest.Wait()
		cancel()
		close(p.hold)
		<-done
		if r := b.Results(); len(r) != 1 || r[0].ID.Fingerprint != "a" {
			t.Errorf("results: %+v", r)
		}
	})
}
