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
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
)

//go:embed sql
var drainSQL embed.FS

// Options shape one run of Drain. The zero value of a field takes its default.
type Options struct {
	// Events on the topics, about 1 KB each. Default 400_000.
	Events int
	// Rounds is how often each way is measured, in turn. Default 3.
	Rounds int
	// Progress, when not nil, is told each measurement as it ends.
	Progress func(line string)
}

// Report is the medians over the rounds, in rows a second.
type Report struct {
	Ours float64 // the analytics service
	// KafkaEngine is ClickHouse's own Kafka engine as its documentation has it,
	// one consumer.
	KafkaEngine float64
	// KafkaEngineTuned is the same with a consumer and a thread for each core.
	KafkaEngineTuned float64
}

// Ratio is ours over the Kafka engine's; budget 2.
func (r Report) Ratio() float64 { return r.Ours / r.KafkaEngine }

// TunedRatio is ours over the tuned Kafka engine's.
func (r Report) TunedRatio() float64 { return r.Ours / r.KafkaEngineTuned }

func (o Options) withDefaults() Options {
	if o.Events == 0 {
		o.Events = 400_000
	}
	if o.Rounds == 0 {
		o.Rounds = 3
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// Drain measures how fast a backlog gets from Kafka into ClickHouse, by the
// analytics service and by ClickHouse's own Kafka engine, from the same topics
// into the same tables of fresh databases on one engine, in turn. The time is
// from the first row that is there to the last, so neither pays for joining its
// group. The calling program must be able to be the engine's child.
func Drain(ctx context.Context, opt Options) (Report, error) {
	opt = opt.withDefaults()
	d, stop, err := newDrain(ctx, opt)
	if err != nil {
		return Report{}, err
	}
	defer stop()
	ways := []struct {
		name  string
		start func(context.Context, run) (func() error, error)
	}{
		{"analytics", d.startAnalytics},
		{"kafka engine", d.startKafkaEngine(1, 0)},
		{"kafka engine, tuned", d.startKafkaEngine(tunedConsumers, 1)},
	}
	rates := make([][]float64, len(ways))
	for round := range opt.Rounds {
		for i, way := range ways {
			rate, err := d.measure(ctx, fmt.Sprintf("drain_%d_%d", round, i), way.start)
			if err != nil {
				return Report{}, fmt.Errorf("measure %s: %w", way.name, err)
			}
			opt.Progress(fmt.Sprintf("round %d/%d: %-22s %9.0f rows/s", round+1, opt.Rounds, way.name, rate))
			rates[i] = append(rates[i], rate)
		}
	}
	for i := range rates {
		slices.Sort(rates[i])
	}
	mid := opt.Rounds / 2
	return Report{Ours: rates[0][mid], KafkaEngine: rates[1][mid], KafkaEngineTuned: rates[2][mid]}, nil
}

// tunedConsumers is as many as the small machines have cores, more than which
// the Kafka engine refuses.
const tunedConsumers = 2

// drain is what all measurements share.
type drain struct {
	opt     Options
	broker  *broker.Broker
	engine  *engine.Engine
	brokers string
}

// run is one measurement.
type run struct {
	name string // of its database and its group
	cfg  pipeline.Config
}

// newDrain starts broker and engine and fills the topics.
func newDrain(ctx context.Context, opt Options) (*drain, func(), error) {
	dir, err := os.MkdirTemp("", "mailstream-drain-")
	if err != nil {
		return nil, nil, fmt.Errorf("make folder for the benchmark: %w", err)
	}
	ec := engine.Default()
	ec.Listen, ec.DataDir = "127.0.0.1:0", filepath.Join(dir, "clickhouse")
	eng, err := engine.New(ec, zap.NewNop())
	if err != nil {
		return nil, nil, err
	}
	d := &drain{opt: opt, engine: eng, broker: broker.New(broker.Config{Listen: "127.0.0.1:0"}, zap.NewNop())}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 2)
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
	if err := d.fill(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return d, stop, nil
}

// config returns the configuration of one run.
func (d *drain) config(name string) (pipeline.Config, error) {
	text := fmt.Sprintf(`
kafka: {brokers: [%q], group_prefix: %s-, topics: {partitions: %d}}
clickhouse: {url: %q, database: %s}
analytics: {listen: "127.0.0.1:0"}
log: {level: error}
`, d.brokers, name, drainPartitions, d.engine.URL(), name)
	cfg, _, err := pipeline.Load(pipeline.Input{File: []byte(text), Name: "benchmark", Services: []pipeline.Name{pipeline.Analytics}})
	return cfg, err
}

// drainPartitions of each topic.
const drainPartitions = 4

func (d *drain) fill(ctx context.Context) error {
	cfg, err := d.config("drain")
	if err != nil {
		return err
	}
	if err := pipeline.ApplyTopics(ctx, cfg, zap.NewNop()); err != nil {
		return err
	}
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

// measure drains everything into a fresh database and returns rows a second.
func (d *drain) measure(ctx context.Context, name string, start func(context.Context, run) (func() error, error)) (rate float64, err error) {
	r := run{name: name}
	if r.cfg, err = d.config(name); err != nil {
		return 0, err
	}
	if err := pipeline.MigrateTables(ctx, r.cfg, zap.NewNop()); err != nil {
		return 0, err
	}
	stop, err := start(ctx, r)
	if err != nil {
		return 0, err
	}
	rate, err = d.watch(ctx, r)
	if err := errors.Join(err, stop()); err != nil {
		return 0, err
	}
	ids, err := d.number(ctx, r, "SELECT uniqExact(id) FROM event_log")
	if err == nil && ids != d.opt.Events {
		err = fmt.Errorf("count: %d of %d events are stored", ids, d.opt.Events)
	}
	if err == nil {
		_, err = d.ask(ctx, "", "DROP DATABASE "+name)
	}
	return rate, err
}

const (
	watchStep  = 20 * time.Millisecond
	drainLimit = 5 * time.Minute
)

// watch returns the rate between the first row and the last.
func (d *drain) watch(ctx context.Context, r run) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	var began time.Time
	var first int
	for {
		rows, err := d.number(ctx, r, "SELECT total_rows FROM system.tables WHERE database = currentDatabase() AND name = 'event_log'")
		if err != nil {
			return 0, fmt.Errorf("watch rows: %w", err)
		}
		now := time.Now()
		switch {
		case rows >= d.opt.Events && rows == first:
			return 0, fmt.Errorf("watch rows: %d came in one block: too few events to measure", rows)
		case began.IsZero() && rows > 0:
			began, first = now, rows
		case rows >= d.opt.Events:
			return float64(rows-first) / now.Sub(began).Seconds(), nil
		}
		select {
		case <-time.After(watchStep):
		case <-ctx.Done():
			return 0, fmt.Errorf("watch rows: %d of %d: %w", rows, d.opt.Events, ctx.Err())
		}
	}
}

func (d *drain) startAnalytics(ctx context.Context, r run) (func() error, error) {
	svc, err := pipeline.New(r.cfg, pipeline.Analytics, zap.NewNop())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}, nil
}

func (d *drain) startKafkaEngine(consumers, threads int) func(context.Context, run) (func() error, error) {
	return func(ctx context.Context, r run) (func() error, error) {
		fill := strings.NewReplacer(
			"{{brokers}}", d.brokers,
			"{{topics}}", strings.Join(schemas.EventTopics(schemas.DefaultTopicPrefix), ","),
			"{{group}}", r.name,
			"{{consumers}}", strconv.Itoa(consumers),
			"{{threads}}", strconv.Itoa(threads),
		)
		for _, file := range []string{"sql/queue.sql", "sql/queue_fill.sql"} {
			text, err := drainSQL.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("open %s: %w", file, err)
			}
			if _, err := d.ask(ctx, r.name, fill.Replace(string(text))); err != nil {
				return nil, fmt.Errorf("start kafka engine: %w", err)
			}
		}
		return func() error {
			_, err := d.ask(ctx, r.name, "DROP TABLE queue_fill")
			_, err2 := d.ask(ctx, r.name, "DROP TABLE queue")
			return errors.Join(err, err2)
		}, nil
	}
}

func (d *drain) number(ctx context.Context, r run, query string) (int, error) {
	text, err := d.ask(ctx, r.name, query)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// ask runs one statement and returns the answer as text.
func (d *drain) ask(ctx context.Context, database, query string) (string, error) {
	to := d.engine.URL() + "/?" + url.Values{"database": {database}}.Encode()
	if database == "" {
		to = d.engine.URL()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(query))
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, strings.TrimSpace(string(body)))
	}
	return strings.TrimSpace(string(body)), err
}
