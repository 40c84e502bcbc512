package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/reparse"
	"github.com/mailstream/mailstream/services/internal/turn"
)

// Publisher stores records: nil means that all of them are acknowledged.
type Publisher interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// Options are how a run publishes.
type Options struct {
	Kafka  Publisher
	Prefix string // of the topics
	Rate   int    // events a second, at most
	// File keeps the position.
	File string
	// Expand makes a statement of one for this database: clickhouse.Config.Expand.
	Expand func(sql string) string
	// Progress, when not nil, is called after each page.
	Progress func(Progress)
}

// Run publishes everything after the position of p, and keeps the position after each
// page that Kafka has acknowledged. A page that was cut short is published once more
// by the next run, with the same ids.
func (r *Replay) Run(ctx context.Context, p Progress, opt Options) (Progress, error) {
	if p.Border.IsZero() {
		p.Border = r.border
	}
	r.border = p.Border
	if err := p.write(opt.File); err != nil { // before anything is done that could be done twice
		return p, err
	}
	pace := pacer{rate: opt.Rate, began: time.Now()}
	mine := turn.New(r.deps.Store, turn.Correcting)
	err := r.pages(ctx, p.Operation, p.Position, func(ctx context.Context, pairs []pair, at Position) error {
		recs, moved, gone := r.records(pairs, p.Operation, opt.Prefix)
		if r.request.Topic == "" && len(recs) > 0 {
			if err := mine.Await(ctx, pageLasts(opt.Rate)); err != nil {
				return err
			}
		}
		expired, err := r.retract(ctx, moved, opt.Expand)
		if err != nil {
			return err
		}
		p.Expired += expired
		for part := range slices.Chunk(recs, max(1, min(len(recs), opt.Rate/partsASecond))) {
			if err := opt.Kafka.Publish(ctx, part...); err != nil {
				return fmt.Errorf("publish %d events: %w", len(part), err)
			}
			p.Published += int64(len(part))
			if err := pace.wait(ctx, len(part)); err != nil {
				return err
			}
		}
		if err := r.drop(ctx, gone, opt.Expand); err != nil {
			return err
		}
		found, err := r.listed(ctx, pairs)
		if err != nil {
			return err
		}
		p.add(found)
		for i := range pairs {
			p.Events++
			if pairs[i].fault != "" {
				p.Failed++
			}
		}
		p.Position = at
		if err := p.write(opt.File); err != nil {
			return err
		}
		if opt.Progress != nil {
			opt.Progress(p)
		}
		return nil
	})
	err = errors.Join(err, mine.End(ctx))
	if err != nil {
		return p, err
	}
	p.Unstored = r.unstored
	p.Done = true
	return p, p.write(opt.File)
}

// pageLasts is how long a page may take: to publish it at the rate, and to count its
// messages anew.
func pageLasts(rate int) time.Duration {
	return pageRows*time.Second/time.Duration(rate) + countsLast
}

// countsLast is the most that the statements of a page take together.
const countsLast = 2 * time.Minute

// records returns what is published of pairs, the stored events that count otherwise in
// their messages today, and those of them that are another event.
func (r *Replay) records(pairs []pair, operation, prefix string) (recs []*kgo.Record, moved, gone []pair) {
	for i := range pairs {
		one := &pairs[i]
		if one.fault != "" || (r.request.ChangedOnly || r.request.Verdicts) && verdictOf(one.was) == verdictOf(&one.is) {
			continue
		}
		topic := r.request.Topic
		if topic == "" {
			topic = reparse.Topic(prefix, one.is.Type)
			if one.is.ID != one.was.ID {
				gone = append(gone, *one)
			}
			if one.is.ID != one.was.ID || tri(one.is.Machine) != tri(one.was.Machine) {
				moved = append(moved, *one)
			}
		}
		recs = append(recs, reparse.Record(topic, &one.is, operation))
	}
	return recs, moved, gone
}

// partsASecond is into how many parts a second of the rate is cut, so that a low rate
// is not a burst.
const partsASecond = 10

// pacer holds an average since it began.
type pacer struct {
	rate  int
	began time.Time
	done  int
}

func (p *pacer) wait(ctx context.Context, n int) error {
	p.done += n
	due := p.began.Add(time.Duration(p.done) * time.Second / time.Duration(p.rate))
	if d := time.Until(due); d > 0 {
		return lifecycle.Sleep(ctx, d)
	}
	// What was slow is not made up for by a burst.
	p.began, p.done = time.Now(), 0
	return ctx.Err()
}
