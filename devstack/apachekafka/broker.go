package apachekafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// heapFlag bounds the JVM's heap. A test's broker uses 200 MB; three of
	// them and the tests fit a machine with 4 GB.
	heapFlag = "-Xmx512m"
	// quickFlag keeps the JVM from compiling for speed it needs after minutes:
	// tests start brokers far more often than they load them.
	quickFlag = "-XX:TieredStopAtLevel=1"
	// startTimeout covers a start with a log to recover on a busy machine; an
	// idle one takes 3 s.
	startTimeout = 90 * time.Second
	// stopPatience is how long the server may take to flush and close.
	stopPatience = 30 * time.Second
	// readyPoll is the pause between two questions whether the server answers.
	readyPoll = 100 * time.Millisecond
	// askTimeout bounds one such question.
	askTimeout = 2 * time.Second
)

// ErrExternal is what Kill and Restart return for a broker that Start did not
// start.
var ErrExternal = errors.New("broker is not ours to stop")

// errPortTaken is the end of a server that found its port taken.
var errPortTaken = errors.New("port is taken")

// Options of Start. DataDir is required unless Address is given.
type Options struct {
	// Address is host:port of a broker that runs already, as KAFKA_BROKERS has
	// it. Start then only waits until it answers. Empty: start one.
	Address string
	// DataDir holds everything of the broker and is created when absent. A
	// folder that a broker has used before continues with its records.
	DataDir string
	// ComposeFile has the broker's settings in the environment of its service
	// "kafka". Empty: compose.yaml in the working directory or above it.
	ComposeFile string
	// Properties overrule settings by their name in server.properties.
	Properties map[string]string
	// CacheDir holds the jars. Empty: the user's cache folder.
	CacheDir string
	// Log takes the broker's log and what Start says while it fetches. It is
	// written to until Stop or Kill has returned. Nil: discarded.
	Log io.Writer
}

// Broker is one Apache Kafka server, broker and controller in one. Its methods
// are for one goroutine at a time.
type Broker struct {
	address   string
	ports     map[string]int // by listener; nil when it is not ours
	clusterID string         // "" when any cluster may answer
	id        int32          // node id, 0 when not known
	dir       string
	jars      string
	log       io.Writer
	process   *process // nil when it does not run or is not ours
	external  bool
}

// Start starts a broker and returns when it answers. The caller ends it with
// Stop or Kill; the end of the calling process ends it too.
func Start(ctx context.Context, o Options) (*Broker, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Address != "" {
		b := &Broker{address: o.Address, log: o.Log, external: true}
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		if err := b.awaitAnswer(ctx); err != nil {
			return nil, err
		}
		return b, nil
	}
	plan, err := newPlan(ctx, o)
	if err != nil {
		return nil, err
	}
	brokers, err := plan.start(ctx, []string{plan.dir})
	if err != nil {
		return nil, err
	}
	return brokers[0], nil
}

// settingsPath is the server.properties of this broker.
func (b *Broker) settingsPath() string { return filepath.Join(b.dir, "server.properties") }

// format prepares an empty folder for the cluster.
func (b *Broker) format(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "java", b.javaFlags("kafka.tools.StorageTool",
		"format", "--cluster-id="+b.clusterID, "--config", b.settingsPath())...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format data folder: %w\n%s", err, out)
	}
	return nil
}

// javaFlags is the java command line for one of Kafka's main classes.
func (b *Broker) javaFlags(class string, args ...string) []string {
	return append([]string{
		heapFlag, quickFlag, "-XX:+UseSerialGC", "-Djava.awt.headless=true",
		"-Dlog4j2.configurationFile=" + filepath.Join(b.jars, "log4j2.properties"),
		"-cp", filepath.Join(b.jars, "*"), class,
	}, args...)
}

// launch starts the JVM and waits until it answers.
func (b *Broker) launch(ctx context.Context) error {
	log := &tailBuffer{next: b.log}
	process, err := startProcess(b.dir, log, append([]string{"java"}, b.javaFlags("kafka.Kafka", b.settingsPath())...)...)
	if err != nil {
		return err
	}
	answered := make(chan error, 1)
	asking, stopAsking := context.WithCancel(ctx)
	defer stopAsking()
	go func() { answered <- b.awaitAnswer(asking) }()
	select {
	case err = <-answered:
		if err == nil {
			b.process = process
			return nil
		}
		err = errors.Join(err, process.kill())
	case <-process.exited:
		err = fmt.Errorf("start broker: it ended: %w", exitError(process.err))
		// The JVM has no exit code for it, only these words in its log.
		if strings.Contains(log.String(), "Address already in use") {
			err = errors.Join(errPortTaken, err)
		}
	}
	return fmt.Errorf("%w\n%s", err, log.String())
}

// exitError makes the rare clean exit an error too.
func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// awaitAnswer returns when the broker names its cluster and a controller.
func (b *Broker) awaitAnswer(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(b.address, ",")...), kgo.RetryTimeout(askTimeout))
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer client.Close()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := b.ask(ctx, kadm.NewClient(client))
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for broker %s: %w (last answer: %w)", b.address, ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// ask asks once whether the broker is up and the one meant.
func (b *Broker) ask(ctx context.Context, client *kadm.Client) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	metadata, err := client.BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("ask broker: %w", err)
	}
	if metadata.Controller < 0 || b.id != 0 && !slices.Contains(metadata.Brokers.NodeIDs(), b.id) {
		return fmt.Errorf("ask broker: it knows the brokers %v, not yet itself", metadata.Brokers.NodeIDs())
	}
	if b.clusterID != "" && metadata.Cluster != b.clusterID {
		return fmt.Errorf("ask broker: cluster %q answers, want %q", metadata.Cluster, b.clusterID)
	}
	return nil
}

// Addr returns host:port for clients. It stays the same across Restart.
func (b *Broker) Addr() string { return b.address }

// Listener returns host:port of the listener called name in the setting
// listeners, EXTERNAL for one, "" when there is none or the broker is not ours.
func (b *Broker) Listener(name string) string {
	port, known := b.ports[name]
	if !known {
		return ""
	}
	return loopback(port)
}

// Tool returns the command that runs one of Kafka's own command-line classes,
// org.apache.kafka.tools.AclCommand for one, as its shell scripts do.
func (b *Broker) Tool(ctx context.Context, class string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "java", b.javaFlags(class, args...)...)
}

// Kill ends the server with SIGKILL, as a crash would. Killing one that does
// not run does nothing. The Restart after it waits until Kafka has given up the
// dead server's session: 9 s, unless broker.session.timeout.ms says otherwise.
func (b *Broker) Kill() error {
	if b.external {
		return fmt.Errorf("kill broker %s: %w", b.address, ErrExternal)
	}
	if b.process == nil {
		return nil
	}
	p := b.process
	b.process = nil
	return p.kill()
}

// Stop ends the server in order, by force if it takes longer than half a
// minute. Stopping one that does not run, or is not ours, does nothing.
func (b *Broker) Stop() error {
	if b.process == nil {
		return nil
	}
	p := b.process
	b.process = nil
	return p.stop(stopPatience)
}

// Restart starts the server on the same address and records, after Kill or
// Stop; a running one is stopped first.
func (b *Broker) Restart(ctx context.Context) error {
	if b.external {
		return fmt.Errorf("restart broker %s: %w", b.address, ErrExternal)
	}
	if err := b.Stop(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return b.launch(ctx)
}
