package suppression

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/disk"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/api"
	"github.com/mailstream/mailstream/services/suppression/internal/intake"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// tasks is how a replica starts; it stops in reverse. The store is closed when the
// last request has been answered, and the producer after it.
func (s *Service) tasks() []lifecycle.Task {
	return []lifecycle.Task{
		{Name: "http", Run: s.server.Run, Ready: s.server.Ready()},
		{Name: "topics", Start: s.watch.Await, Run: s.watch.Run},
		{Name: "store", Start: s.openStore, Run: s.endIfDamaged},
		{Name: "filter", Run: func(ctx context.Context) error { return s.store.Maintain(ctx) }},
		{Name: "list", Start: s.beginList, Run: func(ctx context.Context) error { return s.tail.Run(ctx, s.ledger.Follow) }},
		{Name: "api", Start: s.openAPI},
		{Name: "erasures", Run: s.erasures.Run, Ready: s.erasures.CaughtUp()},
		{Name: "intake", Run: s.consume},
		{Name: "repair", Run: func(ctx context.Context) error { return s.ledger.Repair(ctx, s.intake.Owns) }},
	}
}

// openBackoff spaces the tries to open the store on a full disk.
var openBackoff = lifecycle.Backoff{Min: time.Second, Max: 30 * time.Second}

// openStore opens the store, once the disk has room for it.
func (s *Service) openStore(ctx context.Context) error {
	err := openBackoff.Retry(ctx, func(ctx context.Context) (err error) {
		s.store, err = store.Open(ctx, store.Options{
			Dir: s.shared.StateDir, Topic: s.watch.ID(s.topic), CacheBytes: int64(s.cfg.CacheBytes), Room: s.room,
			Settle: s.ladder.Settle, Log: s.shared.Log,
		})
		if !errors.Is(err, disk.ErrFull) {
			return fate.Wrap(fate.Halt, err)
		}
		return err
	}, func(attempt int, delay time.Duration, err error) {
		s.shared.Log.Warn("local store waits for room", telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
	if err != nil {
		return err
	}
	s.metrics.store.Store(s.store)
	s.life.Closes("store", func(context.Context) error {
		s.metrics.store.Store(nil)
		return s.store.Close()
	})
	return nil
}

// endIfDamaged ends the replica when its store is damaged: the next start reads the
// whole topic.
func (s *Service) endIfDamaged(ctx context.Context) error {
	select {
	case <-s.store.Broken():
		return fate.Wrap(fate.Halt, store.ErrDamaged)
	case <-ctx.Done():
		return nil
	}
}

// beginList makes what reads the topic into the store, and what writes to it.
func (s *Service) beginList(ctx context.Context) error {
	if err := s.rewind(ctx); err != nil {
		return err
	}
	kc, log, reg := s.shared.Kafka, s.shared.Log, s.shared.Registry
	var err error
	s.ledger = ledger.New(ledger.Options{
		Topic: s.topic, Partitions: kc.Topics.Partitions, Applied: s.store.Applied(),
		Store: s.store, Settle: s.ladder.Settle, Publisher: s.producer, Hash: s.shared.Hasher.Hash, Former: s.shared.Hasher.Former,
		Metrics: ledger.NewMetrics(reg), Log: log,
	})
	if err = s.fill(ctx); err != nil {
		return err
	}
	s.ledger.Begin(s.store.Applied())
	if err = s.ledger.CheckPepper(ctx, s.store.Scan); err != nil {
		return err
	}
	if s.tail, err = read.NewTail(kc, read.TailConfig{Topic: s.topic, Start: s.store.Applied()}, log, reg); err != nil {
		return err
	}
	s.intake = intake.New(intake.Options{
		Rules: s.rules, Writer: s.ledger, Publisher: s.producer,
		DeadLetters: schemas.DeadLetterTopic(kc.TopicPrefix),
		Delivered:   schemas.EventTopic(kc.TopicPrefix, schemas.Delivered),
		Healing:     s.topicsOf(s.rules.Healing()), Known: s.store.Known,
		OutageRate: s.cfg.OutageBounceRate, OutageProbation: s.cfg.LikelyBounceProbation,
		Erased: s.erasures, Hash: s.shared.Hasher.Hash, Former: s.shared.Hasher.Former,
		Metrics: intake.NewMetrics(reg), Log: log,
	})
	return nil
}

// rewind has those partitions read from their first record of which the store is
// further than the topic: brokers lost records, or the topic was cut. What the store
// knows stays in force, and where the topic knows less it is repaired.
func (s *Service) rewind(ctx context.Context) error {
	ends, err := s.awaitEnds(ctx)
	if err != nil {
		return err
	}
	again := map[int32]int64{}
	for p, next := range s.store.Applied() {
		if next > ends[p] {
			again[p] = 0
			s.shared.Log.Warn("topic is shorter than what was read of it, rereading it",
				telemetry.Topic(s.topic), telemetry.Partition(p), telemetry.Offset(next))
		}
	}
	if len(again) == 0 {
		return nil
	}
	return s.store.Merge(store.Batch{Applied: again})
}

// openAPI lets requests through once the list has been read.
func (s *Service) openAPI(ctx context.Context) error {
	began := time.Now()
	select {
	case <-s.tail.CaughtUp():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	changes := ledger.Changes{Kafka: s.shared.Kafka, Topic: s.topic, Registry: s.shared.Registry, Log: s.shared.Log}
	s.api.Open(api.Backend{
		Reader: s.store, Writer: s.ledger, Follower: s.tail, Changes: changes, Epoch: ledger.NewEpoch(s.watch.ID(s.topic)),
		Snapshots: s.store, TopicID: s.watch.ID(s.topic),
	})
	s.shared.Log.Info("list has been read", telemetry.Rows(int(s.store.Len())), telemetry.Duration(time.Since(began)))
	return nil
}

// forget takes the addresses out of what is known of people who have to be
// forgotten. Every replica does it: where it is done already, nothing is written.
func (s *Service) forget(ctx context.Context, batch []schemas.Erasure) error {
	for some := range slices.Chunk(batch, batchRecordsMax) {
		edits := make([]ledger.Edit, 0, len(some))
		for _, e := range some {
			key, err := store.ParseKey(e.Hash)
			if err != nil {
				return fmt.Errorf("read erasure: %w", err)
			}
			edits = append(edits, ledger.Edit{Key: key, Apply: func(cur schemas.Suppression) schemas.Suppression {
				return list.Forget(cur, e.ErasedAt)
			}})
		}
		if _, err := s.ledger.Write(ctx, edits); err != nil {
			return fmt.Errorf("forget %d addresses: %w", len(edits), err)
		}
	}
	return nil
}

// batchRecordsMax bounds the events of one batch: it holds the locks of its
// addresses for one round trip to Kafka.
const batchRecordsMax = 500

// consume runs the rules. A partition's events are taken up only when this replica
// has applied all that its former owner wrote.
func (s *Service) consume(ctx context.Context) error {
	topics := s.events()
	owner := topics[0] // who has a partition of this topic repairs that of the list
	consumer, err := group.New(s.shared.Kafka, group.Config{
		Group: s.shared.Kafka.Group("suppression"), Topics: topics, BatchRecordsMax: batchRecordsMax,
		Together: true, // the intake compares bounces with deliveries
		OnAssigned: func(ctx context.Context, m map[string][]int32) error {
			if err := s.catchUp(ctx, m); err != nil {
				return err
			}
			s.intake.Claim(m[owner], true)
			return nil
		},
		OnRevoked: func(m map[string][]int32) { s.intake.Claim(m[owner], false) },
	}, s.shared.Log, s.shared.Registry)
	if err != nil {
		return err
	}
	return consumer.Run(ctx, s.intake.Handle)
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
			if err := s.tail.Wait(ctx, p, ends[p]-1); err != nil {
				return fmt.Errorf("wait for partition %d of the list: %w", p, err)
			}
		}
	}
	return nil
}
