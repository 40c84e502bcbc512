package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/offsets"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/reparse"
)

// aheadMax is how far the time of an event may be ahead of the time of its record:
// what the ingress takes of a provider's clock, and an hour for the clocks of hosts.
const aheadMax = 25 * time.Hour

// Range is a stretch of time and where its events are read from.
type Range struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Store string    `json:"store"` // kafka or clickhouse
}

// Ranges says where the events are read from: topics have the latest, as far as they
// still have all of a time, ClickHouse has what is older.
func (r *Replay) Ranges() []Range {
	var out []Range
	if r.request.From.Before(r.border) {
		out = append(out, Range{r.request.From, r.border, "clickhouse"})
	}
	if r.border.Before(r.request.To) {
		out = append(out, Range{r.border, r.request.To, "kafka"})
	}
	return out
}

// topics are those that may have events of the request.
func (r *Replay) topics() []string {
	if r.request.Type != "" {
		return []string{reparse.Topic(r.deps.Kafka.TopicPrefix, r.request.Type)}
	}
	return append(schemas.EventTopics(r.deps.Kafka.TopicPrefix), r.deps.Kafka.Webhooks...)
}

// findBorder looks from which hour on the topics still have the record of every event
// that is stored: each row says where it was read. A verdict is judged as it is stored,
// so reclassification reads the tables alone.
func (r *Replay) findBorder(ctx context.Context) (time.Time, error) {
	if r.request.Verdicts || len(r.deps.Kafka.Brokers) == 0 {
		return r.request.To, nil
	}
	lister := r.lister()
	defer lister.Close()
	starts, err := lister.Starts(ctx, r.topics()...)
	if errors.Is(err, kafka.ErrUnknownTopic) {
		return r.request.To, nil
	}
	ends, more := lister.Ends(ctx, r.topics()...)
	if err := errors.Join(err, more); err != nil {
		return time.Time{}, fmt.Errorf("find what the topics have: %w", err)
	}
	var names, first, end []string
	for p := range starts {
		names = append(names, text(p))
		first, end = append(first, strconv.FormatInt(starts[p], 10)), append(end, strconv.FormatInt(ends[p], 10))
	}
	var gone []struct {
		Latest int64  `ch:"latest"`
		Events uint64 `ch:"events"`
	}
	args := append(r.request.args(r.request.From, r.request.To), clickhouse.Arg("partitions", clickhouse.Words(names)),
		clickhouse.Arg("starts", "["+strings.Join(first, ",")+"]"), clickhouse.Arg("ends", "["+strings.Join(end, ",")+"]"))
	if err := r.deps.Store.Select(ctx, &gone, goneSQL, args...); err != nil {
		return time.Time{}, fmt.Errorf("find what the topics have: %w", err)
	}
	border := r.request.From
	for _, row := range gone {
		if row.Events > 0 {
			border = earliest(time.UnixMilli(row.Latest).UTC().Truncate(time.Hour).Add(time.Hour), r.request.To)
		}
	}
	return border, nil
}

// stillHave fails when the topics have lost what was to be read from them since the
// border was found: plan and tables may take hours.
func (r *Replay) stillHave(ctx context.Context) error {
	border, err := r.findBorder(ctx)
	if err == nil && border.After(r.border) {
		err = fmt.Errorf("events up to %s: %w", stamp(border), ErrExpired)
	}
	return err
}

// ErrTopic is what the error about a topic that cannot take events wraps.
var ErrTopic = errors.New("it cannot take what is replayed")

// checkTopic looks whether there is a topic of its own for what is asked for. What every
// type of event is published to in one topic, no reader of the stream understands.
func (r *Replay) checkTopic(ctx context.Context) error {
	if r.request.Topic == "" || len(r.deps.Kafka.Brokers) == 0 {
		return nil
	}
	for _, topic := range admin.Topics(r.deps.Kafka) {
		if topic.Name == r.request.Topic {
			return fmt.Errorf("%q is a topic of the stream: %w; make another one, or leave it out", r.request.Topic, ErrTopic)
		}
	}
	lister := r.lister()
	defer lister.Close()
	if _, err := lister.Starts(ctx, r.request.Topic); errors.Is(err, kafka.ErrUnknownTopic) {
		return fmt.Errorf("%q does not exist: %w", r.request.Topic, ErrTopic)
	} else if err != nil {
		return fmt.Errorf("look for topic %q: %w", r.request.Topic, err)
	}
	return nil
}

// lister asks the brokers for offsets.
func (r *Replay) lister() *offsets.Lister {
	return offsets.NewLister(r.deps.Kafka, r.deps.Log, telemetry.NewRegistry())
}

// text names a partition in a position.
func text(p kafka.TopicPartition) string { return p.Topic + "/" + strconv.Itoa(int(p.Partition)) }

// quietMax is how long nothing may come before it is looked whether anything is left.
const quietMax = 5 * time.Second

// ErrExpired says that the topics have lost what a run has not read yet.
var ErrExpired = errors.New("the topics no longer have all of it; remove the file of the position to begin anew")

// spans returns what is to read of each partition: from the position on to where analytics
// has stored it. What this run publishes is no part of it. An event that is not stored
// yet would count twice if its type is another one today: as what is published here, and
// as what analytics stores afterwards.
func (r *Replay) spans(ctx context.Context, lister *offsets.Lister, at Position) (from, end map[kafka.TopicPartition]int64, err error) {
	topics := r.topics()
	// Kafka takes a time before 1970 for another question.
	if from, err = lister.After(ctx, latest(time.UnixMilli(0), r.border.Add(-aheadMax)), topics...); err != nil {
		return nil, nil, err
	}
	ends, err := lister.Ends(ctx, topics...)
	if err != nil {
		return nil, nil, err
	}
	if end, err = lister.Committed(ctx, r.deps.Kafka.Group("analytics"), topics...); err != nil {
		return nil, nil, err
	}
	starts, err := lister.Starts(ctx, topics...)
	if err != nil {
		return nil, nil, err
	}
	r.unstored = 0
	for p := range from {
		if next, ok := at.Offsets[text(p)]; ok {
			if next < starts[p] {
				return nil, nil, fmt.Errorf("go on with %s at %d: %w", text(p), next, ErrExpired)
			}
			from[p] = next
		}
		end[p] = min(end[p], ends[p]) // of a topic that was made anew
		r.unstored += max(0, ends[p]-max(from[p], end[p]))
		if from[p] >= end[p] {
			delete(from, p)
		}
	}
	return from, end, nil
}

// fromTopics gives the events of the topics to use, page by page, those of one partition
// in their order.
func (r *Replay) fromTopics(ctx context.Context, operation string, at Position, use func(context.Context, []pair, Position) error) error {
	lister := r.lister()
	defer lister.Close()
	if len(at.Offsets) == 0 {
		if err := r.stillHave(ctx); err != nil {
			return err
		}
	}
	next, end, err := r.spans(ctx, lister, at)
	if err != nil {
		return fmt.Errorf("read events of topics: %w", err)
	}
	reader := read.NewReader(r.deps.Kafka, r.deps.Log, telemetry.NewRegistry())
	defer reader.Close()
	if err := reader.Add(maps.Clone(next)); err != nil {
		return err
	}
	if at.Offsets = maps.Clone(at.Offsets); at.Offsets == nil {
		at.Offsets = map[string]int64{}
	}
	for len(next) > 0 {
		recs, err := reader.PollUntil(ctx, time.Now().Add(quietMax), pageRows)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && len(recs) == 0 {
			err = r.checkExpired(ctx, lister, next)
		}
		if err != nil {
			return fmt.Errorf("read events of topics: %w", err)
		}
		var page []*schemas.Event
		for _, rec := range recs {
			p := kafka.TopicPartition{Topic: rec.Topic, Partition: rec.Partition}
			if _, open := next[p]; !open {
				continue
			}
			if rec.Offset > next[p] { // the topics keep each record: those between are gone, and the library went on behind them
				return fmt.Errorf("read events of topics: %s at %d: %w", text(p), next[p], ErrExpired)
			}
			next[p] = rec.Offset + 1
			at.Offsets[text(p)] = next[p]
			if e := r.asked(rec, operation); e != nil {
				page = append(page, e)
			}
		}
		for p := range next {
			if next[p] >= end[p] {
				delete(next, p)
				reader.Remove(p)
			}
		}
		at.Offsets = maps.Clone(at.Offsets)
		if err := r.page(ctx, page, at, use); err != nil {
			return err
		}
	}
	return nil
}

// checkExpired fails when a partition has lost what is still to be read: its reader
// would wait for ever.
func (r *Replay) checkExpired(ctx context.Context, lister *offsets.Lister, next map[kafka.TopicPartition]int64) error {
	starts, err := lister.Starts(ctx, r.topics()...)
	if err != nil {
		return err
	}
	for p := range next {
		if starts[p] > next[p] {
			return fmt.Errorf("%s at %d: %w", text(p), next[p], ErrExpired)
		}
	}
	return nil
}

// asked returns the event of rec where it is one of the request, else nil. A record of
// this operation, from before an interruption, is not one.
func (r *Replay) asked(rec *kgo.Record, operation string) *schemas.Event {
	for _, h := range rec.Headers {
		if h.Key == schemas.HeaderReplay && string(h.Value) == operation {
			return nil
		}
	}
	e := new(schemas.Event)
	if rec.Attrs.IsControl() || json.Unmarshal(rec.Value, e) != nil {
		return nil // analytics has made a dead letter of it
	}
	if e.Time.Before(r.border) || !e.Time.Before(r.request.To) || r.request.Source != "" && e.Source != r.request.Source {
		return nil
	}
	return e
}
