package wording

import (
	"cmp"
	"maps"
	"slices"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
)

// Advice says of an alert what usually helps, as its messages do; "" where nothing can be
// said.
func Advice(a *schemas.Alert) string {
	return advice(a, &schemas.AlertFacts{Causes: a.Causes, Reasons: a.Reasons})
}

// advice says what usually helps, "" where nothing can be said: for the reason that
// came most often, else for the cause, else for what is measured. It is the short
// form of docs/runbook.md.
func advice(a *schemas.Alert, f *schemas.AlertFacts) string {
	if len(f.Reasons) > 0 {
		top := slices.MaxFunc(f.Reasons, func(a, b schemas.ReasonCount) int { return cmp.Compare(a.Count, b.Count) })
		if text := adviceByReason(top.Reason); text != "" {
			return text
		}
		return adviceByCause(top.Cause)
	}
	if len(f.Causes) > 0 && countsBlocks(a) {
		top := slices.MaxFunc(slices.Sorted(maps.Keys(f.Causes)), func(a, b string) int { return cmp.Compare(f.Causes[a], f.Causes[b]) })
		return adviceByCause(schemas.Cause(top))
	}
	return adviceByMetric(a.Metric)
}

// countsBlocks says that blocks are what a is about. The causes of an alert are those of
// the blocks in its window, so for complaints or hard bounces they explain nothing.
func countsBlocks(a *schemas.Alert) bool { return blocks(a) || a.Metric == metric.DeliveryRate }

func adviceByReason(r schemas.Reason) string {
	switch r {
	case schemas.Blocklist:
		return "Look the listing up where the reply says, mend what caused it, then ask to be taken off; a second listing lasts longer."
	case schemas.Reputation, schemas.Policy:
		return "Send less there, only to people who opened lately, and raise it slowly over days; the destination's postmaster page says more."
	case schemas.Authentication, schemas.SenderAddress:
		return "Check SPF, DKIM and DMARC in the DNS and what changed at the provider; go on when a test message passes."
	case schemas.RateLimited:
		return "Send slower to this destination; it mostly heals by itself."
	case schemas.SpamContent:
		return "Compare the message with the last one that passed: links, shortened or foreign domains, attachments."
	case schemas.RelayDenied, schemas.ProtocolError:
		return "It is a setting of the sending side: ask the email provider, with the reply as it is."
	default:
		return ""
	}
}

func adviceByCause(c schemas.Cause) string {
	switch c {
	case schemas.CauseRecipient:
		return "The list is old or bought: pause the campaign, take out the addresses that bounced, find where they came from."
	case schemas.CauseSender:
		return "Pause what is not urgent for this destination; read the replies: they are about your addresses, your domain or your pace."
	case schemas.CauseContent:
		return "Pause the campaign and compare its text and template with the last that passed."
	case schemas.CauseProvider:
		return "The email provider did not try: its own list has these people. Take them out of yours before you send."
	case schemas.CauseNetwork:
		return "It is temporary and mostly heals by itself: wait, and look at the destination's status page."
	default:
		return "The replies do not say why: read them, and ask the destination's postmaster with the full text."
	}
}

func adviceByMetric(name string) string {
	switch name {
	case metric.ComplaintRate, metric.UnsubscribeRate:
		return "Pause the campaign and look whom it went to and how they signed up; make leaving easy to find."
	case metric.HardBounceRate, metric.BounceRate:
		return adviceByCause(schemas.CauseRecipient)
	case metric.DeferralRate:
		return adviceByReason(schemas.RateLimited)
	case metric.SuppressedShare:
		return adviceByCause(schemas.CauseProvider)
	case metric.Silence, metric.VolumeDrop, metric.Lateness, metric.Lag:
		return "See whether mail is sent at all; then whether the provider's webhook is still switched on and gets through to the ingress."
	default:
		return ""
	}
}
