package wording

import (
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

// Example returns a notice that says of itself that it is a test: what a receiver gets
// to show that it works. Kind is schemas.NotifyFiring, ...
func Example(kind string, now time.Time) outbox.Notice {
	const window = 15 * time.Minute
	labels := map[string]string{schemas.LabelSource: "test", schemas.DimensionDomain: "example.com"}
	a := schemas.Alert{
		Fingerprint: rule.Fingerprint("test", labels), Rule: "test", Severity: schemas.SeverityInfo, Labels: labels,
		State: schemas.AlertFiring, Threshold: 0.6, MinVolume: 20, Window: window.String(), Since: now.Add(-window), UpdatedAt: now,
	}
	a.Incident = rule.Incident(a.Fingerprint, now)
	n := outbox.Notice{Alert: a, Kind: kind, Seq: 1, At: now, Facts: schemas.AlertFacts{
		Incident: a.Incident, Since: a.Since, Value: 0.78, Peak: 0.81,
		Counts: schemas.AlertCounts{Delivered: 20, Bounced: 2, Blocked: 78},
		Causes: map[string]int64{string(schemas.CauseSender): 78},
		Reasons: []schemas.ReasonCount{
			{Reason: schemas.Reputation, Cause: schemas.CauseSender, Count: 78, Sample: "550 5.7.1 this is a test of Mailstream, nothing happened"},
		},
	}}
	if kind == schemas.NotifyResolved {
		n.Seq, n.Facts.Ended = 2, schemas.EndRecovered
		n.Facts.Value, n.Facts.Counts = 0, schemas.AlertCounts{Delivered: 100}
	}
	return n
}
