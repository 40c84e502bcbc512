package schemas

import (
	"time"
)

// SuppressionReason is why an address must not be mailed.
type SuppressionReason string

// The suppression reasons.
const (
	SuppressHardBounce  SuppressionReason = "hard_bounce"
	SuppressSoftBounce  SuppressionReason = "soft_bounce"
	SuppressComplaint   SuppressionReason = "complaint"
	SuppressUnsubscribe SuppressionReason = "unsubscribe"
	SuppressProvider    SuppressionReason = "provider_suppressed"
	SuppressManual      SuppressionReason = "manual"
)

// MailboxProviderPrefix starts a Suppression.Address that stands for all mailboxes of a
// mailbox provider: "mailbox_provider:google".
const MailboxProviderPrefix = "mailbox_provider:"

// ScopeAccount is the scope of an entry that holds for every stream. An
// unsubscribe from the account does not reach transactional streams.
const ScopeAccount = "account"

// Prefixes of the narrower scopes.
const (
	ScopeStreamPrefix = "stream:" // mail of one stream, "stream:marketing"
	ScopeListPrefix   = "list:"   // mail to one list, "list:17", by the provider's list id
	ScopeSourcePrefix = "source:" // mail that goes out by one source, "source:acme-mailjet"
)

// Suppression is all that is known of one address: the value of a record in
// SuppressionsTopic, keyed by Hash. Two records of one address merge entry by
// entry by taking the greater half of each (SuppressionEntry), so replays and
// reordering converge; the newest record of a key holds everything.
type Suppression struct {
	Hash string `json:"recipient_hash"`
	// Address is canonical; absent once erased. It may stand for many: "*@example.com",
	// "*@*.example.com" for what is below, MailboxProviderPrefix and a name.
	Address string `json:"address,omitempty"`
	// ErasedAt is until when the person is forgotten: of two records the one with
	// the later says what the address is. Absent when nobody asked for it.
	ErasedAt  time.Time          `json:"erased_at,omitzero"`
	Entries   []SuppressionEntry `json:"entries"`    // in order of Scope, Reason, Rule; none of these three twice
	UpdatedAt time.Time          `json:"updated_at"` // when this record was written
	// SoftBounces are the recent ones that count, the earliest first: of the latest 16 days,
	// the latest 10 messages of a reason and day, the latest two of a message, and none from
	// before the entry of RuleSoftBounces was lifted last.
	SoftBounces []SoftBounce `json:"soft_bounces,omitempty"`
}

// SoftBounce is a message that could not be delivered for a reason that may pass.
type SoftBounce struct {
	At       time.Time `json:"at"`
	Reason   Reason    `json:"reason"`
	Message  string    `json:"message"`            // hash of Event.Source and Event.MessageID
	Evidence string    `json:"evidence"`           // Event.ID
	Provider string    `json:"provider,omitempty"` // of the event
	Source   string    `json:"source,omitempty"`   // of the event
}

// RuleSoftBounces is the Rule of the entry that follows from Suppression.SoftBounces.
const RuleSoftBounces = "soft_bounces"

// Erasure says that a person has to be forgotten: the value of a record in
// ErasuresTopic, keyed by Hash. It covers what happened, or was received, until
// ErasedAt; what comes later is a new relation. It holds no address. The latest
// record of a key holds everything of the earlier ones.
type Erasure struct {
	Hash     string    `json:"recipient_hash"`
	ErasedAt time.Time `json:"erased_at"`
	Request  string    `json:"request"`          // id of the request, the same for all people of one
	Reason   string    `json:"reason,omitempty"` // what the operator wrote, without addresses
	// DeadLetters are the DeadLetter.ID of those that hold the person's data.
	DeadLetters []string `json:"dead_letters,omitempty"`
}

// Covers reports whether what happened at and was received at the given times has
// to be forgotten; a zero time is not known. Either suffices: a provider's clock may
// be ahead, and what comes late still happened before.
func (e Erasure) Covers(at, received time.Time) bool {
	return !at.IsZero() && !at.After(e.ErasedAt) || !received.IsZero() && !received.After(e.ErasedAt)
}

// Audit is one look-up of a person or one change, in the console, by a command or through
// an API, on AuditTopic, keyed by ID. It is written before it happens, and holds no address.
type Audit struct {
	ID     string    `json:"id"`
	Time   time.Time `json:"time"`
	By     string    `json:"by"`               // who signed in, the user of a command's host, or what a caller of an API says
	Role   string    `json:"role"`             // viewer, support, operator or admin; command or api
	Action string    `json:"action"`           // such as person.view or suppression.lift
	Object string    `json:"object,omitempty"` // recipient hash, incident, silence, message or operation
	Note   string    `json:"note,omitempty"`   // what the person wrote, without addresses
}

// SuppressionEntry is one reason in one scope. It is active when AddedAt is set
// and not before RemovedAt, and ExpiresAt has not passed.
//
// It has two halves, each stamped in event time with milliseconds: what added
// it last (AddedAt, ExpiresAt, Evidence, Provider, Source, Note) and what
// lifted it last (RemovedAt, RemovedBy, RemovedNote). A merge takes each half
// from the entry with the later stamp.
type SuppressionEntry struct {
	Scope  string            `json:"scope"` // ScopeAccount, "stream:<name>", "list:<id>" or "source:<name>"
	Reason SuppressionReason `json:"reason"`
	// Rule is what made the half with AddedAt from all that is known of the address, such
	// as RuleSoftBounces; it is made anew with each change. Absent: an event or a request
	// added the entry.
	Rule string `json:"rule,omitempty"`
	// AddedAt is the latest event time that added it; zero (absent) when it was only removed.
	AddedAt   time.Time `json:"added_at,omitzero"`
	RemovedAt time.Time `json:"removed_at,omitzero"` // latest event time that lifted it
	ExpiresAt time.Time `json:"expires_at,omitzero"` // end of the entry of AddedAt; zero: never
	// Since is the earliest event time known to have added it at or after
	// RemovedAt, the start of the present active period. Zero on an active entry
	// means AddedAt. It belongs to RemovedAt: a later RemovedAt brings its own.
	Since    time.Time `json:"since,omitzero"`
	Evidence string    `json:"evidence,omitempty"` // Event.ID, or "api:<id>" of the request, behind AddedAt
	Provider string    `json:"provider,omitempty"` // of the event behind AddedAt
	Source   string    `json:"source,omitempty"`   // of the event behind AddedAt
	Note     string    `json:"note,omitempty"`     // what a person wrote with AddedAt

	RemovedBy   string `json:"removed_by,omitempty"`   // Event.ID, or "api:<id>" of the request, behind RemovedAt
	RemovedNote string `json:"removed_note,omitempty"` // what a person wrote with RemovedAt

	// Past are the adds and lifts that later ones replaced, the latest 20 of each,
	// the latest first: with the two halves the history of the entry.
	Past []SuppressionStep `json:"past,omitempty"`
}

// SuppressionStep is an add or a lift of a SuppressionEntry.
type SuppressionStep struct {
	At       time.Time `json:"at"`
	Lift     bool      `json:"lift,omitempty"`
	Evidence string    `json:"evidence,omitempty"` // Event.ID, or "api:<id>" of the request
	Provider string    `json:"provider,omitempty"` // of the event
	Source   string    `json:"source,omitempty"`   // of the event
	Note     string    `json:"note,omitempty"`     // what a person wrote
}

// AlertState is where an alert is in its life.
type AlertState string

// The alert states.
const (
	AlertPending    AlertState = "pending"    // over the line, waiting for the rule's `for`
	AlertFiring     AlertState = "firing"     // reported
	AlertRecovering AlertState = "recovering" // under the resolve line, waiting for its hold
	AlertResolved   AlertState = "resolved"   // over
)

// AlertEnd is why a resolved alert is over.
type AlertEnd string

// The ends.
const (
	EndRecovered AlertEnd = "recovered"  // fresh mail gets through
	EndNoTraffic AlertEnd = "no_traffic" // too little mail for too long to judge by
	EndLapsed    AlertEnd = "lapsed"     // it was only pending and was never reported
	EndRuleGone  AlertEnd = "rule_gone"  // the rule was taken out of the configuration
)

// AlertSeverity is how urgent an alert is.
type AlertSeverity string

// The severities.
const (
	SeverityInfo     AlertSeverity = "info"     // good to know
	SeverityWarning  AlertSeverity = "warning"  // within a working day
	SeverityCritical AlertSeverity = "critical" // at once
)

// AlertSeverities returns every severity, the least urgent first. The caller owns
// the slice.
func AlertSeverities() []AlertSeverity {
	return []AlertSeverity{SeverityInfo, SeverityWarning, SeverityCritical}
}

// Alert is the state of one rule for one key: the value of a record in
// AlertsTopic, keyed by Fingerprint. It is also the durable outbox: what Notify
// still lists has not been delivered. Readers take a record only if its Version
// is above the one they know; one that is not lost a race between two writers.
type Alert struct {
	Fingerprint string            `json:"fingerprint"` // hex hash of Rule and Labels
	Version     int64             `json:"version"`     // from 1, never reused while the alert is known
	Writer      string            `json:"writer,omitempty"`
	Rule        string            `json:"rule"`
	Metric      string            `json:"metric,omitempty"`   // what the rule measures; absent: block_rate
	Severity    AlertSeverity     `json:"severity,omitempty"` // of the rule; absent: critical
	Incident    string            `json:"incident"`           // one per firing period
	Labels      map[string]string `json:"labels"`
	// Group is the record key of the rates behind it: one evaluator has all alerts
	// of one mailbox provider.
	Group      string           `json:"group,omitempty"`
	State      AlertState       `json:"state"`
	StateSince time.Time        `json:"state_since,omitzero"`
	Value      float64          `json:"value"` // the rate, 0 to 1; of volume_drop above 1 when there is more than usual
	Peak       float64          `json:"peak"`  // the worst Value of the incident
	Threshold  float64          `json:"threshold"`
	MinVolume  int64            `json:"min_volume"`
	Counts     AlertCounts      `json:"counts"`
	Causes     map[string]int64 `json:"causes,omitempty"`  // blocked, by Cause
	Reasons    []ReasonCount    `json:"reasons,omitempty"` // the top three, largest first
	Window     string           `json:"window"`            // "15m0s"
	Since      time.Time        `json:"since"`             // start of the incident
	UpdatedAt  time.Time        `json:"updated_at"`
	// JudgedAt is when there was last enough mail to judge by.
	JudgedAt   time.Time `json:"judged_at,omitzero"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	Ended      AlertEnd  `json:"ended,omitempty"` // resolved only
	// Measure is what Value is computed from; absent for what is judged from the
	// stream, whose block rate is that of Counts.
	Measure *AlertMeasure `json:"measure,omitempty"`
	// Carriers are the campaigns, IPs or sources with the largest share of the bad
	// messages, when the incident began; of what is judged from the stream, as soon as
	// ClickHouse knows them.
	Carriers []AlertCarrier `json:"carriers,omitempty"`
	// Late says that the spike was seen only after its window had passed, because its
	// events came late: it is a record, and woke nobody.
	Late bool `json:"late,omitempty"`
	// Answer is what a receiver answered, of RuleReceiver.
	Answer string `json:"answer,omitempty"`
	// NoTraffic is set while there is too little mail in the window to judge by: the
	// state then says what was, not what is.
	NoTraffic *AlertNoTraffic `json:"no_traffic,omitempty"`
	// InhibitedBy is the fingerprint of the alert whose message covers this one,
	// so that one spike is reported once. Such an alert has no messages of its own.
	InhibitedBy string `json:"inhibited_by,omitempty"`
	// SilencedBy are the silences that hide the messages of this alert, by id;
	// "maintenance/<name>" is a maintenance window of the configuration.
	SilencedBy []string `json:"silenced_by,omitempty"`
	// Acknowledged is who takes care of the incident.
	Acknowledged *AlertAck `json:"acknowledged,omitempty"`
	// Flapping says that the alert came and went three times in an hour: it is one
	// incident now, which ends when it was quiet for an hour.
	Flapping bool `json:"flapping,omitempty"`
	// Periods are when the alert began to fire within the last hour, oldest first.
	Periods []time.Time `json:"periods,omitempty"`
	// Steps and Readings are what happened to the incident, oldest first; of a long
	// one some are left out.
	Steps    []AlertStep    `json:"steps,omitempty"`
	Readings []AlertReading `json:"readings,omitempty"`
	Notify   []Notification `json:"notify,omitempty"`
}

// AlertMeasure is a metric's numerator and denominator, see docs/rules.
type AlertMeasure struct {
	Numerator   int64 `json:"numerator"`
	Denominator int64 `json:"denominator"`
	// Usual is the rate of the same hours of the weeks before, where it was compared.
	Usual float64 `json:"usual,omitempty"`
}

// AlertCarrier is who carries a spike: its share of the bad messages is far above
// its share of all.
type AlertCarrier struct {
	Dimension string  `json:"dimension"` // campaign, sending_ip or source
	Value     string  `json:"value"`
	Bad       int64   `json:"bad"`       // its bad messages in the window
	OfBad     float64 `json:"of_bad"`    // its share of all bad messages, 0 to 1
	OfVolume  float64 `json:"of_volume"` // its share of all messages, 0 to 1
	// Of are the bad messages that OfBad is a share of: those that ClickHouse had when it
	// was asked. Absent in records of older writers.
	Of int64 `json:"of,omitempty"`
	// Before is the same a week before; absent where it is not known.
	Before *AlertCarrierBefore `json:"before,omitempty"`
}

// AlertCarrierBefore is what a carrier had in the same hours a week before.
type AlertCarrierBefore struct {
	Bad      int64   `json:"bad"`       // its bad messages then
	Total    int64   `json:"total"`     // all its messages then
	OfBad    float64 `json:"of_bad"`    // its share of all bad messages, 0 to 1
	OfVolume float64 `json:"of_volume"` // its share of all messages, 0 to 1
}

// AlertNoTraffic is a pause in the mail that an incident under way is judged by.
type AlertNoTraffic struct {
	Since  time.Time `json:"since"`   // there was last enough mail
	EndsAt time.Time `json:"ends_at"` // the incident ends as EndNoTraffic unless there is mail before
}

// AlertCounts are the messages in the window, by outcome.
type AlertCounts struct {
	Delivered int64 `json:"delivered"`
	Bounced   int64 `json:"bounced"`
	Blocked   int64 `json:"blocked"`
}

// Total returns the denominator of the block rate.
func (c AlertCounts) Total() int64 { return c.Delivered + c.Bounced + c.Blocked }

// ReasonCount is one reason of blocked events and how often it came.
type ReasonCount struct {
	Reason Reason `json:"reason"`
	Cause  Cause  `json:"cause"`
	Count  int64  `json:"count"`
	Sample string `json:"sample,omitempty"` // one SMTP reply, without the address
}

// The kinds of Notification.
const (
	NotifyFiring    = "firing"
	NotifyRepeat    = "repeat"     // the incident lasts, as it was said before
	NotifyNoTraffic = "no_traffic" // the incident lasts, but there is no mail to judge it by
	NotifyResolved  = "resolved"
)

// RuleReceiver is the rule of alerts that say that a receiver does not take messages.
// Their only label is LabelReceiver.
const (
	RuleReceiver  = "receiver_failing"
	LabelReceiver = "receiver"
)

// Notification is one message owed to one receiver.
type Notification struct {
	Seq      int       `json:"seq"`      // order of the alert's messages, from 1
	Kind     string    `json:"kind"`     // NotifyFiring, NotifyRepeat, NotifyNoTraffic or NotifyResolved
	Receiver string    `json:"receiver"` // "slack"
	QueuedAt time.Time `json:"queued_at"`
	SentAt   time.Time `json:"sent_at,omitzero"` // zero: still owed
	Attempts int       `json:"attempts,omitempty"`
	// LastAnswer is one word for why the receiver did not take it at TriedAt, the
	// latest of such tries; NextTryAt is when it is retried.
	LastAnswer string    `json:"last_answer,omitempty"`
	TriedAt    time.Time `json:"tried_at,omitzero"`
	NextTryAt  time.Time `json:"next_try_at,omitzero"`
	// Refused says that LastAnswer was a refusal: somebody has to mend something.
	Refused bool `json:"refused,omitempty"`
	// Ref is where the message is at the receiver, so that it can be changed there.
	Ref string `json:"ref,omitempty"`
	// Failed says why it was given up: a day after the incident ended the last answer,
	// or silenced, when it ended under a silence; empty when sent or owed.
	Failed string `json:"failed,omitempty"`
	// Facts are the content of the message, as of QueuedAt; gone once it is sent.
	Facts *AlertFacts `json:"facts,omitempty"`
}

// Owed says whether the message is still to be delivered.
func (n Notification) Owed() bool { return n.SentAt.IsZero() && n.Failed == "" }

// AlertFacts are what one message says about its incident.
type AlertFacts struct {
	Incident  string           `json:"incident"`
	Since     time.Time        `json:"since"`
	Ended     AlertEnd         `json:"ended,omitempty"`
	Value     float64          `json:"value"`
	Peak      float64          `json:"peak"`
	Counts    AlertCounts      `json:"counts"`
	Causes    map[string]int64 `json:"causes,omitempty"`
	Reasons   []ReasonCount    `json:"reasons,omitempty"`
	Measure   *AlertMeasure    `json:"measure,omitempty"`
	Carriers  []AlertCarrier   `json:"carriers,omitempty"`
	Late      bool             `json:"late,omitempty"`
	NoTraffic *AlertNoTraffic  `json:"no_traffic,omitempty"`
	Flapping  bool             `json:"flapping,omitempty"` // as of the alert
	// Also names the other keys the same message covers, "mailbox_provider google".
	Also []string `json:"also,omitempty"`
	// Answer is what a receiver answered, of RuleReceiver.
	Answer string `json:"answer,omitempty"`
}

// DeadLetter is an item that could not be processed: the value of a record in
// DeadLetterTopic. Bytes are kept as they came so that it can be replayed.
type DeadLetter struct {
	ID         string    `json:"id"` // hash of Origin and Bytes: a retry has the same
	Time       time.Time `json:"time"`
	Service    string    `json:"service"` // who gave up: "ingress", "analytics", ...
	Reason     string    `json:"reason"`  // closed set of the service
	Detail     string    `json:"detail"`  // the error, without secrets or addresses
	Provider   string    `json:"provider,omitempty"`
	Source     string    `json:"source,omitempty"`
	Origin     string    `json:"origin,omitempty"` // "topic/partition/offset" of a record
	Bytes      []byte    `json:"bytes"`            // base64 in JSON
	ReceivedAt time.Time `json:"received_at,omitzero"`

	// State is what became of the dead letter of ID later. It is absent in the record
	// of the dead letter itself; one that has it has no Bytes, and Time is when.
	State     DeadLetterState `json:"state,omitempty"`
	Operation string          `json:"operation,omitempty"` // that set State
	Note      string          `json:"note,omitempty"`      // what a person wrote with it
}

// DeadLetterState is what became of a dead letter.
type DeadLetterState string

// The states. A dead letter without one is open.
const (
	DeadLetterRedriven  DeadLetterState = "redriven"  // its events are published
	DeadLetterDiscarded DeadLetterState = "discarded" // a person has no use for it
)

// Rate carries partial counts on their way to the evaluator: the value of a
// record in RatesTopic, keyed by source and mailbox provider, or by source and
// domain where there is none. Every count is cumulative for its series, pane and
// input partition, so the larger of two wins and a repeat changes nothing. A
// record is consistent: it holds what the input partition had in all its topics
// at one moment.
type Rate struct {
	Source      string       `json:"source"`                     // Event.Source
	Provider    string       `json:"mailbox_provider,omitempty"` // of all Series
	Partition   int32        `json:"partition"`                  // number of the event topics' partition
	PaneSeconds int64        `json:"pane_seconds"`
	Series      []RateSeries `json:"series"`
	// Mark is how far a counter is; a record with it has no Series and its own key.
	Mark *RateMark `json:"mark,omitempty"`
}

// RateMark says that everything written to the event topics before AsOf is
// counted for the input partitions Lanes, and that these counts lie in the rates
// topic, in its partition i at or before Offsets[i] (-1: nowhere).
type RateMark struct {
	AsOf    time.Time `json:"as_of"`
	Lanes   []int32   `json:"lanes"`
	Offsets []int64   `json:"offsets"`
}

// RateSeries is what changed for one key of a Rate.
type RateSeries struct {
	Dimension string     `json:"dimension"` // DimensionDomain or DimensionProvider
	Value     string     `json:"value"`
	Panes     []RatePane `json:"panes"`
}

// The dimensions of a RateSeries; also the label names of an Alert beside
// "source".
const (
	DimensionDomain   = "recipient_domain"
	DimensionProvider = "mailbox_provider"
	LabelSource       = "source"
)

// RatePane is the count of one pane of event time.
type RatePane struct {
	Start  int64       `json:"start"`  // Unix seconds, a multiple of Rate.PaneSeconds
	Counts AlertCounts `json:"counts"` // outcomes ever counted, cumulative
	// Replaced is the part of Counts and Blocks that later outcomes of the same
	// messages replaced, cumulative: what counts is the difference.
	Replaced *RateReplaced `json:"replaced,omitempty"`
	// Added is the change of that difference since the record before, of this
	// counter. It is what a key beyond the limit of keys is counted by.
	Added  AlertCounts   `json:"added,omitzero"`
	Blocks []ReasonCount `json:"blocks,omitempty"` // cumulative split of Counts.Blocked
}

// RateReplaced is what is to be taken off a RatePane.
type RateReplaced struct {
	Counts AlertCounts   `json:"counts"`
	Blocks []ReasonCount `json:"blocks,omitempty"` // split of Counts.Blocked
}
