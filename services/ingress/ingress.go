// Package ingress takes the webhooks of email providers, checks that they are
// genuine, puts every event into one vocabulary, and publishes it to the Kafka
// topic of its type.
//
// A 200 means that every event of the request is on Kafka with acks=all. While
// Kafka is slow or away requests are answered 503 with Retry-After; what cannot
// be an event goes to the dead-letter topic with its bytes. It keeps no state
// that outlives it and asks no database: a request waits for Kafka alone, but
// for the first one under a signing key that has to be fetched.
package ingress

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/ingress/internal/drift"
	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/internal/normalise"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// publisher stores records durably: when Publish returns nil, all of them are
// acknowledged by all in-sync replicas. Kept by produce.Producer, and by a
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
	allowSimulate    bool     // a request may say that it is simulated
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
	unsubscribe     http.Handler // of the links of List-Unsubscribe; nil where there are none
	normaliser      *normalise.Normaliser
	kafka           *produce.Producer
	producer        publisher
	watch           *admin.Watch
	server          *httpserver.Server
	drifts          *drift.Book
	deadLetterTopic string
	recordBytesMax  int
	retryAfter      string

	room       *room.Room
	occupancy  *occupancy
	exchanges  sync.Pool // of *exchange
	gunzippers sync.Pool // of *gunzipper

	life *lifecycle.Life // ready once the topics are as they should be
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
		cfg: cfg, kafkaCfg: shared.Kafka, log: shared.Log, life: lifecycle.New(shared.Log),
		sources:         make(map[string]*source, len(cfg.Sources)),
		throttled:       telemetry.Throttled(shared.Log, telemetry.BySource, telemetry.ByReason),
		deadLetterTopic: schemas.DeadLetterTopic(shared.Kafka.TopicPrefix),
		recordBytesMax:  int(shared.Kafka.Topics.RecordBytesMax),
		retryAfter:      strconv.Itoa(int(cfg.RetryAfter.Seconds())),
	}
	s.exchanges.New = func() any { return new(exchange) }
	if err := s.life.Build(func() error { return s.build(shared) }); err != nil {
		return nil, err
	}
	return s, nil
}

// build makes the parts of the service.
func (s *Service) build(shared platform.Shared) error {
	var err error
	if s.metrics, err = newMetrics(shared.Registry); err != nil {
		return fmt.Errorf("register ingress metrics: %w", err)
	}
	s.room = room.New(s.cfg.room())
	if s.occupancy, err = newOccupancy(shared.Registry, s.room); err != nil {
		return err
	}
	classifier, err := registry.Classifier()
	if err != nil {
		return err
	}
	if s.normaliser, err = normalise.New(shared.Hasher, classifier); err != nil {
		return err
	}
	if err := s.addSources(); err != nil {
		return err
	}
	if s.kafka, err = produce.New(shared.Kafka, s.cfg.Producer, s.log, shared.Registry); err != nil {
		return err
	}
	s.life.Closes("producer", s.kafka.Close)
	s.producer = s.kafka
	if s.drifts, err = s.newBook(shared); err != nil {
		return err
	}
	s.life.Closes("book of drift", s.drifts.Close)
	if err := s.addUnsubscribe(shared.Registry); err != nil {
		return err
	}
	proxies, err := auth.ParsePrefixes(s.cfg.TrustedProxies)
	if err != nil {
		return err
	}
	opt := httpserver.Options{Name: serviceName, Handler: s, Ready: s.readiness, Proxies: proxies}
	if s.server, err = httpserver.New(s.cfg.Config, opt, s.log, shared.Registry); err != nil {
		return err
	}
	if s.watch, err = admin.NewWatch(shared.Kafka, admin.WatchConfig{
		Name: serviceName, Topics: s.topics(), Recreated: s.kafka.Readopt,
	}, s.log, shared.Registry); err != nil {
		return err
	}
	s.life.ClosesPlain("topic watch", s.watch.Close)
	return nil
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
		entry, _ := registry.Find(sc.Provider) // validated
		src := &source{
			name: sc.Name, providerName: sc.Provider,
			provider: entry.Provider, answers: entry.Answers(),
			guard: auth.New(sc.Auth, auth.Options{
				AllowFrom: from, TrustedProxies: proxies, Provider: sc.Provider,
				Signature: webhookverify.Options{Source: sc.Name, Log: s.log},
			}),
			metrics:          s.metrics.of(sc.Name, entry.Provider),
			cloudEventSource: []byte(schemas.CloudEventSource(sc.Name)),
			kinds:            s.kinds(),
			allowSimulate:    sc.AllowSimulate,
		}
		src.room = s.room.Source(src.guard.Signed())
		if sc.Generic != nil {
			s.configure(src, *sc.Generic)
		}
		if p, ok := src.provider.(interface{ ReadsForms() bool }); ok {
			src.readsForms = p.ReadsForms()
		}
		if p, ok := src.provider.(interface{ ReadsQuery() bool }); ok {
			src.inQuery = p.ReadsQuery()
		}
		s.sources[sc.Name] = src
	}
	return nil
}

// kinds returns what is the same for all events of each type.
func (s *Service) kinds() map[schemas.Type]kind {
	kinds := make(map[schemas.Type]kind)
	for _, t := range schemas.Types() {
		kinds[t] = kind{topic: schemas.EventTopic(s.kafkaCfg.TopicPrefix, t), cloudEventType: []byte(schemas.CloudEventType(t))}
	}
	return kinds
}

// configure makes src read what its configuration says, which has been
// validated.
func (s *Service) configure(src *source, c generic.Config) {
	src.provider = generic.New(c, src.name, new(config.Problems))
	src.origins = c.Origins
	for _, name := range c.Webhooks() {
		t := generic.TypeOf(src.name, name)
		src.kinds[t] = kind{topic: webhookTopic(s.kafkaCfg.TopicPrefix, t), cloudEventType: []byte(t)}
		s.metrics.addType(src.metrics, src.name, t)
	}
}

// Run serves until ctx is done, then lets running requests finish. It returns
// an error when the port is taken or the topics contradict the configuration.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.tasks()) }

// tasks is how the service starts; it stops in reverse, and the producer is closed
// when the last request has been answered.
func (s *Service) tasks() []lifecycle.Task {
	return []lifecycle.Task{
		{Name: "room", Run: s.room.Run},
		{Name: "http", Run: s.server.Run, Ready: s.server.Ready()},
		{Name: "topics", Start: s.awaitTopics, Run: s.watch.Run},
		{Name: "drift", Run: s.drifts.Run},
	}
}

// awaitTopics checks the topics; until then senders are asked to come back. It then
// connects the producer, whose failures the first requests report.
func (s *Service) awaitTopics(ctx context.Context) error {
	if err := s.watch.Await(ctx); err != nil {
		return err
	}
	_ = s.kafka.Ping(ctx) // Publish connects, too
	return nil
}

// Ready is closed once the service listens and the topics are checked.
func (s *Service) Ready() <-chan struct{} { return s.life.Ready() }

// Addr returns host:port of the listener, "" before it listens.
func (s *Service) Addr() string { return s.server.Addr() }

// MetricsAddr returns host:port of /metrics, "" before it listens and where
// metrics are off.
func (s *Service) MetricsAddr() string { return s.server.MetricsAddr() }

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
