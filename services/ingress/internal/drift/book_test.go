package drift

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/servicetest"
)

const topic = "email.drift"

// day returns the n-th day on which something is met.
func day(n int) time.Time { return time.Date(2026, time.March, n, 9, 15, 30, 0, time.UTC) }

// book returns that of a process, which does not run.
func book(t *testing.T, cfg kafka.Config) *Book {
	t.Helper()
	labels := []string{"provider", "kind", "path"}
	b, err := New(cfg, Options{
		Providers: []string{"mailjet", "resend"},
		Paths:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "paths_total", Help: "Paths."}, labels),
		First:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "first", Help: "First times."}, labels),
		Skipped:   prometheus.NewCounter(prometheus.CounterOpts{Name: "skipped_total", Help: "Records."}),
	}, kafkatest.Logger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// meet notes an unknown field of Mailjet's.
func meet(b *Book, name string, at time.Time) bool {
	return b.Note("mailjet", provider.UnknownField, name, at)
}

// since returns what the process says of that field.
func (b *Book) since(name string) time.Time {
	seconds := testutil.ToFloat64(b.opt.First.WithLabelValues("mailjet", "unknown_field", name))
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}

func wantSince(t *testing.T, b *Book, name string, want time.Time) {
	t.Helper()
	servicetest.EventuallyOr(t, func() bool { return b.since(name).Equal(want) }, func() string {
		return fmt.Sprintf("%s was met first at %s, want %s", name, b.since(name), want)
	})
}

// record is one of the topic for that field.
func record(name string, first time.Time) *kgo.Record {
	d := schemas.Drift{Provider: "mailjet", Kind: "unknown_field", Path: name, FirstSeen: first}
	value, _ := json.Marshal(d) // three texts and a time
	return &kgo.Record{Topic: topic, Key: []byte(d.Key()), Value: value}
}

// stored returns the first time in the last record of each path.
func stored(t *testing.T, cfg kafka.Config) map[string]time.Time {
	t.Helper()
	out := map[string]time.Time{}
	for _, r := range kafkatest.ReadAll(t, cfg, topic) {
		var d schemas.Drift
		if json.Unmarshal(r.Value, &d) == nil {
			out[d.Path] = d.FirstSeen
		}
	}
	return out
}

func wantStored(t *testing.T, cfg kafka.Config, want map[string]time.Time) {
	t.Helper()
	servicetest.EventuallyOr(t, func() bool { return maps.Equal(stored(t, cfg), want) }, func() string {
		return fmt.Sprintf("the topic has %v, want %v", stored(t, cfg), want)
	})
}

func TestBook_TellsTheNextProcessWhenItWasFirst(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	first := book(t, cfg)
	meet(first, "data.before", day(1)) // it runs
	running := servicetest.Run(t, first.Run)
	meet(first, "data.new", day(2))
	wantStored(t, cfg, map[string]time.Time{"data.before": day(1), "data.new": day(2)})
	if err := running.Stop(); err != nil {
		t.Fatal(err)
	}

	second := book(t, cfg)
	if !meet(second, "data.new", day(8)) || meet(second, "data.new", day(9)) || second.since("data.new") != day(8) {
		t.Errorf("met first at %s before the topic is read", second.since("data.new"))
	}
	ends := kafkatest.Ends(t, cfg, topic)
	servicetest.Run(t, second.Run)
	wantSince(t, second, "data.new", day(2))
	meet(second, "data.before", day(9))
	wantSince(t, second, "data.before", day(1))
	if after := kafkatest.Ends(t, cfg, topic); !maps.Equal(after, ends) {
		t.Errorf("what the topic had is written once more: %v, then %v", ends, after)
	}
	if n := testutil.ToFloat64(second.opt.Paths.WithLabelValues("mailjet", "unknown_field", "data.new")); n != 2 {
		t.Errorf("counted %v times, want 2", n)
	}
}

func TestBook_OfTwoProcessesSayTheSame(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	one, two := book(t, cfg), book(t, cfg)
	meet(one, "data.both", day(3))
	meet(two, "data.both", day(2)) // at once, so that neither knows of the other
	servicetest.Run(t, one.Run)
	servicetest.Run(t, two.Run)
	wantSince(t, one, "data.both", day(2))
	wantStored(t, cfg, map[string]time.Time{"data.both": day(2)})

	meet(one, "data.one", day(4))
	wantStored(t, cfg, map[string]time.Time{"data.both": day(2), "data.one": day(4)})
	meet(two, "data.one", day(5))
	wantSince(t, two, "data.one", day(4))
}

func TestBook_TheEarlierTimeWinsWhoeverWroteLast(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	b := book(t, cfg)
	meet(b, "data.new", day(5))
	servicetest.Run(t, b.Run)
	wantStored(t, cfg, map[string]time.Time{"data.new": day(5)})
	kafkatest.Produce(t, cfg, record("data.new", day(6))) // of a process that had not read ours
	wantStored(t, cfg, map[string]time.Time{"data.new": day(5)})
	kafkatest.Produce(t, cfg, record("data.new", day(4)))
	wantSince(t, b, "data.new", day(4))
	kafkatest.Produce(t, cfg, &kgo.Record{Topic: topic, Key: record("data.new", day(4)).Key}) // a person takes it back
	wantSince(t, b, "data.new", day(5))
	wantStored(t, cfg, map[string]time.Time{"data.new": day(5)})
}

func TestBook_CountsWhileThereIsNoBroker(t *testing.T) {
	t.Parallel()
	port := servicetest.FreePort(t)
	cfg := kafka.Default()
	cfg.Brokers, cfg.Topics.Partitions = []string{port.Addr}, kafkatest.Partitions
	b := book(t, cfg)
	running := servicetest.Run(t, b.Run)
	if !meet(b, "data.new", day(1)) || b.since("data.new") != day(1) {
		t.Errorf("without a broker it was met first at %s", b.since("data.new"))
	}
	broker := kafkatest.StartEmpty(t, kfake.Ports(port.Number))
	meet(b, "data.other", day(2)) // nor is there a topic
	kafkatest.Make(t, broker.Config)
	wantStored(t, cfg, map[string]time.Time{"data.new": day(1), "data.other": day(2)})

	kafkatest.Remake(t, broker.Config, topic) // and now it is another one
	wantStored(t, cfg, map[string]time.Time{"data.new": day(1), "data.other": day(2)})
	if err := running.Stop(); err != nil {
		t.Error(err)
	}
}

func TestBook_TakesInNothingOfAPoisonedTopic(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	good := record("data.good", day(1))
	bad := []*kgo.Record{
		{Key: nil, Value: []byte("{}")}, {Key: []byte("mailjet/unknown_field"), Value: good.Value}, {Key: good.Key, Value: []byte("{")},
		{Key: []byte("mailjet/unknown_field/data.other"), Value: good.Value}, {Key: good.Key, Value: record("data.good", time.Time{}).Value},
		{Key: record("ana@example.com", day(1)).Key, Value: record("ana@example.com", day(1)).Value},
		{Key: []byte("mailjet/novel_kind/data.x"), Value: good.Value}, {Key: good.Key, Value: []byte(`{"first_seen":"yesterday"}`)},
	}
	for i := range 2000 { // of providers that this ingress does not take
		d := schemas.Drift{Provider: fmt.Sprintf("provider%d", i), Kind: "unknown_field", Path: "data.x", FirstSeen: day(1)}
		bad = append(bad, &kgo.Record{Key: []byte(d.Key()), Value: []byte(strings.Repeat("x", 1<<10))})
	}
	for i := range 2 * knownMax { // of one that it takes
		r := record(fmt.Sprintf("data.f%d", i), day(1))
		bad = append(bad, r)
	}
	for _, r := range bad {
		r.Topic = topic
	}
	kafkatest.Produce(t, cfg, append(bad, good)...)
	ends := kafkatest.Ends(t, cfg, topic)

	b := book(t, cfg)
	servicetest.Run(t, b.Run)
	servicetest.EventuallyOr(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return testutil.ToFloat64(b.opt.Skipped)+float64(len(b.entries)) == float64(len(bad)+1)
	}, func() string { return fmt.Sprintf("%v records were skipped", testutil.ToFloat64(b.opt.Skipped)) })
	if len(b.entries) != knownMax {
		t.Errorf("%d paths are kept, want %d", len(b.entries), knownMax)
	}
	if !meet(b, "data.new", day(7)) || b.since("data.new") != day(7) {
		t.Errorf("what is beyond the limit was met first at %s", b.since("data.new"))
	}
	b.Note("resend", provider.UnknownEvent, "email.new", day(7)) // one provider takes no room of another
	servicetest.Eventually(t, "what another provider sends is kept", func() bool { _, ok := stored(t, cfg)["email.new"]; return ok })
	if now := total(kafkatest.Ends(t, cfg, topic)) - total(ends); now != 1 {
		t.Errorf("%d records are written, want 1", now)
	}
}

func total(ends map[int32]int64) (n int64) {
	for _, end := range ends {
		n += end
	}
	return n
}

func FuzzRead(f *testing.F) {
	good := record("data.good", day(1))
	f.Add(good.Key, good.Value)
	f.Add([]byte("mailjet/bad_time/(unprintable)"), []byte(nil))
	f.Add([]byte("mailjet//"), []byte(`{"provider":"mailjet","first_seen":"0001-01-01T00:00:00Z"}`))
	b := &Book{paths: newPaths(Options{Providers: []string{"mailjet"}})}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		at, first, ok := b.read(&kgo.Record{Key: key, Value: value})
		if !ok {
			return
		}
		if at.provider != "mailjet" || at.name != unprintable && Harmless(at.name) != at.name || first.IsZero() != (value == nil) {
			t.Errorf("%q is %+v at %s", key, at, first)
		}
		if again := (schemas.Drift{Provider: at.provider, Kind: string(at.kind), Path: at.name}).Key(); again != string(key) {
			t.Errorf("%q is written as %q", key, again)
		}
	})
}
