package analytics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/analytics/internal/store"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// mend finds another way for a batch that err stopped: in parts that run takes
// through all stages, or without the record at fault. It returns err where waiting
// is the only way.
func (p *path) mend(ctx context.Context, err error, b, sum *batch) error {
	switch {
	case errors.Is(err, errManyDays):
		return p.byDays(ctx, b.recs, sum)
	case len(b.recs) > 1 && (errors.Is(err, clickhouse.ErrRejected) || errors.Is(err, clickhouse.ErrTooLarge)):
		return p.halve(ctx, b.recs, sum)
	case errors.Is(err, clickhouse.ErrRejected):
		return p.reject(ctx, b, sum)
	case errors.Is(err, clickhouse.ErrTooManyParts):
		return errors.Join(err, lifecycle.Sleep(ctx, tooManyPartsWait)) // trying soon makes it worse
	default:
		return err
	}
}

// tooManyPartsWait gives merges time that the consumer's own delays do not.
const tooManyPartsWait = 10 * time.Second

// daysMax bounds the days, and with them the partitions, of one insert: each
// costs the server about 10 ms, and together they must stay far below the insert
// timeout. ClickHouse's own bound is 100 by default; inserts lift it.
const daysMax = 200

// errManyDays says that the events of a batch happened on more than daysMax days.
var errManyDays = errors.New("events of too many days for one insert")

// byDays stores recs day by day, daysMax at a time: a back-fill of years, or events
// of a broken clock, take longer, but they pass.
func (p *path) byDays(ctx context.Context, recs []*kgo.Record, sum *batch) error {
	byDay := map[int64][]*kgo.Record{}
	for _, rec := range recs {
		day := store.Day(rec)
		byDay[day] = append(byDay[day], rec)
	}
	days := slices.Sorted(maps.Keys(byDay))
	p.log.Info("batch spread over days", telemetry.Rows(len(recs)), telemetry.Days(len(days)))
	for some := range slices.Chunk(days, daysMax) {
		var part []*kgo.Record
		for _, day := range some {
			part = append(part, byDay[day]...)
		}
		if err := p.run(ctx, part, sum); err != nil {
			return err
		}
	}
	return nil
}

// halve finds the row that the server refuses, or blocks that it can hold, by
// halves. What one half has stored already is stored again by a retry.
func (p *path) halve(ctx context.Context, recs []*kgo.Record, sum *batch) error {
	p.log.Warn("block refused, trying its halves", telemetry.Rows(len(recs)))
	for _, half := range [][]*kgo.Record{recs[:len(recs)/2], recs[len(recs)/2:]} {
		if err := p.run(ctx, half, sum); err != nil {
			return err
		}
	}
	return nil
}

// reject parks the one record of b that the server refuses.
func (p *path) reject(ctx context.Context, b *batch, sum *batch) error {
	b.faulty = []faulty{{b.recs[0], &store.Fault{Reason: store.Rejected, Detail: "clickhouse refused the row"}}}
	b.ignored = 0
	if err := p.park(ctx, b); err != nil {
		return fmt.Errorf("park: %w", err)
	}
	sum.add(b)
	return nil
}

// publish writes dead letters. Where they are too large it tries their halves, and
// parks the one at fault without its bytes; its origin says where the log still has
// them.
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
