package slow

import (
	"context"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

const (
	// carriersAsked bounds the keys that evidence is read for in one round; each is a
	// query of its own. The worst come first.
	carriersAsked = 10
	// carriersRead bounds the rows of one such query, carriersTold what an alert has.
	carriersRead, carriersTold = 50, 3
	// carrierOfBad and carrierLift say who carries a spike: at least a quarter of the
	// bad messages, and that share at least half as much above its share of all mail.
	carrierOfBad, carrierLift = 0.25, 1.5
)

type carrierRow struct {
	Dimension string `ch:"dimension"`
	Value     string `ch:"value"`
	Bad       uint64 `ch:"bad"`
	Volume    uint64 `ch:"volume"`
}

// carriers reads which campaigns, IPs and sources carry what is about to fire.
func (e *Engine) carriers(ctx context.Context, q *query, name string, key row, at span) ([]schemas.AlertCarrier, error) {
	text := strings.NewReplacer("{{bad}}", badOf(name), "{{counted}}", countedOf(name), "{{holds}}", q.holds()).Replace(carriersSQL)
	args := append(at.args(), matchArgs(q.match)...)
	args = append(args, clickhouse.Arg("literal", array(e.literal)), clickhouse.Arg("source", hexOf(key.source)),
		clickhouse.Arg("key", hexOf(key.key)), clickhouse.Arg("limit", decimal(carriersRead)))
	var list []carrierRow
	if err := e.read(ctx, &list, q.statement(text), args...); err != nil {
		return nil, err
	}
	return carry(list, q.by), nil
}

// carry picks from rows, the first of which is the total, who carries the spike. One
// of the dimension that was asked for says nothing new.
func carry(list []carrierRow, by string) (out []schemas.AlertCarrier) {
	if len(list) == 0 || list[0].Dimension != "" || list[0].Bad == 0 || list[0].Volume == 0 {
		return nil
	}
	total := list[0]
	for _, r := range list[1:] {
		c := schemas.AlertCarrier{
			Dimension: r.Dimension, Value: r.Value, Bad: int64(r.Bad),
			OfBad: float64(r.Bad) / float64(total.Bad), OfVolume: float64(r.Volume) / float64(total.Volume),
		}
		if r.Value != "" && r.Dimension != by && len(out) < carriersTold && c.OfBad >= carrierOfBad && c.OfBad >= carrierLift*c.OfVolume {
			out = append(out, c)
		}
	}
	return out
}

// holds is the condition that a message belongs to the key.
func (s scope) holds() string {
	switch s.by {
	case metric.All:
		return "{key:String} != ''"
	case metric.Tag:
		return "has(arrayMap(t -> hex(t), tags_of), {key:String})"
	default:
		message, _ := s.expressions()
		return "hex(" + message + ") = {key:String}"
	}
}

// badOf and countedOf are the numerator and denominator of a metric over the columns
// of the statement, as outcomeRow.row has them over its counts.
func badOf(name string) string {
	switch name {
	case metric.HardBounceRate:
		return "outcome = 2 AND hard"
	case metric.BounceRate:
		return "outcome = 2"
	case metric.DeliveryRate:
		return "outcome > 1"
	case metric.SuppressedShare:
		return "outcome >= 2 AND why = 4"
	case metric.DeferralRate:
		return "deferred"
	case metric.ComplaintRate:
		return "complained"
	case metric.UnsubscribeRate:
		return "unsubscribed"
	default:
		return "outcome = 3"
	}
}

func countedOf(name string) string {
	switch name {
	case metric.DeferralRate:
		return "deferred OR outcome > 0"
	case metric.ComplaintRate:
		return "complained OR (was_delivered AND provider_of != 'google')"
	case metric.UnsubscribeRate:
		return "was_delivered"
	default:
		return "outcome > 0"
	}
}
