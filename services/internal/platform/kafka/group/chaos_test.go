package group_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/servicetest"
)

// chaos is a group whose members come, stumble, die and leave at random while
// records arrive. What must hold: no record is skipped, and no commit is ever
// beyond what was handled.
type chaos struct {
	cfg    kafka.Config
	ledger *kafkatest.Ledger
}

var errCrash = errors.New("crash")

// watchCommits fails the test at the first commit beyond a handled prefix.
func watchCommits(t *testing.T, b *kafkatest.Broker, l *kafkatest.Ledger) {
	names := kafkatest.TopicIDs(t, b.Config)
	b.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		for _, topic := range req.(*kmsg.OffsetCommitRequest).Topics {
			name := cmp.Or(topic.Topic, names[topic.TopicID])
			for _, p := range topic.Partitions {
				if done := l.HandledUpTo(name, p.Partition); p.Offset > done {
					t.Errorf("commit of %s/%d at %d, but only up to %d is handled", name, p.Partition, p.Offset, done)
				}
			}
		}
		return nil, nil, false
	})
}

// muteGoodbyes makes the broker ignore some members' leaving, as if they had
// been killed: their partitions stay theirs until the session ends.
func muteGoodbyes(b *kafkatest.Broker, rng *rand.Rand) {
	b.ControlKey(int16(kmsg.LeaveGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		if rng.IntN(2) == 0 { // only the broker's goroutine uses this rng
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return resp, nil, true
	})
}

// life is one member from birth to death.
func (c *chaos) life(t *testing.T, rng *rand.Rand) {
	cons := kafkatest.Consumer(t, c.cfg, group.Config{
		Topics:           []string{kafkatest.Bounced, kafkatest.Opened},
		BatchRecordsMax:  1 + rng.IntN(200),
		BatchWait:        time.Duration(rng.IntN(20)) * time.Millisecond,
		HandOver:         time.Duration(1+rng.IntN(50)) * time.Millisecond,
		SessionTimeout:   600 * time.Millisecond,
		RebalanceTimeout: 400 * time.Millisecond, // the test broker forgets who waits to join for longer than a session
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(50+rng.IntN(600))*time.Millisecond)
	defer cancel()
	err := cons.Run(ctx, func(ctx context.Context, recs []*kgo.Record) error {
		switch n := rng.IntN(100); {
		case n < 20: // the store is away
			return errors.New("store is away")
		case n < 25: // the store hangs
			<-ctx.Done()
			return context.Cause(ctx)
		case n < 28: // dies before the effect
			return fate.Wrap(fate.Halt, errCrash)
		case n < 31: // dies between effect and commit
			c.ledger.Note(recs)
			return fate.Wrap(fate.Halt, errCrash)
		case n < 36: // the effect is there, the answer is lost
			c.ledger.Note(recs)
			return errors.New("answer is lost")
		default:
			c.ledger.Note(recs)
			return nil
		}
	})
	if err != nil && !errors.Is(err, errCrash) {
		t.Errorf("Run = %v", err)
	}
}

func TestConsumer_LosesNothingWhateverItsMembersDo(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			b := kafkatest.StartBroker(t)
			c := &chaos{cfg: b.Config, ledger: kafkatest.NewLedger()}
			watchCommits(t, b, c.ledger)
			muteGoodbyes(b, rand.New(rand.NewPCG(seed, 0)))
			c.run(t, seed)
			for _, topic := range []string{kafkatest.Bounced, kafkatest.Opened} {
				want, got := kafkatest.Ends(t, b.Config, topic), map[int32]int64{}
				for p := range want {
					got[p] = c.ledger.HandledUpTo(topic, p)
				}
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("seed %d: handled of %s differs from what is there (-there +handled):\n%s", seed, topic, diff)
				}
			}
			t.Logf("seed %d: %d records, %d repeats", seed, c.ledger.Handled(), c.ledger.Repeated())
		})
	}
}

// run lets three members live a few lives each under load, then lets a well
// one finish.
func (c *chaos) run(t *testing.T, seed uint64) {
	var wg sync.WaitGroup
	for member := range uint64(3) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, member+1))
			for range 4 {
				c.life(t, rng)
			}
		})
	}
	p := kafkatest.Producer(t, c.cfg, produce.Config{})
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for i := range 150 {
		<-pace.C
		recs := append(kafkatest.Records(kafkatest.Bounced, 10), kafkatest.Records(kafkatest.Opened, 5)...)
		if err := p.Publish(kafkatest.Context(t), recs...); err != nil {
			t.Errorf("publish %d: %v", i, err)
		}
	}
	wg.Wait()
	well := kafkatest.Consumer(t, c.cfg, group.Config{Topics: []string{kafkatest.Bounced, kafkatest.Opened}})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return well.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			c.ledger.Note(recs)
			return nil
		})
	})
	servicetest.Eventually(t, fmt.Sprintf("seed %d: all is handled", seed), func() bool { return c.ledger.Handled() == 150*15 })
	if err := r.End(t); err != nil {
		t.Error(err)
	}
}
