package slow

import (
	"context"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// lateAfter is when an event counts as late, for metric.Lateness.
const lateAfter = 15 * time.Minute

// span is the time a query looks at.
type span struct{ from, to time.Time }

func (s span) args() []any {
	return []any{clickhouse.Arg("from", millis(s.from)), clickhouse.Arg("to", millis(s.to))}
}

// before returns s so many weeks ago.
func (s span) before(n int) span {
	shift := -time.Duration(n) * week
	return span{s.from.Add(shift), s.to.Add(shift)}
}

// row is one key as read: by metric its numerator, its denominator and the fresh
// part of that.
type row struct {
	source, key string
	fresh       int64
	counts      schemas.AlertCounts
	causes      map[string]int64
	// parts returns numerator and denominator of a metric.
	parts func(name string) (part, total int64)
}

type outcomeRow struct {
	Source          string   `ch:"source_label"`
	Key             string   `ch:"key"`
	Delivered       uint64   `ch:"delivered"`
	Bounced         uint64   `ch:"bounced"`
	Hard            uint64   `ch:"hard"`
	Blocked         uint64   `ch:"blocked"`
	Suppressed      uint64   `ch:"suppressed"`
	Deferrals       uint64   `ch:"deferrals"`
	Tried           uint64   `ch:"tried"`
	Complaints      uint64   `ch:"complaints"`
	Complainable    uint64   `ch:"complainable"`
	Unsubscriptions uint64   `ch:"unsubscriptions"`
	Deliveries      uint64   `ch:"deliveries"`
	Fresh           uint64   `ch:"fresh"`
	Causes          []uint64 `ch:"causes"`
	Found           uint64   `ch:"found"`
}

func (r *outcomeRow) row() row {
	counts := schemas.AlertCounts{Delivered: int64(r.Delivered), Bounced: int64(r.Bounced), Blocked: int64(r.Blocked)}
	causes := map[string]int64{}
	for i, c := range schemas.Causes() {
		if i < len(r.Causes) && r.Causes[i] > 0 {
			causes[string(c)] = int64(r.Causes[i])
		}
	}
	return row{source: r.Source, key: r.Key, fresh: int64(r.Fresh), counts: counts, causes: causes, parts: func(name string) (part, total int64) {
		switch name {
		case metric.HardBounceRate:
			return int64(r.Hard), counts.Total()
		case metric.BounceRate:
			return counts.Bounced, counts.Total()
		case metric.DeliveryRate:
			return counts.Delivered, counts.Total()
		case metric.SuppressedShare:
			return int64(r.Suppressed), counts.Total()
		case metric.DeferralRate:
			return int64(r.Deferrals), int64(r.Tried)
		case metric.ComplaintRate:
			return int64(r.Complaints), int64(r.Complainable)
		case metric.UnsubscribeRate:
			return int64(r.Unsubscriptions), int64(r.Deliveries)
		default:
			return counts.Blocked, counts.Total()
		}
	}}
}

type eventRow struct {
	Source  string `ch:"source_label"`
	Key     string `ch:"key"`
	Events  uint64 `ch:"events"`
	Unknown uint64 `ch:"unknown"`
	Fresh   uint64 `ch:"fresh"`
	Found   uint64 `ch:"found"`
}

type volumeRow struct {
	Source string   `ch:"source_label"`
	Key    string   `ch:"key"`
	Events uint64   `ch:"events"`
	Before []uint64 `ch:"before"`
	Fresh  uint64   `ch:"fresh"`
	Found  uint64   `ch:"found"`
}

type lateRow struct {
	Source string `ch:"source_label"`
	Key    string `ch:"key"`
	Events uint64 `ch:"events"`
	Late   uint64 `ch:"late"`
	Fresh  uint64 `ch:"fresh"`
	Found  uint64 `ch:"found"`
}

// share is a row of one metric only.
func (r row) share(part, total uint64) row {
	r.parts = func(string) (int64, int64) { return int64(part), int64(total) }
	return r
}

// rows reads the keys of q in a span, the worst first, and how many there were.
func (e *Engine) rows(ctx context.Context, q *query, at span, known watched) (out []row, found uint64, err error) {
	args := append(at.args(), matchArgs(q.match)...)
	args = append(args, known.args()...)
	args = append(args, clickhouse.Arg("volume", decimal(q.volume())), clickhouse.Arg("limit", decimal(keysMax)))
	switch q.kind {
	case events:
		var list []eventRow
		err = e.read(ctx, &list, q.statement(eventsSQL), args...)
		for _, r := range list {
			out, found = append(out, row{source: r.Source, key: r.Key, fresh: int64(r.Fresh)}.share(r.Unknown, r.Events)), r.Found
		}
	case volume:
		var list []volumeRow
		err = e.read(ctx, &list, q.statement(volumeSQL), append(args, clickhouse.Arg("week", decimal(week.Milliseconds())))...)
		for _, r := range list {
			out, found = append(out, row{source: r.Source, key: r.Key, fresh: int64(r.Fresh)}.share(r.Events, uint64(median(r.Before)))), r.Found
		}
	case lateness:
		var list []lateRow
		err = e.read(ctx, &list, q.statement(lateSQL), append(args, clickhouse.Arg("late", decimal(lateAfter.Milliseconds())))...)
		for _, r := range list {
			out, found = append(out, row{source: r.Source, key: r.Key, fresh: int64(r.Fresh)}.share(r.Late, r.Events)), r.Found
		}
	default:
		var list []outcomeRow
		err = e.read(ctx, &list, q.statement(outcomesSQL), append(args, clickhouse.Arg("literal", array(e.literal)))...)
		for i := range list {
			out, found = append(out, list[i].row()), list[i].Found
		}
	}
	return out, found, err
}

// volume is the least that any rule of q judges by.
func (q *query) volume() int64 {
	least := q.rules[0].MinVolume
	for _, r := range q.rules {
		least = min(least, r.MinVolume)
	}
	return least
}

// watched are the keys of incidents under way, which are read whatever they have,
// and since when mail counts as fresh for them.
type watched map[string]int64

func (w watched) args() []any {
	keys, sinces := make([]string, 0, len(w)), make([]int64, 0, len(w))
	for k := range w {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		sinces = append(sinces, w[k])
	}
	if len(keys) == 0 { // transform wants one pair
		keys, sinces = []string{"none"}, []int64{0}
	}
	return []any{clickhouse.Arg("keys", array(keys)), clickhouse.Arg("sinces", numbers(sinces))}
}

// watch returns the keys of q that have an incident under way. Of two rules over one
// key the later incident says what is fresh.
func (q *query) watch(active []schemas.Alert) watched {
	w := watched{}
	for i := range active {
		a := &active[i]
		if !slices.ContainsFunc(q.rules, func(r rule.Rule) bool { return r.Name == a.Rule }) {
			continue
		}
		if key, ok := q.keyOf(a.Labels); ok && len(w) < watchedMax {
			w[key] = max(w[key], a.Since.UnixMilli())
		}
	}
	return w
}

// baseline are the usual rates of a query's keys, by metric and key.
type baseline struct {
	at    time.Time
	rates map[string]map[string]float64
}

// learn reads the four weeks before, now and then, where a rule of q compares with
// them.
func (e *Engine) learn(ctx context.Context, q *query, at span) error {
	if !slices.ContainsFunc(q.rules, func(r rule.Rule) bool { return r.Baseline > 0 }) || at.to.Sub(q.usual.at) < baselineKept {
		return nil
	}
	seen := map[string]map[string][]float64{}
	for n := 1; n <= weeks; n++ {
		list, _, err := e.rows(ctx, q, at.before(n), nil)
		if err != nil {
			return err
		}
		for _, r := range q.rules {
			if seen[r.Metric] == nil {
				seen[r.Metric] = map[string][]float64{}
			}
			for _, got := range list {
				if part, total := got.parts(r.Metric); total > 0 && total >= r.MinVolume/2 {
					key := hexed(got.source, got.key)
					seen[r.Metric][key] = append(seen[r.Metric][key], float64(part)/float64(total))
				}
			}
		}
	}
	q.usual = baseline{at.to, map[string]map[string]float64{}}
	for name, keys := range seen {
		q.usual.rates[name] = map[string]float64{}
		for key, rates := range keys {
			if len(rates) >= weeksMin {
				slices.Sort(rates)
				q.usual.rates[name][key] = (rates[(len(rates)-1)/2] + rates[len(rates)/2]) / 2
			}
		}
	}
	return nil
}
