package bench

import (
	"context"
	"fmt"
	"slices"
)

// Options shape one run of Drain. The zero value of a field takes its default.
type Options struct {
	// Events on the topics, about 1 KB each. Default 400_000.
	Events int
	// Rounds is how often each way is measured, in turn. Default 3.
	Rounds int
	// Progress, when not nil, is called with each measurement as it ends.
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
	// CPU is the same three in rows a second of processor time, of the service, the
	// broker and the engine together. It says less about a user's wait and more
	// about the work, and holds on a machine that others use too. Zero where the
	// system does not report it.
	CPU struct{ Ours, KafkaEngine, KafkaEngineTuned float64 }
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
// from when the group has its partitions, so neither pays for joining it. The
// calling program must be able to be the engine's child.
func Drain(ctx context.Context, opt Options) (Report, error) {
	opt = opt.withDefaults()
	d, stop, err := newDrain(ctx, opt)
	if err != nil {
		return Report{}, err
	}
	defer stop()
	if err := d.fill(ctx); err != nil {
		return Report{}, err
	}
	ways := []struct {
		name    string
		members int // of the group
		start   func(context.Context, run) (func() error, error)
	}{
		{"analytics", 1, d.startAnalytics},
		{"kafka engine", 1, d.startKafkaEngine(1, 0)},
		{"kafka engine, tuned", tunedConsumers, d.startKafkaEngine(tunedConsumers, 1)},
	}
	samples := make([][]sample, len(ways))
	for round := range opt.Rounds {
		for i, way := range ways {
			got, err := d.measure(ctx, fmt.Sprintf("drain_%d_%d", round, i), way.members, way.start)
			if err != nil {
				return Report{}, fmt.Errorf("measure %s: %w", way.name, err)
			}
			opt.Progress(fmt.Sprintf("round %d/%d: %-22s %8.0f rows/s %8.0f rows/s of processor time", round+1, opt.Rounds, way.name, got.rate, got.perCPU))
			samples[i] = append(samples[i], got)
		}
	}
	r := Report{Ours: middle(samples[0], wall), KafkaEngine: middle(samples[1], wall), KafkaEngineTuned: middle(samples[2], wall)}
	r.CPU.Ours, r.CPU.KafkaEngine, r.CPU.KafkaEngineTuned = middle(samples[0], cpu), middle(samples[1], cpu), middle(samples[2], cpu)
	return r, nil
}

// sample is one measurement, in rows a second and rows a second of processor time.
type sample struct{ rate, perCPU float64 }

func wall(s sample) float64 { return s.rate }
func cpu(s sample) float64  { return s.perCPU }

func middle(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// tunedConsumers is as many as the small machines have cores, more than which
// the Kafka engine refuses.
const tunedConsumers = 2
