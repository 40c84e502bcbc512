// Package stack is the embedded default: a Kafka-protocol broker, the
// ClickHouse engine, a stand-in for Slack and all services, in one process and
// one folder. The services are the ones that are deployed, built from the same
// configuration file, and do not know the difference. It is for a laptop and
// for tests; compose.yaml and deploy/ are for everything else.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/devstack/slack"
	"github.com/mailstream/mailstream/services/pipeline"
)

// Options say where the stack keeps its data and how it is configured.
type Options struct {
	// DataDir keeps everything; it is made when it is not there.
	DataDir string
	// ConfigFile replaces sections of the development configuration; "" keeps them
	// all.
	ConfigFile string
	// Environ is the environment, as os.Environ gives it.
	Environ []string
	// FreePorts lets every part take any free port, for tests.
	FreePorts bool
	// Brokers is the host:port of a Kafka that runs already; "" embeds one.
	Brokers string
	// NoServices leaves out the services: broker, engine, Slack, topics and tables
	// are there for services that run elsewhere.
	NoServices bool
	// Log takes what the parts say; nil is the logger of the configuration.
	Log *zap.Logger
	// Progress, when not nil, is called with a line for each step that takes long.
	Progress func(line string)
}

// Stack is the whole pipeline. Make it with New.
type Stack struct {
	opt    Options
	cfg    pipeline.Config
	log    *zap.Logger
	broker *broker.Broker
	engine *engine.Engine
	slack  *slack.Server
	ready  chan struct{}

	mu       sync.Mutex
	services map[pipeline.Name]pipeline.Service // the running ones; guarded by mu
}

// New reads the configuration and builds what needs no configuration of others.
// It touches neither the data folder nor the network.
func New(opt Options) (*Stack, error) {
	if opt.Progress == nil {
		opt.Progress = func(string) {}
	}
	s := &Stack{opt: opt, log: opt.Log, ready: make(chan struct{}), services: map[pipeline.Name]pipeline.Service{}}
	err := s.load(nil)
	if err != nil {
		return nil, err
	}
	if s.log == nil {
		if s.log, err = pipeline.NewLogger(s.cfg); err != nil {
			return nil, err
		}
	}
	if len(s.cfg.Kafka.Brokers) != 1 {
		return nil, fmt.Errorf("read configuration: kafka.brokers has %d entries, the embedded broker is one", len(s.cfg.Kafka.Brokers))
	}
	clickhouse, err := url.Parse(s.cfg.ClickHouse.URL)
	if err != nil {
		return nil, fmt.Errorf("read configuration: clickhouse.url: %w", err)
	}
	kafkaListen, clickhouseListen, slackListen := s.cfg.Kafka.Brokers[0], clickhouse.Host, slackHere(s.cfg)
	if opt.FreePorts {
		kafkaListen, clickhouseListen = freePort, freePort
		if slackListen != "" {
			slackListen = freePort
		}
	}
	ec := engine.Default()
	ec.DataDir, ec.Listen, ec.Progress = filepath.Join(opt.DataDir, "clickhouse"), clickhouseListen, opt.Progress
	ec.Restart = true
	if s.engine, err = engine.New(ec, slog.New(zapslog.NewHandler(s.log.Core(), zapslog.WithName("engine")))); err != nil {
		if errors.Is(err, engine.ErrUnsupported) {
			err = fmt.Errorf("%w: run `docker compose up`", err)
		}
		return nil, err
	}
	s.broker = broker.New(broker.Config{Listen: kafkaListen, DataDir: filepath.Join(opt.DataDir, "kafka")}, s.log.Named("broker"))
	if slackListen != "" {
		s.slack = slack.New(slackListen)
	}
	return s, nil
}

// freePort lets the system choose.
const freePort = "127.0.0.1:0"

// standInPath is the path of the webhook that the stand-in is. A receiver that
// a person runs on this machine has another one.
const standInPath = "/services/dev"

// slackHere returns where the stand-in for Slack has to listen: at the host and
// port of its webhook, on this machine. It is "" when messages go to the real
// Slack, to a receiver that a person runs, or nowhere.
func slackHere(cfg pipeline.Config) string {
	u, err := url.Parse(cfg.Alerting.Slack.WebhookURL.Reveal())
	if err != nil || u.Scheme != "http" || u.Path != standInPath {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() || u.Port() == "" {
		return ""
	}
	return u.Host
}

// load reads the configuration, with extra environment variables on top.
func (s *Stack) load(extra []string) error {
	base, err := pipeline.Dev()
	if err != nil {
		return err
	}
	base.State.Dir = filepath.Join(s.opt.DataDir, "state")
	in := pipeline.Input{Environ: append(slices.Clone(s.opt.Environ), extra...), Base: &base}
	if s.opt.ConfigFile != "" {
		if in.File, err = os.ReadFile(s.opt.ConfigFile); err != nil {
			return fmt.Errorf("read configuration: %w", err)
		}
		in.Name = s.opt.ConfigFile
	}
	s.cfg, _, err = pipeline.Load(in)
	return err
}

// Ready is closed once every part does its work.
func (s *Stack) Ready() <-chan struct{} { return s.ready }

// Run starts everything in order, each part once the one before is ready, and
// stops it in reverse when ctx is done or a part ends.
func (s *Stack) Run(ctx context.Context) error {
	if err := os.MkdirAll(s.opt.DataDir, 0o755); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	unlock, err := lock(s.opt.DataDir)
	if err != nil {
		return err
	}
	defer unlock()
	var tasks []pipeline.Task
	if s.opt.Brokers == "" {
		tasks = append(tasks, pipeline.Task{Name: "Kafka broker", Run: s.broker.Run, Ready: s.broker.Ready()})
	}
	tasks = append(tasks, pipeline.Task{Name: "ClickHouse engine", Run: s.engine.Run, Ready: s.engine.Ready()})
	if s.slack != nil {
		tasks = append(tasks, pipeline.Task{Name: "Slack stand-in", Run: s.slack.Run, Ready: s.slack.Ready()})
	}
	tasks = append(tasks, s.once("topics and tables", s.prepare))
	if !s.opt.NoServices {
		for _, name := range pipeline.Names() {
			tasks = append(tasks, s.service(name))
		}
	}
	tasks = append(tasks, s.once("", func(context.Context) error { close(s.ready); return nil }))
	return pipeline.RunInOrder(ctx, tasks,
		func(name string) { s.say("starting %s", name) }, func(name string) { s.say("stopping %s", name) })
}

func (s *Stack) say(format, name string) {
	if name != "" {
		s.opt.Progress(fmt.Sprintf(format, name))
	}
}

// once is a task that does one thing, is then ready, and waits for its end.
func (s *Stack) once(name string, do func(context.Context) error) pipeline.Task {
	ready := make(chan struct{})
	return pipeline.Task{Name: name, Ready: ready, Run: func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return err
		}
		close(ready)
		<-ctx.Done()
		return nil
	}}
}

// prepare gives the services the addresses of the parts they need, then makes
// topics and tables.
func (s *Stack) prepare(ctx context.Context) error {
	if s.opt.FreePorts {
		extra := []string{
			"MAILSTREAM_KAFKA_BROKERS=" + s.Kafka(),
			"MAILSTREAM_CLICKHOUSE_URL=" + s.engine.URL(),
		}
		if s.slack != nil {
			extra = append(extra, "MAILSTREAM_ALERTING_SLACK_WEBHOOK_URL="+s.slack.WebhookURL())
		}
		for _, section := range []string{"INGRESS", "ANALYTICS", "SUPPRESSION", "ALERTING", "CONSOLE"} {
			extra = append(extra, "MAILSTREAM_"+section+"_LISTEN="+freePort, "MAILSTREAM_"+section+"_METRICS_LISTEN="+freePort)
		}
		if err := s.load(extra); err != nil {
			return err
		}
	}
	if err := pipeline.ApplyTopics(ctx, s.cfg, s.log.Named("topics")); err != nil {
		return err
	}
	return pipeline.MigrateTables(ctx, s.cfg, s.log.Named("migrate"))
}

// service builds its service when it is started: only then are all addresses
// known.
func (s *Stack) service(name pipeline.Name) pipeline.Task {
	ready := make(chan struct{})
	return pipeline.Task{Name: string(name), Ready: ready, Run: func(ctx context.Context) error {
		var once sync.Once
		cfg := s.cfg
		if s.opt.FreePorts && name == pipeline.Console {
			cfg.Console.Suppression.URL, cfg.Console.Alerting.URL, cfg.Console.Analytics.URL = s.URL(pipeline.Suppression), s.URL(pipeline.Alerting), s.URL(pipeline.Analytics)
			cfg.Console.Ingress.MetricsURL, cfg.Ingress.Listen = s.MetricsURL(pipeline.Ingress), strings.TrimPrefix(s.URL(pipeline.Ingress), "http://")
		}
		return pipeline.Run(ctx, cfg, name, s.log, func(svc pipeline.Service) {
			s.mu.Lock()
			s.services[name] = svc
			s.mu.Unlock()
			go func() {
				select {
				case <-svc.Ready():
					once.Do(func() { close(ready) })
				case <-ctx.Done():
				}
			}()
		})
	}}
}

// URL returns the base URL of a service; valid after Ready.
func (s *Stack) URL(name pipeline.Name) string {
	s.mu.Lock()
	svc, ok := s.services[name]
	s.mu.Unlock()
	if !ok {
		return ""
	}
	return "http://" + reachable(svc.Addr())
}

// MetricsURL returns where a service's metrics are, "" where they are off; valid
// after Ready.
func (s *Stack) MetricsURL(name pipeline.Name) string {
	s.mu.Lock()
	svc, ok := s.services[name]
	s.mu.Unlock()
	if !ok || svc.MetricsAddr() == "" {
		return ""
	}
	return "http://" + reachable(svc.MetricsAddr()) + "/metrics"
}

// Kafka returns the broker's host:port; valid after Ready.
func (s *Stack) Kafka() string { return cmp.Or(s.opt.Brokers, s.broker.Addr()) }

// ClickHouse returns the base URL of the engine's HTTP interface; valid after
// Ready.
func (s *Stack) ClickHouse() string { return s.engine.URL() }

// EngineProcess returns the process id of the ClickHouse engine, for tests that
// kill it; valid after Ready.
func (s *Stack) EngineProcess() int { return s.engine.Process() }

// Slack returns the stand-in for Slack, nil when messages go elsewhere.
func (s *Stack) Slack() *slack.Server { return s.slack }

// Config returns the effective configuration.
func (s *Stack) Config() pipeline.Config { return s.cfg }

// reachable replaces a listen address for all interfaces by one to dial.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
