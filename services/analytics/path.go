package analytics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/analytics/internal/store"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// parker makes dead letters durable: when Publish returns nil, all of them are
// acknowledged. Kept by kafka.Producer.
type parker interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

type pathOptions struct {
	prefix   string
	inserts  int // chunks under way at once, > 0
	inserter store.Inserter
	parker   parker
	metrics  *metrics
	log      *zap.Logger
}

// path is what happens to a batch.
type path struct {
	pathOptions
	blocks chan *store.Block // as many as chunks may be under way
}

func newPath(opt pathOptions) *path {
	p := &path{pathOptions: opt, blocks: make(chan *store.Block, opt.inserts)}
	for range opt.inserts {
		p.blocks <- store.NewBlock(opt.prefix)
	}
	return p
}

// chunk is a part of a batch on its way through the stages.
type chunk struct {
	recs    []*kgo.Record
	block   *store.Block
	faulty  []faulty // records that cannot become rows
	parked  int      // dead letters acknowledged
	stored  int      // rows stored
	ignored int      // records that are no row and no fault
}

type faulty struct {
	rec   *kgo.Record
	fault *store.Fault
}

// stage is one step of a chunk.
type stage struct {
	name string
	do   func(ctx context.Context, c *chunk) error
}

// stages returns the path of a record, top to bottom. A record leaves it stored
// or parked; nothing is parked after the rest of its chunk was stored, so that
// the batch is committed with all of both durable.
func (p *path) stages() []stage {
	return []stage{
		{"decode", p.decode},
		{"park", p.park},
		{"insert", p.insert},
	}
}

// chunkRowsMin is below what a chunk is not worth a part of its own in
// ClickHouse.
const chunkRowsMin = 5_000

// handle makes a batch durable. The consumer commits when it returns nil and
// calls it again with the same batch when not; both may happen any number of
// times.
func (p *path) handle(ctx context.Context, recs []*kgo.Record) error {
	parts := max(1, min(p.inserts, len(recs)/chunkRowsMin))
	done := make([]chunk, parts)
	g, gctx := errgroup.WithContext(ctx)
	for i := range parts {
		from, to := len(recs)*i/parts, len(recs)*(i+1)/parts
		g.Go(func() error { return p.run(gctx, recs[from:to], &done[i]) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	p.count(recs, done)
	return nil
}

// run takes recs through the stages and adds what became of them to sum.
func (p *path) run(ctx context.Context, recs []*kgo.Record, sum *chunk) error {
	c := &chunk{recs: recs, block: <-p.blocks}
	err := p.pass(ctx, c)
	c.block.Reset()
	p.blocks <- c.block
	if len(recs) > 1 && (errors.Is(err, clickhouse.ErrRejected) || errors.Is(err, clickhouse.ErrTooLarge)) {
		return p.halve(ctx, recs, sum)
	}
	if errors.Is(err, clickhouse.ErrRejected) {
		return p.reject(ctx, c, sum)
	}
	if errors.Is(err, clickhouse.ErrTooManyParts) {
		// Trying soon makes it worse.
		return errors.Join(err, lifecycle.Sleep(ctx, tooManyPartsWait))
	}
	sum.add(c)
	return err
}

// tooManyPartsWait gives merges time that the consumer's own delays do not.
const tooManyPartsWait = 10 * time.Second

func (p *path) pass(ctx context.Context, c *chunk) error {
	for _, st := range p.stages() {
		if err := st.do(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
	}
	return nil
}

// halve finds the row that the server refuses, or blocks that it can hold, by
// halves. What one half has stored already is stored again by a retry.
func (p *path) halve(ctx context.Context, recs []*kgo.Record, sum *chunk) error {
	p.log.Warn("block refused, trying its halves", telemetry.Rows(len(recs)))
	for _, half := range [][]*kgo.Record{recs[:len(recs)/2], recs[len(recs)/2:]} {
		if err := p.run(ctx, half, sum); err != nil {
			return err
		}
	}
	return nil
}

// reject parks the one record of c that the server refuses.
func (p *path) reject(ctx context.Context, c *chunk, sum *chunk) error {
	c.faulty = []faulty{{c.recs[0], &store.Fault{Reason: store.Rejected, Detail: "clickhouse refused the row"}}}
	if err := p.park(ctx, c); err != nil {
		return fmt.Errorf("park: %w", err)
	}
	sum.add(c)
	return nil
}

// add counts what became of other.
func (c *chunk) add(other *chunk) {
	c.parked += other.parked
	c.stored += other.stored
	c.ignored += other.ignored
	c.faulty = append(c.faulty, other.faulty...)
}

// decode turns records into rows and sets aside those that cannot be one.
func (p *path) decode(_ context.Context, c *chunk) error {
	for _, rec := range c.recs {
		err := c.block.Append(rec)
		if fault, ok := errors.AsType[*store.Fault](err); ok {
			c.faulty = append(c.faulty, faulty{rec, fault})
		} else if err != nil {
			return fmt.Errorf("decode %s/%d/%d: %w", rec.Topic, rec.Partition, rec.Offset, err)
		}
	}
	c.ignored = len(c.recs) - len(c.faulty) - c.block.Rows()
	return nil
}

// parkBytesMax bounds the dead letters under way at once, far below what the
// producer buffers: a batch may be bad from end to end.
const parkBytesMax = 4 << 20

// park writes the records set aside to the dead letters, with their bytes. One
// that is a dead letter already stays where it is: it would come back for ever.
func (p *path) park(ctx context.Context, c *chunk) error {
	var letters []*kgo.Record
	size := 0
	for i, f := range c.faulty {
		if f.rec.Topic != schemas.DeadLetterTopic(p.prefix) {
			letter, err := p.letter(f)
			if err != nil {
				return err
			}
			letters = append(letters, letter)
			size += len(letter.Value)
		}
		if size < parkBytesMax && i < len(c.faulty)-1 {
			continue
		}
		if err := p.publish(ctx, letters); err != nil {
			return fmt.Errorf("publish %d dead letters: %w", len(letters), err)
		}
		letters, size = letters[:0], 0
	}
	c.parked = len(c.faulty)
	return nil
}

// publish parks without its bytes a letter that is too large with them; its
// origin says where the log still has them.
func (p *path) publish(ctx context.Context, letters []*kgo.Record) error {
	if len(letters) == 0 {
		return nil
	}
	err := p.parker.Publish(ctx, letters...)
	if !errors.Is(err, kafka.ErrTooLarge) {
		return err
	}
	if len(letters) > 1 {
		return errors.Join(p.publish(ctx, letters[:len(letters)/2]), p.publish(ctx, letters[len(letters)/2:]))
	}
	var bare schemas.DeadLetter
	if err := json.Unmarshal(letters[0].Value, &bare); err != nil {
		return fate.Wrap(fate.Halt, fmt.Errorf("decode own dead letter: %w", err))
	}
	if bare.Bytes = nil; len(letters[0].Value) <= bareLetterBytesMax {
		return fate.Wrap(fate.Halt, err) // the topic takes not even this
	}
	if letters[0].Value, err = json.Marshal(bare); err != nil {
		return fate.Wrap(fate.Halt, fmt.Errorf("encode dead letter: %w", err))
	}
	return p.publish(ctx, letters)
}

// bareLetterBytesMax is more than a letter without its bytes takes.
const bareLetterBytesMax = 4 << 10

func (p *path) letter(f faulty) (*kgo.Record, error) {
	letter := store.DeadLetter(f.rec, f.fault, time.Now().UTC())
	text, err := json.Marshal(letter)
	if err != nil {
		return nil, fate.Wrap(fate.Halt, fmt.Errorf("encode dead letter: %w", err))
	}
	return &kgo.Record{Topic: schemas.DeadLetterTopic(p.prefix), Key: []byte(letter.ID), Value: text}, nil
}

// insert stores the rows.
func (p *path) insert(ctx context.Context, c *chunk) error {
	if err := c.block.Insert(ctx, p.inserter); err != nil {
		return err
	}
	c.stored = c.block.Rows()
	return nil
}

// count tells the metrics of a finished batch.
func (p *path) count(recs []*kgo.Record, done []chunk) {
	p.metrics.consumed.Add(float64(len(recs)))
	p.metrics.batch.Observe(float64(len(recs)))
	oldest := recs[0].Timestamp
	for _, rec := range recs {
		if rec.Timestamp.Before(oldest) {
			oldest = rec.Timestamp
		}
	}
	p.metrics.age.Observe(time.Since(oldest).Seconds())
	for _, c := range done {
		p.metrics.finished.WithLabelValues(string(stored)).Add(float64(c.stored))
		p.metrics.finished.WithLabelValues(string(deadLettered)).Add(float64(c.parked))
		p.metrics.finished.WithLabelValues(string(ignored)).Add(float64(c.ignored))
		for _, f := range c.faulty {
			p.metrics.parked.WithLabelValues(string(f.fault.Reason)).Inc()
		}
	}
}
