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
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/erasure"
	"github.com/mailstream/mailstream/services/internal/mailbox"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/disk"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
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

// Service is one replica. Make it with New.
type Service struct {
	cfg      Config
	shared   platform.Shared
	topic    string
	rules    list.Rules
	ladder   list.Ladder
	api      *api.API
	server   *httpserver.Server
	producer *produce.Producer
	watch    *admin.Watch
	offsets  *offsets.Lister // of the list
	erasures *erasure.Ledger
	metrics  *metrics
	often    *zap.Logger // throttled: for what may be repeated
	room     disk.Room   // of the local store
	life     *lifecycle.Life

	filling atomic.Pointer[filling] // nil: no fill is on its way

	// What the tasks "store" and "list" make, for those after them, and for others
	// once the service is ready.
	store  *store.Pebble
	tail   *read.Tail
	ledger *ledger.Ledger
	intake *intake.Intake
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
	s := &Service{
		cfg: cfg, shared: shared,
		topic:  schemas.SuppressionsTopic(shared.Kafka.TopicPrefix),
		rules:  list.DefaultRules(cfg.probations(), cfg.SoftBounces.ladder()),
		ladder: cfg.SoftBounces.ladder(),
		room:   disk.Room{Dir: shared.StateDir, BytesMin: store.RoomBytesMin},
		often:  telemetry.Throttled(shared.Log),
		life:   lifecycle.New(shared.Log),
	}
	if err := s.life.Build(s.build); err != nil {
		return nil, err
	}
	return s, nil
}

// build makes the parts of the service.
func (s *Service) build() error {
	kc, log, reg := s.shared.Kafka, s.shared.Log, s.shared.Registry
	s.metrics = newMetrics(s, reg)
	var err error
	if s.producer, err = produce.New(kc, produce.Config{Name: "suppression"}, log, reg); err != nil {
		return err
	}
	s.life.Closes("producer", s.producer.Close)
	if err := s.serve(); err != nil {
		return err
	}
	if s.erasures, err = erasure.New(kc, erasure.Options{Each: s.forget}, log, reg); err != nil {
		return err
	}
	used := append(s.events(), s.topic, schemas.ErasuresTopic(kc.TopicPrefix), schemas.DeadLetterTopic(kc.TopicPrefix), schemas.AuditTopic(kc.TopicPrefix))
	if s.watch, err = admin.NewWatch(kc, admin.WatchConfig{Name: "suppression", Topics: used}, log, reg); err != nil {
		return err
	}
	s.life.ClosesPlain("topic watch", s.watch.Close)
	s.offsets = offsets.NewLister(kc, log, reg)
	s.life.ClosesPlain("offset lister", s.offsets.Close)
	return nil
}

// serve makes the API and its server.
func (s *Service) serve() error {
	mailboxes, err := mailbox.New()
	if err != nil {
		return err
	}
	s.api = api.New(api.Options{
		Key: s.shared.Hasher.Key, FormerKey: s.shared.Hasher.FormerKey, MailboxProvider: mailboxes.Provider, KnownMailboxProvider: mailboxes.Known, Transactional: s.cfg.TransactionalStreams,
		TokenWait: s.cfg.TokenWait, StaleAfter: s.cfg.StaleAfter,
		Trail:   audit.New(s.shared.Kafka.TopicPrefix, s.producer, s.shared.Log),
		Metrics: api.NewMetrics(s.shared.Registry), Log: s.shared.Log,
	})
	var handler http.Handler = s.api
	if !s.cfg.AllowUnauthenticated {
		handler = httpserver.Bearer(s.cfg.Tokens, handler)
	}
	s.server, err = httpserver.New(s.cfg.Config, httpserver.Options{Name: "suppression", Handler: handler, Ready: s.readiness}, s.shared.Log, s.shared.Registry)
	return err
}

// events returns the topics that the rules are about.
func (s *Service) events() []string { return s.topicsOf(s.rules.Types()) }

func (s *Service) topicsOf(types []schemas.Type) []string {
	var topics []string
	for _, t := range types {
		topics = append(topics, schemas.EventTopic(s.shared.Kafka.TopicPrefix, t))
	}
	return topics
}

// Ready is closed once this replica has read the whole list and listens.
func (s *Service) Ready() <-chan struct{} { return s.life.Ready() }

// Addr is the host:port of its HTTP listener, "" before it listens.
func (s *Service) Addr() string { return s.server.Addr() }

// MetricsAddr returns host:port of /metrics, "" before it listens and where
// metrics are off.
func (s *Service) MetricsAddr() string { return s.server.MetricsAddr() }

// Run works until ctx is done. The listener answers from the start; the API
// answers 503 until the list has been read.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.tasks()) }

// roomFault says that the disk is too full for the list to go on.
func (s *Service) roomFault() error {
	if err := s.room.Check(); err != nil {
		return fmt.Errorf("the list is not updated: %w", err)
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
	if !s.life.IsReady() {
		return fmt.Errorf("the list is still being read%s", s.filled())
	}
	if err := s.erasures.Fault(); err != nil {
		return err
	}
	if lag := s.tail.Lag(); lag > s.cfg.StaleAfter {
		return fmt.Errorf("the list is %s behind", lag.Round(time.Second))
	}
	return nil
}
