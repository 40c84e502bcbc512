// Package broker is the embedded Kafka-protocol broker: franz-go's kfake with a
// data directory. Acknowledged records, offsets and topics survive the end of
// the process, kill -9 included; a power cut may lose the last of them. It is
// for a laptop and for tests: one node, no replication.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Config says where the broker listens and keeps its data.
type Config struct {
	// Listen is host:port; port 0 takes a free one.
	Listen string
	// DataDir keeps topics, records and offsets; "" keeps them in memory.
	DataDir string
}

// Broker is one embedded broker. Make it with New.
type Broker struct {
	cfg   Config
	log   *zap.Logger
	ready chan struct{}
	addr  string // written before ready is closed
}

// New returns a broker that does not listen yet.
func New(cfg Config, log *zap.Logger) *Broker {
	return &Broker{cfg: cfg, log: log, ready: make(chan struct{})}
}

// Ready is closed once the broker answers.
func (b *Broker) Ready() <-chan struct{} { return b.ready }

// Addr returns the host:port it listens on; valid after Ready.
func (b *Broker) Addr() string { return b.addr }

// Run serves until ctx is done, then writes its state and closes. A port that is
// taken is an error that names it.
func (b *Broker) Run(ctx context.Context) error {
	// The listener is opened here and handed over, so that its fault is ours to
	// word and a free port is known at once.
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", b.cfg.Listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("listen on %s for the embedded Kafka broker: the port is taken by another process: %w", b.cfg.Listen, err)
		}
		return fmt.Errorf("listen on %s for the embedded Kafka broker: %w", b.cfg.Listen, err)
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.Ports(ln.Addr().(*net.TCPAddr).Port),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return ln, nil }),
		kfake.WithLogger(newLogger(b.log)),
	}
	if b.cfg.DataDir != "" {
		opts = append(opts, kfake.DataDir(b.cfg.DataDir))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return errors.Join(fmt.Errorf("open the embedded Kafka broker in %q: %w", b.cfg.DataDir, err), ln.Close())
	}
	defer cluster.Close()
	b.addr = ln.Addr().String()
	close(b.ready)
	<-ctx.Done()
	return nil
}

// linePeriod is how often one kind of warning is written: on a full disk there is
// one a request.
const linePeriod = 10 * time.Second

// logger passes kfake's warnings on; its other lines are for its own makers.
type logger struct{ log *zap.Logger }

// newLogger bounds the lines of each kind.
func newLogger(log *zap.Logger) logger {
	return logger{log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, linePeriod, 1, 0)
	}))}
}

// Logf implements kfake.Logger. The kind is the text before the first value.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	if level <= kfake.LogLevelWarn {
		kind, _, _ := strings.Cut(format, "%")
		l.log.Warn("embedded broker: "+strings.TrimRight(kind, " :"), zap.String("detail", fmt.Sprintf(format, args...)))
	}
}
