package slow

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

const (
	// cellMin is the shortest cell: shorter ones are not worth counting by.
	cellMin = time.Minute
	// loadMin is how much history one statement reads at least; a rule over a longer
	// window reads that much.
	loadMin = 24 * time.Hour
)

// Streamer reads rows one by one. Kept by clickhouse.Client.
type Streamer interface {
	Each(ctx context.Context, query string, row func(scan func(dest any) error) error, args ...any) error
}

// Steps are the moments at which rules are read: From, and every Step from there until To.
type Steps struct {
	From, To time.Time
	Step     time.Duration
}

// History finds the incidents that rules by SQL would have had, read at every step of a
// span. It reads each event once instead of once a step: the time is divided into cells,
// of which all windows are made, and the sums of the windows move on with them. What it
// counts is what the statements of Engine count, but that a message has the largest of
// the campaigns, domains and so on of its events also of those before the window.
type History struct {
	Steps
	rules    []rule.Rule
	literal  []string
	streamer Streamer
}

// NewHistory returns a history of rules.
func NewHistory(opt Options, streamer Streamer, steps Steps) *History {
	e := New(opt, nil, zap.NewNop(), prometheus.NewRegistry())
	return &History{Steps: steps, rules: opt.Rules, literal: e.literal, streamer: streamer}
}

// Fits says whether the windows and the step are made of cells that are long enough, and
// weeks of steps where rules compare with them.
func (h *History) Fits() bool {
	return !slices.ContainsFunc(plan(h.rules, h.Step), func(q *query) bool {
		return h.cell(q) < cellMin || q.looksBack() > 0 && week%h.Step != 0
	})
}

// cell returns the longest time that the window, the step and, where it compares with
// them, a week are made of.
func (h *History) cell(q *query) time.Duration {
	of := gcd(h.Step, q.known())
	if q.looksBack() > 0 {
		of = gcd(of, week)
	}
	return of
}

func gcd(a, b time.Duration) time.Duration {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// looksBack is how long before its window a query compares with, by cells.
func (q *query) looksBack() time.Duration {
	if q.kind == volume || slices.ContainsFunc(q.rules(), func(r rule.Rule) bool { return r.Baseline > 0 }) {
		return weeks * week
	}
	return 0
}

// Find returns the incidents in order of their beginning; note is called with the share
// that is done.
func (h *History) Find(ctx context.Context, note func(done float64)) ([]schemas.Alert, error) {
	reels := h.reels(plan(h.rules, h.Step))
	var out []schemas.Alert
	for i, r := range reels {
		found, err := r.run(ctx, func(done float64) { note((float64(i) + done) / float64(len(reels))) })
		if err != nil {
			return nil, fmt.Errorf("read %s by %s over %s: %w", r.tracks[0].q.rules()[0].Metric, r.query.dimensions(), r.query.window, err)
		}
		out = append(out, found...)
	}
	slices.SortStableFunc(out, func(a, b schemas.Alert) int { return a.Since.Compare(b.Since) })
	return out, nil
}

// track follows one query through the history. Cells are numbered from 1, from origin on.
type track struct {
	*History
	q       *query
	game    *Game
	origin  time.Time
	cell    time.Duration
	window  int // in cells
	series  map[string]*series
	order   []*series
	pending map[int][]delta // by the cell in which they happen
	heard   map[string]*heard
	usual   map[string]learnt // of silence, by source
	volumes []int64           // by split
}

// delta moves counters of a cell.
type delta struct {
	*series
	cell int32
	n    int32
	in   tallies
}

func (h *History) track(q *query) *track {
	t := &track{
		History: h, q: q, game: NewGame(q.rules()), cell: h.cell(q), series: map[string]*series{}, pending: map[int][]delta{},
		heard: map[string]*heard{}, usual: map[string]learnt{},
	}
	t.window = int(q.known() / t.cell)
	t.origin = h.From.Add(-q.known() - q.looksBack())
	for _, s := range q.splits {
		t.volumes = append(t.volumes, s.volume())
	}
	return t
}

// step counts a cell, and judges where a step ends with it.
func (t *track) step(c int) {
	t.advance(c)
	at := t.end(c)
	since := at.Sub(t.From)
	if since%t.Step != 0 || c < t.window {
		return
	}
	if since >= 0 {
		t.game.Take(t.round(c, at), at)
	}
	t.remember(int(since / t.Step))
}

// end returns when a cell ends.
func (t *track) end(c int) time.Time { return t.origin.Add(time.Duration(c) * t.cell) }

// advance counts what happened in a cell, and forgets what is not in the window that
// ends with it.
func (t *track) advance(c int) {
	for _, d := range t.pending[c] {
		if int(d.cell) > c-t.window {
			d.series.add(int(d.cell), d.in, d.n)
		}
	}
	delete(t.pending, c)
	for _, s := range t.order {
		s.expire(c - t.window)
	}
}

// of returns the series of a key.
func (t *track) of(split int, source, key string) *series {
	name := keyed(split, source, key)
	s := t.series[name]
	if s == nil {
		s = &series{split: split, source: source, key: key, name: name}
		t.series[name] = s
		t.order = append(t.order, s)
	}
	return s
}

// round reads all keys at the end of a cell.
func (t *track) round(c int, at time.Time) Round {
	active := t.game.Active()
	out := Round{Read: t.q.scopes()}
	if t.q.kind == silence {
		out.Found = t.q.silent(t.feeds(c, active), at, active)
		return out
	}
	var rows []row
	if t.q.kind == lag {
		rows = t.q.lags(t.last(c, active), at)
	} else {
		rows = t.rows(c, at, t.q.watch(active))
	}
	underWay := fingerprints(active)
	for _, got := range rows {
		for _, f := range t.q.judge(got, at) {
			if underWay[rule.Fingerprint(f.Rule.Name, f.Labels)] || f.Rule.Over(f.Reading) {
				out.Found = append(out.Found, *f)
			}
		}
	}
	return out
}

// rows are the keys with enough mail, and those that have an incident.
func (t *track) rows(c int, at time.Time, known watched) (out []row) {
	step := int(at.Sub(t.From) / t.Step)
	t.q.usual.rates = map[string]map[string]float64{}
	for _, s := range t.order {
		before := t.before(s, step)
		since, watch := int64(0), false
		if len(known) > 0 {
			since, watch = known[s.name]
		}
		if !watch && t.size(s, before) < t.volumes[s.split] {
			continue
		}
		t.compare(s, step)
		if watch || t.over(s, before) {
			out = append(out, t.row(s, before, t.after(c, since)))
		}
	}
	return out
}

// over says whether any rule is over its threshold at a key, as hardly any is: a row is
// made of the others only while they have an incident.
func (t *track) over(s *series, before []uint64) bool {
	got := s.sum.counted()
	return slices.ContainsFunc(t.q.splits[s.split].rules, func(r rule.Rule) bool {
		in := rule.Reading{}
		switch t.q.kind {
		case outcomes:
			in.Part, in.Total = got.parts(r.Metric)
		case volume:
			in.Part, in.Total = int64(s.sum[allEvents]), median(before)
		default:
			in.Part, in.Total = int64(s.sum[unknownEvents]), int64(s.sum[allEvents])
		}
		in.Usual, in.HasUsual = t.q.usual.rates[r.Metric][s.name]
		return r.Over(in)
	})
}

// after returns the last cell before which nothing is fresh.
func (t *track) after(c int, since int64) int {
	if since == 0 {
		return c - t.window
	}
	return int(time.UnixMilli(since).Sub(t.origin) / t.cell)
}

// size is what a key has to have enough of.
func (t *track) size(s *series, before []uint64) int64 {
	switch t.q.kind {
	case outcomes:
		return max(int64(s.sum[tried]), int64(s.sum[deliveries]), int64(s.sum[complainable]))
	case volume:
		if len(before) == 0 {
			return 0
		}
		return int64(slices.Sorted(slices.Values(before))[1])
	default:
		return int64(s.sum[allEvents])
	}
}

func (t *track) row(s *series, before []uint64, after int) row {
	key := keyRow{Split: uint8(s.split), Source: s.source, Key: s.key, Name: s.name}
	switch t.q.kind {
	case outcomes:
		r := outcomeRow{keyRow: key, messageCounts: s.sum.counted(), Fresh: uint64(max(s.fresh(after), 0))}
		for _, n := range s.sum[blockedBy : blockedBy+causes] {
			r.Causes = append(r.Causes, uint64(max(n, 0)))
		}
		return r.row()
	case volume:
		r := eventRow{keyRow: key, Fresh: uint64(s.fresh(after))}
		return r.share(uint64(s.sum[allEvents]), uint64(median(before)))
	default:
		r := eventRow{keyRow: key, Fresh: uint64(s.fresh(after))}
		return r.share(uint64(s.sum[unknownEvents]), uint64(s.sum[allEvents]))
	}
}

// remember keeps what later steps compare with.
func (t *track) remember(step int) {
	if t.q.looksBack() == 0 {
		return
	}
	for _, s := range t.order {
		if t.q.kind == volume {
			t.keep(s, metric.VolumeDrop, step, float64(s.sum[allEvents]))
			continue
		}
		for _, past := range s.past { // of four weeks ago, and of nothing now
			*past.at(step) = math.NaN()
		}
		got := s.sum.counted()
		for _, r := range t.q.splits[s.split].rules {
			part, total := got.parts(r.Metric)
			if enough := total > 0 && total >= r.MinVolume/2 && t.size(s, nil) >= t.volumes[s.split]; r.Baseline > 0 && enough {
				t.keep(s, r.Metric, step, float64(part)/float64(total))
			}
		}
	}
}

// keep notes a number of one step. Of events it begins with as many as are worth judging:
// of four weeks the smallest number says nothing.
func (t *track) keep(s *series, name string, step int, n float64) {
	unknown := math.NaN()
	if t.q.kind == volume {
		unknown = 0
	}
	if s.past[name] == nil {
		if t.q.kind == volume && n < float64(t.volumes[s.split]) {
			return
		}
		if s.past == nil {
			s.past = map[string]*ring{}
		}
		s.past[name] = newRing(t.weekSteps()*weeks, unknown)
	}
	*s.past[name].at(step) = n
}

func (t *track) weekSteps() int { return int(week / t.Step) }

// before returns the events of the four weeks before, where they are compared with.
func (t *track) before(s *series, step int) (out []uint64) {
	if t.q.kind != volume || s.past == nil {
		return nil
	}
	past := s.past[metric.VolumeDrop]
	for n := 1; n <= weeks; n++ {
		out = append(out, uint64(*past.at(step - n*t.weekSteps())))
	}
	return out
}

// compare puts the usual rates of a key where judge looks for them.
func (t *track) compare(s *series, step int) {
	if t.q.kind == volume {
		return
	}
	for name, past := range s.past {
		var rates []float64
		for n := 1; n <= weeks; n++ {
			if rate := *past.at(step - n*t.weekSteps()); !math.IsNaN(rate) {
				rates = append(rates, rate)
			}
		}
		t.q.usual.put(name, s.name, rates)
	}
}
