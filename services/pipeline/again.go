package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/deadletters"
	"github.com/mailstream/mailstream/services/ingress"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/erasure"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/reparse"
	"github.com/mailstream/mailstream/services/replay"
)

// History is what is stored of the past, and what makes events of it anew.
type History struct {
	Store   *clickhouse.Client
	Maker   *reparse.Maker
	Kafka   *produce.Producer
	Letters *deadletters.Letters
	Prefix  string // of the topics
	Desk    *deadletters.Desk
	Trail   *audit.Trail
	// Expand fills what a statement says of the cluster: clickhouse.Config.Expand.
	Expand func(sql string) string

	kafka kafka.Config
	log   *zap.Logger
	stops []func() // end the reading of erasures
}

// OpenHistory connects nowhere yet. Close it.
func OpenHistory(cfg Config, log *zap.Logger) (*History, error) {
	hasher, err := address.NewHasher(cfg.Privacy.Pepper)
	if err != nil {
		return nil, err
	}
	maker, err := reparse.New(hasher, cfg.reparseSources())
	if err != nil {
		return nil, err
	}
	cfg.Kafka.Webhooks = cfg.Ingress.WebhookTopics(cfg.Kafka.TopicPrefix)
	producer, err := produce.New(cfg.Kafka, produce.Config{Name: "history"}, log, telemetry.NewRegistry())
	if err != nil {
		return nil, err
	}
	store, err := clickhouse.Open(cfg.ClickHouse, log, telemetry.NewRegistry())
	if err != nil {
		return nil, err // the producer has not connected
	}
	book, err := deadletters.NewBook(cfg.Kafka, producer, log, telemetry.NewRegistry())
	if err != nil {
		return nil, err
	}
	h := &History{Store: store, Maker: maker, Kafka: producer, Letters: deadletters.New(store), Prefix: cfg.Kafka.TopicPrefix, Expand: cfg.ClickHouse.Expand, kafka: cfg.Kafka, log: log}
	h.Trail = audit.New(h.Prefix, producer, log)
	h.Desk = deadletters.NewDesk(deadletters.Parts{Book: book, Letters: h.Letters, Maker: maker, Erased: h.erased, Kafka: producer, Trail: h.Trail, Prefix: h.Prefix, Log: log})
	return h, nil
}

// erased reads who has to be forgotten, and follows that until stop is called.
func (h *History) erased(ctx context.Context) (deadletters.Erased, func(), error) {
	return erasure.Follow(ctx, h.kafka, h.log)
}

// Replay makes a replay of r ready: it reads who has to be forgotten, and follows that
// until Close.
func (h *History) Replay(ctx context.Context, r replay.Request) (*replay.Replay, error) {
	erased, stop, err := erasure.Follow(ctx, h.kafka, h.log)
	if err != nil {
		return nil, err
	}
	h.stops = append(h.stops, stop)
	return replay.New(ctx, r, replay.Deps{Store: h.Store, Maker: h.Maker, Erased: erased, Kafka: h.kafka, Log: h.log})
}

// reparseSources are what is known of the accounts whose events can be made anew.
func (c Config) reparseSources() (list []reparse.Source) {
	for _, s := range c.Ingress.Sources {
		list = append(list, reparse.Source{Name: s.Name, Provider: s.Provider, Generic: s.Generic})
	}
	return list
}

// closeTimeout bounds the way of what is published and was not waited for: nothing.
const closeTimeout = 5 * time.Second

// Close ends the connections.
func (h *History) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	for _, stop := range h.stops {
		stop()
	}
	return errors.Join(h.Store.Close(), h.Kafka.Close(ctx))
}

// HasSource says whether a source of that name is configured.
func (c Config) HasSource(name string) bool {
	return slices.ContainsFunc(c.Ingress.Sources, func(s ingress.Source) bool { return s.Name == name })
}
