package schemas

import (
	"strings"
	"time"
)

// AlertControl is what people and alerting itself keep about alerts beside their
// state: the value of a record in AlertControlsTopic. The key says which one it is
// (SilenceKey, AckKey, NoteKey, IncidentKey), and the record has that member alone.
type AlertControl struct {
	Silence *AlertSilence `json:"silence,omitempty"`
	// Acks are who acknowledged one incident, the latest last; that one holds.
	Acks []AlertAck `json:"acks,omitempty"`
	Note *AlertNote `json:"note,omitempty"`
	// Ended is the last record of an incident that is over, kept here when the alert
	// is forgotten or fires anew.
	Ended *Alert `json:"ended,omitempty"`
}

// AlertSilence hides the messages of the alerts it matches while it holds. It hides
// no incident.
type AlertSilence struct {
	ID       string         `json:"id"`       // "sil-" and 10 hex characters
	Matchers []AlertMatcher `json:"matchers"` // all of them must match
	Since    time.Time      `json:"since"`    // it holds from here on
	// Until is when it ends; a removal brings it forward.
	Until     time.Time `json:"until"`
	By        string    `json:"by"`
	Comment   string    `json:"comment"`
	CreatedAt time.Time `json:"created_at"`
	RemovedAt time.Time `json:"removed_at,omitzero"`  // when it was ended before its time
	RemovedBy string    `json:"removed_by,omitempty"` // empty where the caller did not say
}

// The operators of AlertMatcher.
const (
	MatchEqual    = "="
	MatchNotEqual = "!="
	MatchRegexp   = "=~"
	MatchNoRegexp = "!~"
)

// AlertMatcher compares one label of an alert. A label that the alert lacks is the
// empty string. A regular expression (RE2) must match the whole value.
type AlertMatcher struct {
	Label string `json:"label"` // a label of alerts, or "rule", "metric", "severity"
	Op    string `json:"op"`    // MatchEqual, MatchNotEqual, MatchRegexp or MatchNoRegexp
	Value string `json:"value"`
}

// AlertAck says that somebody takes care of an incident: it is repeated no more.
type AlertAck struct {
	Incident string    `json:"incident"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Note     string    `json:"note,omitempty"`
}

// AlertNote is what somebody wrote about an incident.
type AlertNote struct {
	ID       string    `json:"id"`
	Incident string    `json:"incident"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Note     string    `json:"note"`
}

// Prefixes of the keys in AlertControlsTopic.
const (
	keySilence  = "silence/"
	keyAck      = "ack/"
	keyNote     = "note/"
	keyIncident = "incident/"
)

// SilenceKey returns the key of the record of a silence.
func SilenceKey(id string) string { return keySilence + id }

// AckKey returns the key of the record of an incident's acknowledgements.
func AckKey(incident string) string { return keyAck + incident }

// NoteKey returns the key of the record of a note.
func NoteKey(incident, id string) string { return keyNote + incident + "/" + id }

// IncidentKey returns the key of the record of an incident that is over.
func IncidentKey(incident string) string { return keyIncident + incident }

// Key returns the key that the record of c must have, "" for one that has not
// exactly one member.
func (c *AlertControl) Key() string {
	var keys []string
	if c.Silence != nil {
		keys = append(keys, SilenceKey(c.Silence.ID))
	}
	if len(c.Acks) > 0 {
		keys = append(keys, AckKey(c.Acks[0].Incident))
	}
	if c.Note != nil {
		keys = append(keys, NoteKey(c.Note.Incident, c.Note.ID))
	}
	if c.Ended != nil {
		keys = append(keys, IncidentKey(c.Ended.Incident))
	}
	if len(keys) != 1 || strings.HasSuffix(keys[0], "/") {
		return ""
	}
	return keys[0]
}

// The kinds of AlertStep.
const (
	StepState        = "state"        // the alert went to State
	StepSilenced     = "silenced"     // messages are hidden by Detail
	StepUnsilenced   = "unsilenced"   // Detail hides messages no more
	StepInhibited    = "inhibited"    // the alert Detail covers this one
	StepUninhibited  = "uninhibited"  // it covers this one no more
	StepAcknowledged = "acknowledged" // By took it, Detail is the note
	StepFlapping     = "flapping"     // it comes and goes: one incident from here on
	StepMessage      = "message"      // Receiver was sent the message Detail and said Answer
)

// AlertStep is one thing that happened to an incident.
type AlertStep struct {
	At       time.Time  `json:"at"`
	Kind     string     `json:"kind"`
	State    AlertState `json:"state,omitempty"`
	By       string     `json:"by,omitempty"`
	Receiver string     `json:"receiver,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	// Answer is "delivered", or one word for why the receiver did not take it.
	Answer string `json:"answer,omitempty"`
}

// AlertReading is what the window held at one moment of an incident.
type AlertReading struct {
	At     time.Time   `json:"at"`
	Value  float64     `json:"value"`
	Counts AlertCounts `json:"counts"`
}
