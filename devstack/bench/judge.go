package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/pipeline"
)

// JudgeReport is the medians over the rounds, in events a second that analytics stores:
// while it looks for machines and for messages of several days, and while it does not.
type JudgeReport struct {
	Judged, Alone float64
	// CPU is the same in events a second of processor time, see Report.
	CPU struct{ Judged, Alone float64 }
	// Hours that were judged meanwhile, of all rounds together. With none, nothing was
	// compared: the backlog was too short for the machine.
	Hours int
}

// Ratio is with looks over without; budget 0.8.
func (r JudgeReport) Ratio() float64 { return r.Judged / r.Alone }

// CPURatio is the same of processor time, 0 where the system does not report it.
func (r JudgeReport) CPURatio() float64 { return r.CPU.Judged / max(r.CPU.Alone, 1) }

const (
	// judgeOften is 15 times as often as the default of 30 s, for which a backlog would have
	// to last minutes: this one is drained in seconds, and sees several looks, each at
	// the same hour, which has all events. So it costs more than the default does: after a
	// look of s seconds comes a pause of max(2, 9s) here and of max(30, 9s) there.
	judgeOften = 2 * time.Second
	// judgeNever is later than a measurement ends.
	judgeNever = time.Hour
)

// judgeWay is what a backlog is drained beside.
type judgeWay struct {
	name  string
	every time.Duration // between looks
	to    *[]sample
}

// Judge measures what judging after the fact costs inserts: a backlog gets from Kafka into
// fresh databases on one engine, with looks and without, in turn: each goes first in every
// other round. The time is from the
// first commit to the last, since a judgement writes rows, too. The calling program must be
// able to be the engine's child.
func Judge(ctx context.Context, opt Options) (report JudgeReport, err error) {
	opt = opt.withDefaults()
	d, stop, err := newDrain(ctx, opt)
	if err != nil {
		return report, err
	}
	defer stop()
	if err := d.fill(ctx); err != nil {
		return report, err
	}
	var judged, alone []sample
	for round := range opt.Rounds {
		ways := []judgeWay{{"judged", judgeOften, &judged}, {"not judged", judgeNever, &alone}}
		if round%2 == 1 { // what follows the other may find the machine warmer, or busier
			slices.Reverse(ways)
		}
		for i, way := range ways {
			got, hours, err := d.measureJudging(ctx, fmt.Sprintf("judge_%d_%d", round, i), way.every)
			if err != nil {
				return report, fmt.Errorf("measure %s: %w", way.name, err)
			}
			opt.Progress(fmt.Sprintf("round %d/%d: %-22s %8.0f events/s %8.0f events/s of processor time, %d hours judged", round+1, opt.Rounds, way.name, got.rate, got.perCPU, hours))
			*way.to = append(*way.to, got)
			report.Hours += hours
		}
	}
	report.Judged, report.Alone = middle(judged, wall), middle(alone, wall)
	report.CPU.Judged, report.CPU.Alone = middle(judged, cpu), middle(alone, cpu)
	return report, nil
}

// measureJudging drains everything into a fresh database, and returns how many hours were
// judged meanwhile.
func (d *drain) measureJudging(ctx context.Context, name string, every time.Duration) (got sample, hours int, err error) {
	r := run{name: name}
	if r.cfg, err = d.config(name); err != nil {
		return got, 0, err
	}
	r.cfg.Analytics.JudgeInterval = every
	if err := pipeline.MigrateTables(ctx, r.cfg, zap.NewNop()); err != nil {
		return got, 0, err
	}
	stop, err := d.startAnalytics(ctx, r)
	if err != nil {
		return got, 0, err
	}
	got, err = d.watchCommits(ctx, r)
	if err := errors.Join(err, stop()); err != nil {
		return got, 0, err
	}
	ids, err := d.number(ctx, r, "drained_events")
	if err == nil && ids != d.opt.Events {
		err = fmt.Errorf("count: %d of %d events are stored", ids, d.opt.Events)
	}
	if err == nil {
		hours, err = d.number(ctx, r, "judged_hours")
	}
	if err == nil {
		_, err = d.ask(ctx, "", "drained_drop", "{{database}}", name)
	}
	return got, hours, err
}

// watchCommits returns the rate from the first commit of a batch to the last one.
func (d *drain) watchCommits(ctx context.Context, r run) (got sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(d.brokers))
	if err != nil {
		return got, fmt.Errorf("make client: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	var began time.Time
	var first int64
	var used time.Duration
	for {
		var done int64
		offsets, err := admin.FetchOffsets(ctx, r.cfg.Kafka.Group(string(pipeline.Analytics)))
		if err == nil {
			err = offsets.Error()
		}
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // it joins soon
			return got, fmt.Errorf("watch commits: %w", err)
		}
		offsets.Each(func(o kadm.OffsetResponse) { done += max(o.At, 0) })
		switch now := time.Now(); {
		case began.IsZero() && done > 0:
			began, first, used = now, done, d.processorTime()
		case done > first && done >= int64(d.opt.Events):
			n, busy := float64(done-first), d.processorTime()-used
			return sample{rate: n / now.Sub(began).Seconds(), perCPU: n / max(busy.Seconds(), 1e-9)}, nil
		case done >= int64(d.opt.Events):
			return got, fmt.Errorf("watch commits: %d came in one batch: too few events to measure", done)
		}
		select {
		case <-time.After(watchStep):
		case <-ctx.Done():
			return got, fmt.Errorf("watch commits: %d of %d: %w", done, d.opt.Events, ctx.Err())
		}
	}
}
