// Package ingress takes the webhooks of email providers, checks that they are
// genuine, puts every event into one vocabulary, and publishes it to the Kafka
// topic of its type.
//
// A 200 means that every event of the request is on Kafka with acks=all. While
// Kafka is slow or away senders are told to come back; what cannot be an event
// goes to the dead-letter topic with its bytes. It keeps no state that outlives
// it and asks no database: a request waits for Kafka alone, but for the first
// one under a signing key that has to be fetched.
package ingress

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/ingress/internal/normalise"
	"github.com/mailstream/mailstream/services/ingress/internal/provider"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/generic"
	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/ingress/internal/signature"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// flushTimeout bounds the wait for acknowledgements at the stop, after the last
// request was answered: nothing should be left by then.
const flushTimeout = 5 * time.Second

// publisher stores records durably: when Publish returns nil, all of them are
// acknowledged by all in-sync replicas. Kept by kafka.Producer, and by a
// publisher without a broker in benchmarks.
type publisher interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// source is a configured Source ready for requests.
type source struct {
	name         string
	providerName string
	provider     provider.Provider
	answers      provider.Answers
	guard        *auth.Guard
	metrics      *sourceMetrics
	room         *room.Source

	cloudEventSource []byte
	kinds            map[schemas.Type]kind
	readsForms       bool     // and no JSON
	origins          []string // may send CloudEvents after asking with OPTIONS
	inQuery          bool     // events may come in the URL, by GET too
}

// kind is what is the same for all events of a type.
type kind struct {
	topic          string
	cloudEventType []byte
}

// Service is one ingress. Make it with New.
type Service struct {
	cfg             Config
	kafkaCfg        kafka.Config
	log             *zap.Logger
	throttled       *zap.Logger // for what a request can cause, a kind a source
	metrics         *metrics
	sources         map[string]*source
	normaliser      *normalise.Normaliser
	kafka           *kafka.Producer
	producer        publisher
	watch           *kafka.Watch
	server          *httpserver.Server
	drifts          seenOnce
	deadLetterTopic string
	recordBytesMax  int
	retryAfter      string

	room       *room.Room
	occupancy  *occupancy
	exchanges  sync.Pool // of *exchange
	gunzippers sync.Pool // of *gunzipper

	checked atomic.Bool // topics are as they should be
	ready   chan struct{}
}

// New builds a service. It does no I/O.
func New(cfg Config, shared platform.Shared) (*Service, error) {
	var faults config.Problems
	cfg.Validate(faults.At("ingress"))
	cfg.ValidateBeside(shared.Kafka, &faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	shared.Kafka.Webhooks = cfg.WebhookTopics(shared.Kafka.TopicPrefix)
	s := &Service{
		cfg: cfg, kafkaCfg: shared.Kafka, log: shared.Log,
		sources:         make(map[string]*source, len(cfg.Sources)),
		throttled:       telemetry.Throttled(shared.Log, telemetry.BySource, telemetry.ByReason),
		drifts:          seenOnce{names: map[string]bool{}},
		deadLetterTopic: schemas.DeadLetterTopic(shared.Kafka.TopicPrefix),
		recordBytesMax:  int(shared.Kafka.Topics.RecordBytesMax),
		retryAfter:      strconv.Itoa(int(cfg.RetryAfter.Seconds())),
		ready:           make(chan struct{}),
	}
	s.exchanges.New = func() any { return new(exchange) }
	var err error
	if s.metrics, err = newMetrics(shared.Registry); err != nil {
		return nil, fmt.Errorf("register ingress metrics: %w", err)
	}
	s.room = room.New(cfg.room())
	if s.occupancy, err = newOccupancy(shared.Registry, s.room); err != nil {
		return nil, err
	}
	if s.normaliser, err = normalise.New(shared.Hasher); err != nil {
		return nil, err
	}
	if err := s.addSources(); err != nil {
		return nil, err
	}
	if s.kafka, err = kafka.NewProducer(shared.Kafka, cfg.Producer, shared.Log, shared.Registry); err != nil {
		return nil, err
	}
	s.producer = s.kafka
	if s.watch, err = kafka.NewWatch(shared.Kafka, kafka.WatchConfig{
		Name: serviceName, Topics: s.topics(), Remade: s.kafka.Readopt,
	}, shared.Log, shared.Registry); err != nil {
		return nil, err
	}
	proxies, err := auth.ParsePrefixes(cfg.TrustedProxies)
	if err != nil {
		return nil, err
	}
	opt := httpserver.Options{Name: "ingress", Handler: s, Ready: s.readiness, Proxies: proxies}
	s.server, err = httpserver.New(cfg.Config, opt, shared.Log, shared.Registry)
	return s, err
}

func (s *Service) addSources() error {
	proxies, err := auth.ParsePrefixes(s.cfg.TrustedProxies)
	if err != nil {
		return err
	}
	for _, sc := range s.cfg.Sources {
		from, err := auth.ParsePrefixes(sc.AllowFrom)
		if err != nil {
			return err
		}
		entry, _ := lookup(sc.Provider) // validated
		src := &source{
			name: sc.Name, providerName: sc.Provider,
			provider: entry.Provider, answers: entry.Answers(),
			guard: auth.New(sc.Auth, auth.Options{
				AllowFrom: from, TrustedProxies: proxies, Provider: sc.Provider,
				Signature: signature.Options{Source: sc.Name, Log: s.log},
			}),
			metrics:          s.metrics.of(sc.Name, entry.Provider),
			cloudEventSource: []byte(schemas.CloudEventSource(sc.Name)),
			kinds:            make(map[schemas.Type]kind),
		}
		src.room = s.room.Source(src.guard.Signed())
		for _, t := range schemas.Types() {
			src.kinds[t] = kind{topic: schemas.EventTopic(s.kafkaCfg.TopicPrefix, t), cloudEventType: []byte(schemas.CloudEventType(t))}
		}
		if sc.Generic != nil {
			s.configure(src, *sc.Generic)
		}
		if p, ok := src.provider.(interface{ ReadsForms() bool }); ok {
			src.readsForms = p.ReadsForms()
		}
		s.sources[sc.Name] = src
	}
	return nil
}

// configure makes src read what its configuration says, which has been
// validated.
func (s *Service) configure(src *source, c generic.Config) {
	src.provider = generic.New(c, src.name, new(config.Problems))
	src.origins, src.inQuery = c.Origins, c.InQuery()
	for _, name := range c.Webhooks() {
		t := generic.TypeOf(src.name, name)
		src.kinds[t] = kind{topic: webhookTopic(s.kafkaCfg.TopicPrefix, t), cloudEventType: []byte(t)}
		s.metrics.addType(src.metrics, src.name, t)
	}
}

// Run serves until ctx is done, then lets running requests finish. It returns
// an error when the port is taken or the topics contradict the configuration.
func (s *Service) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.server.Run(gctx) })
	g.Go(func() error {
		if err := s.start(gctx); err != nil || gctx.Err() != nil {
			return err
		}
		return s.watch.Run(gctx)
	})
	g.Go(func() error { return s.room.Run(gctx) })
	err := g.Wait()
	s.watch.Close()
	flush, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if closing := s.kafka.Close(flush); err == nil {
		err = closing
	}
	return err
}

// start checks the topics; until then requests are told to come back.
func (s *Service) start(ctx context.Context) error {
	if err := s.watch.Await(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped while Kafka was away
		}
		return err
	}
	if err := s.kafka.Ping(ctx); err != nil && ctx.Err() != nil {
		return nil
	}
	s.checked.Store(true)
	select {
	case <-s.server.Ready():
		close(s.ready)
	case <-ctx.Done():
	}
	return nil
}

// Ready is closed once the service listens and the topics are checked.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Addr returns host:port of the listener, "" before it listens.
func (s *Service) Addr() string { return s.server.Addr() }

// MetricsAddr returns host:port of /metrics, "" before it listens and where
// metrics are off.
func (s *Service) MetricsAddr() string { return s.server.MetricsAddr() }

func (s *Service) isReady() bool { return s.checked.Load() }

// readiness says which topics cannot be written. Requests are taken none the
// less: only those with an event of such a topic are refused.
func (s *Service) readiness() error {
	if err := s.watch.Fault(); err != nil {
		return err
	}
	return s.kafka.Fault()
}

// topics returns what is written: events, webhooks and dead letters.
func (s *Service) topics() []string {
	prefix := s.kafkaCfg.TopicPrefix
	return slices.Concat(schemas.EventTopics(prefix), s.kafkaCfg.Webhooks, []string{s.deadLetterTopic})
}
