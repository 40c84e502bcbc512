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

type lastRow struct {
	Source string `ch:"source"`
	Last   int64  `ch:"last"`
	Fresh  uint64 `ch:"fresh"`
}

type expectedRow struct {
	Source string   `ch:"source"`
	At     int64    `ch:"at"`
	Before []uint64 `ch:"before"`
}

// feed is what is known of one source.
type feed struct {
	last   time.Time // zero: not heard in the window
	fresh  int64
	usual  learnt
	silent float64 // expected events since last
}

// silent reads which feeds should have spoken. When all of them are silent it is
// one incident, of the way in, and not one a source.
func (e *Engine) silent(ctx context.Context, q *query, now time.Time, active []schemas.Alert) ([]Found, error) {
	feeds, err := e.feeds(ctx, q, now, active)
	if err != nil {
		return nil, err
	}
	return q.silent(feeds, now, active), nil
}

// silent judges the rules of q over the feeds.
func (q *query) silent(feeds map[string]*feed, now time.Time, active []schemas.Alert) (out []Found) {
	for _, r := range q.rules() {
		under := func(labels map[string]string) bool {
			print := rule.Fingerprint(r.Name, labels)
			return slices.ContainsFunc(active, func(a schemas.Alert) bool { return a.Fingerprint == print })
		}
		found := silentOf(r, feeds, now, under)
		if !slices.Contains(r.By, metric.Source) {
			found = slices.DeleteFunc(found, func(f Found) bool { return f.Labels[metric.All] == "" })
		}
		out = append(out, found...)
	}
	return out
}

// silentOf judges one rule over the feeds. A key that is fine and has no incident
// needs no reading.
func silentOf(r rule.Rule, feeds map[string]*feed, now time.Time, under func(map[string]string) bool) (out []Found) {
	everything := &feed{}
	expecting := 0
	hours, _ := rule.ParseHours(r.Expect.Hours) // validated
	floor := now.Add(-r.Window)
	for _, f := range feeds {
		f.silent = f.expected(r, hours, maxTime(f.last, floor), now)
		everything.last, everything.fresh = maxTime(everything.last, f.last), everything.fresh+f.fresh
		if f.expected(r, hours, floor, now) > 0 {
			expecting++
		}
	}
	for _, f := range feeds {
		n := f.expected(r, hours, maxTime(everything.last, floor), now)
		if everything.silent += n; r.Expect.Min > 0 { // what each owes is not owed twice
			everything.silent = n
		}
	}
	all := map[string]string{metric.All: metric.All}
	allSilent := (expecting > 1 || slices.Equal(r.By, []string{metric.All})) && everything.over(r, now)
	if allSilent || under(all) {
		out = append(out, everything.found(r, all, now))
	}
	for name, f := range feeds {
		labels := map[string]string{metric.Source: name}
		if under(labels) || f.over(r, now) && !allSilent && !under(all) {
			out = append(out, f.found(r, labels, now))
		}
	}
	return out
}

// expected returns how many events the feed should have sent in (from, to].
func (f *feed) expected(r rule.Rule, hours rule.Hours, from, to time.Time) float64 {
	if r.Expect.Min > 0 {
		return stated(r.Expect, hours, from, to)
	}
	return f.usual.sum(from, to)
}

// pauseMax is how long a feed may pause where it was learnt what it sends, however much
// that is: mail is sent in bursts, on a holiday less, and ClickHouse may be minutes behind.
const pauseMax = 2 * behindMax

// over says whether the feed has been silent for too long.
func (f *feed) over(r rule.Rule, now time.Time) bool {
	return f.silent >= float64(r.MinVolume) && (r.Expect.Min > 0 || now.Sub(f.last) >= pauseMax)
}

// found is the reading: all that was expected is missing, or something came. An end
// is believed from the first event on.
func (f *feed) found(r rule.Rule, labels map[string]string, now time.Time) Found {
	in := rule.Reading{Now: now}
	if f.over(r, now) {
		in.Part, in.Total = int64(f.silent), int64(f.silent)
	} else if f.fresh > 0 {
		in.Total = max(f.fresh, r.ResolveVolume)
		in.Fresh = in.Total
	}
	return Found{Rule: r, Labels: labels, Reading: in}
}

// heard reads when the sources were last heard in a span, and what they sent since
// the latest incident of q began.
func (e *Engine) heard(ctx context.Context, q *query, at span, active []schemas.Alert) (list []lastRow, err error) {
	args := append(append(at.args(), matchArgs(q.match)...), clickhouse.Arg("since", decimal(q.since(active))), clickhouse.Arg("limit", decimal(keysMax)))
	err = e.read(ctx, &list, q.statement(lastSQL), args...)
	return list, err
}

// since returns when the latest incident of q began, in Unix milliseconds.
func (q *query) since(active []schemas.Alert) (since int64) {
	rules := q.rules()
	for i := range active {
		if slices.ContainsFunc(rules, func(r rule.Rule) bool { return r.Name == active[i].Rule }) {
			since = max(since, active[i].Since.UnixMilli())
		}
	}
	return since
}

// lagKnown is how many windows, and at least a day, a source is known after it was
// last heard: one that was taken away is not late for ever.
const lagKnown = 2

// lagging reads how long ago each source was heard, against the window.
func (e *Engine) lagging(ctx context.Context, q *query, now time.Time, active []schemas.Alert) ([]row, error) {
	list, err := e.heard(ctx, q, span{now.Add(-q.known()), now}, active)
	return q.lags(list, now), err
}

// known is how long a source that was heard is known.
func (q *query) known() time.Duration {
	if q.kind == lag {
		return max(lagKnown*q.window, 24*time.Hour)
	}
	return q.window
}

// lags are the rows of metric.Lag.
func (q *query) lags(list []lastRow, now time.Time) (out []row) {
	if len(list) == 0 {
		return nil
	}
	all := lastRow{Source: metric.All}
	for _, r := range list {
		all.Last, all.Fresh = max(all.Last, r.Last), all.Fresh+r.Fresh
	}
	of := func(i int, r lastRow) {
		total := int64(q.window / time.Second)
		part := min(int64(now.Sub(time.UnixMilli(r.Last))/time.Second), total)
		out = append(out, row{split: i, key: r.Source, fresh: int64(r.Fresh), parts: func(string) (int64, int64) { return part, total }})
	}
	for i, s := range q.splits {
		if s.by == metric.All {
			of(i, all)
			continue
		}
		for _, r := range list {
			of(i, r)
		}
	}
	return out
}

// feeds reads when every source was last heard and what it used to send.
func (e *Engine) feeds(ctx context.Context, q *query, now time.Time, active []schemas.Alert) (map[string]*feed, error) {
	limit := clickhouse.Arg("limit", decimal(keysMax*25))
	at := span{now.Add(-q.window), now}
	spoke, err := e.heard(ctx, q, at, active)
	if err != nil {
		return nil, err
	}
	feeds := map[string]*feed{}
	of := func(name string) *feed {
		if feeds[name] == nil {
			feeds[name] = &feed{usual: learnt{}}
		}
		return feeds[name]
	}
	for _, r := range spoke {
		of(r.Source).last, of(r.Source).fresh = time.UnixMilli(r.Last), int64(r.Fresh)
	}
	hours := []any{clickhouse.Arg("from", decimal(at.from.Truncate(time.Hour).Unix())), clickhouse.Arg("to", decimal(now.Truncate(time.Hour).Unix())), limit}
	var expected []expectedRow
	if err := e.read(ctx, &expected, q.statement(expectedSQL), append(hours, matchArgs(q.match)...)...); err != nil {
		return nil, err
	}
	for _, r := range expected {
		of(r.Source).usual[r.At] = quartile(r.Before)
	}
	return feeds, nil
}
