package slow

import (
	"cmp"
	"context"
	"fmt"
	"slices"

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
)

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

// evidence reads what explains the spikes that are about to fire at the keys asked, and
// puts it into the findings.
func (e *Engine) evidence(ctx context.Context, q *query, at span, asked map[string][]*Found) error {
	names := watched{}
	for name := range asked {
		names[name] = 0
	}
	args := append(append(at.args(), matchArgs(q.match)...), names.args()...)
	list, err := e.carriers(ctx, q, append(args, clickhouse.Arg("limit", decimal(carriersRead))))
	if err != nil {
		return fmt.Errorf("read who carries it: %w", err)
	}
	var reasons []reasonRow
	if q.kind == outcomes { // events that came late, or did not come, have no reply
		args = append(args, clickhouse.Arg("literal", array(e.literal)), clickhouse.Arg("limit", decimal(reasonsRead)))
		if err := e.read(ctx, &reasons, q.statement(reasonsSQL), args...); err != nil {
			return fmt.Errorf("read the replies: %w", err)
		}
	}
	byName := map[string][]carrier{}
	for _, c := range list {
		byName[c.Name] = append(byName[c.Name], c)
	}
	for name, found := range asked {
		for _, f := range found {
			f.Carriers, f.Reasons = carry(byName[name], f), top(reasons, name, f.Rule.Metric)
		}
	}
	return nil
}

// carriers reads who has how much of what q counts.
func (e *Engine) carriers(ctx context.Context, q *query, args []any) (out []carrier, err error) {
	if q.kind == outcomes {
		var list []carrierRow
		err = e.read(ctx, &list, q.statement(carriersSQL), append(args, clickhouse.Arg("literal", array(e.literal)))...)
		for i := range list {
			out = append(out, carrier{list[i].carrierKey, list[i].parts})
		}
		return out, err
	}
	text := carriersEventsSQL
	switch q.kind {
	case lateness:
		text, args = carriersLateSQL, append(args, clickhouse.Arg("late", decimal(lateAfter.Milliseconds())))
	case volume:
		args = append(args, clickhouse.Arg("week", decimal(week.Milliseconds())), clickhouse.Arg("weeks", decimal(weeks)))
	default:
		args = append(args, clickhouse.Arg("week", decimal(week.Milliseconds())), clickhouse.Arg("weeks", decimal(0)))
	}
	var list []carrierEvents
	err = e.read(ctx, &list, q.statement(text), args...)
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
	bad := func(r *carrier) (part, total int64) {
		part, total = r.parts(f.Rule.Metric)
		if f.Rule.LowIsBad() {
			part = total - part
		}
		return part, total
	}
	allBad, all := bad(&list[0])
	if allBad == 0 || all == 0 {
		return nil
	}
	for i := range list[1:] {
		r := &list[1+i]
		part, total := bad(r)
		c := schemas.AlertCarrier{
			Dimension: r.Dimension, Value: r.Value, Bad: part, OfBad: min(float64(part)/float64(allBad), 1), OfVolume: float64(total) / float64(all),
		}
		// A campaign sends for some days: that one of the weeks before sends nothing now is
		// no part of a drop.
		ended := f.Rule.Metric == metric.VolumeDrop && r.Dimension == metric.Campaign
		if _, asked := f.Labels[r.Dimension]; !asked && !ended && r.Value != "" && c.OfBad >= carrierOfBad && c.OfBad >= carrierLift*c.OfVolume {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b schemas.AlertCarrier) int { return cmp.Compare(b.Bad, a.Bad) })
	return out[:min(len(out), carriersTold)]
}
