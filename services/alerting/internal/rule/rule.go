// Package rule decides when an alert begins and ends: what the configuration
// may say about it, and one pure step function from a state and a reading to
// the next state. It has no clock, keeps nothing, and notifies no one.
package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
)

// Rule is one entry of `alerting.rules`.
type Rule struct {
	// Name identifies the rule for good: alerts of a renamed one are new alerts. At
	// most 64 bytes. Required.
	Name string `yaml:"name"`
	// Metric is what is measured: block_rate, hard_bounce_rate, bounce_rate,
	// complaint_rate, deferral_rate, unsubscribe_rate, delivery_rate, unknown_share,
	// suppressed_share, volume_drop, silence, lateness or lag, see docs/rules. A block_rate by
	// recipient_domain or mailbox_provider over at most 1h, without match, baseline
	// or together, is judged from the stream, every second; everything else by SQL
	// from ClickHouse, every 1 to 5 minutes. Default block_rate.
	Metric string `yaml:"metric"`
	// Enabled is false for a rule that is kept but not judged; its alerts end. Default
	// true.
	Enabled *bool `yaml:"enabled"`
	// Severity is how urgent its alerts are: info, warning or critical. Default
	// critical.
	Severity schemas.AlertSeverity `yaml:"severity"`
	// By are the dimensions; each value of each is a key of its own, per source:
	// recipient_domain, mailbox_provider, source, campaign, sending_ip, sending_domain,
	// ip_pool, tag; all is one key for the mail of all sources. Default [recipient_domain,
	// mailbox_provider].
	By []string `yaml:"by"`
	// Together judges the mail of all sources as one: 15 of 15 refused by one domain
	// at each of two providers are 30 of 30. Default false.
	Together bool `yaml:"together"`
	// Match narrows what is counted.
	Match Match `yaml:"match"`
	// Window is how far back mail counts: by the stream at most 1h, by SQL at least
	// 5m. Default 15m. Range [1m, 7d].
	Window time.Duration `yaml:"window"`
	// Threshold is the rate that must be exceeded: exactly it does not fire. Of
	// delivery_rate and volume_drop it must be undercut. Default 0.6. Range (0, 1).
	Threshold float64 `yaml:"threshold"`
	// Confidence is for rare events: the lower end of the Wilson interval of that
	// confidence must exceed the threshold, so that few messages prove nothing.
	// Default 0: the bare rate counts. Range [0, 0.999].
	Confidence float64 `yaml:"confidence"`
	// MinCount is how many messages the numerator must have. Default 0. Range [0,
	// 1_000_000].
	MinCount int64 `yaml:"min_count"`
	// MinVolume is how many messages the window must hold. Default 20. Range [1,
	// 1_000_000].
	MinVolume int64 `yaml:"min_volume"`
	// Baseline is how many times the rate of the same hours of the four weeks before
	// must be exceeded too. Default 0: not compared. Range [0, 100].
	Baseline float64 `yaml:"baseline"`
	// Expect states what a feed must send, for silence; left out, it is learnt from
	// the four weeks before.
	Expect Expect `yaml:"expect"`
	// For is how long the threshold must stay exceeded before anyone is notified.
	// Default 0s. Range [0s, 1d].
	For time.Duration `yaml:"for"`
	// ResolveBelow is the rate that must be undercut for ResolveFor, at most the
	// threshold. Default 0.4. Range (0, threshold].
	ResolveBelow float64 `yaml:"resolve_below"`
	// ResolveAbove is the same for delivery_rate and volume_drop: the rate that must
	// be exceeded, at least the threshold. Default 0: the middle of threshold and 1.
	// Range [0, 1].
	ResolveAbove float64 `yaml:"resolve_above"`
	// ResolveFor is how long the rate must stay below before the end is reported. Default
	// 5m. Range (0s, 1d].
	ResolveFor time.Duration `yaml:"resolve_for"`
	// ResolveVolume is how many messages since the start of the incident it takes
	// to believe in a recovery. Default 10 (half of MinVolume).
	// Range [1, 1_000_000].
	ResolveVolume int64 `yaml:"resolve_volume"`
	// StaleAfter ends an incident that has had too little mail to judge by for so
	// long; the message then says so. Default 2h. Range [window, 30d].
	StaleAfter time.Duration `yaml:"stale_after"`
}

// Match narrows a rule to some events. A word with ! in front is one to leave out.
// Refusals that do not match are left out of numerator and denominator; deliveries,
// which have neither cause nor reason, always count.
type Match struct {
	// Cause are causes of refusals: recipient, sender, content, provider, network,
	// other; [!provider] leaves out what the provider did not even try. Default none:
	// all.
	Cause []string `yaml:"cause"`
	// Reason are reasons of refusals, such as blocklist or [!mailbox_full]. Default
	// none: all.
	Reason []string `yaml:"reason"`
	// Type are event types. Default none: all.
	Type []string `yaml:"type"`
	// Stream are values of the metadata field stream, such as transactional. Default
	// none: all.
	Stream []string `yaml:"stream"`
}

// Empty says whether it narrows nothing.
func (m Match) Empty() bool {
	return len(m.Cause)+len(m.Reason)+len(m.Type)+len(m.Stream) == 0
}

// Words says which events alone count, such as "cause not provider", "" for everything.
func (m Match) Words() string {
	var parts []string
	add := func(name string, words []string) {
		if len(words) > 0 {
			parts = append(parts, strings.ReplaceAll(name+" "+strings.Join(words, " or "), "!", "not "))
		}
	}
	add("cause", m.Cause)
	add("reason", m.Reason)
	add("type", m.Type)
	add("stream", m.Stream)
	return strings.Join(parts, ", ")
}

// Expect is a stated expectation of a feed.
type Expect struct {
	// Min is how many events. Default 0: learnt. Range [0, 1_000_000].
	Min int64 `yaml:"min"`
	// Every is in how long. Default 0s. Range [0s, 7d].
	Every time.Duration `yaml:"every"`
	// Hours are when it holds, in UTC, such as "Mon-Fri 08-20". Default "": always.
	Hours string `yaml:"hours"`
}

const (
	volumeMax = 1_000_000
	waitMax   = 24 * time.Hour
	staleMax  = 30 * 24 * time.Hour
	nameMax   = 64 // bytes; it is in every alert and message
	// perMillion is the resolution of a rate in the configuration. Comparing whole
	// numbers makes "exactly 60 %" exact.
	perMillion = 1_000_000
	// confidenceMax and baselineMax bound what can still be reached by mail.
	confidenceMax, baselineMax = 0.999, 100
)

// On says whether the rule is judged.
func (r Rule) On() bool { return r.Enabled == nil || *r.Enabled }

// FromStream says whether the rule is judged from the stream, and not by SQL.
func (r Rule) FromStream() bool {
	return r.Metric == metric.BlockRate && !r.Together && r.Match.Empty() && r.Baseline == 0 &&
		r.Window <= metric.StreamWindowMax && !slices.ContainsFunc(r.By, func(by string) bool { return !streamed(by) })
}

// Learns says whether the rule compares with the weeks before.
func (r Rule) Learns() bool {
	return r.Baseline > 0 || r.Metric == metric.VolumeDrop || r.Metric == metric.Silence && r.Expect.Min == 0
}

func streamed(dimension string) bool {
	return dimension == schemas.DimensionDomain || dimension == schemas.DimensionProvider
}

// LowIsBad says whether the rule fires below its threshold.
func (r Rule) LowIsBad() bool { return metric.LowIsBad(r.Metric) }

// Fingerprint returns the identity of the alert of the rule called name for the
// given labels: 32 hex characters.
func Fingerprint(name string, labels map[string]string) string {
	h := sha256.New()
	write := func(s string) { // lengths keep two label sets from reading alike
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	write(name)
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		write(k)
		write(labels[k])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Incident returns the name of the firing period of an alert that began at
// since, short enough to be read out.
func Incident(fingerprint string, since time.Time) string {
	sum := sha256.Sum256([]byte(fingerprint + since.UTC().Format(time.RFC3339Nano)))
	return "inc-" + hex.EncodeToString(sum[:5])
}
