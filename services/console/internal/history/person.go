package history

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/twin"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// Event is one event of a timeline.
type Event struct {
	ID               string            `ch:"event_id" json:"id"`
	Type             string            `ch:"event_type" json:"type"`
	Time             time.Time         `ch:"at" json:"time"`
	ReceivedAt       time.Time         `ch:"received" json:"received_at"`
	Seen             uint64            `ch:"seen" json:"seen"` // how often it was received
	Provider         string            `ch:"provider" json:"provider"`
	Source           string            `ch:"source" json:"source"`
	ProviderEvent    string            `ch:"provider_event" json:"provider_event,omitempty"`
	MessageID        string            `ch:"message_id" json:"message_id,omitempty"`
	Recipient        string            `ch:"recipient" json:"recipient,omitempty"`
	RecipientHash    string            `ch:"recipient_hash" json:"recipient_hash,omitempty"`
	RecipientDomain  string            `ch:"recipient_domain" json:"recipient_domain,omitempty"`
	MailboxProvider  string            `ch:"mailbox_provider" json:"mailbox_provider,omitempty"`
	Campaign         string            `ch:"campaign" json:"campaign,omitempty"`
	Subject          string            `ch:"subject" json:"subject,omitempty"`
	Template         string            `ch:"template" json:"template,omitempty"`
	BounceType       string            `ch:"bounce_type" json:"bounce_type,omitempty"`
	Reason           string            `ch:"reason" json:"reason,omitempty"`
	Cause            string            `ch:"cause" json:"cause,omitempty"`
	Confidence       string            `ch:"confidence" json:"confidence,omitempty"`
	Classifier       string            `ch:"classifier" json:"classifier,omitempty"`
	Permanent        *bool             `ch:"permanent" json:"permanent,omitempty"`
	SMTPCode         uint16            `ch:"smtp_code" json:"smtp_code,omitempty"`
	EnhancedCode     string            `ch:"enhanced_code" json:"enhanced_code,omitempty"`
	SMTPReply        string            `ch:"smtp_reply" json:"smtp_reply,omitempty"`
	Blocklist        string            `ch:"blocklist" json:"blocklist,omitempty"`
	BlocklistURL     string            `ch:"blocklist_url" json:"blocklist_url,omitempty"`
	URL              string            `ch:"url" json:"url,omitempty"`
	UserAgent        string            `ch:"user_agent" json:"user_agent,omitempty"`
	Machine          *bool             `ch:"machine" json:"machine,omitempty"`
	SendingIP        string            `ch:"sending_ip" json:"sending_ip,omitempty"`
	SendingDomain    string            `ch:"sending_domain" json:"sending_domain,omitempty"`
	IPPool           string            `ch:"ip_pool" json:"ip_pool,omitempty"`
	Origin           string            `ch:"origin" json:"origin,omitempty"`
	FeedbackSource   string            `ch:"feedback_source" json:"feedback_source,omitempty"`
	Personal         bool              `json:"-"` // the id of the message is: see Personal
	ReceivedAfter    float64           `json:"received_after_seconds"`
	Blocks           bool              `json:"counts_as_block,omitempty"` // a bounce that alerting counts as a block
	IncidentsCounted twin.List[string] `json:"incidents"`                 // that it counted in
	Trait            *Trait            `json:"-"`                         // nil: not asked for
}

// Personal says whether the id of a message has the address of its recipient in it, as some
// senders write it there for their bounces, or may have one, where the recipient is not
// known. Other ids only look like an address (RFC 5322, 3.6.4).
func Personal(id, recipient string) bool {
	mailbox, _, _ := strings.Cut(recipient, "@")
	return address.Redact(id) != id && (mailbox == "" || strings.Contains(strings.ToLower(id), strings.ToLower(mailbox)))
}

// Selection says whose events are wanted: those of a person, or of a message, by all
// sources or one.
type Selection struct{ Hash, MessageID, Source string }

// Events returns the events of a selection, the latest first, each once however often
// it was received, and whether there are more than EventsMax.
func (r *Reader) Events(ctx context.Context, s Selection) (rows []Event, cut bool, err error) {
	name := "person_events"
	if s.MessageID != "" {
		name = "message_events"
	}
	err = r.ask(ctx, name, &rows, clickhouse.Arg("hash", s.Hash), clickhouse.Arg("message", s.MessageID),
		clickhouse.Arg("source", s.Source), limit(EventsMax+1))
	cut = len(rows) > EventsMax
	rows = rows[:min(len(rows), EventsMax)]
	if err == nil {
		err = r.receipts(ctx, rows)
	}
	for i := range rows {
		rows[i].Personal = Personal(rows[i].MessageID, rows[i].Recipient)
		rows[i].Blocks = r.countsAsBlock(&rows[i])
		rows[i].ReceivedAfter = rows[i].ReceivedAt.Sub(rows[i].Time).Seconds()
	}
	return rows, cut, err
}

// receipts fills how often each of events was received, and when first: a timeline has the
// latest receipt.
func (r *Reader) receipts(ctx context.Context, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	var sources, types, times, ids []string
	for i := range events {
		events[i].Seen = 1
		sources, types = append(sources, events[i].Source), append(types, events[i].Type)
		times, ids = append(times, strconv.FormatInt(events[i].Time.UnixMilli(), 10)), append(ids, events[i].ID)
	}
	var rows []struct {
		ID       string    `ch:"event_id"`
		Seen     uint64    `ch:"seen"`
		Received time.Time `ch:"received"`
	}
	err := r.ask(ctx, "receipts", &rows, clickhouse.Arg("sources", clickhouse.Words(sources)), clickhouse.Arg("types", clickhouse.Words(types)),
		clickhouse.Arg("times", "["+strings.Join(times, ",")+"]"), clickhouse.Arg("ids", clickhouse.Words(ids)))
	for _, row := range rows {
		i := slices.Index(ids, row.ID)
		events[i].Seen, events[i].ReceivedAt = row.Seen, row.Received
	}
	return err
}

// Suppression is one entry of the list, active or not.
type Suppression struct {
	Hash        string     `ch:"recipient_hash" json:"recipient_hash"`
	Matched     string     `ch:"pattern" json:"matched,omitempty"` // what it is about, where that is more than the person
	Scope       string     `ch:"scope" json:"scope"`
	Reason      string     `ch:"reason" json:"reason"`
	Active      bool       `ch:"active" json:"active"`
	Since       *time.Time `ch:"since" json:"since,omitempty"`
	RemovedAt   *time.Time `ch:"removed_at" json:"removed_at,omitempty"`
	Expires     *time.Time `ch:"expires_at" json:"expires,omitempty"`
	Evidence    string     `ch:"evidence" json:"-"`
	Provider    string     `ch:"provider" json:"-"`
	Source      string     `ch:"source" json:"-"`
	Behind      Evidence   `json:"evidence"` // the three above, as the suppression service writes them
	Note        string     `ch:"note" json:"note,omitempty"`
	RemovedBy   string     `ch:"removed_by" json:"removed_by,omitempty"`
	RemovedNote string     `ch:"removed_note" json:"removed_note,omitempty"`
}

// Evidence is what put an entry on the list: an event, or a request of the API.
type Evidence struct {
	EventID   string `json:"event_id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	Provider  string `json:"provider,omitempty"`
	Source    string `json:"source,omitempty"`
}

// requestPrefix begins the evidence that is a request.
const requestPrefix = "api:"

// evidenceOf tells a request from an event.
func evidenceOf(s Suppression) Evidence {
	e := Evidence{EventID: s.Evidence, Provider: s.Provider, Source: s.Source}
	if id, ok := strings.CutPrefix(s.Evidence, requestPrefix); ok {
		e.EventID, e.RequestID = "", id
	}
	return e
}

// suppressionsMax bounds what the list says of one person: a few reasons in each scope.
const suppressionsMax = 100

// Suppressions returns what the list says of a person, and of the patterns with the hashes
// of wider, which hold for the person, too; and whether there is more than suppressionsMax.
func (r *Reader) Suppressions(ctx context.Context, hash string, wider []string) (rows []Suppression, cut bool, err error) {
	hashes := clickhouse.Words(append([]string{hash}, wider...))
	err = r.ask(ctx, "person_suppressions", &rows, clickhouse.Arg("hash", hash), clickhouse.Arg("hashes", hashes), limit(suppressionsMax+1))
	for i := range rows {
		rows[i].Behind = evidenceOf(rows[i])
	}
	return rows[:min(len(rows), suppressionsMax)], len(rows) > suppressionsMax, err
}

// Total is how many entries of the list hold, by reason.
type Total struct {
	Reason string `ch:"reason" json:"reason"`
	Active uint64 `ch:"entries" json:"active"`
	Day    uint64 `ch:"day" json:"last_day"` // of them since a day
}

// Totals counts the list.
func (r *Reader) Totals(ctx context.Context) ([]Total, error) {
	return shared(ctx, r.answers, stateKey+"totals", func(ctx context.Context) (rows []Total, err error) {
		err = r.ask(ctx, "suppression_totals", &rows)
		return rows, err
	})
}

// Incident is one firing period of an alert.
type Incident struct {
	ID         string            `ch:"incident" json:"incident"`
	Rule       string            `ch:"rule" json:"rule"`
	Metric     string            `json:"metric,omitempty"` // what the rule measures; ClickHouse does not keep it
	Labels     map[string]string `ch:"labels" json:"labels"`
	State      string            `ch:"state" json:"state"`
	Value      float64           `ch:"value" json:"value"`
	Peak       float64           `ch:"peak" json:"peak"`
	Threshold  float64           `ch:"threshold" json:"threshold"`
	Delivered  uint64            `ch:"delivered" json:"delivered"`
	Bounced    uint64            `ch:"bounced" json:"bounced"`
	Blocked    uint64            `ch:"blocked" json:"blocked"`
	Window     string            `ch:"window" json:"window"`
	Since      time.Time         `ch:"since" json:"since"`
	UpdatedAt  time.Time         `ch:"updated_at" json:"updated_at"`
	ResolvedAt *time.Time        `ch:"resolved_at" json:"resolved_at,omitempty"`
	Ended      string            `ch:"ended" json:"ended,omitempty"`
	Late       bool              `ch:"late" json:"late,omitempty"`
	Causes     map[string]uint64 `ch:"causes" json:"causes,omitempty"` // of what was blocked
	// The most frequent reasons and a reply of each, the same index in each list.
	Reasons       []string `ch:"reason_words" json:"-"`
	ReasonCauses  []string `ch:"reason_causes" json:"-"`
	ReasonCounts  []uint64 `ch:"reason_counts" json:"-"`
	ReasonReplies []string `ch:"reason_replies" json:"-"`
	// AckedBy and Silenced are as alerting knows them; ClickHouse does not keep them.
	AckedBy  string    `json:"acknowledged_by,omitempty"`
	Silenced bool      `json:"silenced,omitempty"`
	Quiet    time.Time `json:"no_traffic_since,omitzero"` // as alerting knows it; ClickHouse does not keep it
}

// Idle says that there is too little mail now to judge by: its state says what was.
func (i Incident) Idle() bool { return i.Open() && !i.Quiet.IsZero() }

// Open says whether it is not over.
func (i Incident) Open() bool { return i.State != "resolved" }

// Incidents returns those that lasted within s, the latest first.
func (r *Reader) Incidents(ctx context.Context, s Span) (rows []Incident, cut bool, err error) {
	rows, err = shared(ctx, r.answers, stateKey+"incidents "+s.key(), func(ctx context.Context) (rows []Incident, err error) {
		err = r.ask(ctx, "incidents", &rows, moment("from", s.From), moment("to", s.To), clickhouse.Arg("id", ""), limit(rowsMax+1))
		return rows, err
	})
	cut = len(rows) > rowsMax
	return slices.Clone(rows[:min(len(rows), rowsMax)]), cut, err
}

// Incident returns the one of an id that lasted within s, however many are later, and
// whether there is one.
func (r *Reader) Incident(ctx context.Context, s Span, id string) (one Incident, found bool, err error) {
	var rows []Incident
	if id == "" {
		return one, false, nil
	}
	if err = r.ask(ctx, "incidents", &rows, moment("from", s.From), moment("to", s.To), clickhouse.Arg("id", id), limit(1)); err == nil && len(rows) > 0 {
		return rows[0], true, nil
	}
	return one, false, err
}

// Letters are dead letters of one kind.
type Letters struct {
	Service  string    `ch:"service" json:"service"`
	Reason   string    `ch:"reason" json:"reason"`
	Provider string    `ch:"provider" json:"provider,omitempty"`
	Source   string    `ch:"source" json:"source,omitempty"`
	Count    uint64    `ch:"letters" json:"count"`
	Bytes    uint64    `ch:"size" json:"bytes"`
	First    time.Time `ch:"first_time" json:"first"`
	Last     time.Time `ch:"last_time" json:"last"`
	ID       string    `ch:"sample_id" json:"sample_id"`
	Detail   string    `ch:"sample_detail" json:"detail"`
	Sample   string    `ch:"sample" json:"sample,omitempty"`
}

// DeadLetters returns dead letters by kind, the most frequent first, as they are now.
func (r *Reader) DeadLetters(ctx context.Context, source string) (rows []Letters, cut bool, err error) {
	err = r.ask(ctx, "dead_letters", &rows, clickhouse.Arg("source", source), limit(LettersMax+1))
	cut = len(rows) > LettersMax
	return rows[:min(len(rows), LettersMax)], cut, err
}

// LettersLately is DeadLetters as of some seconds ago, which pages share, without samples.
func (r *Reader) LettersLately(ctx context.Context, source string) ([]Letters, error) {
	rows, err := shared(ctx, r.answers, stateKey+"letters "+source, func(ctx context.Context) (rows []Letters, err error) {
		rows, _, err = r.DeadLetters(ctx, source)
		for i := range rows {
			rows[i].Sample, rows[i].Detail = "", "" // may speak of people
		}
		return rows, err
	})
	return slices.Clone(rows), err // a page hides what not everybody sees
}
