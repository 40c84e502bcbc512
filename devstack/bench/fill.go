package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/suppression/seed"
)

// FillReport is how long an empty replica takes until it answers, and how fast a file of
// addresses comes onto the list.
type FillReport struct {
	Entries int

	Topic, Snapshot, Reference FillCost // the reference reads the topic and keeps the keys in a Go map
	Import, Produce            float64  // addresses/s of an import, records/s of a bare producer with acks=all
	Imported                   int
}

// FillCost is one start.
type FillCost struct{ Took, CPU time.Duration }

const (
	// fillProducers make records beside each other.
	fillProducers = 2
	// importLines is what is imported, in bodies of importPartLines: a long one goes on alike.
	importLines     = 200_000
	importPartLines = 50_000
)

const fillConfig = `
kafka: {brokers: [%q]}
privacy: {pepper: ` + checkPepper + `}
log: {level: error}
state: {dir: %q}
suppression: {listen: 127.0.0.1:0, tokens: [` + checkToken + `]%s}
`

// Fill measures starts of replicas that know nothing, from a topic of Entries addresses and
// from the snapshot of another replica, and an import.
func Fill(ctx context.Context, opt CheckOptions) (report FillReport, err error) {
	opt = opt.withDefaults()
	if opt.Dir, err = os.MkdirTemp("", "mailstream-bench-"); err != nil {
		return report, fmt.Errorf("make folder for the list: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(opt.Dir)) }()
	report.Entries = opt.Entries
	ctx, cancel := context.WithCancel(ctx)
	b := broker.New(broker.Config{Listen: "127.0.0.1:0"}, zap.NewNop())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	defer func() { cancel(); err = errors.Join(err, <-ended) }()
	select {
	case <-b.Ready():
	case err := <-ended:
		ended <- nil // for the end
		return report, err
	}
	if err := opt.publishList(ctx, b.Addr()); err != nil {
		return report, err
	}
	if report.Reference, err = opt.readList(ctx, b.Addr()); err != nil {
		return report, err
	}
	one, err := opt.replica(ctx, b.Addr(), "one", "", &report.Topic)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, one.stop()) }()
	from := fmt.Sprintf(", snapshot: {url: %q, token: %s}", "http://"+one.addr, checkToken)
	other, err := opt.replica(ctx, b.Addr(), "other", from, &report.Snapshot)
	if err != nil {
		return report, err
	}
	if err := other.stop(); err != nil {
		return report, err
	}
	report.Imported = importLines
	if report.Import, err = opt.importList(ctx, one.addr); err != nil {
		return report, err
	}
	report.Produce, err = opt.produceList(ctx, b.Addr())
	return report, err
}

// publishList makes the topics and writes a record an address.
func (o CheckOptions) publishList(ctx context.Context, brokerAddr string) error {
	cfg, err := o.fillConfig(brokerAddr, "topics", "")
	if err != nil {
		return err
	}
	if err := pipeline.ApplyTopics(ctx, cfg, zap.NewNop()); err != nil {
		return err
	}
	maker, err := seed.NewMaker(seed.Options{Pepper: checkPepper, Address: checkAddress})
	if err != nil {
		return err
	}
	began := time.Now()
	topic := schemas.SuppressionsTopic(schemas.DefaultTopicPrefix)
	err = o.produce(ctx, brokerAddr, o.Entries, func(i int) (*kgo.Record, error) {
		s := maker.State(i)
		value, err := json.Marshal(s)
		return &kgo.Record{Topic: topic, Key: []byte(s.Hash), Value: value}, err
	})
	o.Progress(fmt.Sprintf("topic of %d addresses made in %s", o.Entries, time.Since(began).Round(time.Second)))
	return err
}

// produce writes n records, acknowledged by all.
func (o CheckOptions) produce(ctx context.Context, brokerAddr string, n int, record func(i int) (*kgo.Record, error)) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokerAddr), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.MaxBufferedRecords(100_000), kgo.ProducerBatchMaxBytes(1<<20))
	if err != nil {
		return fmt.Errorf("connect to the broker: %w", err)
	}
	defer cl.Close()
	g, ctx := errgroup.WithContext(ctx)
	for part := range fillProducers {
		g.Go(func() error {
			failed := make(chan error, 1)
			for i := part; i < n; i += fillProducers {
				rec, err := record(i)
				if err != nil {
					return err
				}
				cl.Produce(ctx, rec, func(_ *kgo.Record, err error) {
					if err != nil {
						select {
						case failed <- err:
						default:
						}
					}
				})
			}
			if err := cl.Flush(ctx); err != nil {
				return err
			}
			select {
			case err := <-failed:
				return fmt.Errorf("publish: %w", err)
			default:
				return nil
			}
		})
	}
	return g.Wait()
}

// readList is the reference: a reader that keeps the keys in a map.
func (o CheckOptions) readList(ctx context.Context, brokerAddr string) (cost FillCost, err error) {
	began, used := time.Now(), processorTime()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokerAddr), kgo.ConsumeTopics(schemas.SuppressionsTopic(schemas.DefaultTopicPrefix)))
	if err != nil {
		return cost, fmt.Errorf("connect to the broker: %w", err)
	}
	defer cl.Close()
	known := map[string]struct{}{}
	for len(known) < o.Entries {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return cost, fmt.Errorf("read the list: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) { known[string(r.Key)] = struct{}{} })
	}
	cost = FillCost{time.Since(began), processorTime() - used}
	o.Progress(fmt.Sprintf("%-26s %10s  processor %10s", "map, from the topic", cost.Took.Round(time.Millisecond), cost.CPU.Round(time.Millisecond)))
	return cost, nil
}

func (o CheckOptions) fillConfig(brokerAddr, name, more string) (pipeline.Config, error) {
	cfg, _, err := pipeline.Load(pipeline.Input{
		File: fmt.Appendf(nil, fillConfig, brokerAddr, filepath.Join(o.Dir, name), more), Name: "the benchmark's configuration",
		Services: []pipeline.Name{pipeline.Suppression},
	})
	return cfg, err
}

// filledReplica is a replica that has started.
type filledReplica struct {
	addr string
	stop func() error
}

// replica starts a replica that knows nothing.
func (o CheckOptions) replica(ctx context.Context, brokerAddr, name, more string, cost *FillCost) (r filledReplica, err error) {
	cfg, err := o.fillConfig(brokerAddr, name, more)
	if err != nil {
		return r, err
	}
	s, err := pipeline.New(cfg, pipeline.Suppression, zap.NewNop())
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancel(ctx)
	began, used := time.Now(), processorTime()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r.stop = func() error { cancel(); return <-ended }
	select {
	case <-s.Ready():
	case err := <-ended:
		cancel()
		return r, errors.Join(err, fmt.Errorf("replica %s ended early", name))
	}
	*cost = FillCost{time.Since(began), processorTime() - used}
	r.addr = s.Addr()
	o.Progress(fmt.Sprintf("%-26s %10s  processor %10s  memory of the process at most %d MiB", "replica "+name, cost.Took.Round(time.Millisecond), cost.CPU.Round(time.Millisecond), memoryPeak()>>20))
	return r, nil
}

// importList imports CSV in parts, as the command does.
func (o CheckOptions) importList(ctx context.Context, addr string) (rate float64, err error) {
	began := time.Now()
	for first := 0; first < importLines; first += importPartLines {
		body := bytes.NewBufferString("address,reason\n")
		for i := range importPartLines {
			body.WriteString("imported." + strconv.Itoa(first+i) + "@example.com,hard_bounce\n")
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/suppressions/import", body)
		if err != nil {
			return 0, fmt.Errorf("import: %w", err)
		}
		req.Header.Set("Content-Type", "text/csv")
		req.Header.Set("Authorization", "Bearer "+checkToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, fmt.Errorf("import: %w", err)
		}
		text, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return 0, fmt.Errorf("import: %w", err)
		}
		if resp.StatusCode != http.StatusOK || !bytes.Contains(text, []byte(`"accepted":`+strconv.Itoa(importPartLines)+",")) {
			return 0, fmt.Errorf("import: status %d: %.200s", resp.StatusCode, text)
		}
	}
	rate = importLines / time.Since(began).Seconds()
	o.Progress(fmt.Sprintf("%-26s %10.0f addresses/s", "import", rate))
	return rate, nil
}

// produceList is the reference of the import: the same records by a bare producer.
func (o CheckOptions) produceList(ctx context.Context, brokerAddr string) (float64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokerAddr))
	if err != nil {
		return 0, fmt.Errorf("connect to the broker: %w", err)
	}
	defer cl.Close()
	const topic = "reference-of-the-import"
	if _, err := kadm.NewClient(cl).CreateTopics(ctx, 12, 1, nil, topic); err != nil {
		return 0, fmt.Errorf("make topic: %w", err)
	}
	maker, err := seed.NewMaker(seed.Options{Pepper: checkPepper, Address: checkAddress})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	err = o.produce(ctx, brokerAddr, importLines, func(i int) (*kgo.Record, error) {
		s := maker.State(i)
		value, err := json.Marshal(s)
		return &kgo.Record{Topic: topic, Key: []byte(s.Hash), Value: value}, err
	})
	rate := importLines / time.Since(began).Seconds()
	o.Progress(fmt.Sprintf("%-26s %10.0f records/s", "bare producer", rate))
	return rate, err
}
