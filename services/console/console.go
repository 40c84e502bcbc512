// Package console is the page where a deliverability engineer starts the day: whether
// all is well, where not, what became of one person's mail, and the few things to do
// about it.
//
// It keeps no state: it reads ClickHouse as a user who may only read, asks the services
// for what is now, and has them make every change. Who looked at a person and who
// changed what is written to the audit topic first; what cannot be written there is not
// done. A part that is away leaves a notice and the rest of the page.
//
// It judges nothing itself, and it is no API for senders: those are the services'.
package console

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/page"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// What the configuration of the other services says; see page.
type (
	// World is all of it.
	World = page.World
	// Source is one of ingress.sources.
	Source = page.Source
	// Rule is one of alerting.rules.
	Rule = page.Rule
	// Match is which events a Rule counts.
	Match = page.Match
	// Trial is a rule to try on the past.
	Trial = page.Trial
	// Backtest is what came of a Trial.
	Backtest = page.Backtest
	// LimitError says that a Backtest would take more than it may.
	LimitError = page.LimitError
)

// How a Rule is judged.
const (
	JudgedStream = page.JudgedStream
	JudgedSQL    = page.JudgedSQL
	JudgedOff    = page.JudgedOff
)

// Service is the console. Make it with New; Run it once.
type Service struct {
	cfg    Config
	shared platform.Shared
	world  World
	server *httpserver.Server
	watch  *admin.Watch
	life   *lifecycle.Life
}

// New builds the service; it connects nowhere.
func New(cfg Config, world World, shared platform.Shared) (*Service, error) {
	var faults config.Problems
	p := faults.At("console")
	cfg.Validate(p)
	p.Check(shared.Hasher != nil, "pepper", "needs privacy.pepper")
	if err := faults.Err(); err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, shared: shared, world: world, life: lifecycle.New(shared.Log)}
	if err := s.life.Build(s.build); err != nil {
		return nil, err
	}
	return s, nil
}

// build makes the parts of the service.
func (s *Service) build() error {
	kc, log, reg := s.shared.Kafka, s.shared.Log, s.shared.Registry
	producer, err := produce.New(kc, produce.Config{Name: "console"}, log, reg)
	if err != nil {
		return err
	}
	s.life.Closes("producer", producer.Close)
	store := s.shared.ClickHouse
	restricted := s.cfg.ClickHouse.Username != ""
	if restricted {
		store.Username, store.Password = s.cfg.ClickHouse.Username, s.cfg.ClickHouse.Password
	}
	client, err := clickhouse.Open(store, log, reg)
	if err != nil {
		return err
	}
	s.life.Closes("clickhouse client", func(context.Context) error { return client.Close() })
	gate, err := auth.New(s.cfg.Auth, time.Now)
	if err != nil {
		return err
	}
	suppression, alerting, ingress := peer.New("suppression", s.cfg.Suppression), peer.New("alerting", s.cfg.Alerting), peer.NewMetrics(s.cfg.Ingress.MetricsURL)
	analytics := peer.New("analytics", s.cfg.Analytics)
	s.life.ClosesPlain("connections to services", func() { suppression.Close(); alerting.Close(); analytics.Close(); ingress.Close() })
	topic := schemas.AuditTopic(kc.TopicPrefix)
	site, err := page.New(page.Options{
		Gate: gate, History: history.New(client, restricted, s.world.Literal), Suppression: suppression, Alerting: alerting, Analytics: analytics, Ingress: ingress,
		World: s.world, Trail: trail{audit.New(kc.TopicPrefix, producer, log)}, Hash: s.hash, Pattern: s.pattern, Wider: s.wider, Now: time.Now, Log: telemetry.Throttled(log, telemetry.ByName), Registry: reg,
	})
	if err != nil {
		return err
	}
	s.server, err = httpserver.New(s.cfg.Config, httpserver.Options{Name: "console", Handler: site, Ready: s.readiness, Proxies: gate.Proxies()}, log, reg)
	if err != nil {
		return err
	}
	if s.cfg.Auth.Open() {
		log.Warn("no way to sign in is configured: everybody on this host is admin")
	}
	if s.watch, err = admin.NewWatch(kc, admin.WatchConfig{Name: "console", Topics: []string{topic}}, log, reg); err != nil {
		return err
	}
	s.life.ClosesPlain("topic watch", s.watch.Close)
	return nil
}

// trail writes what people do on the pages.
type trail struct{ to *audit.Trail }

func (t trail) Note(ctx context.Context, e page.Entry) error {
	return t.to.Note(ctx, audit.Entry{By: e.By.Name, Role: e.By.Role.String(), Action: e.Action, Object: e.Object, Note: e.Note})
}

// hash returns the recipient hash of an address that a person typed.
func (s *Service) hash(typed string) (string, error) {
	canonical, err := address.One(typed)
	if err != nil {
		return "", err
	}
	return s.shared.Hasher.Hash(canonical), nil
}

// pattern reads what stands for many addresses. Whether a mailbox provider is known the
// suppression service says.
func (s *Service) pattern(typed string) (canonical, hash string, many bool, err error) {
	name, provider := strings.CutPrefix(typed, schemas.MailboxProviderPrefix)
	switch {
	case provider && !wordForm.MatchString(name):
		return "", "", true, errors.New("the name of a mailbox provider is not a word")
	case provider:
		canonical = typed
	case !address.IsPattern(typed):
		return "", "", false, nil
	default:
		if canonical, err = address.Pattern(typed); err != nil {
			return "", "", true, err
		}
	}
	return canonical, s.shared.Hasher.Hash(canonical), true, nil
}

// wordForm is the name of a mailbox provider.
var wordForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)

// wider returns the hashes of the patterns of the suppression list that hold for a
// recipient, as the suppression service writes them.
func (s *Service) wider(recipient, mailboxProvider string) (hashes []string) {
	canonical, err := address.One(recipient)
	if err != nil {
		return nil
	}
	patterns := address.Patterns(canonical)
	if mailboxProvider != "" {
		patterns = append(patterns, schemas.MailboxProviderPrefix+mailboxProvider)
	}
	for _, pattern := range patterns {
		hashes = append(hashes, s.shared.Hasher.Hash(pattern))
	}
	return hashes
}

// Ready is closed once it can serve all pages.
func (s *Service) Ready() <-chan struct{} { return s.life.Ready() }

// Addr is the host:port of its HTTP listener, "" before it listens.
func (s *Service) Addr() string { return s.server.Addr() }

// MetricsAddr returns host:port of /metrics, "" before it listens and where metrics are
// off.
func (s *Service) MetricsAddr() string { return s.server.MetricsAddr() }

// readiness says why the console should not be asked. ClickHouse and the services may
// be away: the pages say so.
func (s *Service) readiness() error { return s.watch.Fault() }

// Run works until ctx is done, which is no error.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.tasks()) }

// tasks is how the service starts; it stops in reverse. Pages are served from the start:
// only what has to be written down waits for the topic.
func (s *Service) tasks() []lifecycle.Task {
	return []lifecycle.Task{
		{Name: "http", Run: s.server.Run, Ready: s.server.Ready()},
		{Name: "topics", Start: s.watch.Await, Run: s.watch.Run},
	}
}
