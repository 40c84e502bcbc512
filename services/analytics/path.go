package analytics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/analytics/internal/store"
	"github.com/mailstream/mailstream/services/internal/deadletter"
)

// parker makes dead letters durable: when Publish returns nil, all of them are
// acknowledged. Kept by produce.Producer.
type parker interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// erasures know who has to be forgotten. Kept by erasure.Ledger.
type erasures interface {
	store.Erased
	// Fault says why that is not known at present.
	Fault() error
}

type pathOptions struct {
	prefix   string
	decoders int // > 0
	inserter store.Inserter
	asker    store.Asker
	parker   parker
	erased   erasures
	keep     store.Keep
	metrics  *metrics
	log      *zap.Logger // throttled: batches repeat
}

// path is what happens to a batch.
type path struct {
	pathOptions
	blocks []*store.Block // one a decoder, reused: there is one batch at a time
}

func newPath(opt pathOptions) *path {
	p := &path{pathOptions: opt}
	for range opt.decoders {
		p.blocks = append(p.blocks, store.NewBlock(opt.prefix, opt.erased, opt.keep))
	}
	return p
}

// batch is what was read, or a part of it, on its way through the stages.
type batch struct {
	recs    []*kgo.Record
	blocks  []*store.Block
	faulty  []faulty // records that cannot become rows
	stored  int      // rows
	ignored int      // records that are no row and no fault
}

type faulty struct {
	rec   *kgo.Record
	fault *store.Fault
}

// stage is one step of a batch.
type stage struct {
	name string
	do   func(ctx context.Context, b *batch) error
}

// stages returns the path of a record, top to bottom. A record leaves it stored
// or parked. Bad ones are parked before the others are stored, so that when the
// last stage is done, all of the batch is durable and may be committed.
func (p *path) stages() []stage {
	return []stage{
		{"decode", p.decode},
		{"park", p.park},
		{"recall", p.recall},
		{"insert", p.insert},
	}
}

// handle makes a batch durable. The consumer commits when it returns nil and
// calls it again with the same batch when not; both may happen any number of
// times.
func (p *path) handle(ctx context.Context, recs []*kgo.Record) error {
	var sum batch
	err := p.run(ctx, recs, &sum)
	p.metrics.stall.note(err)
	if err != nil {
		return err
	}
	p.count(recs, &sum)
	return nil
}

// run takes recs through the stages and adds what became of them to sum.
func (p *path) run(ctx context.Context, recs []*kgo.Record, sum *batch) error {
	b := &batch{recs: recs, blocks: p.blocks[:max(1, min(len(p.blocks), len(recs)/decoderRowsMin))]}
	err := p.pass(ctx, b)
	for _, block := range b.blocks {
		block.Reset()
	}
	if err == nil {
		sum.add(b)
		return nil
	}
	return p.mend(ctx, err, b, sum)
}

func (p *path) pass(ctx context.Context, b *batch) error {
	defer p.metrics.stall.try()()
	for _, st := range p.stages() {
		if err := st.do(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
	}
	return nil
}

// add counts what became of other.
func (b *batch) add(other *batch) {
	b.stored += other.stored
	b.ignored += other.ignored
	b.faulty = append(b.faulty, other.faulty...)
}

// decoderRowsMin is below what a second decoder is not worth its start.
const decoderRowsMin = 1_000

// decode turns records into rows, each decoder its share, and sets aside those
// that cannot be one. It waits while it is not known who has to be forgotten.
func (p *path) decode(_ context.Context, b *batch) error {
	if err := p.erased.Fault(); err != nil {
		return err
	}
	faults := make([][]faulty, len(b.blocks))
	var g errgroup.Group
	for i, block := range b.blocks {
		share := b.recs[len(b.recs)*i/len(b.blocks) : len(b.recs)*(i+1)/len(b.blocks)]
		g.Go(func() (err error) {
			faults[i], err = decodeInto(block, share)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	b.faulty = slices.Concat(faults...)
	b.ignored = len(b.recs) - len(b.faulty) - rows(b.blocks)
	if store.Days(b.blocks...) > daysMax {
		return errManyDays
	}
	return nil
}

func decodeInto(block *store.Block, recs []*kgo.Record) (faults []faulty, err error) {
	for _, rec := range recs {
		err := block.Append(rec)
		if fault, ok := errors.AsType[*store.Fault](err); ok {
			faults = append(faults, faulty{rec, fault})
		} else if err != nil {
			return nil, fmt.Errorf("decode %s/%d/%d: %w", rec.Topic, rec.Partition, rec.Offset, err)
		}
	}
	return faults, nil
}

func rows(blocks []*store.Block) int {
	n := 0
	for _, block := range blocks {
		n += block.Rows()
	}
	return n
}

// parkBytesMax bounds the dead letters under way at once, far below what the
// producer buffers: a batch may be bad from end to end.
const parkBytesMax = 4 << 20

// park writes the records set aside to the dead letters, with their bytes. One
// that is a dead letter already stays where it is: it would come back for ever.
func (p *path) park(ctx context.Context, b *batch) error {
	var letters []*kgo.Record
	size := 0
	for i, f := range b.faulty {
		if f.rec.Topic != schemas.DeadLetterTopic(p.prefix) {
			letter := deadletter.Record(schemas.DeadLetterTopic(p.prefix), store.DeadLetter(f.rec, f.fault, time.Now().UTC()), deadletter.OriginOf(f.rec))
			letters = append(letters, &letter)
			size += len(letter.Value)
		}
		if size < parkBytesMax && i < len(b.faulty)-1 {
			continue
		}
		if err := p.publish(ctx, letters); err != nil {
			return fmt.Errorf("publish %d dead letters: %w", len(letters), err)
		}
		letters, size = letters[:0], 0
	}
	return nil
}

// recall looks up what was judged of the opens and clicks of people who are forgotten.
func (p *path) recall(ctx context.Context, b *batch) error {
	return store.Recall(ctx, p.asker, b.blocks...)
}

// insert stores the rows.
func (p *path) insert(ctx context.Context, b *batch) error {
	if err := store.Insert(ctx, p.inserter, b.blocks...); err != nil {
		return err
	}
	b.stored = rows(b.blocks)
	return nil
}

// count updates the metrics for a finished batch.
func (p *path) count(recs []*kgo.Record, sum *batch) {
	p.metrics.consumed.Add(float64(len(recs)))
	p.metrics.batch.Observe(float64(len(recs)))
	oldest := recs[0].Timestamp
	for _, rec := range recs {
		if rec.Timestamp.Before(oldest) {
			oldest = rec.Timestamp
		}
	}
	p.metrics.age.Observe(time.Since(oldest).Seconds())
	p.metrics.finished.WithLabelValues(string(stored)).Add(float64(sum.stored))
	p.metrics.finished.WithLabelValues(string(deadLettered)).Add(float64(len(sum.faulty)))
	p.metrics.finished.WithLabelValues(string(ignored)).Add(float64(sum.ignored))
	for _, f := range sum.faulty {
		p.metrics.parked.WithLabelValues(string(f.fault.Reason)).Inc()
	}
}
