// Package produce writes records. Publish returns nil only when all in-sync replicas
// have acknowledged every record, and else an error with a fate. What it buffers is
// bounded. It does not publish a record a second time after an error.
package produce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Config is what a producer may hold and how long it waits. The zero
// value of a field takes its default.
type Config struct {
	// Name is the value of the metric label `client`. Default "producer".
	Name string `yaml:"-"`
	// Linger is how long a record waits for others of its batch before it is sent; -1ns
	// sends at once, 0s means the default. Range [-1ns, 100ms]. Default 1ms: with 64 callers
	// it measured 80 % more records/s on Apache Kafka than none and a third less of our own
	// CPU, and a lone caller waits for it once.
	Linger time.Duration `yaml:"linger"`
	// BufferRecordsMax bounds records taken and not yet acknowledged. Range [1,
	// 10_000_000]. Default 50_000: at 10,000 events/s that is five seconds without a broker.
	BufferRecordsMax int `yaml:"buffer_records_max"`
	// BufferBytesMax bounds their keys, values and headers, and is not below
	// `kafka.topics.dead_letter_bytes_max`. Default 64MiB. Range [1B, 16GiB].
	BufferBytesMax config.ByteSize `yaml:"buffer_bytes_max"`
	// PublishTimeout bounds one Publish beside its context, and is below
	// `http.write_timeout`. Range [1ms, 5m]. Default 8s: the
	// patience of most providers is 10 s and more.
	PublishTimeout time.Duration `yaml:"publish_timeout"`
	// DeliveryTimeout is after how long a record that was never answered for is
	// given up, at least PublishTimeout. Range [1s, 1h]. Default 10s: no caller waits
	// for it any more, and it takes room in the buffer.
	DeliveryTimeout time.Duration `yaml:"delivery_timeout"`
}

const (
	defaultName             = "producer"
	defaultLinger           = time.Millisecond
	lingerMax               = 100 * time.Millisecond
	defaultBufferRecordsMax = 50_000
	bufferRecordsHigh       = 10_000_000
	defaultBufferBytesMax   = 64 * config.MiB
	bufferBytesHigh         = 16 * config.GiB // memory of the process; the library's own bound is twice that
	defaultPublishTimeout   = 8 * time.Second
	publishTimeoutMin       = time.Millisecond
	publishTimeoutMax       = 5 * time.Minute
	deliveryTimeoutMax      = time.Hour
	defaultDeliveryTimeout  = 10 * time.Second
	deliveryTimeoutMin      = time.Second // the library's own bound
	producerAttempts        = 4           // metadata answers "unknown topic" before records fail for it

	// librarySlack is by how much the library's own bounds exceed ours. Ours
	// decide; its own count falls a moment later than ours.
	librarySlack = 2

	// recordOverheadBytesMax is more than the wire format adds to one record and
	// its batch, headers aside.
	recordOverheadBytesMax = 128
	headerOverheadBytesMax = 10
)

// Default returns the default of every setting.
func Default() Config { return Config{}.withDefaults() }

func (c Config) withDefaults() Config {
	c.Name = cmp.Or(c.Name, defaultName)
	c.Linger = cmp.Or(c.Linger, defaultLinger)
	c.BufferRecordsMax = cmp.Or(c.BufferRecordsMax, defaultBufferRecordsMax)
	c.BufferBytesMax = cmp.Or(c.BufferBytesMax, defaultBufferBytesMax)
	c.PublishTimeout = cmp.Or(c.PublishTimeout, defaultPublishTimeout)
	c.DeliveryTimeout = cmp.Or(c.DeliveryTimeout, max(defaultDeliveryTimeout, c.PublishTimeout))
	return c
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	p.Check(c.Linger >= -1 && c.Linger <= lingerMax, "linger", "%s is not in [-1ns, %s]", c.Linger, lingerMax)
	p.Check(c.BufferRecordsMax >= 1 && c.BufferRecordsMax <= bufferRecordsHigh, "buffer_records_max", "%d is not in [1, %d]", c.BufferRecordsMax, bufferRecordsHigh)
	p.Check(c.BufferBytesMax >= 1 && c.BufferBytesMax <= bufferBytesHigh, "buffer_bytes_max", "%s is not in [1B, %s]", c.BufferBytesMax, bufferBytesHigh)
	p.Check(c.PublishTimeout >= publishTimeoutMin && c.PublishTimeout <= publishTimeoutMax, "publish_timeout", "%s is not in [%s, %s]",
		c.PublishTimeout, publishTimeoutMin, publishTimeoutMax)
	p.Check(c.DeliveryTimeout >= c.PublishTimeout, "delivery_timeout", "%s is below publish_timeout %s", c.DeliveryTimeout, c.PublishTimeout)
	p.Check(c.DeliveryTimeout >= deliveryTimeoutMin && c.DeliveryTimeout <= deliveryTimeoutMax, "delivery_timeout", "%s is not in [%s, %s]",
		c.DeliveryTimeout, deliveryTimeoutMin, deliveryTimeoutMax)
}

// Producer publishes records with acks=all, idempotently. It is safe for
// concurrent use. It connects on first use.
type Producer struct {
	cfg  Config
	log  *zap.Logger // throttled
	met  *producerMetrics
	opts []kgo.Opt
	size func(topic string) int32 // largest batch of a topic, bytes

	start  sync.Once
	client atomic.Pointer[kgo.Client]
	closed atomic.Bool

	denied    atomic.Pointer[denial] // the last
	readoptMu sync.Mutex
	readopted map[string]time.Time // time of the last Readopt, by topic; guarded by readoptMu

	records atomic.Int64 // taken and not yet acknowledged
	bytes   atomic.Int64
	waiters sync.Pool // of *waiter
}

// New checks the settings; Close ends what the first Publish starts.
func New(cfg kafka.Config, pc Config, log *zap.Logger, reg prometheus.Registerer) (*Producer, error) {
	pc = pc.withDefaults() // callers set what differs
	var faults config.Problems
	pc.Validate(faults.At("producer"))
	if err := faults.Err(); err != nil {
		return nil, err
	}
	p := &Producer{
		cfg: pc, log: telemetry.Throttled(log, telemetry.ByTopic), met: newProducerMetrics(reg, pc.Name, cfg.TopicNames()), size: batchBytesMax(cfg),
		readopted: map[string]time.Time{},
	}
	p.waiters.New = func() any { return newWaiter(p) }
	var err error
	p.opts, err = kafka.ClientOptions(cfg, log, reg, p.options()...)
	if err != nil {
		return nil, err
	}
	if err := kgo.ValidateOpts(p.opts...); err != nil {
		return nil, fmt.Errorf("configure kafka producer: %w", err)
	}
	return p, nil
}

func (p *Producer) options() []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()), // with the library's idempotence, which is on
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
		kgo.ProducerLinger(max(0, p.cfg.Linger)),
		kgo.ProducerBatchMaxBytesFn(p.size),
		kgo.MaxBufferedRecords(librarySlack * p.cfg.BufferRecordsMax),
		kgo.RecordDeliveryTimeout(p.cfg.DeliveryTimeout),
		kgo.UnknownTopicRetries(producerAttempts),
		kgo.RecordPartitioner(partitioner()),
		kgo.ProducerOnDataLossDetected(p.dataLost),
	}
}

// partitioner maps like Java's default one: a team that produces or joins with
// another client gets the same partition for a key.
func partitioner() kgo.Partitioner { return kgo.StickyKeyPartitioner(nil) }

// Placement returns to which of so many partitions a Producer writes a key.
func Placement(partitions int) func(key string) int32 {
	of := partitioner().ForTopic("") // the name does not matter for records with a key
	return func(key string) int32 {
		return int32(of.Partition(&kgo.Record{Key: []byte(key)}, partitions))
	}
}

func (p *Producer) dataLost(topic string, partition int32) {
	p.log.Error("brokers lost acknowledged records", telemetry.Topic(topic), telemetry.Partition(partition))
}

// open connects once. The options were validated, which is all that can fail.
func (p *Producer) open() (*kgo.Client, error) {
	if cl := p.client.Load(); cl != nil {
		return cl, nil
	}
	var err error
	p.start.Do(func() {
		if p.closed.Load() {
			return
		}
		var cl *kgo.Client
		if cl, err = kgo.NewClient(p.opts...); err == nil {
			p.client.Store(cl)
		}
	})
	if cl := p.client.Load(); cl != nil {
		return cl, nil
	}
	if err == nil {
		err = fate.Wrap(fate.Retry, kafka.ErrClosed)
	}
	return nil, err
}

// Ping connects and asks any broker for an answer, so that a service can say
// whether it is ready and the first Publish finds a connection.
func (p *Producer) Ping(ctx context.Context) error {
	cl, err := p.open()
	if err != nil {
		return err
	}
	if err := cl.Ping(ctx); err != nil {
		return fmt.Errorf("ping kafka: %w", kafka.Classify(err))
	}
	return nil
}

// Publish returns nil only when all recs are acknowledged by all in-sync
// replicas. ctx, and PublishTimeout beside it, bound the waiting, never the
// writing: after an error some or all of recs may still be written. The
// producer owns recs from here on, whatever it returns: to retry, publish new
// records. The errors are those of this package, of which the first one counts;
// a fault of one record comes in a RecordError.
func (p *Producer) Publish(ctx context.Context, recs ...*kgo.Record) error {
	if len(recs) == 0 {
		return nil
	}
	began := time.Now()
	err := p.publish(ctx, recs)
	p.met.waited.Observe(time.Since(began).Seconds())
	if err != nil {
		p.met.errors.WithLabelValues(reasonOf(err)).Inc()
	}
	if bad, ok := errors.AsType[*RecordError](err); ok && errors.Is(err, kafka.ErrRecreated) {
		p.Readopt(bad.Record.Topic)
	} else if ok && errors.Is(err, kafka.ErrDenied) {
		p.denied.Store(&denial{time.Now(), err})
	}
	return err
}

// denialHolds is for how long after a denied record Fault reports it: long enough
// that a probe sees it, short enough that traffic comes back and tries.
const denialHolds = 30 * time.Second

type denial struct {
	at  time.Time
	err error
}

// Fault returns what brokers denied in the last denialHolds, nil when nothing:
// access may be withdrawn and granted while a producer runs.
func (p *Producer) Fault() error {
	if d := p.denied.Load(); d != nil && time.Since(d.at) < denialHolds {
		return d.err
	}
	return nil
}

// readoptEvery bounds how often Readopt drops one topic: each time, the records
// buffered for it fail.
const readoptEvery = time.Second

// Readopt forgets the metadata of a topic that was deleted and created, so that the
// next Publish writes to the new one. The library does not do that: it cannot know
// that the records are meant for the new topic. Ours are.
func (p *Producer) Readopt(topic string) {
	cl := p.client.Load()
	p.readoptMu.Lock()
	defer p.readoptMu.Unlock()
	if now := time.Now(); cl != nil && now.Sub(p.readopted[topic]) >= readoptEvery {
		p.readopted[topic] = now
		cl.PurgeTopicsFromProducing(topic)
		p.log.Warn("topic was recreated; writing to the new one", telemetry.Topic(topic))
	}
}

func (p *Producer) publish(ctx context.Context, recs []*kgo.Record) error {
	if err := context.Cause(ctx); err != nil {
		return fate.Wrap(fate.Retry, fmt.Errorf("%w: %w", kafka.ErrTimeout, err))
	}
	var size int64
	for _, r := range recs {
		n := kafka.RecordSize(r)
		if most := int(p.size(r.Topic)); n+recordOverheadBytesMax+headerOverheadBytesMax*len(r.Headers) > most {
			return fate.Wrap(fate.DeadLetter, &RecordError{Record: r, Err: fmt.Errorf("%w: topic takes %d", kafka.ErrTooLarge, most)})
		}
		size += int64(n)
	}
	cl, err := p.open()
	if err != nil {
		return err
	}
	if !p.admit(int64(len(recs)), size) {
		return fate.Wrap(fate.Retry, kafka.ErrBufferFull)
	}
	w := p.waiters.Get().(*waiter)
	w.begin(len(recs))
	for _, r := range recs {
		// The records carry no context of the caller: one that ends would fail its
		// whole partition's buffer, other callers' records included.
		r.Context = context.Background()
		cl.TryProduce(r.Context, r, w.promise)
	}
	return w.wait(ctx, p.cfg.PublishTimeout)
}

// admit takes room for all records of a request or for none.
func (p *Producer) admit(records, bytes int64) bool {
	if p.records.Add(records) <= int64(p.cfg.BufferRecordsMax) {
		if p.bytes.Add(bytes) <= int64(p.cfg.BufferBytesMax) {
			p.showBuffer()
			return true
		}
		p.bytes.Add(-bytes)
	}
	p.records.Add(-records)
	return false
}

// release gives back the room of one record.
func (p *Producer) release(r *kgo.Record) {
	p.records.Add(-1)
	p.bytes.Add(-int64(kafka.RecordSize(r)))
}

func (p *Producer) showBuffer() {
	p.met.records.Set(float64(p.records.Load()))
	p.met.bytes.Set(float64(p.bytes.Load()))
}

// Buffered returns how many records are taken and not yet answered for.
func (p *Producer) Buffered() int { return int(p.records.Load()) }

// Close waits until every taken record is answered for or ctx is done, then
// ends the connections; later calls of Publish return kafka.ErrClosed.
func (p *Producer) Close(ctx context.Context) error {
	p.closed.Store(true)
	p.start.Do(func() {}) // no later call connects
	cl := p.client.Load()
	if cl == nil {
		return nil
	}
	err := cl.Flush(ctx)
	cl.Close()
	if err != nil && !errors.Is(err, kgo.ErrClientClosed) {
		return fmt.Errorf("flush kafka producer: %w", err)
	}
	return nil
}

// batchBytesMax returns the largest batch each topic of cfg takes.
func batchBytesMax(cfg kafka.Config) func(topic string) int32 {
	deadLetter := schemas.DeadLetterTopic(cfg.TopicPrefix)
	small, large := int32(cfg.Topics.RecordBytesMax), int32(cfg.Topics.DeadLetterBytesMax)
	return func(topic string) int32 {
		if topic == deadLetter {
			return large
		}
		return small
	}
}
