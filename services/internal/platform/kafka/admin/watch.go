package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// WatchConfig is what a Watch checks.
type WatchConfig struct {
	// Name is the value of the metric label `client`.
	Name string
	// Topics are those the service reads and writes, full names.
	Topics []string
	// Interval is how often they are checked. Default 2s.
	Interval time.Duration
	// AnyPartitions lets the service continue when partitions are added: it does not
	// need a partition number to mean the same in all topics.
	AnyPartitions bool
	// Recreated, when not nil, is called with a topic that was deleted and created. Then
	// no fault of a topic ends Run: each request fails for itself.
	Recreated func(topic string)
}

const (
	watchInterval = 2 * time.Second
	// looksMin is how many checks in a row must find a fault before it ends a
	// service: a broker that just started may answer with old metadata.
	looksMin = 2
	// lookTimeout bounds one check.
	lookTimeout = 5 * time.Second
)

// Watch checks the topics of a running service. The library knows a topic by its
// name: it stops reading one that was deleted and created, and reports nothing.
// Call Await at the start, then Run beside the service; Fault says at any time why
// the service is not ready.
type Watch struct {
	cfg   WatchConfig
	kafka kafka.Config
	log   *zap.Logger // throttled
	cl    *kgo.Client
	adm   *kadm.Client
	bad   prometheus.Gauge

	mu     sync.Mutex
	ids    map[string]kadm.TopicID // guarded by mu
	fault  error                   // guarded by mu
	faulty map[string]int          // looks in a row that found a fault; of Run
}

// NewWatch returns a watch that has not checked anything yet. The caller closes it.
func NewWatch(cfg kafka.Config, wc WatchConfig, log *zap.Logger, reg prometheus.Registerer) (*Watch, error) {
	wc.Interval = cmp.Or(wc.Interval, watchInterval)
	f := kafka.Metrics{Registerer: reg}
	bad := f.Gauge("mailstream_kafka_unusable_topics", "Topics that are missing, denied or not as the configuration says, since the service runs. Page when it stays above 0.", kafka.LabelClient)
	cl, err := kafka.NewClient(cfg, log, reg)
	if err != nil {
		return nil, err
	}
	return &Watch{
		cfg: wc, kafka: cfg, log: telemetry.Throttled(log, telemetry.ByTopic), cl: cl, adm: kadm.NewClient(cl),
		bad: bad.WithLabelValues(wc.Name), faulty: map[string]int{}, fault: errNotLooked,
	}, nil
}

var errNotLooked = errors.New("kafka topics have not been looked at yet")

// Close ends the connections.
func (w *Watch) Close() { w.cl.Close() }

// Await is Check for the start of a service. While no broker answers or topics are
// missing, because `topics apply` may be running, it logs that and repeats the check
// until ctx is done. A topic that contradicts the configuration ends it at once.
func (w *Watch) Await(ctx context.Context) error {
	err := kafka.ConnectBackoff.Retry(ctx, func(ctx context.Context) error {
		details, err := check(ctx, w.adm, w.kafka)
		if onlyMissing(err) {
			return fate.Wrap(fate.Retry, err)
		}
		if err == nil {
			w.begin(details)
		}
		return err
	}, func(attempt int, delay time.Duration, err error) {
		w.setFault(fmt.Errorf("wait for kafka topics: %w", err))
		w.log.Warn("kafka was not ready", telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
	if err != nil {
		return fmt.Errorf("wait for kafka topics: %w", err)
	}
	return nil
}

func (w *Watch) begin(details kadm.TopicDetails) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids = make(map[string]kadm.TopicID, len(details))
	for name, d := range details {
		w.ids[name] = d.ID
	}
	w.fault = nil
}

// ID returns the identity of a topic as Await found it.
func (w *Watch) ID(topic string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ids[topic].String()
}

// Fault says why the service cannot do all of its work, nil when it can.
func (w *Watch) Fault() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fault
}

func (w *Watch) setFault(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = err
}

// Run checks until ctx is done, which is not an error, or a topic ends the service:
// with the fate StartAgain when it was deleted and created, Halt when it
// contradicts the configuration or the brokers deny access to it.
func (w *Watch) Run(ctx context.Context) error {
	for lifecycle.Sleep(ctx, w.cfg.Interval) == nil {
		err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !fate.Final(err):
			w.log.Warn("topics could not be listed", telemetry.Err(err)) // the last known state stays valid
		case err != nil:
			return err
		}
	}
	return nil
}

// look compares the topics with what they were at the start.
func (w *Watch) look(ctx context.Context) error {
	topics, err := w.ask(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", fate.Wrap(fate.Retry, err))
	}
	var first, end error
	n := 0
	for i := range topics {
		name, fault := *topics[i].Topic, w.judge(&topics[i])
		if fault == nil {
			w.recovered(name)
			continue
		}
		n++
		w.faulty[name]++
		first = errors.Join(first, fault)
		w.log.Error("topic cannot be used", telemetry.Topic(name), telemetry.Err(fault))
		if end == nil && w.faulty[name] >= looksMin && w.ends(fault) {
			end = fault
		}
	}
	w.bad.Set(float64(n))
	w.setFault(first)
	return end
}

// ask requests the metadata of the topics, each with its own error: the admin
// client would return one denial for all.
func (w *Watch) ask(ctx context.Context) ([]kmsg.MetadataResponseTopic, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range w.cfg.Topics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, w.cl)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(resp.Topics, func(t kmsg.MetadataResponseTopic) bool { return t.Topic == nil }), nil
}

func (w *Watch) recovered(name string) {
	if w.faulty[name] > 0 {
		w.log.Info("topic is usable once more", telemetry.Topic(name))
	}
	delete(w.faulty, name)
}

// ends says whether the service must end because of a topic with this fault.
func (w *Watch) ends(fault error) bool {
	_, shape := errors.AsType[*DifferenceError](fault)
	return fate.Final(fault) && w.cfg.Recreated == nil && !(shape && w.cfg.AnyPartitions)
}

// meet returns the identity of a topic before and now. A service that continues
// expects the new one from here on.
func (w *Watch) meet(name string, is kadm.TopicID) (was, now kadm.TopicID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was = w.ids[name]
	if w.cfg.Recreated != nil {
		w.ids[name] = is
	}
	return was, is
}

// judge returns what is wrong with a topic.
func (w *Watch) judge(d *kmsg.MetadataResponseTopic) error {
	name := *d.Topic
	switch err := kafka.Classify(kerr.ErrorForCode(d.ErrorCode)); {
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kafka.ErrDenied):
		return fmt.Errorf("topic %q: %w", name, err)
	case err != nil:
		return nil // a leader is being elected: reads and writes report that themselves
	}
	was, is := w.meet(name, d.TopicID)
	if was != is && was != (kadm.TopicID{}) && is != (kadm.TopicID{}) {
		if w.cfg.Recreated == nil {
			return fate.Wrap(fate.StartAgain, fmt.Errorf("topic %q: %w: its id was %s and is %s", name, kafka.ErrRecreated, was, is))
		}
		w.cfg.Recreated(name)
	}
	if n := len(d.Partitions); n != int(w.kafka.Topics.Partitions) {
		spec := Topic{Name: name, Partitions: w.kafka.Topics.Partitions}
		return contradiction([]Difference{spec.partitionsAre(n)})
	}
	return nil
}
