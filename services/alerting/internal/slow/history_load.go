package slow

import (
	"context"
	"fmt"
	"reflect"
	"slices"
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

// reel reads the history once for all tracks that look at the same events, whatever their
// windows and however they split them.
type reel struct {
	tracks []*track
	query  query     // with the splits of all tracks and the longest window
	places [][]place // by split of query
	window int       // in cells
}

// place is a split of a track.
type place struct {
	*track
	split int
}

// reels divides the queries into as few reels as there are kinds of events and cells.
func (h *History) reels(queries []*query) (out []*reel) {
	for _, q := range queries {
		t := h.track(q)
		i := slices.IndexFunc(out, func(r *reel) bool {
			return r.query.kind == q.kind.history() && reflect.DeepEqual(r.query.match, q.match) && r.tracks[0].cell == t.cell
		})
		if i < 0 {
			i, out = len(out), append(out, &reel{query: query{scope: scope{kind: q.kind.history(), match: q.match}}})
		}
		out[i].add(t)
	}
	return out
}

// history returns the kind that reads the same events of history.
func (k kind) history() kind {
	switch k {
	case volume:
		return events
	case lag:
		return silence
	default:
		return k
	}
}

// add lets one more track see what is read. All of them begin with the one that looks
// back furthest.
func (r *reel) add(t *track) {
	r.tracks = append(r.tracks, t)
	r.query.window, r.window = max(r.query.window, t.q.window), max(r.window, t.window)
	for n, s := range t.q.splits {
		i := slices.IndexFunc(r.query.splits, func(have split) bool { return have.by == s.by && have.together == s.together })
		if i < 0 {
			i = len(r.query.splits)
			r.query.splits, r.places = append(r.query.splits, split{by: s.by, together: s.together}), append(r.places, nil)
		}
		r.places[i] = append(r.places[i], place{t, n})
	}
	origin := slices.MinFunc(r.tracks, func(a, b *track) int { return a.origin.Compare(b.origin) }).origin
	for _, t := range r.tracks {
		t.origin = origin
	}
}

// run plays the whole span.
func (r *reel) run(ctx context.Context, note func(done float64)) (out []schemas.Alert, err error) {
	for _, t := range r.tracks {
		if t.q.kind != silence {
			continue
		}
		if err := t.expect(ctx); err != nil {
			return nil, err
		}
	}
	first := r.tracks[0]
	last, loaded := int(first.To.Sub(first.origin)/first.cell), 0
	for c := 1; c <= last; c++ {
		if c > loaded {
			loaded = min(c-1+max(r.window, int(loadMin/first.cell)), last)
			if err := r.load(ctx, c-1, loaded); err != nil {
				return nil, err
			}
			note(float64(c) / float64(last))
		}
		for _, t := range r.tracks {
			t.step(c)
		}
	}
	for _, t := range r.tracks {
		out = append(out, t.game.Incidents()...)
	}
	return out, ctx.Err()
}

// load reads the cells (after, to].
func (r *reel) load(ctx context.Context, after, to int) error {
	args := r.args(after, to)
	happen := func(row *cellRow) {
		for _, p := range r.places[row.Split] {
			p.happen(p.of(p.split, row.Source, row.Key), row)
		}
	}
	switch r.query.kind {
	case outcomes:
		return each(ctx, r, historyMessagesSQL, append(args, clickhouse.Arg("literal", array(r.tracks[0].literal))), func(row *patternRow) {
			for _, p := range r.places[row.Split] {
				p.enter(p.of(p.split, row.Source, row.Key), row, after)
			}
		})
	case silence:
		return each(ctx, r, historyHeardSQL, args, func(row *heardRow) {
			for _, t := range r.tracks {
				t.hear(row)
			}
		})
	case lateness:
		return each(ctx, r, historyLateSQL, append(args, clickhouse.Arg("late", decimal(lateAfter.Milliseconds()))), happen)
	default:
		return each(ctx, r, historyEventsSQL, args, happen)
	}
}

// args are the parameters of the statements that read cells (after, to].
func (r *reel) args(after, to int) []any {
	t := r.tracks[0]
	return append(matchArgs(r.query.match), clickhouse.Arg("origin", millis(t.origin)), clickhouse.Arg("cell", decimal(t.cell.Milliseconds())),
		clickhouse.Arg("from", millis(t.end(max(after-r.window, 0)))), clickhouse.Arg("after", millis(t.end(after))), clickhouse.Arg("to", millis(t.end(to))))
}

// each reads rows one by one.
func each[R any](ctx context.Context, r *reel, text string, args []any, take func(*R)) error {
	return r.tracks[0].streamer.Each(ctx, r.query.statement(text), func(scan func(any) error) error {
		var row R
		if err := scan(&row); err != nil {
			return fmt.Errorf("read a row of history: %w", err)
		}
		take(&row)
		return nil
	}, args...)
}

// enter counts what happened to some messages after a cell: each event in each of its
// classes, in the place of the one before.
func (t *track) enter(s *series, r *patternRow, after int) {
	n := int32(r.Messages)
	var before [classes]happening
	for _, code := range r.Pattern {
		h := happening(code)
		at, in := h.cell(), tallies(0)
		for c := range classes {
			if !h.in(c, r.Silent) {
				continue
			}
			if old := before[c]; at > after && old != 0 {
				t.pending[at] = append(t.pending[at], delta{s, int32(old.cell()), -n, old.tallies(c)})
			}
			before[c] = h
			in |= h.tallies(c)
		}
		if at > after && in != 0 {
			t.pending[at] = append(t.pending[at], delta{s, int32(at), n, in})
		}
	}
}

// happen counts events.
func (t *track) happen(s *series, r *cellRow) {
	at := int(r.Cell)
	t.pending[at] = append(t.pending[at], delta{s, int32(at), int32(r.Events), tallies(0).with(allEvents)})
	if r.Unknown > 0 {
		t.pending[at] = append(t.pending[at], delta{s, int32(at), int32(r.Unknown), tallies(0).with(unknownEvents)})
	}
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
		if err := each(ctx, &reel{tracks: []*track{t}, query: query{scope: t.q.scope}}, expectedSQL, args, func(r *expectedRow) {
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
