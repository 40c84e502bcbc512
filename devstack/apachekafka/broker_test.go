//go:build kafka

package apachekafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/devstack/composefile"
)

// quickRestart lets a killed broker register again after two seconds instead of
// nine.
var quickRestart = map[string]string{"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}

// start starts a broker in dir and stops it with the test.
func start(t *testing.T, dir string) *Broker {
	t.Helper()
	b, err := Start(t.Context(), Options{DataDir: dir, Log: t.Output(), Properties: quickRestart})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// client makes a client that gives up after the deadline.
func client(t *testing.T, b *Broker, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addr()), kgo.RecordDeliveryTimeout(deadline)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// produce writes the values to topic and waits for every acknowledgement.
func produce(t *testing.T, b *Broker, topic string, values ...string) {
	t.Helper()
	c := client(t, b)
	for _, v := range values {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatalf("produce %q: %v", v, err)
		}
	}
}

// consume reads n values of topic from its start.
func consume(t *testing.T, b *Broker, topic string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c := client(t, b, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var values []string
	for len(values) < n {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("consume: %v, have %q", err, values)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

// createTopic makes a topic of one partition, so that its order is total.
func createTopic(t *testing.T, b *Broker, topic string) {
	t.Helper()
	if _, err := kadm.NewClient(client(t, b)).CreateTopic(t.Context(), 1, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

func TestBroker_KeepsAcknowledgedRecordsThroughKillAndStop(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a folder with spaces")
	b := start(t, dir)
	createTopic(t, b, "email.bounced")
	produce(t, b, "email.bounced", "one", "two")
	addr := b.Addr()

	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := b.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.Addr() != addr {
		t.Errorf("address after Restart = %s, want %s as before", b.Addr(), addr)
	}
	produce(t, b, "email.bounced", "three")

	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir)
	want := []string{"one", "two", "three"}
	if diff := cmp.Diff(want, consume(t, again, "email.bounced", len(want))); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestBroker_RunsWithTheSettingsOfComposeFile(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	admin := kadm.NewClient(client(t, b))
	configs, err := admin.DescribeBrokerConfigs(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range configs[0].Configs {
		got[c.Key] = c.MaybeValue()
	}
	for name, want := range composeSettings(t) {
		switch name {
		case "listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs":
			continue // what a test machine changes
		}
		if got[name] != want {
			t.Errorf("broker runs with %s=%q, compose.yaml has %q", name, got[name], want)
		}
	}
	// Without automatic topics, a wrong name is an error.
	err = client(t, b, kgo.UnknownTopicRetries(1)).ProduceSync(t.Context(), &kgo.Record{Topic: "email.bonced"}).FirstErr()
	if err == nil {
		t.Error("a record for a topic that does not exist was accepted")
	}
}

// composeSettings is the broker's environment of compose.yaml as properties.
func composeSettings(t *testing.T) Properties {
	t.Helper()
	p, err := composeProperties(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The image's own translator is among the jars, so ours is held to it.
func TestFromEnvironment_AgreesWithTheImagesOwnCode(t *testing.T) {
	t.Parallel()
	jars, err := fetchJars(t.Context(), "", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	file, err := composefile.Read(t.Context(), "../../compose.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	variables := map[string]string{
		"PATH": os.Getenv("PATH"), "KAFKA_OPTS": "", "KAFKA_TEST_A__B___C": "d", "KAFKA_TEST____E": "f",
	}
	maps.Copy(variables, file.Services[serviceName].Environment.ToMapping())
	variables["KAFKA_LOG_DIRS"] = filepath.Join(dir, "log")
	for _, sub := range []string{"defaults", "mounted", "final"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"server.properties", "log4j2.yaml", "tools-log4j2.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, "defaults", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "java", "-cp", filepath.Join(jars, "*"), "kafka.docker.KafkaDockerWrapper", "setup",
		"--default-configs-dir", filepath.Join(dir, "defaults"),
		"--mounted-configs-dir", filepath.Join(dir, "mounted"),
		"--final-configs-dir", filepath.Join(dir, "final"))
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("image's setup: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "final", "server.properties"))
	if err != nil {
		t.Fatal(err)
	}
	want := Properties{}
	for line := range bytes.Lines(text) {
		if name, value, found := bytes.Cut(bytes.TrimSpace(line), []byte("=")); found {
			want[string(name)] = string(value)
		}
	}
	if diff := cmp.Diff(want, FromEnvironment(variables)); diff != "" {
		t.Errorf("properties (-image +ours):\n%s", diff)
	}
}

func TestBroker_DiesWithItsParent(t *testing.T) {
	t.Parallel()
	parent, group := startHolder(t, t.TempDir())
	if gone(-group) {
		t.Fatal("the held broker does not run")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, -group)
}

func TestStart_SaysWhatTheServerSaidWhenItEnds(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{DataDir: t.TempDir(), Log: t.Output(), Properties: map[string]string{"num.partitions": "none"}})
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("num.partitions")) {
		t.Errorf("Start = %v, want an error that names the setting", err)
	}
}

func TestStart_UsesTheBrokerGiven(t *testing.T) {
	t.Parallel()
	own := start(t, t.TempDir())
	given, err := Start(t.Context(), Options{Address: own.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	if given.Addr() != own.Addr() {
		t.Errorf("Addr = %s, want %s", given.Addr(), own.Addr())
	}
	if err := given.Kill(); !errors.Is(err, ErrExternal) {
		t.Errorf("Kill = %v, want ErrExternal", err)
	}
	if err := errors.Join(given.Stop(), given.Stop()); err != nil {
		t.Errorf("Stop = %v, want nothing to happen", err)
	}
	createTopic(t, own, "still.there")
}

func TestFetchJars_OnceForAllWhoAskAtTheSameTime(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "cache")
	const askers = 4
	logs := make([]bytes.Buffer, askers)
	errs := make(chan error, askers)
	for i := range askers {
		go func() {
			_, err := fetchJars(t.Context(), cache, &logs[i])
			errs <- err
		}()
	}
	for range askers {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	fetches := 0
	for i := range logs {
		fetches += bytes.Count(logs[i].Bytes(), []byte("fetching Apache Kafka"))
	}
	if fetches != 1 {
		t.Errorf("%d fetches for %d askers, want 1", fetches, askers)
	}
	jars, err := filepath.Glob(filepath.Join(cache, "kafka-"+Version, "*.jar"))
	if err != nil || len(jars) < 50 {
		t.Errorf("%d jars, %v, want the server's 92", len(jars), err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "*.tmp-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary folders left: %v, %v", left, err)
	}
}

func TestFetchJars_WaitsForTheLockOnlyAsLongAsItMay(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	unlock, err := lockFile(t.Context(), filepath.Join(cache, "kafka-"+Version+".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := fetchJars(ctx, cache, t.Output()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("fetchJars = %v, want the deadline", err)
	}
}

func ExampleStart() {
	b, err := Start(context.Background(), Options{DataDir: "/tmp/kafka-example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("point a client at", b.Addr())
	if err := b.Stop(); err != nil {
		fmt.Println(err)
	}
}

func TestRestart_TellsATakenPortFromOtherFaults(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }() // nothing was accepted
	if err := b.Restart(t.Context()); !errors.Is(err, errPortTaken) {
		t.Errorf("Restart = %v, want errPortTaken", err)
	}
}
