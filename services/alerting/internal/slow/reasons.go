package slow

import (
	"cmp"
	"slices"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/reply"
)

// reasonsRead bounds the rows of one key: more than there are reasons, causes and
// types together that come. reasonsTold is what an alert has, as from the stream.
const reasonsRead, reasonsTold = 200, 3

// reasonRow is a row of reasons.sql.
type reasonRow struct {
	Name      string `ch:"name"` // of the key, as keyed names it
	Type      string `ch:"type"`
	Hard      bool   `ch:"hard"`
	Refused   bool   `ch:"refused"`
	Reason    string `ch:"reason"`
	Cause     string `ch:"cause"`
	Messages  uint64 `ch:"messages"`
	Reply     string `ch:"answer"`
	Recipient string `ch:"addressee"`
}

// of says whether the row is of what a metric counts as bad.
func (r *reasonRow) of(name string) bool {
	kind := schemas.Type(r.Type)
	bounced := kind == schemas.Bounced && !r.Refused
	switch name {
	case metric.BlockRate:
		return r.Refused
	case metric.HardBounceRate:
		return bounced && r.Hard
	case metric.BounceRate:
		return bounced
	case metric.DeliveryRate:
		return bounced || r.Refused
	case metric.SuppressedShare:
		return (bounced || r.Refused) && schemas.Cause(r.Cause) == schemas.CauseProvider
	case metric.DeferralRate:
		return kind == schemas.Deferred
	default: // a complaint has no reply
		return false
	}
}

// top returns why the messages of a key were refused, the most frequent first.
func top(list []reasonRow, name, metricName string) (out []schemas.ReasonCount) {
	for i := range list {
		r := &list[i]
		if r.Name != name || !r.of(metricName) {
			continue
		}
		c := schemas.ReasonCount{
			Reason: schemas.Reason(cmp.Or(r.Reason, string(schemas.OtherReason))), Cause: schemas.Cause(cmp.Or(r.Cause, string(schemas.CauseOther))),
			Count: int64(r.Messages), Sample: reply.Mask(r.Reply, r.Recipient),
		}
		at := slices.IndexFunc(out, func(have schemas.ReasonCount) bool { return have.Reason == c.Reason && have.Cause == c.Cause })
		if at < 0 {
			out = append(out, c)
			continue
		}
		out[at].Count += c.Count // of another type
	}
	slices.SortStableFunc(out, func(a, b schemas.ReasonCount) int { return cmp.Compare(b.Count, a.Count) })
	return out[:min(len(out), reasonsTold)]
}
