package apachekafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/devstack/composefile"
)

const (
	// heapFlag bounds the JVM's heap. A test's broker uses 200 MB; three of
	// them and the tests fit a machine with 4 GB.
	heapFlag = "-Xmx512m"
	// startTimeout covers a start with a log to recover on a busy machine; an
	// idle one takes 3 s.
	startTimeout = 90 * time.Second
	// startTriesMax: another process may take a port between the search and the
	// bind; three in a row means something else is wrong.
	startTriesMax = 3
	// stopPatience is how long the server may take to flush and close.
	stopPatience = 30 * time.Second
	// readyPoll is the pause between two questions whether the server answers.
	readyPoll = 100 * time.Millisecond
	// askTimeout bounds one such question.
	askTimeout = 2 * time.Second
	// serviceName of the broker in compose.yaml.
	serviceName = "kafka"
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
	clusterID string
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
	if o.DataDir == "" {
		return nil, errors.New("start broker: no data folder given")
	}
	// Absolute, because the server runs in this folder.
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolve data folder: %w", err)
	}
	properties, err := composeProperties(o.ComposeFile)
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("java"); err != nil {
		return nil, fmt.Errorf("find Java 17 or later (or give a running broker's address): %w", err)
	}
	jars, err := fetchJars(ctx, o.CacheDir, o.Log)
	if err != nil {
		return nil, err
	}
	b := &Broker{dir: dir, jars: jars, log: o.Log}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for try := 1; ; try++ {
		err := b.first(ctx, properties, o.Properties)
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, errPortTaken) || try == startTriesMax {
			return nil, err
		}
		say(o.Log, "port was taken between search and start, trying others")
	}
}

// composeProperties is the server.properties the image makes of compose.yaml.
func composeProperties(path string) (Properties, error) {
	if path == "" {
		found, err := findUpwards("compose.yaml")
		if err != nil {
			return nil, err
		}
		path = found
	}
	env, err := composefile.ReadEnv(filepath.Join(filepath.Dir(path), ".env.example"))
	if err != nil {
		return nil, err
	}
	file, err := composefile.Read(path, env)
	if err != nil {
		return nil, err
	}
	service, found := file.Services[serviceName]
	if !found {
		return nil, fmt.Errorf("read %s: no service %q", path, serviceName)
	}
	return FromEnvironment(service.Environment), nil
}

// findUpwards returns the path of the file name in the working directory or
// the nearest folder above it.
func findUpwards(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find working directory: %w", err)
	}
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find %s: neither in the working directory nor above it", name)
		}
		dir = parent
	}
}

// first gives the broker its ports and settings, formats the folder when it is
// new, and launches.
func (b *Broker) first(ctx context.Context, compose Properties, overrides map[string]string) error {
	p := Properties{}
	for _, from := range []map[string]string{compose, overrides} {
		for name, value := range from {
			p[name] = value
		}
	}
	names, err := p.listenerNames()
	if err != nil {
		return err
	}
	ports, err := freePorts(names)
	if err != nil {
		return err
	}
	logDir := filepath.Join(b.dir, "log")
	if err := p.place(placement{ports: ports, logDir: logDir}); err != nil {
		return err
	}
	if ports[p.clientListener()] == 0 {
		return fmt.Errorf("read setting inter.broker.listener.name %q: not in listeners", p.clientListener())
	}
	b.address = loopback(ports[p.clientListener()])
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if err := os.WriteFile(b.settingsPath(), []byte(p.String()), 0o644); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	if b.clusterID, err = storedClusterID(logDir); err != nil {
		return err
	}
	if b.clusterID == "" {
		if err := b.format(ctx); err != nil {
			return err
		}
	}
	return b.launch(ctx)
}

// settingsPath is the server.properties of this broker.
func (b *Broker) settingsPath() string { return filepath.Join(b.dir, "server.properties") }

// storedClusterID reads the id a folder was formatted with, "" if it was not.
func storedClusterID(logDir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(logDir, "meta.properties"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read cluster id: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if id, found := strings.CutPrefix(strings.TrimSpace(line), "cluster.id="); found {
			return id, nil
		}
	}
	return "", fmt.Errorf("read cluster id: none in %s", logDir)
}

// format prepares an empty folder. Each gets a cluster id of its own, by which
// launch tells this broker from another one on the same port.
func (b *Broker) format(ctx context.Context) error {
	var id [16]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(id[:])
	id[0] &= 0x7f // a leading dash would read as a flag
	b.clusterID = base64.RawURLEncoding.EncodeToString(id[:])
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
		heapFlag, "-XX:+UseSerialGC", "-Djava.awt.headless=true",
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
	if len(metadata.Brokers) == 0 || metadata.Controller < 0 {
		return errors.New("ask broker: no controller yet")
	}
	if b.clusterID != "" && metadata.Cluster != b.clusterID {
		return fmt.Errorf("ask broker: cluster %q answers, want %q", metadata.Cluster, b.clusterID)
	}
	return nil
}

// Addr returns host:port for clients. It stays the same across Restart.
func (b *Broker) Addr() string { return b.address }

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

// Restart starts the server again on the same address and records, after Kill
// or Stop; one that still runs is stopped first.
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
