package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
)

// IngressOptions shape one run of Ingress. The zero value of a field takes its
// default.
type IngressOptions struct {
	// Rounds is how often each of the three loads is measured, one after the other
	// in turn, so that a noisy minute hits all of them. Default 5.
	Rounds int
	// Duration of one measurement, after a warm-up of a quarter of it. Default 3s.
	Duration time.Duration
	// Connections that send one request after the other. Default 64.
	Connections int
	// Batch is the number of events of a grouped webhook. Default 100.
	Batch int
	// Progress, when not nil, is called with each measurement as it ends.
	Progress func(line string)
}

// IngressReport is the medians over the rounds.
type IngressReport struct {
	Reference Load // a bare handler that produces the raw body with acks=all
	Single    Load // the ingress, one Mailjet event a request
	Grouped   Load // the ingress, IngressOptions.Batch events a request
}

// Load is what one way of serving reached.
type Load struct {
	Requests float64       // a second
	Events   float64       // a second
	P50, P99 time.Duration // of one request
}

// Ratio is the ingress' requests a second over the reference's; budget 0.80.
func (r IngressReport) Ratio() float64 { return r.Single.Requests / r.Reference.Requests }

// P99Ratio is the ingress' p99 over the reference's; budget 1.5.
func (r IngressReport) P99Ratio() float64 {
	return float64(r.Single.P99) / float64(r.Reference.P99)
}

// GroupGain is events a second in groups over one by one; budget 8.
func (r IngressReport) GroupGain() float64 { return r.Grouped.Events / r.Single.Events }

func (o IngressOptions) withDefaults() IngressOptions {
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Duration == 0 {
		o.Duration = 3 * time.Second
	}
	if o.Connections == 0 {
		o.Connections = 64
	}
	if o.Batch == 0 {
		o.Batch = 100
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// benchConfig is the configuration of the ingress under load: the defaults, one
// source, a free port.
const benchConfig = `
kafka: {brokers: [%q]}
privacy: {pepper: a-pepper-for-benchmarks}
log: {level: error}
ingress:
  listen: 127.0.0.1:0
  sources:
    - name: bench
      provider: mailjet
      auth: {basic: {username: bench, password: bench}}
`

// Ingress measures the ingress beside a bare net/http handler that produces the
// raw body, with the same client, the same kind of broker (kfake over TCP, a new
// one a measurement) and the same producer settings, all in this process. It
// takes about 3 * Rounds * Duration * 1.5.
func Ingress(ctx context.Context, opt IngressOptions) (IngressReport, error) {
	opt = opt.withDefaults()
	var loads [3][]Load
	for round := range opt.Rounds {
		for i, serve := range []struct {
			name  string
			start func(context.Context, pipeline.Config) (*target, error)
			batch int
		}{
			{"bare handler", startBare, 1},
			{"ingress", startIngress, 1},
			{fmt.Sprintf("ingress, groups of %d", opt.Batch), startIngress, opt.Batch},
		} {
			load, err := measure(ctx, opt, serve.start, serve.batch)
			if err != nil {
				return IngressReport{}, fmt.Errorf("measure %s: %w", serve.name, err)
			}
			opt.Progress(fmt.Sprintf("round %d/%d: %-24s %8.0f requests/s %9.0f events/s  p50 %8s  p99 %8s", round+1, opt.Rounds,
				serve.name, load.Requests, load.Events, load.P50.Round(10*time.Microsecond), load.P99.Round(10*time.Microsecond)))
			loads[i] = append(loads[i], load)
		}
	}
	return IngressReport{Reference: medianLoad(loads[0]), Single: medianLoad(loads[1]), Grouped: medianLoad(loads[2])}, nil
}

// medianLoad takes the median of each number separately.
func medianLoad(loads []Load) Load {
	return Load{
		Requests: median(loads, func(l Load) float64 { return l.Requests }),
		Events:   median(loads, func(l Load) float64 { return l.Events }),
		P50:      median(loads, func(l Load) time.Duration { return l.P50 }),
		P99:      median(loads, func(l Load) time.Duration { return l.P99 }),
	}
}

func median[N float64 | time.Duration](loads []Load, of func(Load) N) N {
	values := make([]N, 0, len(loads))
	for _, l := range loads {
		values = append(values, of(l))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// target is something that takes webhooks.
type target struct {
	addr string
	stop func() error
}

// measure starts a broker and a target, loads it and stops both.
func measure(ctx context.Context, opt IngressOptions, start func(context.Context, pipeline.Config) (*target, error), batch int) (load Load, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b := broker.New(broker.Config{Listen: "127.0.0.1:0"}, zap.NewNop())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	defer func() {
		cancel()
		if e := <-ended; err == nil {
			err = e
		}
	}()
	select {
	case <-b.Ready():
	case err := <-ended:
		ended <- nil
		return Load{}, err
	}
	cfg, _, err := pipeline.Load(pipeline.Input{
		File: fmt.Appendf(nil, benchConfig, b.Addr()), Name: "the benchmark's configuration", Services: []pipeline.Name{pipeline.Ingress},
	})
	if err != nil {
		return Load{}, err
	}
	if err := pipeline.ApplyTopics(ctx, cfg, zap.NewNop()); err != nil {
		return Load{}, err
	}
	t, err := start(ctx, cfg)
	if err != nil {
		return Load{}, err
	}
	defer func() {
		if e := t.stop(); err == nil {
			err = e
		}
	}()
	if _, err := drive(t.addr, drivePlan{connections: opt.Connections, batch: batch, duration: opt.Duration / 4}); err != nil {
		return Load{}, err
	}
	return drive(t.addr, drivePlan{connections: opt.Connections, batch: batch, duration: opt.Duration})
}

// startIngress runs the service as it is deployed.
func startIngress(ctx context.Context, cfg pipeline.Config) (*target, error) {
	s, err := pipeline.New(cfg, pipeline.Ingress, zap.NewNop())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := func() error { cancel(); return <-done }
	select {
	case <-s.Ready():
		return &target{addr: s.Addr(), stop: stop}, nil
	case err := <-done:
		cancel()
		return nil, err
	}
}

// startBare runs the reference: the least code that keeps the first promise, "a
// 200 means durable", with the producer settings of the services.
func startBare(ctx context.Context, cfg pipeline.Config) (*target, error) {
	topic := schemas.EventTopic(cfg.Kafka.TopicPrefix, schemas.Delivered)
	client, err := kgo.NewClient(
		kgo.SeedBrokers(cfg.Kafka.Brokers...),
		kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
		kgo.ProducerLinger(0),
	)
	if err != nil {
		return nil, err
	}
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		client.Close()
		return nil, err
	}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "read", http.StatusBadRequest)
			return
		}
		if err := client.ProduceSync(context.WithoutCancel(r.Context()), &kgo.Record{Value: body}).FirstErr(); err != nil {
			http.Error(w, "publish", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(ln) }) // ends with Close, which is not a fault
	return &target{addr: ln.Addr().String(), stop: func() error {
		err := srv.Close()
		wg.Wait()
		client.Close()
		return err
	}}, nil
}
