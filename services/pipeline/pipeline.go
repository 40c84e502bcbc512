// Package pipeline is the whole of Mailstream as one value: its configuration
// file, its topics, its tables and its services by name. The mailstream command
// runs one service of it, the embedded stack all of them; both build them here,
// so that they are the same. It holds no logic of any service.
package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting"
	"github.com/mailstream/mailstream/services/analytics"
	"github.com/mailstream/mailstream/services/console"
	"github.com/mailstream/mailstream/services/ingress"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression"
)

// Name is a service's name: its subcommand and its section.
type Name string

// The services.
const (
	Ingress     Name = "ingress"
	Analytics   Name = "analytics"
	Suppression Name = "suppression"
	Alerting    Name = "alerting"
	Console     Name = "console"
)

// Names returns the services in the order they start: consumers before the
// ingress, so that the first webhook finds everybody listening, and the console last.
func Names() []Name { return []Name{Alerting, Suppression, Analytics, Ingress, Console} }

// Service is one running part.
type Service interface {
	// Run works until ctx is done and every goroutine it started has ended.
	Run(ctx context.Context) error
	// Ready is closed once it does its work.
	Ready() <-chan struct{}
	Listeners
}

// Listeners are the addresses of a service.
type Listeners interface {
	// Addr is the host:port of its API and health, "" before it listens.
	Addr() string
	// MetricsAddr is the host:port of its metrics, "" before it listens and where
	// they are off.
	MetricsAddr() string
}

type entry struct {
	name     Name
	sections []string
	build    func(Config, platform.Shared) (Service, error)
}

// directory says of each part which sections it reads and how it is built.
func directory() []entry {
	return []entry{
		{Ingress, []string{"kafka", "privacy", "ingress"}, func(c Config, s platform.Shared) (Service, error) { return ingress.New(c.Ingress, s) }},
		{Analytics, []string{"kafka", "clickhouse", "analytics"}, func(c Config, s platform.Shared) (Service, error) {
			return analytics.New(c.Analytics, c.reparseSources(), s)
		}},
		{Suppression, []string{"kafka", "privacy", "state", "suppression"}, func(c Config, s platform.Shared) (Service, error) { return suppression.New(c.Suppression, s) }},
		{Alerting, []string{"kafka", "clickhouse", "alerting"}, func(c Config, s platform.Shared) (Service, error) { return alerting.New(c.Alerting, s) }},
		{Console, []string{"kafka", "clickhouse", "privacy", "console"}, func(c Config, s platform.Shared) (Service, error) {
			return console.New(c.Console, c.consoleWorld(s.Log), s)
		}},
		{Topics, []string{"kafka"}, nil},
		{Migrate, []string{"clickhouse", "analytics"}, nil},
		{Simulate, []string{"ingress"}, nil},
		{Backtest, []string{"clickhouse", "alerting"}, nil},
		{TestReceiver, []string{"alerting"}, nil},
		{ForgetPeople, []string{"kafka", "clickhouse", "privacy"}, nil},
		{ExportSubject, []string{"kafka", "clickhouse", "privacy"}, nil},
		{Unsubscribe, []string{"ingress"}, nil},
		{Sync, []string{"providers"}, nil},
		{Replay, []string{"kafka", "clickhouse", "privacy", "state", "ingress"}, nil},
	}
}

// New builds the service called name without starting anything. Its logger is
// a child of log.
func New(cfg Config, name Name, log *zap.Logger) (Service, error) {
	return build(cfg, name, log, 0)
}

// againDelay spaces the starts of a service whose ground was taken away.
var againDelay = lifecycle.Backoff{Min: time.Second, Max: 30 * time.Second}

// Run builds the service called name and runs it until ctx is done or it fails.
// When a topic it depends on is deleted and recreated, it is rebuilt and rerun
// at the same addresses, as after a restart of the process. started, when not
// nil, is given each service that runs.
func Run(ctx context.Context, cfg Config, name Name, log *zap.Logger, started func(Service)) error {
	for again := 0; ; {
		svc, err := build(cfg, name, log, again)
		if err != nil {
			return err
		}
		if started != nil {
			started(svc)
		}
		err = svc.Run(ctx)
		if fate.Of(err) != fate.StartAgain || ctx.Err() != nil {
			return err
		}
		cfg.keepPorts(name, svc)
		again++
		delay := againDelay.Next(again)
		log.Named(string(name)).Error("service starts again", telemetry.Attempt(again), telemetry.Delay(delay), telemetry.Err(err))
		if lifecycle.Sleep(ctx, delay) != nil {
			return nil
		}
	}
}

// startsAgain counts across the registries of one process, each of which exists
// as long as its service.
func startsAgain(again int) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "mailstream_pipeline_starts_again_total",
		Help: "Starts of the service within this process because a topic was made anew. Worry when it grows: what the topic had is gone.",
	}, func() float64 { return float64(again) })
}

func build(cfg Config, name Name, log *zap.Logger, again int) (Service, error) {
	shared := platform.Shared{
		Kafka:      cfg.Kafka,
		ClickHouse: cfg.ClickHouse,
		Log:        log.Named(string(name)),
		Registry:   telemetry.NewRegistry(),
		StateDir:   filepath.Join(cfg.State.Dir, string(name)),
	}
	shared.Registry.MustRegister(telemetry.BuildInfo(string(name)))
	if err := shared.Registry.Register(startsAgain(again)); err != nil {
		return nil, fmt.Errorf("register metrics of %q: %w", name, err)
	}
	if cfg.Privacy.Pepper.IsSet() {
		hasher, err := address.NewHasher(cfg.Privacy.Pepper)
		if err != nil {
			return nil, err
		}
		shared.Hasher = hasher
	}
	for _, d := range directory() {
		if d.name == name && d.build != nil {
			return d.build(cfg, shared)
		}
	}
	return nil, fmt.Errorf("build service %q: unknown service", name)
}

// Version returns the version of this binary.
func Version() string { return telemetry.BuildVersion() }

// NewLogger returns the logger that cfg asks for.
func NewLogger(cfg Config) (*zap.Logger, error) { return telemetry.NewLogger(cfg.Log) }

// ApplyTopics creates the topics that are missing and reports those that
// contradict the configuration, once the brokers answer.
func ApplyTopics(ctx context.Context, cfg Config, log *zap.Logger) error {
	return applyTopics(ctx, cfg, log, admin.ApplyOptions{})
}

// ForceTopics is ApplyTopics that also sets what differs and can be set in
// place, which may shorten what is kept. Numbers of partitions stay.
func ForceTopics(ctx context.Context, cfg Config, log *zap.Logger) error {
	return applyTopics(ctx, cfg, log, admin.ApplyOptions{Force: true})
}

func applyTopics(ctx context.Context, cfg Config, log *zap.Logger, opt admin.ApplyOptions) error {
	cfg.Kafka.Webhooks = cfg.Ingress.WebhookTopics(cfg.Kafka.TopicPrefix)
	client, err := kafka.NewClient(cfg.Kafka, log, telemetry.NewRegistry())
	if err != nil {
		return err
	}
	defer client.Close()
	return admin.ApplyWith(ctx, client, cfg.Kafka, log, opt)
}

// serverDelay spaces the attempts of Insist.
var serverDelay = lifecycle.Backoff{Min: 250 * time.Millisecond, Max: 5 * time.Second}

// Insist retries an operation that needs a server which may not be up yet, for
// as long as wait; then it returns the last fault. What waiting does not cure
// is returned at once. It never cuts an attempt short.
func Insist(ctx context.Context, wait time.Duration, log *zap.Logger, do func(ctx context.Context) error) error {
	log, until := telemetry.Throttled(log), time.Now().Add(wait)
	return serverDelay.Retry(ctx, func(ctx context.Context) error {
		err := do(ctx)
		if err != nil && fate.Of(err) == fate.Retry && !time.Now().Before(until) {
			return fate.Wrap(fate.Halt, fmt.Errorf("wait %s for the server: %w", wait, err))
		}
		return err
	}, func(attempt int, delay time.Duration, err error) {
		log.Warn("server was not ready", telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
}

// MigrateTables brings the tables and views to this version.
func MigrateTables(ctx context.Context, cfg Config, log *zap.Logger) error {
	return analytics.Migrate(ctx, cfg.Analytics, cfg.ClickHouse, log)
}

// Task is one named part of a process; see RunInOrder.
type Task = lifecycle.Task

// RunInOrder starts tasks one after the other, each when the one before is
// ready, and stops them in reverse when ctx is done or one ends. It is what the
// embedded stack is built on.
func RunInOrder(ctx context.Context, tasks []Task, onStart, onStop func(name string)) error {
	return lifecycle.RunInOrder(ctx, tasks, onStart, onStop)
}
