package slow

import (
	"context"
	"maps"
	"slices"
	"strings"
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
	split       int // of query.splits
	source, key string
	fresh       int64
	counts      schemas.AlertCounts
	causes      map[string]int64
	// parts returns numerator and denominator of a metric.
	parts func(name string) (part, total int64)
}

// keyRow is what every statement says of a key.
type keyRow struct {
	Split  uint8  `ch:"split"`
	Source string `ch:"source_label"`
	Key    string `ch:"key"`
	Name   string `ch:"name"` // as keyed names it
	Found  uint64 `ch:"found"`
}

// messageCounts are the columns of counts.sql.
type messageCounts struct {
	Delivered       uint64 `ch:"delivered"`
	Bounced         uint64 `ch:"bounced"`
	Hard            uint64 `ch:"hard"`
	Blocked         uint64 `ch:"blocked"`
	Suppressed      uint64 `ch:"suppressed"`
	Deferrals       uint64 `ch:"deferrals"`
	Tried           uint64 `ch:"tried"`
	Complaints      uint64 `ch:"complaints"`
	Complainable    uint64 `ch:"complainable"`
	Unsubscriptions uint64 `ch:"unsubscriptions"`
	Deliveries      uint64 `ch:"deliveries"`
}

type outcomeRow struct {
	keyRow
	messageCounts
	Fresh  uint64   `ch:"fresh"`
	Causes []uint64 `ch:"causes"`
}

func (c *messageCounts) counts() schemas.AlertCounts {
	return schemas.AlertCounts{Delivered: int64(c.Delivered), Bounced: int64(c.Bounced), Blocked: int64(c.Blocked)}
}

// parts returns numerator and denominator of a metric.
func (c *messageCounts) parts(name string) (part, total int64) {
	all := c.counts().Total()
	switch name {
	case metric.HardBounceRate:
		return int64(c.Hard), all
	case metric.BounceRate:
		return int64(c.Bounced), all
	case metric.DeliveryRate:
		return int64(c.Delivered), all
	case metric.SuppressedShare:
		return int64(c.Suppressed), all
	case metric.DeferralRate:
		return int64(c.Deferrals), int64(c.Tried)
	case metric.ComplaintRate:
		return int64(c.Complaints), int64(c.Complainable)
	case metric.UnsubscribeRate:
		return int64(c.Unsubscriptions), int64(c.Deliveries)
	default:
		return int64(c.Blocked), all
	}
}

func (r *outcomeRow) row() row {
	causes := map[string]int64{}
	for i, c := range schemas.Causes() {
		if i < len(r.Causes) && r.Causes[i] > 0 {
			causes[string(c)] = int64(r.Causes[i])
		}
	}
	return row{split: int(r.Split), source: r.Source, key: r.Key, fresh: int64(r.Fresh), counts: r.counts(), causes: causes, parts: r.parts}
}

// eventRow is a row of events.sql and late.sql.
type eventRow struct {
	keyRow
	Events  uint64 `ch:"events"`
	Unknown uint64 `ch:"unknown"`
	Fresh   uint64 `ch:"fresh"`
}

// share is a row of one metric only.
func (r *eventRow) share(part, total uint64) row {
	return row{split: int(r.Split), source: r.Source, key: r.Key, fresh: int64(r.Fresh), parts: func(string) (int64, int64) { return int64(part), int64(total) }}
}

// rows reads the keys of q in a span, the worst first, and how many more there were.
func (e *Engine) rows(ctx context.Context, q *query, at span, known watched) (out []row, beyond int, err error) {
	switch q.kind {
	case volume:
		return e.volumeRows(ctx, q, at, known)
	case events, lateness:
		text, args := eventsSQL, q.args(at, known)
		if q.kind == lateness {
			text, args = lateSQL, append(args, clickhouse.Arg("late", decimal(lateAfter.Milliseconds())))
		}
		var list []eventRow
		err = e.read(ctx, &list, known.mark(q.statement(text)), args...)
		for i := range list {
			out = append(out, list[i].share(list[i].Unknown, list[i].Events))
		}
		return out, beyondOf(list, func(r eventRow) keyRow { return r.keyRow }), err
	default:
		var list []outcomeRow
		err = e.read(ctx, &list, known.mark(q.statement(outcomesSQL)), append(q.args(at, known), clickhouse.Arg("literal", array(e.literal)))...)
		for i := range list {
			out = append(out, list[i].row())
		}
		return out, beyondOf(list, func(r outcomeRow) keyRow { return r.keyRow }), err
	}
}

// args are what all statements over keys take.
func (q *query) args(at span, known watched) []any {
	volumes := make([]int64, 0, len(q.splits))
	for _, s := range q.splits {
		volumes = append(volumes, s.volume())
	}
	args := append(at.args(), matchArgs(q.match)...)
	return append(append(args, known.args()...), clickhouse.Arg("volumes", numbers(volumes)), clickhouse.Arg("limit", decimal(keysMax)))
}

// beyondOf returns how many keys were left out.
func beyondOf[R any](list []R, of func(R) keyRow) (beyond int) {
	splits := map[uint8]int{}
	for _, r := range list {
		k := of(r)
		if _, seen := splits[k.Split]; !seen {
			beyond += int(k.Found)
		}
		splits[k.Split]++
	}
	return beyond - len(list)
}

// volume is the least that any rule of s judges by.
func (s *split) volume() int64 {
	least := s.rules[0].MinVolume
	for _, r := range s.rules {
		least = min(least, r.MinVolume)
	}
	return least
}

// watched are the keys of incidents under way, as keyed names them, which are read
// whatever they have, and since when mail counts as fresh for them.
type watched map[string]int64

func (w watched) args() []any {
	names, sinces := make([]string, 0, len(w)), make([]int64, 0, len(w))
	for _, name := range slices.Sorted(maps.Keys(w)) {
		names, sinces = append(names, hexOf(name)), append(sinces, w[name])
	}
	if len(names) == 0 { // an empty list has no type
		names, sinces = []string{"00"}, []int64{0}
	}
	return []any{clickhouse.Arg("names", array(names)), clickhouse.Arg("sinces", numbers(sinces))}
}

// mark puts into a statement since when an event of a key is fresh. Without incidents
// that costs nothing.
func (w watched) mark(text string) string {
	since, mark := "toInt64(0)", "toInt64(0)"
	if len(w) > 0 {
		since = `transform(concat(toString(tuple.1), '\0', tuple.2, '\0', tuple.3), watched, {sinces:Array(Int64)}, toInt64(0))`
		mark = `roundDown(toUnixTimestamp64Milli(time) - 1, arraySort(arrayConcat([toInt64(0)], {sinces:Array(Int64)})))`
	}
	return strings.NewReplacer("{{since}}", since, "{{mark}}", mark).Replace(text)
}

// watch returns the keys of q that have an incident under way. Of two rules over one
// key the later incident says what is fresh.
func (q *query) watch(active []schemas.Alert) watched {
	w := watched{}
	for i := range active {
		a := &active[i]
		for n, s := range q.splits {
			if !slices.ContainsFunc(s.rules, func(r rule.Rule) bool { return r.Name == a.Rule }) {
				continue
			}
			if source, key, ok := s.keyOf(a.Labels); ok && len(w) < watchedMax {
				name := keyed(n, source, key)
				w[name] = max(w[name], a.Since.UnixMilli())
			}
		}
	}
	return w
}
