package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
)

// people remember what they were told and when, and answer as ordered.
type people struct {
	mu     sync.Mutex
	began  time.Time
	told   []string // "12s firing a b"
	tries  int
	answer func(try int, since time.Duration) error
	hold   chan struct{} // a delivery waits for it when not nil
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
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, line)
	return nil
}

func (p *people) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.told...)
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
	return Notice{Alert: schemas.Alert{Fingerprint: fingerprint}, Kind: kind, Seq: seq, At: time.Now()}
}

func firing(fingerprint string) Notice { return notice(fingerprint, schemas.NotifyFiring, 1) }

func want(t *testing.T, p *people, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, p.heard()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestOutbox_DeliversInOrderAtOneASecond(t *testing.T) {
	t.Parallel()
	p := &people{}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		b.Offer(firing("b"))
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
			return &Again{Err: errors.New("status 500")}
		}
		return nil
	}}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		b.Offer(notice("a", schemas.NotifyResolved, 2))
		time.Sleep(15 * time.Minute)
		told := p.heard()
		if len(told) != 2 || told[0][len(told[0])-8:] != "firing a" || told[1][len(told[1])-10:] != "resolved a" {
			t.Errorf("told: %q", told)
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
			return &Again{After: 90 * time.Second, Err: errors.New("rate limited")}
		}
		return nil
	}}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		time.Sleep(5 * time.Minute)
		want(t, p, "90s firing a")
	})
}

func TestOutbox_GoesOnAfterARefusal(t *testing.T) {
	t.Parallel()
	p := &people{answer: func(try int, _ time.Duration) error {
		if try == 1 {
			return &Refused{Reason: "no_service", Err: errors.New("status 404")}
		}
		return nil
	}}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		b.Offer(firing("b"))
		time.Sleep(5 * time.Second)
		want(t, p, "1s firing b")
		if r := b.Results(); len(r) != 2 || r[0].Failed != "no_service" {
			t.Errorf("results: %+v", r)
		}
	})
}

func TestOutbox_GivesUpAfterADay(t *testing.T) {
	t.Parallel()
	p := &people{answer: func(int, time.Duration) error { return errors.New("away") }}
	run(t, p, func(t *testing.T, b *Outbox) {
		b.Offer(firing("a"))
		time.Sleep(giveUpAfter + time.Hour)
		if r := b.Results(); len(r) != 1 || r[0].Failed == "" {
			t.Errorf("results: %+v", r)
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
		for i := range digestMin {
			b.Offer(firing(fmt.Sprint(i)))
		}
		b.Offer(notice("0", schemas.NotifyResolved, 2))
		close(p.hold)
		time.Sleep(10 * time.Second)
		want(t, p, "0s firing a", "1s firing 0 1 2 3 4 5 6 7", "2s resolved 0")
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
		if told := p.heard(); len(told) != 1 || told[0][len(told[0])-4:] != "mine" {
			t.Errorf("told: %q", told)
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
