// Package analytics stores every record of the stream in ClickHouse, where
// people ask it questions in SQL: events, messages and their rates,
// suppressions, alerts and dead letters.
//
// It guarantees that a record is committed only after ClickHouse has its row, or
// Kafka its dead letter, and that a record stored again, by a redelivery, a
// resend of the provider or a second analytics, changes no answer. It keeps no
// state of its own and may be killed at any time. While ClickHouse is away it
// holds what it has and reads no further. It answers no queries and serves no
// data itself.
package analytics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/services/analytics/internal/store"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Service reads all topics and fills all tables. Make it with New.
type Service struct {
	cfg      Config
	shared   platform.Shared
	client   *clickhouse.Client
	consumer *group.Consumer
	producer *produce.Producer
	watch    *admin.Watch
	server   *httpserver.Server
	path     *path
	met      *metrics
	often    *zap.Logger // throttled: for what may be repeated
	ready    chan struct{}
}

// closeTimeout bounds flushing the last dead letters at the end; what is not
// out by then is read and parked again.
const closeTimeout = 5 * time.Second

// New builds the service without connecting anywhere.
func New(cfg Config, shared platform.Shared) (*Service, error) {
	var faults config.Problems
	cfg.Validate(faults.At("analytics"))
	if err := faults.Err(); err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, shared: shared, often: telemetry.Throttled(shared.Log), ready: make(chan struct{})}
	var err error
	if s.met, err = newMetrics(shared.Registry); err != nil {
		return nil, err
	}
	if s.client, err = clickhouse.Open(shared.ClickHouse, shared.Log, shared.Registry); err != nil {
		return nil, err
	}
	if s.consumer, err = group.New(shared.Kafka, cfg.consumer(shared.Kafka), shared.Log, shared.Registry); err != nil {
		return nil, err
	}
	if s.producer, err = produce.New(shared.Kafka, produce.Config{Name: "analytics"}, shared.Log, shared.Registry); err != nil {
		return nil, err
	}
	if s.watch, err = admin.NewWatch(shared.Kafka, admin.WatchConfig{
		Name: "analytics", Topics: store.Topics(shared.Kafka.TopicPrefix), AnyPartitions: true,
	}, shared.Log, shared.Registry); err != nil {
		return nil, err
	}
	s.path = newPath(pathOptions{
		prefix:   shared.Kafka.TopicPrefix,
		decoders: cfg.Decoders,
		inserter: s.client,
		parker:   s.producer,
		metrics:  s.met,
		log:      s.often,
	})
	s.server, err = httpserver.New(cfg.Config, httpserver.Options{Name: "analytics", Ready: s.notReady}, shared.Log, shared.Registry)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// fetchBytesMax bounds what is read ahead, compressed: about the largest batch
// there is, and below the library's own bound on one answer.
const fetchBytesMax = 64 << 20

// fetchPartitionBytesMax bounds what is read ahead of one partition, compressed.
const fetchPartitionBytesMax = 4 << 20

// consumer returns how the topics are read.
func (c Config) consumer(k kafka.Config) group.Config {
	fetch := int32(min(c.BatchBytesMax, fetchBytesMax)) // the next batch is read while this one is stored
	return group.Config{
		Group:           k.Group("analytics"),
		Topics:          store.Topics(k.TopicPrefix),
		BatchRecordsMax: c.BatchRowsMax,
		BatchBytesMax:   int(c.BatchBytesMax),
		BatchWait:       c.FlushInterval,
		FetchBytesMax:   fetch,
		// The library's default is more than a small batch; one record larger than
		// this is read all the same.
		FetchPartitionBytesMax: min(fetch, fetchPartitionBytesMax),
	}
}

// Ready is closed once topics and tables are there and records are read.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Addr returns host:port of the listener, "" before it listens.
func (s *Service) Addr() string { return s.server.Addr() }

// MetricsAddr returns host:port of /metrics, "" before it listens and where
// metrics are off.
func (s *Service) MetricsAddr() string { return s.server.MetricsAddr() }

func (s *Service) notReady() error {
	if err := s.watch.Fault(); err != nil {
		return err
	}
	select {
	case <-s.ready:
		return s.met.stall.fault()
	default:
		return errors.New("waiting for the tables of ClickHouse")
	}
}

// Run works until ctx is done and every goroutine it started has ended. What
// fails while ctx is not done ends it with an error.
func (s *Service) Run(ctx context.Context) error {
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return s.server.Run(running) })
	g.Go(func() error {
		defer s.close(running)
		return s.work(running)
	})
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("run analytics: %w", err)
	}
	return nil
}

// work waits for what it needs, says that it is ready, and reads and seals.
func (s *Service) work(ctx context.Context) error {
	if err := s.await(ctx); err != nil {
		return err
	}
	close(s.ready)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.consumer.Run(ctx, s.path.handle) })
	g.Go(func() error { return s.watch.Run(ctx) })
	g.Go(func() error { return s.seal(ctx) })
	return g.Wait()
}

// startBackoff spaces the looks for what the service cannot start without.
var startBackoff = lifecycle.Backoff{Min: 250 * time.Millisecond, Max: 10 * time.Second}

// await waits for the topics and for the tables of this version.
func (s *Service) await(ctx context.Context) error {
	if err := s.watch.Await(ctx); err != nil {
		return err
	}
	err := startBackoff.Retry(ctx, func(ctx context.Context) error { return store.CheckSchema(ctx, s.client) },
		func(attempt int, delay time.Duration, err error) {
			s.often.Warn("clickhouse was not ready", telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		})
	if err != nil {
		return fmt.Errorf("wait for clickhouse tables: %w", err)
	}
	return nil
}

// seal counts past hours for good. Its faults are told and pass: without it
// the same answers only take longer.
func (s *Service) seal(ctx context.Context) error {
	for {
		if err := lifecycle.Sleep(ctx, s.cfg.SealInterval); err != nil {
			return err
		}
		n, err := store.Seal(ctx, s.client, s.cfg.SealRest)
		s.met.seals.Add(float64(n))
		if err != nil && ctx.Err() == nil {
			s.often.Warn("sealing put off", telemetry.Err(err))
		}
	}
}

func (s *Service) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := s.producer.Close(ctx); err != nil {
		s.shared.Log.Warn("dead letters were still under way", telemetry.Err(err))
	}
	s.watch.Close()
	if err := s.client.Close(); err != nil {
		s.shared.Log.Warn("clickhouse connections did not close", telemetry.Err(err))
	}
}

// Migrate brings the ClickHouse database to the schema of this program and sets
// the retention of cfg. It may be repeated, and run twice at once.
func Migrate(ctx context.Context, cfg Config, ch clickhouse.Config, log *zap.Logger) error {
	return store.Migrate(ctx, ch, cfg.Retention, log)
}
