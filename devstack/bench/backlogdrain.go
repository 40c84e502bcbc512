package bench

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
)

//go:embed sql
var drainSQL embed.FS

// drain is what all measurements share.
type drain struct {
	opt     Options
	broker  *broker.Broker
	engine  *engine.Engine
	brokers string
	groups  *kadm.Client
}

// drainParts run beside the measurements: broker and engine.
const drainParts = 2

// run is one measurement.
type run struct {
	name    string // of its database
	members int    // of its group
	cfg     pipeline.Config
}

// group returns the consumer group.
func (r run) group() string { return r.cfg.Kafka.Group("analytics") }

// newDrain starts broker and engine and makes the topics.
func newDrain(ctx context.Context, opt Options) (*drain, func(), error) {
	dir, err := os.MkdirTemp("", "mailstream-drain-")
	if err != nil {
		return nil, nil, fmt.Errorf("make folder for the benchmark: %w", err)
	}
	ec := engine.Default()
	ec.Listen, ec.DataDir = "127.0.0.1:0", filepath.Join(dir, "clickhouse")
	eng, err := engine.New(ec, nil)
	if err != nil {
		return nil, nil, err
	}
	d := &drain{opt: opt, engine: eng, broker: broker.New(broker.Config{Listen: "127.0.0.1:0"}, zap.NewNop())}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, drainParts)
	go func() { ended <- d.broker.Run(ctx) }()
	go func() { ended <- d.engine.Run(ctx) }()
	stop := func() {
		cancel()
		err := errors.Join(<-ended, <-ended, os.RemoveAll(dir))
		if err != nil {
			opt.Progress("clean up: " + err.Error())
		}
	}
	for _, ready := range []<-chan struct{}{d.broker.Ready(), d.engine.Ready()} {
		select {
		case <-ready:
		case err := <-ended:
			ended <- err
			stop()
			return nil, nil, fmt.Errorf("start broker and engine: %w", err)
		}
	}
	d.brokers = d.broker.Addr()
	cfg, err := d.config("drain")
	if err == nil {
		err = pipeline.ApplyTopics(ctx, cfg, zap.NewNop())
	}
	if err == nil {
		d.groups, err = kadm.NewOptClient(kgo.SeedBrokers(d.brokers))
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return d, func() { d.groups.Close(); stop() }, nil
}

// config returns the configuration of one run.
func (d *drain) config(name string) (pipeline.Config, error) {
	text := fmt.Sprintf(`
kafka: {brokers: [%q], group_prefix: %s-, topics: {partitions: %d}}
clickhouse: {url: %q, database: %s}
analytics: {listen: "127.0.0.1:0"}
privacy: {pepper: a-pepper-for-benchmarks}
ingress: {listen: "127.0.0.1:0", sources: [{name: bench, provider: mailjet, auth: {basic: {username: bench, password: bench}}}]}
log: {level: error}
`, d.brokers, name, drainPartitions, d.engine.URL(), name)
	cfg, _, err := pipeline.Load(pipeline.Input{File: []byte(text), Name: "benchmark", Services: []pipeline.Name{pipeline.Ingress, pipeline.Analytics}})
	return cfg, err
}

// drainPartitions of each topic.
const drainPartitions = 4

// fill writes the backlog.
func (d *drain) fill(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(d.brokers), kgo.ProducerLinger(5*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer client.Close()
	var failed error
	for n := range d.opt.Events {
		client.Produce(ctx, backlogRecord(n), func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return fmt.Errorf("fill topics: %w", err)
	}
	if failed != nil {
		return fmt.Errorf("fill topics: %w", failed)
	}
	return nil
}

// measure drains everything into a fresh database.
func (d *drain) measure(ctx context.Context, name string, members int, start func(context.Context, run) (func() error, error)) (got sample, err error) {
	r := run{name: name, members: members}
	if r.cfg, err = d.config(name); err != nil {
		return got, err
	}
	if err := pipeline.MigrateTables(ctx, r.cfg, zap.NewNop()); err != nil {
		return got, err
	}
	stop, err := start(ctx, r)
	if err != nil {
		return got, err
	}
	got, err = d.watch(ctx, r)
	if err := errors.Join(err, stop()); err != nil {
		return got, err
	}
	ids, err := d.number(ctx, r, "drained_events")
	if err == nil && ids != d.opt.Events {
		err = fmt.Errorf("count: %d of %d events are stored", ids, d.opt.Events)
	}
	if err == nil {
		_, err = d.ask(ctx, "", "drained_drop", "{{database}}", name)
	}
	return got, err
}

const (
	watchStep  = 20 * time.Millisecond
	drainLimit = 5 * time.Minute
)

// watch returns the rate from when the group has its partitions to the time when
// all but less than a block are stored, and then waits for the rest: the last block
// is held back for company, which says nothing of the rate. A clock that begins with
// the first rows measures too much when two consumers store half of all at once.
func (d *drain) watch(ctx context.Context, r run) (got sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	if err := d.assigned(ctx, r); err != nil {
		return got, err
	}
	began, used := time.Now(), d.processorTime()
	for {
		rows, err := d.number(ctx, r, "drained_rows")
		if err != nil {
			return got, fmt.Errorf("watch rows: %w", err)
		}
		if got.rate == 0 && rows >= d.opt.Events-blockRows {
			took, busy := time.Since(began), d.processorTime()-used
			got = sample{rate: float64(rows) / took.Seconds(), perCPU: float64(rows) / max(busy.Seconds(), 1e-9)}
		}
		if rows >= d.opt.Events {
			return got, nil
		}
		select {
		case <-time.After(watchStep):
		case <-ctx.Done():
			return got, fmt.Errorf("watch rows: %d of %d: %w", rows, d.opt.Events, ctx.Err())
		}
	}
}

// assigned waits until each member of the group has partitions.
func (d *drain) assigned(ctx context.Context, r run) error {
	for {
		groups, err := d.groups.DescribeGroups(ctx, r.group())
		if err != nil {
			return fmt.Errorf("describe group %s: %w", r.group(), err)
		}
		if g := groups[r.group()]; g.State == "Stable" && len(g.Members) == r.members {
			return nil
		}
		select {
		case <-time.After(watchStep):
		case <-ctx.Done():
			return fmt.Errorf("wait for %d members of group %s: %w", r.members, r.group(), ctx.Err())
		}
	}
}

// blockRows is what the Kafka engine collects by default before it inserts
// (max_insert_block_size / 16, less what a poll may overshoot).
const blockRows = 65_409

// processorTime returns what this process and the engine's child have used, 0
// where the system has no /proc.
func (d *drain) processorTime() time.Duration {
	return processTime(os.Getpid()) + processTime(d.engine.Process())
}

// Fields of /proc/PID/stat after the name, proc(5), and their unit.
const (
	statUser   = 11
	statSystem = 12
	statTick   = 10 * time.Millisecond
)

func processTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= statSystem {
		return 0
	}
	var ticks int64
	for _, i := range []int{statUser, statSystem} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * statTick
}

func (d *drain) startAnalytics(ctx context.Context, r run) (func() error, error) {
	svc, err := pipeline.New(r.cfg, pipeline.Analytics, zap.NewNop())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }()
	stop := func() error {
		cancel()
		return <-ended
	}
	select {
	case <-svc.Ready():
		return stop, nil
	case err := <-ended:
		ended <- nil
		return nil, errors.Join(err, stop())
	}
}

func (d *drain) startKafkaEngine(consumers, threads int) func(context.Context, run) (func() error, error) {
	return func(ctx context.Context, r run) (func() error, error) {
		_, err := d.ask(ctx, r.name, "queue",
			"{{brokers}}", d.brokers,
			"{{topics}}", strings.Join(schemas.EventTopics(schemas.DefaultTopicPrefix), ","),
			"{{group}}", r.group(),
			"{{consumers}}", strconv.Itoa(consumers),
			"{{threads}}", strconv.Itoa(threads))
		if err == nil {
			_, err = d.ask(ctx, r.name, "queue_fill")
		}
		return func() error {
			_, err := d.ask(ctx, r.name, "queue_stop")
			_, err2 := d.ask(ctx, r.name, "queue_drop")
			return errors.Join(err, err2)
		}, err
	}
}

func (d *drain) number(ctx context.Context, r run, file string) (int, error) {
	text, err := d.ask(ctx, r.name, file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// ask runs the statement of a file, with its variables replaced, and returns the
// answer as text.
func (d *drain) ask(ctx context.Context, database, file string, variables ...string) (string, error) {
	return askSQL(ctx, d.engine.URL(), database, file, variables...)
}

// askSQL does that at a server.
func askSQL(ctx context.Context, to, database, file string, variables ...string) (string, error) {
	text, err := drainSQL.ReadFile(path.Join("sql", file+".sql"))
	if err != nil {
		return "", fmt.Errorf("open statement: %w", err)
	}
	if database != "" {
		to += "/?" + url.Values{"database": {database}}.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(strings.NewReplacer(variables...).Replace(string(text))))
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("run %s.sql: %w", file, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("run %s.sql: %s: %s", file, res.Status, strings.TrimSpace(string(body)))
	}
	return strings.TrimSpace(string(body)), err
}
