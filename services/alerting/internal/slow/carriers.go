package slow

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

const (
	// carriersAsked bounds the keys that evidence is read for in one reading of a query.
	// The worst come first.
	carriersAsked = 10
	// carriersRead bounds the rows of one key, carriersTold what an alert has.
	carriersRead, carriersTold = 50, 3
	// carrierOfBad and carrierLift say who carries a spike: at least a quarter of the
	// bad messages, and that share at least half as much above its share of all mail.
	carrierOfBad, carrierLift = 0.25, 1.5
	// carrierTimes is for a spike so high that no share can be 1.5 times as large, as
	// where 80 % are bad: three times the rate of all others together, who must have at
	// least a tenth of the mail (carrierOthers): the rate of fewer is chance.
	carrierTimes, carrierOthers = 3, 0.1
)

// carries says that who has the share ofBad of the bad messages and ofVolume of all
// explains the spike.
func carries(ofBad, ofVolume float64) bool {
	othersBad, others := 1-ofBad, 1-ofVolume
	stands := others >= carrierOthers && ofBad*others >= carrierTimes*othersBad*ofVolume
	return ofBad >= carrierOfBad && (ofBad >= carrierLift*ofVolume || stands)
}

// carrierKey is what every statement says of a carrier.
type carrierKey struct {
	Name      string `ch:"name"` // of the key, as keyed names it
	Dimension string `ch:"dimension"`
	Value     string `ch:"value"`
}

// carrierRow is a row of carriers.sql.
type carrierRow struct {
	carrierKey
	messageCounts
}

// carrierEvents is a row of carriers_events.sql and carriers_late.sql.
type carrierEvents struct {
	carrierKey
	Events  uint64   `ch:"events"`
	Unknown uint64   `ch:"unknown"`
	Before  []uint64 `ch:"before"`
}

// parts returns numerator and denominator of a metric of events.
func (r *carrierEvents) parts(name string) (part, total int64) {
	if name == metric.VolumeDrop {
		return int64(r.Events), median(r.Before)
	}
	return int64(r.Unknown), int64(r.Events)
}

// carrier is a row of any of them.
type carrier struct {
	carrierKey
	parts func(name string) (part, total int64)
}

// bad returns the bad messages that f counts, and all.
func (c *carrier) bad(f *Found) (part, total int64) {
	part, total = c.parts(f.Rule.Metric)
	if f.Rule.LowIsBad() {
		part = total - part
	}
	return part, total
}

// asked are the spikes that are about to fire, by the name of their key.
type asked map[string][]*Found

// names are the keys as statements take them.
func (a asked) names() []any {
	names := watched{}
	for name := range a {
		names[name] = 0
	}
	return names.args()
}

// evidence reads what explains the spikes asked, and puts it into the findings.
func (e *Engine) evidence(ctx context.Context, q *query, at span, spikes asked) error {
	if err := e.carry(ctx, q, at, spikes, narrow{}); err != nil {
		return err
	}
	if q.kind != outcomes { // events that came late, or did not come, have no reply
		return nil
	}
	var reasons []reasonRow
	args := append(append(at.args(), matchArgs(q.match)...), spikes.names()...)
	args = append(args, clickhouse.Arg("literal", array(e.literal)), clickhouse.Arg("limit", decimal(reasonsRead)))
	if err := e.read(ctx, &reasons, q.statement(reasonsSQL), args...); err != nil {
		return fmt.Errorf("read the replies: %w", err)
	}
	for name, found := range spikes {
		for _, f := range found {
			f.Reasons = top(reasons, name, f.Rule.Metric)
		}
	}
	return nil
}

// carry puts into the findings who carries the spikes asked, and what these had a week
// before.
func (e *Engine) carry(ctx context.Context, q *query, at span, spikes asked, only narrow) error {
	r := reading{q, at, spikes, nil, only}
	list, err := e.carriers(ctx, r)
	if err != nil {
		return fmt.Errorf("read who carries it: %w", err)
	}
	picked := map[string]bool{}
	for name, found := range spikes {
		for _, f := range found {
			f.Carriers = carry(of(list, name), f)
			for _, c := range f.Carriers {
				picked[carrierName(c.Dimension, c.Value)] = true
			}
		}
	}
	if len(picked) == 0 || q.kind == volume { // which is beside the weeks before already
		return nil
	}
	picked[carrierName("", "")] = true
	r.at, r.picked = at.before(1), slices.Sorted(maps.Keys(picked))
	list, err = e.carriers(ctx, r)
	if err != nil {
		return fmt.Errorf("read what those who carry it had before: %w", err)
	}
	for name, found := range spikes {
		for _, f := range found {
			beside(of(list, name), f)
		}
	}
	return nil
}

func of(list []carrier, name string) []carrier {
	return slices.DeleteFunc(slices.Clone(list), func(c carrier) bool { return c.Name != name })
}

// carrierName names a carrier as the statements do, in hexadecimal.
func carrierName(dimension, value string) string { return hexOf(dimension + "\x00" + value) }

// reading is what one statement about carriers reads.
type reading struct {
	q      *query
	at     span
	spikes asked
	picked []string // those only, bad or not; none is all
	only   narrow
}

// carriers reads who has how much of what the query counts.
func (e *Engine) carriers(ctx context.Context, r reading) (out []carrier, err error) {
	q, at, spikes, picked, only := r.q, r.at, r.spikes, r.picked, r.only
	args := append(append(at.args(), matchArgs(q.match)...), spikes.names()...)
	args = append(args, clickhouse.Arg("limit", decimal(carriersRead)))
	args = append(args, only.args...)
	which := "true"
	if len(picked) > 0 {
		which = `has({picked:Array(String)}, hex(concat(carrier.1, '\0', carrier.2)))`
		args = append(args, clickhouse.Arg("picked", array(picked)))
	}
	text := func(sql string) string {
		return q.statement(strings.NewReplacer("{{picked}}", which, "{{match}}", "{{match}}"+only.text).
			Replace(strings.ReplaceAll(sql, "{{messages}}", messagesSQL)))
	}
	if q.kind == outcomes {
		before := int64(0)
		if len(picked) > 0 {
			before = 1
		}
		var list []carrierRow
		args = append(args, clickhouse.Arg("literal", array(e.literal)), clickhouse.Arg("before", decimal(before)))
		err = e.read(ctx, &list, text(carriersSQL), args...)
		for i := range list {
			out = append(out, carrier{list[i].carrierKey, list[i].parts})
		}
		return out, err
	}
	sql := carriersEventsSQL
	switch q.kind {
	case lateness:
		sql, args = carriersLateSQL, append(args, clickhouse.Arg("late", decimal(lateAfter.Milliseconds())))
	case volume:
		args = append(args, clickhouse.Arg("week", decimal(week.Milliseconds())), clickhouse.Arg("weeks", decimal(weeks)))
	default:
		args = append(args, clickhouse.Arg("week", decimal(week.Milliseconds())), clickhouse.Arg("weeks", decimal(0)))
	}
	var list []carrierEvents
	err = e.read(ctx, &list, text(sql), args...)
	for i := range list {
		out = append(out, carrier{list[i].carrierKey, list[i].parts})
	}
	return out, err
}

// carry picks from rows, the first of which is the total, who carries the spike. One
// of the dimension that was asked for says nothing new.
func carry(list []carrier, f *Found) (out []schemas.AlertCarrier) {
	if len(list) == 0 || list[0].Dimension != "" {
		return nil
	}
	allBad, all := list[0].bad(f)
	f.Stored = allBad
	if allBad <= 0 || all <= 0 {
		return nil
	}
	for i := range list[1:] {
		r := &list[1+i]
		part, total := r.bad(f)
		c := schemas.AlertCarrier{
			Dimension: r.Dimension, Value: r.Value, Bad: part, Of: allBad, OfBad: min(share(part, allBad), 1), OfVolume: share(total, all),
		}
		// A campaign sends for some days: that one of the weeks before sends nothing now is
		// no part of a drop.
		ended := f.Rule.Metric == metric.VolumeDrop && r.Dimension == metric.Campaign
		if _, known := f.Labels[r.Dimension]; !known && !ended && r.Value != "" && carries(c.OfBad, c.OfVolume) {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b schemas.AlertCarrier) int { return cmp.Compare(b.Bad, a.Bad) })
	return out[:min(len(out), carriersTold)]
}

// beside puts into the carriers of f what they had before, as list says, the first row
// of which is the total: nothing, where there was no such mail then.
func beside(list []carrier, f *Found) {
	var allBad, all int64
	if len(list) > 0 && list[0].Dimension == "" {
		allBad, all = list[0].bad(f)
	}
	for i := range f.Carriers {
		c, b := &f.Carriers[i], &schemas.AlertCarrierBefore{}
		for j := range list {
			if list[j].Dimension == c.Dimension && list[j].Value == c.Value {
				b.Bad, b.Total = list[j].bad(f)
			}
		}
		b.OfBad, b.OfVolume = share(b.Bad, allBad), share(b.Total, all)
		c.Before = b
	}
}

// share returns a part of all, 0 of nothing.
func share(part, all int64) float64 {
	if all <= 0 {
		return 0
	}
	return float64(part) / float64(all)
}
