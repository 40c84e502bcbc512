package erasure_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/erasure"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

const topic = "email.erasures"

var until = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func ledger(t *testing.T, cfg kafka.Config, opt erasure.Options) *erasure.Ledger {
	t.Helper()
	l, err := erasure.New(cfg, opt, kafkatest.Logger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	kafkatest.Go(t, l.Run)
	return l
}

func record(t *testing.T, e schemas.Erasure) *kgo.Record {
	t.Helper()
	rec, err := erasure.Record(topic, e)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestLedger_KnowsWhatIsInTheTopicAndFollows(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	ana := schemas.Erasure{Hash: "aa", ErasedAt: until, Request: "r1", DeadLetters: []string{"d1"}}
	kafkatest.Produce(t, cfg, record(t, ana))
	l := ledger(t, cfg, erasure.Options{})
	servicetest.Eventually(t, "the ledger has no fault", func() bool { return l.Fault() == nil })
	if got, ok := l.Of("aa"); !ok || !cmp.Equal(ana, got) || !l.HasLetter("d1") {
		t.Errorf("of aa: %v, %v", got, ok)
	}
	ms := until.UnixMilli()
	for _, tt := range []struct {
		hash         string
		at, received int64
		want         bool
	}{
		{"aa", ms, ms + 1, true}, {"aa", ms + 1, ms, true}, {"aa", ms + 1, ms + 1, false}, {"bb", 0, 0, false}, {"", 0, 0, false},
	} {
		if got := l.Covers([]byte(tt.hash), tt.at, tt.received); got != tt.want {
			t.Errorf("Covers(%q, %d, %d) = %v", tt.hash, tt.at, tt.received, got)
		}
	}
	kafkatest.Produce(t, cfg, record(t, schemas.Erasure{Hash: "bb", ErasedAt: until}))
	servicetest.Eventually(t, "the second person is known", func() bool { return len(l.All()) == 2 })
	kafkatest.Produce(t, cfg, &kgo.Record{Topic: topic, Key: []byte("bb")})
	servicetest.Eventually(t, "a deleted erasure is gone", func() bool { _, ok := l.Of("bb"); return !ok })
}

func TestLedger_SaysWhichRecordItCannotRead(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, &kgo.Record{Topic: topic, Key: []byte("aa"), Value: []byte(`{"recipient_hash":"ana@example.com"}`)})
	l := ledger(t, cfg, erasure.Options{})
	servicetest.Eventually(t, "the fault names the record", func() bool {
		err := l.Fault()
		return err != nil && strings.Contains(err.Error(), "read record 0 of partition")
	})
	if strings.Contains(l.Fault().Error(), "ana") {
		t.Errorf("the fault quotes the record: %v", l.Fault())
	}
	select {
	case <-l.CaughtUp():
		t.Error("it caught up past a record that it cannot read")
	default:
	}
}

func TestLedger_HasAFaultBeforeItIsReadAndWhileItsWorkFails(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	busy := make(chan error, 3)
	busy <- errors.New("disk is busy")
	l := ledger(t, cfg, erasure.Options{Each: func(context.Context, []schemas.Erasure) error {
		select {
		case err := <-busy:
			return err
		default:
			return nil
		}
	}})
	if l.Fault() == nil && len(l.All()) == 0 {
		select {
		case <-l.CaughtUp():
		default:
			t.Error("no fault before it has caught up")
		}
	}
	kafkatest.Produce(t, cfg, record(t, schemas.Erasure{Hash: "aa", ErasedAt: until}))
	servicetest.Eventually(t, "the batch was given once more and passed", func() bool {
		return len(busy) == 0 && len(l.All()) == 1 && l.Fault() == nil
	})
}

func FuzzRecord_IsReadOrRefused(f *testing.F) {
	f.Add([]byte("aa"), []byte(`{"recipient_hash":"aa","erased_at":"2026-11-20T10:00:00Z","request":"r"}`))
	f.Add([]byte(""), []byte(`{}`))
	f.Add([]byte("aa"), []byte(nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if err := erasure.Check(&kgo.Record{Key: key, Value: value}); err != nil && strings.Contains(err.Error(), string(value)) && len(value) > 20 {
			t.Errorf("the error quotes the value: %v", err)
		}
	})
}
