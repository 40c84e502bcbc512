package slow

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mailstream/mailstream/schemas"
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

type carrierRow struct {
	Name      string `ch:"name"` // of the key, as keyed names it
	Dimension string `ch:"dimension"`
	Value     string `ch:"value"`
	messageCounts
}

// evidence reads what explains the spikes that are about to fire at the keys asked, and
// puts it into the findings.
func (e *Engine) evidence(ctx context.Context, q *query, at span, asked map[string][]*Found) error {
	names := watched{}
	for name := range asked {
		names[name] = 0
	}
	args := append(append(at.args(), matchArgs(q.match)...), names.args()...)
	args = append(args, clickhouse.Arg("literal", array(e.literal)))
	var carriers []carrierRow
	if err := e.read(ctx, &carriers, q.statement(carriersSQL), append(args, clickhouse.Arg("limit", decimal(carriersRead)))...); err != nil {
		return fmt.Errorf("read who carries it: %w", err)
	}
	var reasons []reasonRow
	if err := e.read(ctx, &reasons, q.statement(reasonsSQL), append(args, clickhouse.Arg("limit", decimal(reasonsRead)))...); err != nil {
		return fmt.Errorf("read the replies: %w", err)
	}
	byName := map[string][]carrierRow{}
	for _, r := range carriers {
		byName[r.Name] = append(byName[r.Name], r)
	}
	for name, found := range asked {
		for _, f := range found {
			f.Carriers, f.Reasons = carry(byName[name], f), top(reasons, name, f.Rule.Metric)
		}
	}
	return nil
}

// carry picks from rows, the first of which is the total, who carries the spike. One
// of the dimension that was asked for says nothing new.
func carry(list []carrierRow, f *Found) (out []schemas.AlertCarrier) {
	if len(list) == 0 || list[0].Dimension != "" {
		return nil
	}
	bad := func(r *carrierRow) (part, total int64) {
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
			Dimension: r.Dimension, Value: r.Value, Bad: part, OfBad: float64(part) / float64(allBad), OfVolume: float64(total) / float64(all),
		}
		if _, asked := f.Labels[r.Dimension]; !asked && r.Value != "" && c.OfBad >= carrierOfBad && c.OfBad >= carrierLift*c.OfVolume {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b schemas.AlertCarrier) int { return cmp.Compare(b.Bad, a.Bad) })
	return out[:min(len(out), carriersTold)]
}
