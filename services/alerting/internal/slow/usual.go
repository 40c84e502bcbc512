package slow

import (
	"context"
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

const (
	// volumeKeptMax and volumeKeptPart are how long the volumes of the weeks before are
	// remembered: they are of the same hours, so a part of the window later they are
	// almost the same. They are the dearest thing to read, four times the window.
	volumeKeptMax, volumeKeptPart = time.Hour, 24
)

// baseline are the usual rates of a query's keys, by metric and key.
type baseline struct {
	at    time.Time
	rates map[string]map[string]float64
}

// of returns the usual rate of a key.
func (b baseline) of(name string, r row) (rate float64, ok bool) {
	rate, ok = b.rates[name][keyed(r.split, r.source, r.key)]
	return rate, ok
}

// learn reads the four weeks before, now and then, where a rule of q compares with
// them.
func (e *Engine) learn(ctx context.Context, q *query, at span) error {
	compares := func(r rule.Rule) bool { return r.Baseline > 0 }
	if age := at.to.Sub(q.usual.at); !slices.ContainsFunc(q.rules(), compares) || age >= 0 && age < baselineKept {
		return nil
	}
	seen := weekly{}
	for n := 1; n <= weeks; n++ {
		list, _, err := e.rows(ctx, q, at.before(n), nil)
		if err != nil {
			return err
		}
		for _, got := range list {
			for _, r := range q.splits[got.split].rules {
				if part, total := got.parts(r.Metric); compares(r) && total > 0 && total >= r.MinVolume/2 {
					seen.note(r.Metric, keyed(got.split, got.source, got.key), n, float64(part)/float64(total))
				}
			}
		}
	}
	q.usual = baseline{at.to, map[string]map[string]float64{}}
	for name, keys := range seen {
		for key, rates := range keys {
			q.usual.put(name, key, rates)
		}
	}
	return nil
}

// put notes the usual rate of a key: the median of the weeks before, if there are enough.
func (b baseline) put(name, key string, rates []float64) {
	if len(rates) < weeksMin {
		return
	}
	if b.rates[name] == nil {
		b.rates[name] = map[string]float64{}
	}
	slices.Sort(rates)
	b.rates[name][key] = (rates[(len(rates)-1)/2] + rates[len(rates)/2]) / 2
}

// weekly are the rates of the weeks before, by metric and key.
type weekly map[string]map[string][]float64

// note adds the rate of the n-th week to a key, once however many rules ask for it.
func (r weekly) note(name, key string, n int, rate float64) {
	if r[name] == nil {
		r[name] = map[string][]float64{}
	}
	if len(r[name][key]) < n {
		r[name][key] = append(r[name][key], rate)
	}
}

// usualRow is a row of usual.sql.
type usualRow struct {
	keyRow
	Before []uint64 `ch:"before"`
}

// volumes are the usual numbers of events of a query's keys, at most keysMax a split.
type volumes struct {
	at     time.Time
	list   []usualRow
	beyond int
}

// volumeRows compares the events of each key with those of the weeks before. The keys
// are those that the weeks before had, so that one that fell silent is seen.
func (e *Engine) volumeRows(ctx context.Context, q *query, at span, known watched) (out []row, beyond int, err error) {
	kept := min(q.window/volumeKeptPart, volumeKeptMax)
	if age := at.to.Sub(q.volume.at); q.volume.at.IsZero() || age < 0 || age >= kept {
		var list []usualRow
		if err := e.read(ctx, &list, q.statement(usualSQL), append(q.args(at, known), clickhouse.Arg("week", decimal(week.Milliseconds())))...); err != nil {
			return nil, 0, err
		}
		q.volume = volumes{at.to, list, beyondOf(list, func(r usualRow) keyRow { return r.keyRow })}
	}
	var list []eventRow
	args := append(q.args(at, known), clickhouse.Arg("volumes", numbers(make([]int64, len(q.splits)))), clickhouse.Arg("limit", decimal(2*keysMax)))
	if err := e.read(ctx, &list, known.mark(q.statement(eventsSQL)), args...); err != nil {
		return nil, 0, err
	}
	present := make(map[string]*eventRow, len(list))
	for i := range list {
		present[list[i].Name] = &list[i]
	}
	for _, before := range q.volume.list {
		now := present[before.Name]
		if now == nil {
			now = &eventRow{keyRow: before.keyRow}
		}
		out = append(out, now.share(now.Events, uint64(median(before.Before))))
	}
	return out, q.volume.beyond, nil
}
