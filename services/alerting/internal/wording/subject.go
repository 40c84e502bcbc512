package wording

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
)

// subject are the words for what a rule measures.
type subject struct {
	name    string // "Block rate"
	counted string // what is special about the messages of the numerator
}

func subjectOf(a *schemas.Alert) subject {
	switch a.Metric {
	case "", metric.BlockRate:
		return subject{"Block rate", "blocked"}
	case metric.HardBounceRate:
		return subject{"Hard bounce rate", "bounced for good"}
	case metric.BounceRate:
		return subject{"Bounce rate", "bounced"}
	case metric.ComplaintRate:
		return subject{"Complaint rate", "complained of"}
	case metric.DeferralRate:
		return subject{"Deferral rate", "deferred"}
	case metric.UnsubscribeRate:
		return subject{"Unsubscribe rate", "unsubscribed by"}
	case metric.DeliveryRate:
		return subject{"Delivery rate", "delivered"}
	case metric.UnknownShare:
		return subject{"Share of events that are not understood", "not understood"}
	case metric.SuppressedShare:
		return subject{"Share of messages that the provider did not try", "not tried"}
	case metric.VolumeDrop:
		return subject{"Volume beside the usual", "of the usual"}
	case metric.Silence:
		return subject{"Silence", "expected, none came"}
	case metric.Lateness:
		return subject{"Share of late events", "late"}
	case metric.Lag:
		return subject{"Time without an event", "seconds without one"}
	default:
		return subject{strings.ReplaceAll(Clean(a.Metric), "_", " "), "counted"}
	}
}

// lower returns the name as it is inside a sentence.
func (s subject) lower() string { return strings.ToLower(s.name[:1]) + s.name[1:] }

// blocks says whether the alert is about the block rate of counts.
func blocks(a *schemas.Alert) bool { return a.Metric == "" || a.Metric == metric.BlockRate }

// aboutReceiver says whether the alert is about one of our receivers.
func aboutReceiver(a *schemas.Alert) bool { return a.Rule == schemas.RuleReceiver }

// place is what an alert is about, and the word for that.
func place(labels map[string]string) (word, value string) {
	for _, d := range []struct{ label, word string }{
		{schemas.DimensionDomain, "Destination"}, {schemas.DimensionProvider, "Destination"},
		{metric.Campaign, "Campaign"}, {metric.SendingIP, "Sending IP"}, {metric.SendingDomain, "Sending domain"},
		{metric.IPPool, "IP pool"}, {metric.Tag, "Tag"},
		{schemas.LabelReceiver, "Receiver"}, {schemas.LabelSource, "Feed"},
	} {
		if v := labels[d.label]; v != "" {
			return d.word, Cut(v, nameMax)
		}
	}
	return "Mail", "all sources"
}

// Target is the destination an alert is about, as it is in its labels; or the
// campaign, address, tag or source.
func Target(labels map[string]string) string {
	_, value := place(labels)
	return value
}

// where is the target as a title says it: what is not a destination, source or receiver, with
// the word for it, since "at spring" does not say that it is a campaign.
func where(labels map[string]string) string {
	switch word, value := place(labels); word {
	case "Campaign", "Sending IP", "Sending domain", "Tag":
		return strings.ToLower(word[:1]) + word[1:] + " " + value
	case "IP pool":
		return word + " " + value
	default:
		return value
	}
}

// countsLine writes what the rate is computed from.
func countsLine(a *schemas.Alert, f *schemas.AlertFacts) string {
	if m := f.Measure; m != nil {
		line := fmt.Sprintf("%s of %s %s in %s", number(m.Numerator), number(m.Denominator), subjectOf(a).counted, window(a.Window))
		if m.Usual > 0 {
			line += ", usually " + percent(m.Usual)
		}
		return line
	}
	c := f.Counts
	if c.Total() == 0 {
		return "no messages in " + window(a.Window)
	}
	return fmt.Sprintf("%s of %s blocked in %s (%s delivered, %s bounced)",
		number(c.Blocked), number(c.Total()), window(a.Window), number(c.Delivered), number(c.Bounced))
}

// rateNow writes the rate of the window.
func rateNow(a *schemas.Alert, f *schemas.AlertFacts) string {
	switch {
	case f.Measure == nil && blocks(a):
		return rate(f.Counts)
	case f.Measure != nil && f.Measure.Denominator == 0:
		return "no traffic"
	default:
		return percent(f.Value)
	}
}

// sourceOf is the source of an alert; a rule may judge the mail of all.
func sourceOf(labels map[string]string) string {
	return cmp.Or(labels[schemas.LabelSource], "all sources")
}
