package schemas

// DefaultTopicPrefix starts every topic name unless configured.
const DefaultTopicPrefix = "email."

// Topic suffixes of the records that are not provider events.
const (
	deadLetterSuffix   = "dead-letter"
	suppressionsSuffix = "suppressions"
	alertsSuffix       = "alerts"
	controlsSuffix     = "alert_controls"
	ratesSuffix        = "rates"
	erasuresSuffix     = "erasures"
	auditSuffix        = "audit"
	operationsSuffix   = "operations"
	driftSuffix        = "drift"
)

// EventTopic returns the topic of events of type t, "email.bounced".
func EventTopic(prefix string, t Type) string { return prefix + string(t) }

// DeadLetterTopic returns the topic of DeadLetter records.
func DeadLetterTopic(prefix string) string { return prefix + deadLetterSuffix }

// SuppressionsTopic returns the compacted topic of Suppression records, keyed
// by recipient hash: the source of truth of who must not be mailed.
func SuppressionsTopic(prefix string) string { return prefix + suppressionsSuffix }

// AlertsTopic returns the compacted topic of Alert records, keyed by
// fingerprint.
func AlertsTopic(prefix string) string { return prefix + alertsSuffix }

// AlertControlsTopic returns the compacted topic of AlertControl records: silences,
// acknowledgements, notes and incidents that are over.
func AlertControlsTopic(prefix string) string { return prefix + controlsSuffix }

// RatesTopic returns the topic of Rate records, keyed by alert key: partial
// counts on their way from the counters to the evaluator. It is internal to
// alerting; other teams should not build on it.
func RatesTopic(prefix string) string { return prefix + ratesSuffix }

// ErasuresTopic returns the compacted topic of Erasure records, keyed by recipient
// hash: who has to be forgotten. Whoever keeps events obeys it.
func ErasuresTopic(prefix string) string { return prefix + erasuresSuffix }

// AuditTopic returns the topic of Audit records: who looked at whom and who changed
// what.
func AuditTopic(prefix string) string { return prefix + auditSuffix }

// OperationsTopic returns the compacted topic of Operation records, keyed by their id:
// work on dead letters, how far it is, and who asked to stop it.
func OperationsTopic(prefix string) string { return prefix + operationsSuffix }

// DriftTopic returns the compacted topic of Drift records, keyed by Drift.Key: what
// providers send that their packages do not know, and since when.
func DriftTopic(prefix string) string { return prefix + driftSuffix }

// EventTopics returns the topics of all event types, in the order of Types.
func EventTopics(prefix string) []string {
	types := Types()
	topics := make([]string, len(types))
	for i, t := range types {
		topics[i] = EventTopic(prefix, t)
	}
	return topics
}

// Header keys of event records: CloudEvents 1.0 in Kafka's binary content mode
// (CloudEvents Kafka protocol binding, section 3.2) and W3C trace context.
const (
	HeaderSpecVersion = "ce_specversion" // always SpecVersion
	HeaderID          = "ce_id"          // Event.ID
	HeaderSource      = "ce_source"      // CloudEventSource
	HeaderType        = "ce_type"        // CloudEventType
	HeaderTime        = "ce_time"        // Event.Time
	HeaderContentType = "content-type"   // ContentTypeJSON
	HeaderTraceparent = "traceparent"    // W3C Trace Context, when the request had one
	// HeaderReplay marks a record that was republished from history, and names the
	// operation that did it. Alerting does not count it; all others treat it like the
	// first one.
	HeaderReplay = "mailstream-replay"
	// HeaderOrigin says how the record came about: an Origin. Absent means OriginLive.
	HeaderOrigin = "origin"

	SpecVersion     = "1.0"
	ContentTypeJSON = "application/json"
)

// Origin is how a record came about. An event has one id whatever its origin.
type Origin string

// The origins.
const (
	OriginLive     Origin = "live"     // a webhook, as it came
	OriginReplay   Origin = "replay"   // made anew from stored bytes
	OriginBackfill Origin = "backfill" // fetched from the provider's API
	OriginSimulate Origin = "simulate" // by mailstream simulate: of mail that was never sent
)

// Origins returns every origin. The caller owns the slice.
func Origins() []Origin {
	return []Origin{OriginLive, OriginReplay, OriginBackfill, OriginSimulate}
}

// CloudEventSource returns the value of HeaderSource for a configured source.
func CloudEventSource(source string) string { return "/mailstream/" + source }

// CloudEventType returns the value of HeaderType for t, whatever the prefix of
// the topics.
func CloudEventType(t Type) string { return "email." + string(t) }
