// Package kafkatest starts a Kafka-protocol broker inside the test process and
// speaks to it over TCP, so that tests run against the real client library and
// the real protocol.
//
// The broker is franz-go's kfake. It is for tests and laptops: it keeps one
// replica, and without DataDir nothing on disk. It differs from Apache Kafka
// where a test may care: it stores every topic setting but acts only on
// cleanup.policy, retention.ms, retention.bytes, delete.retention.ms,
// max.message.bytes and segment.*, so that it compacts without regard to
// min.compaction.lag.ms and acknowledges without regard to
// min.insync.replicas; it compacts all but the last batch; a member that waits
// to join for longer than its session is forgotten without an answer; and it
// hangs up on a wrong SASL password where Kafka answers with a code.
//
// It imports the packages beside it, so their tests that use it are in packages
// such as group_test.
package kafkatest

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
)

// Partitions is how many partitions the topics of Start have: enough to spread,
// few enough to be quick.
const Partitions = 4

// Start starts a broker with all topics of the default prefix, stops it with
// the test, and returns the configuration that reaches it.
func Start(tb testing.TB, opts ...kfake.Opt) kafka.Config {
	tb.Helper()
	return StartBroker(tb, opts...).Config
}

// StartVirtual is StartBroker on a network inside the process, for tests in a
// testing/synctest bubble: time there does not advance while real I/O is
// awaited.
func StartVirtual(tb testing.TB, opts ...kfake.Opt) *Broker {
	tb.Helper()
	network := new(kfake.VirtualNetwork)
	b := startCluster(tb, append([]kfake.Opt{kfake.ListenFn(network.Listen), kfake.Ports(virtualPort)}, opts...))
	b.Network, b.Config.Dial = network, network.DialContext
	b.createTopics(tb)
	return b
}

// virtualPort is the port of the broker on its own network.
const virtualPort = 9092

// Broker is a running broker.
type Broker struct {
	*kfake.Cluster
	// Config reaches it.
	Config kafka.Config
	// Network is the one of StartVirtual, for other servers of the test.
	Network *kfake.VirtualNetwork
}

// StartBroker is Start for tests that speak to the broker itself, to move
// partitions or inject faults.
func StartBroker(tb testing.TB, opts ...kfake.Opt) *Broker {
	tb.Helper()
	b := StartEmpty(tb, opts...)
	b.createTopics(tb)
	return b
}

func (b *Broker) createTopics(tb testing.TB) {
	tb.Helper()
	Make(tb, b.Config)
}

// StartEmpty starts a broker without topics, one node unless opts say otherwise.
func StartEmpty(tb testing.TB, opts ...kfake.Opt) *Broker {
	tb.Helper()
	return startCluster(tb, opts)
}

func startCluster(tb testing.TB, opts []kfake.Opt) *Broker {
	tb.Helper()
	all := append([]kfake.Opt{
		kfake.NumBrokers(1),
		kfake.GroupMinSessionTimeout(100 * time.Millisecond),
	}, opts...)
	cluster, err := kfake.NewCluster(all...)
	if err != nil {
		tb.Fatalf("start broker: %v", err)
	}
	tb.Cleanup(cluster.Close)
	cfg := kafka.Default()
	cfg.Brokers = cluster.ListenAddrs()
	cfg.Topics.Partitions = Partitions
	return &Broker{Cluster: cluster, Config: cfg}
}

// Port returns the port of the first node, to restart it there.
func (b *Broker) Port(tb testing.TB) int {
	tb.Helper()
	_, port, err := net.SplitHostPort(b.Config.Brokers[0])
	if err != nil {
		tb.Fatalf("read address of broker: %v", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		tb.Fatalf("read port of broker: %v", err)
	}
	return n
}

// Client returns a plain client that is closed with the test.
func Client(tb testing.TB, cfg kafka.Config, opts ...kgo.Opt) *kgo.Client {
	tb.Helper()
	cl, err := kafka.NewClient(cfg, Logger(tb), prometheus.NewRegistry(), opts...)
	if err != nil {
		tb.Fatalf("make client: %v", err)
	}
	tb.Cleanup(cl.CloseAllowingRebalance)
	return cl
}

// Logger returns a logger that writes to the test's log; errors only, because
// clients outlive the moment a test ends by their retries.
func Logger(tb testing.TB) *zap.Logger {
	return zaptest.NewLogger(tb, zaptest.Level(zap.ErrorLevel))
}

// Produce writes recs and fails the test unless all are acknowledged.
func Produce(tb testing.TB, cfg kafka.Config, recs ...*kgo.Record) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	cl := Client(tb, cfg, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.ProducerLinger(0))
	defer cl.Close()
	if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		tb.Fatalf("produce: %v", err)
	}
}

// ReadAll returns every record that is in topic now, each partition in order.
func ReadAll(tb testing.TB, cfg kafka.Config, topic string) []*kgo.Record {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	want := Ends(tb, cfg, topic)
	cl := Client(tb, cfg, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(fetchWait))
	defer cl.Close()
	next := Starts(tb, cfg, topic)
	var recs []*kgo.Record
	for !reached(next, want) {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			tb.Fatalf("read %q: %v (at %v of %v)", topic, err, next, want)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset < want[r.Partition] {
				recs = append(recs, r)
			}
			next[r.Partition] = r.Offset + 1
		})
	}
	return recs
}

// fetchWait is how long the broker holds an empty answer in tests.
const fetchWait = 50 * time.Millisecond

func reached(next, want map[int32]int64) bool {
	for p, end := range want {
		if next[p] < end {
			return false
		}
	}
	return true
}

// Delete deletes topics, and with them what groups committed for them.
func Delete(tb testing.TB, cfg kafka.Config, topics ...string) {
	tb.Helper()
	operate(tb, cfg, "delete topics", func(ctx context.Context, adm *kadm.Client) error {
		answers, err := adm.DeleteTopics(ctx, topics...)
		return errors.Join(err, answers.Error())
	})
}

// Remake deletes topics and makes them anew, empty, with other ids.
func Remake(tb testing.TB, cfg kafka.Config, topics ...string) {
	tb.Helper()
	Delete(tb, cfg, topics...)
	Make(tb, cfg)
}

// Make makes the topics that are missing.
func Make(tb testing.TB, cfg kafka.Config) {
	tb.Helper()
	cl := Client(tb, cfg)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	if err := admin.Apply(ctx, cl, cfg, zap.NewNop()); err != nil {
		tb.Fatalf("make topics: %v", err)
	}
}

// AddPartitions gives topics n partitions more.
func AddPartitions(tb testing.TB, cfg kafka.Config, n int, topics ...string) {
	tb.Helper()
	operate(tb, cfg, "add partitions", func(ctx context.Context, adm *kadm.Client) error {
		answers, err := adm.CreatePartitions(ctx, n, topics...)
		return errors.Join(err, answers.Error())
	})
}

// DeleteRecords deletes the records of topic before offset, in every partition.
func DeleteRecords(tb testing.TB, cfg kafka.Config, topic string, offset int64) {
	tb.Helper()
	before := kadm.Offsets{}
	for p := range Ends(tb, cfg, topic) {
		before.Add(kadm.Offset{Topic: topic, Partition: p, At: offset, LeaderEpoch: -1})
	}
	operate(tb, cfg, "delete records", func(ctx context.Context, adm *kadm.Client) error {
		answers, err := adm.DeleteRecords(ctx, before)
		return errors.Join(err, answers.Error())
	})
}

// Commit sets the offset of group in every partition of topic.
func Commit(tb testing.TB, cfg kafka.Config, group, topic string, offset int64) {
	tb.Helper()
	at := kadm.Offsets{}
	for p := range Ends(tb, cfg, topic) {
		at.Add(kadm.Offset{Topic: topic, Partition: p, At: offset, LeaderEpoch: -1})
	}
	operate(tb, cfg, "commit offsets", func(ctx context.Context, adm *kadm.Client) error {
		answers, err := adm.CommitOffsets(ctx, group, at)
		return errors.Join(err, answers.Error())
	})
}

// DeleteGroup deletes a group without members.
func DeleteGroup(tb testing.TB, cfg kafka.Config, group string) {
	tb.Helper()
	operate(tb, cfg, "delete group", func(ctx context.Context, adm *kadm.Client) error {
		_, err := adm.DeleteGroup(ctx, group)
		return err
	})
}

func operate(tb testing.TB, cfg kafka.Config, what string, do func(ctx context.Context, adm *kadm.Client) error) {
	tb.Helper()
	cl := Client(tb, cfg)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	if err := do(ctx, kadm.NewClient(cl)); err != nil {
		tb.Fatalf("%s: %v", what, err)
	}
}

// Ends returns the end offset of every partition of topic.
func Ends(tb testing.TB, cfg kafka.Config, topic string) map[int32]int64 {
	tb.Helper()
	return offsets(tb, cfg, topic, (*kadm.Client).ListEndOffsets)
}

// Starts returns the first offset of every partition of topic.
func Starts(tb testing.TB, cfg kafka.Config, topic string) map[int32]int64 {
	tb.Helper()
	return offsets(tb, cfg, topic, (*kadm.Client).ListStartOffsets)
}

func offsets(tb testing.TB, cfg kafka.Config, topic string, list func(*kadm.Client, context.Context, ...string) (kadm.ListedOffsets, error)) map[int32]int64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	cl := Client(tb, cfg)
	defer cl.Close()
	listed, err := list(kadm.NewClient(cl), ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		tb.Fatalf("list offsets of %q: %v", topic, err)
	}
	out := map[int32]int64{}
	for p, o := range listed[topic] {
		out[p] = o.Offset
	}
	return out
}

// Committed returns the committed offsets of group in topic; a partition
// without a commit is absent.
func Committed(tb testing.TB, cfg kafka.Config, group, topic string) map[int32]int64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	cl := Client(tb, cfg)
	defer cl.Close()
	answers, err := kadm.NewClient(cl).FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return map[int32]int64{}
	}
	if err != nil {
		tb.Fatalf("fetch offsets of group %q: %v", group, err)
	}
	out := map[int32]int64{}
	answers.Each(func(o kadm.OffsetResponse) {
		if o.Err != nil {
			tb.Fatalf("fetch offsets of group %q: %v", group, o.Err)
		}
		if o.Topic == topic && o.At >= 0 {
			out[o.Partition] = o.At
		}
	})
	return out
}

// TopicIDs returns the names of all topics by their IDs, which newer requests
// carry instead.
func TopicIDs(tb testing.TB, cfg kafka.Config) map[[16]byte]string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	cl := Client(tb, cfg)
	defer cl.Close()
	details, err := kadm.NewClient(cl).ListTopics(ctx)
	if err != nil {
		tb.Fatalf("list topics: %v", err)
	}
	out := make(map[[16]byte]string, len(details))
	for name, d := range details {
		out[d.ID] = name
	}
	return out
}

// Silent returns a logger for tests in which faults are the point.
func Silent() *zap.Logger { return zap.NewNop() }
