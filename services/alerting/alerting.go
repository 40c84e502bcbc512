// Package alerting sees a block-rate spike while it is small and notifies people
// through Slack and other receivers: once, from time to time while it lasts, and
// once more when it is over.
//
// It counts unique events by their own time, so that resends, replays and old
// events raise no alert; it judges by the clock on the wall, so that silence is
// seen too; and it writes an alert to the alerts topic before it notifies anyone,
// so that a restart repeats nothing and forgets nothing. Two stages make it
// scale: counters over the event topics, evaluators over the rates topic; every
// instance runs both and Kafka's group protocol divides the work.
//
// It suppresses no address, stores no event, and offers no history: that is what
// ClickHouse has.
package alerting

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/alerting/internal/counter"
	"github.com/mailstream/mailstream/services/alerting/internal/evaluator"
	"github.com/mailstream/mailstream/services/alerting/internal/hindsight"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/membership"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// ratesBufferMax holds several rounds of a busy instance, in records.
const ratesBufferMax = 100_000

// Service is alerting. Make it with New; Run it once.
type Service struct {
	cfg       Config
	kafka     kafka.Config
	store     clickhouse.Config
	log       *zap.Logger
	often     *zap.Logger // throttled: for what may be repeated
	reg       *prometheus.Registry
	producer  *produce.Producer
	watch     *admin.Watch
	tail      *read.Tail
	book      *book.Book
	said      *read.Tail // of the topic of controls
	controls  *controls.Store
	boxes     []*outbox.Outbox
	counter   *counter.Counter
	evaluator *evaluator.Evaluator
	sql       *slow.Engine      // nil without ClickHouse
	hindsight *hindsight.Engine // nil without ClickHouse
	member    *membership.Member
	server    *httpserver.Server
	life      *lifecycle.Life
	changed   chan struct{} // has a value when stages may have settled
	unread    prometheus.Counter
	unheard   prometheus.Counter
}

// options are what tests replace.
type options struct {
	now       func() time.Time
	transport http.RoundTripper
	explainer evaluator.Explainer // nil: ClickHouse, where there is one
}

// New builds the service; it connects nowhere.
func New(cfg Config, shared platform.Shared) (*Service, error) {
	return newService(cfg, shared, options{now: time.Now})
}

func newService(cfg Config, shared platform.Shared, opt options) (*Service, error) {
	var faults config.Problems
	cfg.Validate(faults.At("alerting"))
	cfg.ValidateBeside(shared.Kafka, &faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, kafka: shared.Kafka, store: shared.ClickHouse, log: shared.Log, often: telemetry.Throttled(shared.Log), reg: shared.Registry,
		book: book.New(), life: lifecycle.New(shared.Log), changed: make(chan struct{}, 1),
	}
	if err := s.life.Build(func() error { return s.build(opt) }); err != nil {
		return nil, err
	}
	return s, nil
}

// build makes the parts of the service.
func (s *Service) build(opt options) error {
	s.unread = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mailstream_alerting_alerts_unreadable_total",
		Help: "Records of the alerts topic that could not be read. Worry when it grows: somebody else writes there.",
	})
	s.unheard = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mailstream_alerting_controls_unreadable_total",
		Help: "Records of the topic of alert controls that could not be read. Worry when it grows: somebody else writes there, or a newer version.",
	})
	s.reg.MustRegister(s.unread, s.unheard)
	var err error
	s.producer, err = produce.New(s.kafka, produce.Config{Name: "alerting", BufferRecordsMax: ratesBufferMax}, s.log, s.reg)
	if err != nil {
		return err
	}
	s.life.Closes("producer", s.producer.Close)
	s.tail, err = read.NewTail(s.kafka, read.TailConfig{Topic: schemas.AlertsTopic(s.kafka.TopicPrefix)}, s.log, s.reg)
	if err != nil {
		return err
	}
	topic := schemas.AlertControlsTopic(s.kafka.TopicPrefix)
	s.said, err = read.NewTail(s.kafka, read.TailConfig{Topic: topic}, s.log, s.reg)
	if err != nil {
		return err
	}
	s.controls = &controls.Store{Set: controls.NewSet(s.cfg.Maintenance), Topic: topic, Publisher: s.producer, Log: s.said}
	s.receivers(opt)
	if len(s.cfg.Tokens) == 0 {
		s.log.Warn("no token is configured, so the alerts api refuses every request: set alerting.tokens")
	}
	if err := s.stages(opt); err != nil {
		return err
	}
	mux := http.NewServeMux()
	api{
		book: s.book, controls: s.controls, labels: s.cfg.dimensions(), now: opt.now, log: s.log, trying: make(chan struct{}, 1),
		trail: audit.New(s.kafka.TopicPrefix, s.producer, s.log),
		try: func(ctx context.Context, name string) (Trial, error) {
			return s.cfg.try(ctx, name, receiver.Options{Links: s.cfg.Links, Transport: opt.transport, Log: s.log})
		},
	}.routes(mux)
	mux.HandleFunc("/", httpserver.NotFound)
	s.server, err = httpserver.New(s.cfg.Config, httpserver.Options{
		Name: "alerting", Handler: httpserver.Bearer(s.cfg.Tokens, mux), Ready: s.readiness,
	}, s.log, s.reg)
	if err != nil {
		return err
	}
	if s.watch, err = admin.NewWatch(s.kafka, admin.WatchConfig{Name: "alerting", Topics: s.topics()}, s.log, s.reg); err != nil {
		return err
	}
	s.life.ClosesPlain("topic watch", s.watch.Close)
	return nil
}

// receivers makes an outbox for each receiver.
func (s *Service) receivers(opt options) {
	var names []string
	for _, r := range s.cfg.receivers() {
		names = append(names, r.Name)
	}
	if len(names) == 0 {
		s.log.Warn("no receiver is configured: alerts are shown by the api and in the topic only")
		return
	}
	met := outbox.NewMetrics(s.reg, names...)
	for _, r := range s.cfg.receivers() {
		to := r.Build(receiver.Options{Links: s.cfg.Links, Transport: opt.transport, Log: s.log})
		s.boxes = append(s.boxes, outbox.New(r.Name, to, s.log, met))
	}
}

// topics returns what alerting reads and writes.
func (s *Service) topics() []string {
	prefix := s.kafka.TopicPrefix
	return append(counter.Topics(prefix), schemas.RatesTopic(prefix), schemas.AlertsTopic(prefix), schemas.AlertControlsTopic(prefix), schemas.AuditTopic(prefix))
}

// stages builds counter, evaluator and the group membership that assigns partitions to them.
func (s *Service) stages(opt options) error {
	rules := s.cfg.streamRules()
	// A partition set sees its share of the series, and of those with mail to many
	// people more than its share.
	perSet := max(2*s.cfg.SeriesMax/int(s.kafka.Topics.Partitions), seriesMaxLow)
	s.counter = counter.New(counter.Options{
		Kafka: s.kafka, Window: s.cfg.longestWindow(), SeriesMax: perSet, Literal: registry.Literal(), Now: opt.now, Settled: s.noteSettled,
	}, s.producer, s.log, s.reg)
	sqlRules, written := s.cfg.sqlRules()
	var client *clickhouse.Client
	explainer := opt.explainer
	if s.store.URL != "" {
		var err error
		if client, err = clickhouse.Open(s.store, s.log, s.reg); err != nil {
			return err
		}
		s.life.Closes("clickhouse client", func(context.Context) error { return client.Close() })
		explainer = slow.NewExplainer(client, registry.Literal(), s.cfg.SQL.RowsMax)
	}
	s.evaluator = evaluator.New(evaluator.Options{
		Kafka: s.kafka, Rules: rules, RulesSQL: sqlRules, Instance: instanceName(), SeriesMax: s.cfg.SeriesMax, Now: opt.now, Receivers: s.boxes, Routes: s.cfg.Routes,
		Book: s.book, Controls: s.controls.Set, Inhibit: s.cfg.Inhibit, Tail: s.tail, Publisher: s.producer, Explainer: explainer, Settled: s.noteSettled,
	}, s.log, s.reg)
	s.member = membership.New(s.kafka, s.kafka.Group("alerting"), s.log, s.reg)
	// All counted topics are divided alike: the assignment of one partition number is
	// that of all three.
	s.member.Handle(schemas.EventTopic(s.kafka.TopicPrefix, schemas.Blocked), s.counter)
	s.member.Handle(schemas.RatesTopic(s.kafka.TopicPrefix), s.evaluator)
	if client != nil {
		s.readBySQL(client, sqlRules, written, opt)
	}
	return nil
}

// readBySQL builds what reads the rules that cannot be judged from the stream, and what
// sees in hindsight what the stream could not show.
func (s *Service) readBySQL(client *clickhouse.Client, rules []rule.Rule, written bool, opt options) {
	s.hindsight = hindsight.New(hindsight.Options{
		Rules: s.cfg.streamRules(), RowsMax: s.cfg.SQL.RowsMax, Now: opt.now, Owned: s.evaluator.OwnsSQL, Put: s.evaluator.PutLate,
	}, client, s.log, s.reg)
	if len(rules) == 0 {
		return
	}
	s.sql = slow.New(slow.Options{
		Rules: rules, Pace: s.cfg.SQL.Interval, RowsMax: s.cfg.SQL.RowsMax, Literal: registry.Literal(), Now: opt.now, Wanted: written,
		Owned: s.evaluator.OwnsSQL, Active: s.evaluator.ActiveSQL, Newest: s.counter.Newest, Take: s.evaluator.Take,
	}, client, s.log, s.reg)
}

// runSQL reads the rules judged by SQL; without ClickHouse it has nothing to do.
func (s *Service) runSQL(ctx context.Context) error {
	if s.sql == nil {
		<-ctx.Done()
		return nil
	}
	return s.sql.Run(ctx)
}

// runHindsight looks for what came late; without ClickHouse it has nothing to do.
func (s *Service) runHindsight(ctx context.Context) error {
	if s.hindsight == nil {
		<-ctx.Done()
		return nil
	}
	return s.hindsight.Run(ctx)
}

// secretsInterval is how often secrets of receivers that are files are read.
const secretsInterval = 5 * time.Second

// refreshSecrets reads the files of receivers' secrets until ctx is done: who replaces a
// webhook that is gone need not restart anything.
func (s *Service) refreshSecrets(ctx context.Context) error {
	for lifecycle.Sleep(ctx, secretsInterval) == nil {
		for i, r := range s.cfg.receivers() {
			config.WalkSecrets(r, func(path string, secret config.Secret) {
				switch changed, err := secret.Refresh(); {
				case err != nil:
					s.often.Warn("secret of a receiver could not be read: the previous one stays in use", telemetry.Receiver(r.Name), telemetry.Name(path), telemetry.Err(err))
				case changed:
					s.log.Info("secret of a receiver was replaced", telemetry.Receiver(r.Name), telemetry.Name(path))
					s.boxes[i].Reconfigured()
				}
			})
		}
	}
	return nil
}

// instanceName tells the writers of alert records apart.
func instanceName() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails, as documented
	return hex.EncodeToString(b[:])
}

// Ready is closed once every partition given to this instance is counted and
// judged up to the present.
func (s *Service) Ready() <-chan struct{} { return s.life.Ready() }

// Addr returns the address of the HTTP listener, "" before it listens.
func (s *Service) Addr() string { return s.server.Addr() }

// MetricsAddr returns host:port of /metrics, "" before it listens and where
// metrics are off.
func (s *Service) MetricsAddr() string { return s.server.MetricsAddr() }

var (
	errNotSettled = errors.New("catching up with the last window of events")
	errBlind      = errors.New("counts of some partitions are too old to be judged")
	errNotJudged  = errors.New("rules by SQL have not been judged for 15 minutes: ClickHouse does not answer, or analytics is behind")
)

func (s *Service) readiness() error {
	if err := s.watch.Fault(); err != nil {
		return err
	}
	if !s.settled() {
		return errNotSettled
	}
	if s.evaluator.Blind() {
		return errBlind
	}
	if s.sql != nil && s.sql.Blind() {
		return errNotJudged
	}
	return nil
}

func (s *Service) settled() bool {
	select {
	case <-s.member.Joined():
		return s.counter.Settled() && s.evaluator.Settled()
	default:
		return false
	}
}

// Run works until ctx is done, which is not an error.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.tasks()) }

// tasks is how the service starts, each after what it needs. It stops in reverse: the
// partitions are given up while the stages and the outbox can still finish what is
// under way.
// A topic that is made anew ends the service: everything here follows from the topics
// and the clock, so that another start is all it takes.
func (s *Service) tasks() []lifecycle.Task {
	tasks := []lifecycle.Task{
		{Name: "http", Run: s.server.Run, Ready: s.server.Ready()},
		{Name: "topics", Start: s.watch.Await, Run: s.watch.Run},
		{Name: "alerts", Run: func(ctx context.Context) error { return s.tail.Run(ctx, s.apply) }, Ready: s.tail.CaughtUp()},
		{Name: "controls", Run: func(ctx context.Context) error { return s.said.Run(ctx, s.hear) }, Ready: s.said.CaughtUp()},
	}
	for _, b := range s.boxes {
		tasks = append(tasks, lifecycle.Task{Name: "outbox " + b.Name(), Run: b.Run})
	}
	return append(tasks,
		lifecycle.Task{Name: "secrets", Run: s.refreshSecrets},
		lifecycle.Task{Name: "counter", Run: s.counter.Run},
		lifecycle.Task{Name: "evaluator", Run: s.evaluator.Run},
		lifecycle.Task{Name: "sql", Run: s.runSQL},
		lifecycle.Task{Name: "hindsight", Run: s.runHindsight},
		lifecycle.Task{Name: "member", Run: s.member.Run, Ready: s.member.Joined()},
		lifecycle.Task{Name: "present", Start: s.awaitSettled},
	)
}

// apply puts records of the alerts topic into the book.
func (s *Service) apply(_ context.Context, recs []*kgo.Record) error {
	if n := s.book.Apply(recs); n > 0 {
		s.unread.Add(float64(n))
		s.often.Warn("alert records were not readable", telemetry.Rows(n))
	}
	return nil
}

// hear puts records of the topic of controls into the set.
func (s *Service) hear(_ context.Context, recs []*kgo.Record) error {
	if n := s.controls.Apply(recs); n > 0 {
		s.unheard.Add(float64(n))
		s.often.Warn("alert controls were not readable", telemetry.Rows(n))
	}
	return nil
}

// noteSettled is called by the stages when they have settled, alone or together.
func (s *Service) noteSettled() {
	select {
	case s.changed <- struct{}{}:
	default: // one that is not seen yet is enough
	}
}

// awaitSettled waits until counts and judgements have reached the present.
func (s *Service) awaitSettled(ctx context.Context) error {
	for !s.settled() {
		select {
		case <-s.changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.log.Info("alerting is ready")
	return nil
}
