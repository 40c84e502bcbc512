// Package metric is the catalogue of what rules can judge: each metric with its
// exact numerator and denominator, the dimensions it can be split by, and the
// engine that reads it. It reads nothing itself.
package metric

import (
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// The metrics.
const (
	BlockRate       = "block_rate"
	HardBounceRate  = "hard_bounce_rate"
	BounceRate      = "bounce_rate"
	ComplaintRate   = "complaint_rate"
	DeferralRate    = "deferral_rate"
	UnsubscribeRate = "unsubscribe_rate"
	DeliveryRate    = "delivery_rate"
	UnknownShare    = "unknown_share"
	SuppressedShare = "suppressed_share"
	VolumeDrop      = "volume_drop"
	Silence         = "silence"
	Lateness        = "lateness"
	Lag             = "lag"
)

// NotJudged is what the service says of itself: the share of the rules that could
// not be judged. No rule can ask for it.
const NotJudged = "not_judged"

// OfStream is the value of the label all of the incident of NotJudged that is about the
// rules of the stream; that of the rules by SQL has All.
const OfStream = "stream"

// The dimensions a rule can split by beside those of the stream,
// schemas.DimensionDomain and schemas.DimensionProvider.
const (
	Source    = schemas.LabelSource // one key a source
	Campaign  = "campaign"
	SendingIP = "sending_ip"
	// SendingDomain is the domain of the DKIM signature or of the envelope sender, IPPool
	// the provider's name for the addresses it sends from.
	SendingDomain = "sending_domain"
	IPPool        = "ip_pool"
	Tag           = "tag"
	All           = "all" // one key: the mail of all sources
)

// Metric is one entry of the catalogue.
type Metric struct {
	Name string
	// Numerator and Denominator are what is divided, in words.
	Numerator, Denominator string
	// Dimensions are what a rule on it may split by.
	Dimensions []string
	// CountsEvents says that it counts events, not messages, so that a rule may match
	// on their type.
	CountsEvents bool
	// Learnt says that it compares with the weeks before by itself, so that a rule
	// on it takes no `baseline`.
	Learnt bool
}

// The windows of the two engines.
const (
	// StreamWindowMin is the shortest one that is judged from the stream.
	StreamWindowMin = time.Minute
	// StreamWindowMax is the longest one, bounded by the panes kept for a key.
	StreamWindowMax = time.Hour
	// SQLWindowMin is the shortest one that is judged by SQL: in a shorter one the time
	// that events take through analytics would matter.
	SQLWindowMin = 5 * time.Minute
	// SQLWindowMax is the longest one that is judged by SQL.
	SQLWindowMax = 7 * 24 * time.Hour
)

const outcomes = "messages with an outcome in the window (the latest of delivered, bounced and blocked)"

// List returns the catalogue. The caller owns the slice.
func List() []Metric {
	every := []string{schemas.DimensionDomain, schemas.DimensionProvider, Source, Campaign, SendingIP, SendingDomain, IPPool, Tag, All}
	feeds := []string{Source, All}
	return []Metric{
		{Name: BlockRate, Numerator: "messages whose outcome is blocked", Denominator: outcomes, Dimensions: every},
		{Name: HardBounceRate, Numerator: "messages whose outcome is a bounce of type hard", Denominator: outcomes, Dimensions: every},
		{Name: BounceRate, Numerator: "messages whose outcome is bounced, hard or soft", Denominator: outcomes, Dimensions: every},
		{Name: ComplaintRate, Numerator: "messages that were complained of in the window", Denominator: "messages delivered in the window", Dimensions: every},
		{Name: DeferralRate, Numerator: "messages that were deferred at least once in the window", Denominator: "messages deferred or with an outcome in the window", Dimensions: every},
		{Name: UnsubscribeRate, Numerator: "messages that somebody unsubscribed by in the window", Denominator: "messages delivered in the window", Dimensions: every},
		{Name: DeliveryRate, Numerator: "messages whose outcome is delivered", Denominator: outcomes, Dimensions: every},
		{Name: UnknownShare, Numerator: "events of type other, and refusals whose reason is other", Denominator: "all events in the window", Dimensions: every, CountsEvents: true},
		{Name: SuppressedShare, Numerator: "messages that the provider did not try because of its own list (cause provider)", Denominator: outcomes, Dimensions: every},
		{Name: VolumeDrop, Numerator: "events in the window", Denominator: "the usual events of the same hours: the median of the four weeks before", Dimensions: every, Learnt: true, CountsEvents: true},
		{Name: Silence, Numerator: "expected events since the last one", Denominator: "the same: the rate is 1 while nothing comes, 0 when something did", Dimensions: feeds, Learnt: true, CountsEvents: true},
		{Name: Lateness, Numerator: "events received in the window more than 15 minutes after they happened", Denominator: "events received in the window", Dimensions: feeds, CountsEvents: true},
		{Name: Lag, Numerator: "seconds since the latest event was received, at most the window", Denominator: "seconds of the window", Dimensions: feeds, Learnt: true, CountsEvents: true},
	}
}

// LowIsBad says whether an alert of the metric called name fires below the threshold, not
// above. It is asked at every step of every rule, for which Find is too dear.
func LowIsBad(name string) bool { return name == DeliveryRate || name == VolumeDrop }

// Find returns the metric called name.
func Find(name string) (Metric, bool) {
	list := List()
	i := slices.IndexFunc(list, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{}, false
	}
	return list[i], true
}

// Names returns the names of the catalogue, for a message.
func Names() string {
	var names []string
	for _, m := range List() {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}
