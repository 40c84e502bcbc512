package slow

import (
	"context"
	"fmt"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// patternRow is a row of history_messages.sql.
type patternRow struct {
	Split    uint8    `ch:"split"`
	Source   string   `ch:"source_label"`
	Key      string   `ch:"key"`
	Pattern  []uint32 `ch:"pattern"`
	Silent   bool     `ch:"silent"`
	Messages uint64   `ch:"messages"`
}

// cellRow is a row of history_events.sql and history_late.sql.
type cellRow struct {
	Split   uint8  `ch:"split"`
	Source  string `ch:"source_label"`
	Key     string `ch:"key"`
	Cell    uint32 `ch:"cell"`
	Events  uint64 `ch:"events"`
	Unknown uint64 `ch:"unknown"`
}

// heardRow is a row of history_heard.sql.
type heardRow struct {
	Source string `ch:"source"`
	Cell   uint32 `ch:"cell"`
	Last   int64  `ch:"last"`
	Events uint64 `ch:"events"`
}

// heard is one source: the last event of each cell and how many there were.
type heard struct {
	last map[int]int64
	n    map[int]uint64
}

// load reads the cells (after, to].
func (t *track) load(ctx context.Context, after, to int) error {
	args := t.args(after, to)
	switch t.q.kind {
	case outcomes:
		return each(ctx, t, historyMessagesSQL, append(args, clickhouse.Arg("literal", array(t.literal))), func(r *patternRow) { t.enter(r, after) })
	case silence, lag:
		return each(ctx, t, historyHeardSQL, args, t.hear)
	case lateness:
		return each(ctx, t, historyLateSQL, append(args, clickhouse.Arg("late", decimal(lateAfter.Milliseconds()))), t.happen)
	default:
		return each(ctx, t, historyEventsSQL, args, t.happen)
	}
}

// each reads rows one by one.
func each[R any](ctx context.Context, t *track, text string, args []any, take func(*R)) error {
	return t.streamer.Each(ctx, t.q.statement(text), func(scan func(any) error) error {
		var r R
		if err := scan(&r); err != nil {
			return fmt.Errorf("read a row of history: %w", err)
		}
		take(&r)
		return nil
	}, args...)
}

// enter counts what happened to some messages after a cell: each event in each of its
// classes, in the place of the one before.
func (t *track) enter(r *patternRow, after int) {
	s, n := t.of(int(r.Split), r.Source, r.Key), int32(r.Messages)
	var before [classes]happening
	var into []counter
	put := func(at int, h happening, c class, n int32) {
		into = h.counters(c, into[:0])
		for _, counter := range into {
			t.pending[at] = append(t.pending[at], delta{s, h.cell(), n, counter})
		}
	}
	for _, code := range r.Pattern {
		h := happening(code)
		for c := range classes {
			if !h.in(c, r.Silent) {
				continue
			}
			if at := h.cell(); at > after {
				if before[c] != 0 {
					put(at, before[c], c, -n)
				}
				put(at, h, c, n)
			}
			before[c] = h
		}
	}
}

// happen counts events.
func (t *track) happen(r *cellRow) {
	s, at := t.of(int(r.Split), r.Source, r.Key), int(r.Cell)
	t.pending[at] = append(t.pending[at], delta{s, at, int32(r.Events), allEvents}, delta{s, at, int32(r.Unknown), unknownEvents})
}

// hear notes that a source was heard.
func (t *track) hear(r *heardRow) {
	h := t.heard[r.Source]
	if h == nil {
		h = &heard{map[int]int64{}, map[int]uint64{}}
		t.heard[r.Source] = h
	}
	h.last[int(r.Cell)], h.n[int(r.Cell)] = r.Last, r.Events
}

// last returns the sources that were heard in the window that ends with a cell.
func (t *track) last(c int, active []schemas.Alert) (out []lastRow) {
	after := t.after(c, t.q.since(active))
	for name, h := range t.heard {
		r := lastRow{Source: name}
		for at := c; at > c-t.window; at-- {
			if r.Last == 0 {
				r.Last = h.last[at]
			}
			if at > after {
				r.Fresh += h.n[at]
			}
		}
		if r.Last > 0 {
			out = append(out, r)
		}
	}
	return out
}

// expect reads what the sources used to send in each hour, a week at a time.
func (t *track) expect(ctx context.Context) error {
	for from := t.origin.Truncate(time.Hour); from.Before(t.To); from = from.Add(week) {
		args := append(matchArgs(t.q.match), clickhouse.Arg("from", decimal(from.Unix())), clickhouse.Arg("to", decimal(from.Add(week-time.Hour).Unix())),
			clickhouse.Arg("limit", decimal(keysMax*25)))
		if err := each(ctx, t, expectedSQL, args, func(r *expectedRow) {
			if t.usual[r.Source] == nil {
				t.usual[r.Source] = learnt{}
			}
			t.usual[r.Source][r.At] = quartile(r.Before)
		}); err != nil {
			return err
		}
	}
	return nil
}

// feeds are all sources at the end of a cell.
func (t *track) feeds(c int, active []schemas.Alert) map[string]*feed {
	out := map[string]*feed{}
	for name, usual := range t.usual {
		out[name] = &feed{usual: usual}
	}
	for _, r := range t.last(c, active) {
		if out[r.Source] == nil {
			out[r.Source] = &feed{usual: learnt{}}
		}
		out[r.Source].last, out[r.Source].fresh = time.UnixMilli(r.Last), int64(r.Fresh)
	}
	return out
}
