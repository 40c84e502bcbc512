// Package suppression knows who must not be mailed, and is asked before a mail
// is sent.
//
// The topic email.suppressions is the truth: one record an address, with every
// scope and reason. The rules read events of the kinds that matter and write
// there; every replica follows the whole topic into a store on its own disk and
// answers checks from it. A decision, once made, survives replays, reordering
// and restarts; an answer says how old it may be. It never suppresses for a
// block, and it needs no database but Kafka.
package suppression

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/mailbox"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/disk"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/offsets"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/api"
	"github.com/mailstream/mailstream/services/suppression/internal/intake"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	// batchRecordsMax bounds the events of one batch: it holds the locks of its
	// addresses for one round trip to Kafka.
	batchRecordsMax = 500

	// closeTimeout bounds the wait for acknowledgements at the stop, after the
	// last request was answered.
	closeTimeout = 5 * time.Second
)

// Service is one replica. Make it with New.
type Service struct {
	cfg      Config
	shared   platform.Shared
	topic    string
	rules    list.Rules
	api      *api.API
	server   *httpserver.Server
	producer *produce.Producer
	watch    *admin.Watch
	offsets  *offsets.Lister // of the list
	metrics  *metrics
	often    *zap.Logger // throttled: for what may be repeated
	room     disk.Room   // of the local store

	store *store.Pebble             // of Run
	tail  atomic.Pointer[read.Tail] // set once, by Run
	open  atomic.Bool               // caught up: the API answers
	ready chan struct{}
}

// New builds a replica. It does no I/O.
func New(cfg Config, shared platform.Shared) (*Service, error) {
	var faults config.Problems
	p := faults.At("suppression")
	cfg.Validate(p)
	p.Check(shared.Hasher != nil, "pepper", "needs privacy.pepper")
	p.Check(shared.StateDir != "", "state", "needs state.dir")
	if err := faults.Err(); err != nil {
		return nil, err
	}
	mailboxes, err := mailbox.New()
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, shared: shared,
		topic: schemas.SuppressionsTopic(shared.Kafka.TopicPrefix),
		rules: list.DefaultRules(cfg.probations()),
		room:  disk.Room{Dir: shared.StateDir, BytesMin: store.RoomBytesMin},
		ready: make(chan struct{}),
		often: telemetry.Throttled(shared.Log),
	}
	s.metrics = newMetrics(s, shared.Registry)
	s.api = api.New(api.Options{
		Hash: shared.Hasher.Hash, Former: shared.Hasher.Former, MailboxProvider: mailboxes.Provider, KnownMailboxProvider: mailboxes.Known, Transactional: cfg.TransactionalStreams,
		TokenWait: cfg.TokenWait, StaleAfter: cfg.StaleAfter,
		Metrics: api.NewMetrics(shared.Registry), Log: shared.Log,
	})
	var handler http.Handler = s.api
	if !cfg.AllowUnauthenticated {
		handler = httpserver.Bearer(cfg.Tokens, handler)
	}
	s.server, err = httpserver.New(cfg.Config, httpserver.Options{Name: "suppression", Handler: handler, Ready: s.readiness}, shared.Log, shared.Registry)
	if err != nil {
		return nil, err
	}
	if s.producer, err = produce.New(shared.Kafka, produce.Config{Name: "suppression"}, shared.Log, shared.Registry); err != nil {
		return nil, err
	}
	used := append(s.events(), s.topic, schemas.DeadLetterTopic(shared.Kafka.TopicPrefix))
	if s.watch, err = admin.NewWatch(shared.Kafka, admin.WatchConfig{Name: "suppression", Topics: used}, shared.Log, shared.Registry); err != nil {
		return nil, err
	}
	s.offsets = offsets.NewLister(shared.Kafka, shared.Log, shared.Registry)
	return s, nil
}

// events returns the topics that the rules are about.
func (s *Service) events() []string {
	var topics []string
	for _, t := range s.rules.Types() {
		topics = append(topics, schemas.EventTopic(s.shared.Kafka.TopicPrefix, t))
	}
	return topics
}

// Ready is closed once this replica has read the whole list and listens.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Addr is the host:port of its HTTP listener, "" before it listens.
func (s *Service) Addr() string { return s.server.Addr() }

// MetricsAddr returns host:port of /metrics, "" before it listens and where
// metrics are off.
func (s *Service) MetricsAddr() string { return s.server.MetricsAddr() }

// Run works until ctx is done. The listener answers from the start; the API
// answers 503 until the list has been read.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.server.Run(ctx) })
	g.Go(func() error { return s.work(ctx) })
	return errors.Join(g.Wait(), s.close(context.WithoutCancel(ctx)))
}

// work opens the store and runs what keeps it up to date.
func (s *Service) work(ctx context.Context) error {
	err := s.watch.Await(ctx)
	if err != nil {
		return unlessDone(ctx, err)
	}
	id := s.watch.ID(s.topic)
	if s.store, err = s.openStore(ctx, id); err != nil {
		return unlessDone(ctx, err)
	}
	s.metrics.store.Store(s.store)
	if err := s.rewind(ctx); err != nil {
		return unlessDone(ctx, err)
	}
	tail, err := read.NewTail(s.shared.Kafka, read.TailConfig{Topic: s.topic, Start: s.store.Applied()}, s.shared.Log, s.shared.Registry)
	if err != nil {
		return err
	}
	s.tail.Store(tail)
	book := ledger.New(ledger.Options{
		Topic: s.topic, Partitions: s.shared.Kafka.Topics.Partitions, Applied: s.store.Applied(),
		Store: s.store, Publisher: s.producer, Hash: s.shared.Hasher.Hash, Former: s.shared.Hasher.Former,
		Metrics: ledger.NewMetrics(s.shared.Registry), Log: s.shared.Log,
	})
	in := intake.New(intake.Options{
		Rules: s.rules, Writer: book, Publisher: s.producer,
		DeadLetters: schemas.DeadLetterTopic(s.shared.Kafka.TopicPrefix),
		Delivered:   schemas.EventTopic(s.shared.Kafka.TopicPrefix, schemas.Delivered),
		OutageRate:  s.cfg.OutageBounceRate, OutageProbation: s.cfg.LikelyBounceProbation,
		Hash: s.shared.Hasher.Hash, Former: s.shared.Hasher.Former,
		Metrics: intake.NewMetrics(s.shared.Registry), Log: s.shared.Log,
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return tail.Run(ctx, book.Follow) })
	g.Go(func() error { return s.store.Grow(ctx) })
	g.Go(func() error { return s.endIfDamaged(ctx) })
	g.Go(func() error { return s.watch.Run(ctx) })
	g.Go(func() error { return s.consume(ctx, in) })
	g.Go(func() error { return book.Repair(ctx, in.Owns) })
	g.Go(func() error {
		return s.announce(ctx, api.Backend{Reader: s.store, Writer: book, Follower: tail, Epoch: ledger.NewEpoch(id)})
	})
	return g.Wait()
}

// endIfDamaged ends the replica when its store is damaged: the next start reads the
// topic again.
func (s *Service) endIfDamaged(ctx context.Context) error {
	select {
	case <-s.store.Broken():
		return fate.Wrap(fate.Halt, store.ErrDamaged)
	case <-ctx.Done():
		return nil
	}
}

// announce opens the API once the list has been read.
func (s *Service) announce(ctx context.Context, b api.Backend) error {
	began := time.Now()
	for _, done := range []<-chan struct{}{s.tail.Load().CaughtUp(), s.server.Ready()} {
		select {
		case <-done:
		case <-ctx.Done():
			return nil
		}
	}
	s.api.Open(b)
	s.open.Store(true)
	s.shared.Log.Info("list has been read", telemetry.Rows(int(s.store.Len())), telemetry.Duration(time.Since(began)))
	close(s.ready)
	return nil
}

// consume runs the rules, once the list has been read. A partition's events are
// taken up only when this replica has applied all that its former owner wrote.
func (s *Service) consume(ctx context.Context, in *intake.Intake) error {
	select {
	case <-s.tail.Load().CaughtUp():
	case <-ctx.Done():
		return nil
	}
	topics := s.events()
	owner := topics[0] // its partitions say who repairs: one member has each
	if s.cfg.OutageBounceRate < 1 {
		topics = append(topics, schemas.EventTopic(s.shared.Kafka.TopicPrefix, schemas.Delivered))
	}
	consumer, err := group.New(s.shared.Kafka, group.Config{
		Group: s.shared.Kafka.Group("suppression"), Topics: topics, BatchRecordsMax: batchRecordsMax,
		Together: true, // the intake compares bounces with deliveries
		OnAssigned: func(ctx context.Context, m map[string][]int32) error {
			if err := s.catchUp(ctx, m); err != nil {
				return err
			}
			in.Claim(m[owner], true)
			return nil
		},
		OnRevoked: func(m map[string][]int32) { in.Claim(m[owner], false) },
	}, s.shared.Log, s.shared.Registry)
	if err != nil {
		return err
	}
	return consumer.Run(ctx, in.Handle)
}

// catchUp waits until the tail has applied what the topic has now, in the
// partitions that go with those of m. One that was added to a topic of events
// has none that goes with it.
func (s *Service) catchUp(ctx context.Context, m map[string][]int32) error {
	ends, err := s.ends(ctx)
	if err != nil {
		return err
	}
	for _, partitions := range m {
		for _, p := range partitions {
			if _, there := ends[p]; !there {
				continue
			}
			if err := s.tail.Load().Wait(ctx, p, ends[p]-1); err != nil {
				return fmt.Errorf("wait for partition %d of the list: %w", p, err)
			}
		}
	}
	return nil
}

// rewind has partitions read again of which the store is further than the
// topic: brokers lost records, or the topic was cut. What the store knows stays
// in force, and where the topic knows less it is repaired.
func (s *Service) rewind(ctx context.Context) error {
	ends, err := s.awaitEnds(ctx)
	if err != nil {
		return err
	}
	again := map[int32]int64{}
	for p, next := range s.store.Applied() {
		if next > ends[p] {
			again[p] = 0
			s.shared.Log.Warn("topic is shorter than what was read of it, reading it again",
				telemetry.Topic(s.topic), telemetry.Partition(p), telemetry.Offset(next))
		}
	}
	if len(again) == 0 {
		return nil
	}
	return s.store.Merge(store.Batch{Applied: again})
}

// openBackoff spaces the tries to open the store on a full disk.
var openBackoff = lifecycle.Backoff{Min: time.Second, Max: 30 * time.Second}

// openStore opens the store, once the disk has room for it.
func (s *Service) openStore(ctx context.Context, topic string) (*store.Pebble, error) {
	for attempt := 1; ; attempt++ {
		p, err := store.Open(ctx, store.Options{
			Dir: s.shared.StateDir, Topic: topic, CacheBytes: int64(s.cfg.CacheBytes), Room: s.room, Log: s.shared.Log,
		})
		if !errors.Is(err, disk.ErrFull) {
			return p, err
		}
		delay := openBackoff.Next(attempt)
		s.shared.Log.Warn("local store waits for room", telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		if err := lifecycle.Sleep(ctx, delay); err != nil {
			return nil, err
		}
	}
}

// roomFault says that the disk is too full for the list to go on.
func (s *Service) roomFault() error {
	if err := s.room.Check(); err != nil {
		return fmt.Errorf("the list stands still: %w", err)
	}
	return nil
}

// readiness says why this replica should not be asked, nil when it may.
func (s *Service) readiness() error {
	if err := s.watch.Fault(); err != nil {
		return err
	}
	if err := s.roomFault(); err != nil {
		return err
	}
	if !s.open.Load() {
		return errors.New("the list is still being read")
	}
	if lag := s.tail.Load().Lag(); lag > s.cfg.StaleAfter {
		return fmt.Errorf("the list is %s behind", lag.Round(time.Second))
	}
	return nil
}

// close ends what outlives the last request.
func (s *Service) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if err := s.producer.Close(ctx); err != nil { // whoever waited was told that it is not acknowledged
		s.shared.Log.Warn("writes were left unacknowledged at the stop", telemetry.Err(err))
	}
	s.watch.Close()
	s.offsets.Close()
	if s.store == nil {
		return nil
	}
	s.metrics.store.Store(nil)
	return s.store.Close()
}

func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
