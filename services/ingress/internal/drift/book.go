package drift

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/provider"
)

const (
	// batchRecordsMax bounds the records that are taken in at once, of up to
	// `kafka.topics.record_bytes_max` each, should the topic hold others' records.
	batchRecordsMax = 100
	// checkInterval is how often the ends of the topic are asked for. Nobody waits.
	checkInterval = 5 * time.Second
	// bufferRecordsMax and bufferBytesMax are more than all paths of all providers take.
	bufferRecordsMax = 10_000
	bufferBytesMax   = 4 * config.MiB
	// waitMax bounds the wait until a record that was written is read.
	waitMax = time.Minute
)

// retry spaces the attempts to read and to write.
var retry = lifecycle.Backoff{Min: time.Second, Max: time.Minute}

// Book counts drift by path and keeps in the topic when each path was first met. Note may
// be called at any time; Run reads and writes, and may be called once.
type Book struct {
	*paths
	cfg      kafka.Config
	topic    string
	log      *zap.Logger // throttled
	reg      prometheus.Registerer
	producer *produce.Producer // not that of the events: what is denied here is no fault of theirs
	changed  chan struct{}     // of one place; has something while there may be something to write
}

// New returns a book that reads nothing before Run.
func New(cfg kafka.Config, opt Options, log *zap.Logger, reg prometheus.Registerer) (*Book, error) {
	producer, err := produce.New(cfg, produce.Config{Name: "drift", BufferRecordsMax: bufferRecordsMax, BufferBytesMax: bufferBytesMax}, log, reg)
	if err != nil {
		return nil, fmt.Errorf("make book of drift: %w", err)
	}
	return &Book{
		paths: newPaths(opt), cfg: cfg, topic: schemas.DriftTopic(cfg.TopicPrefix), log: telemetry.Throttled(log), reg: reg,
		producer: producer, changed: make(chan struct{}, 1),
	}, nil
}

// Close ends the connections.
func (b *Book) Close(ctx context.Context) error { return b.producer.Close(ctx) }

// Note counts what provider sent at name and says whether this process meets it for the
// first time.
func (b *Book) Note(providerName string, kind provider.Drift, name string, now time.Time) (isNew bool) {
	if isNew = b.note(path{providerName, kind, name}, now); isNew {
		b.wake()
	}
	return isNew
}

func (b *Book) wake() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// Run reads and follows the topic until ctx is done, and writes what it does not have.
// Whatever fails is logged and tried again: first times wait, events do not.
func (b *Book) Run(ctx context.Context) error {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := b.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		delay := retry.Next(attempt)
		b.log.Error("first times of drift are not kept", telemetry.Topic(b.topic), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		_ = lifecycle.Sleep(ctx, delay) // the loop looks at ctx
	}
	return nil
}

// follow reads the topic from its beginning until it cannot.
func (b *Book) follow(ctx context.Context) error {
	tail, err := read.NewTail(b.cfg, read.TailConfig{Topic: b.topic, BatchRecordsMax: batchRecordsMax, CheckInterval: checkInterval}, b.log, b.reg)
	if err != nil {
		return err
	}
	b.restart()
	g, all := errgroup.WithContext(ctx)
	g.Go(func() error { return tail.Run(all, b.apply) })
	g.Go(func() error { return b.write(all, tail) })
	return g.Wait()
}

// write writes what is due once the topic is read, and then whenever something is.
func (b *Book) write(ctx context.Context, tail *read.Tail) error {
	select {
	case <-tail.CaughtUp():
	case <-ctx.Done():
		return nil
	}
	for attempt := 0; ctx.Err() == nil; {
		due := b.due()
		if len(due) == 0 {
			select {
			case <-b.changed:
			case <-ctx.Done():
			}
			continue
		}
		if err := b.publish(ctx, tail, due); err != nil {
			attempt++
			delay := retry.Next(attempt)
			b.log.Warn("first times of drift were not written", telemetry.Topic(b.topic), telemetry.Rows(len(due)), telemetry.Delay(delay), telemetry.Err(err))
			_ = lifecycle.Sleep(ctx, delay) // the loop looks at ctx
			continue
		}
		attempt = 0
	}
	return nil
}

// publish writes and returns once what was written is read: what is due then takes in
// what another process wrote meanwhile.
func (b *Book) publish(ctx context.Context, tail *read.Tail, due []schemas.Drift) error {
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	defer cancel()
	recs := make([]*kgo.Record, len(due))
	for i, d := range due {
		value, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("encode drift: %w", err)
		}
		recs[i] = &kgo.Record{
			Topic: b.topic, Key: []byte(d.Key()), Value: value,
			Headers: []kgo.RecordHeader{{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)}},
		}
	}
	if err := b.producer.Publish(ctx, recs...); err != nil {
		return err
	}
	for _, r := range recs {
		if err := tail.Wait(ctx, r.Partition, r.Offset); err != nil {
			return fmt.Errorf("read what was written: %w", err)
		}
	}
	return nil
}

// apply takes in records of the topic. One that is none of it is skipped: it is no
// reason not to know the others.
func (b *Book) apply(_ context.Context, recs []*kgo.Record) error {
	for _, r := range recs {
		at, first, ok := b.read(r)
		switch {
		case !ok, !first.IsZero() && !b.learn(at, first):
			b.opt.Skipped.Inc()
			b.log.Warn("record of drift was skipped", telemetry.Topic(b.topic), telemetry.Partition(r.Partition), telemetry.Offset(r.Offset))
		case first.IsZero():
			b.unlearn(at)
		}
	}
	b.wake()
	return nil
}

// read returns what a record says. first is zero for one that deletes its key. ok is
// false for a record that is not as Book writes them, and for one of a provider that this
// process does not take, without a look at its value.
func (b *Book) read(r *kgo.Record) (at path, first time.Time, ok bool) {
	providerName, rest, _ := strings.Cut(string(r.Key), "/")
	kind, name, ok := strings.Cut(rest, "/")
	at = path{providerName, provider.Drift(kind), name}
	if !ok || !b.providers[at.provider] || !slices.Contains(provider.Drifts(), at.kind) || Harmless(at.name) != at.name && at.name != unprintable {
		return at, first, false
	}
	if r.Value == nil {
		return at, first, true
	}
	var said schemas.Drift
	if json.Unmarshal(r.Value, &said) != nil || said.Key() != string(r.Key) || said.FirstSeen.Before(firstMin) {
		return at, first, false
	}
	return at, said.FirstSeen.UTC().Truncate(time.Millisecond), true
}
