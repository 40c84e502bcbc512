package replay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// stored is one event of the view events, whole but for origin.
type stored struct {
	ID               string            `ch:"id"`
	Type             string            `ch:"type"`
	Time             time.Time         `ch:"time"`
	ReceivedAt       time.Time         `ch:"received_at"`
	Provider         string            `ch:"provider"`
	Source           string            `ch:"source"`
	ProviderEvent    string            `ch:"provider_event"`
	ProviderEventID  string            `ch:"provider_event_id"`
	MessageID        string            `ch:"message_id"`
	Recipient        string            `ch:"recipient"`
	RecipientDomain  string            `ch:"recipient_domain"`
	RecipientHash    string            `ch:"recipient_hash"`
	MailboxProvider  string            `ch:"mailbox_provider"`
	Campaign         string            `ch:"campaign"`
	Tags             []string          `ch:"tags"`
	Metadata         map[string]string `ch:"metadata"`
	Subject          string            `ch:"subject"`
	FromDomain       string            `ch:"from_domain"`
	SendingDomain    string            `ch:"sending_domain"`
	Template         string            `ch:"template"`
	BounceType       string            `ch:"bounce_type"`
	Reason           string            `ch:"reason"`
	Cause            string            `ch:"cause"`
	Confidence       string            `ch:"confidence"`
	Classifier       string            `ch:"classifier"`
	Permanent        *bool             `ch:"permanent"`
	SMTPCode         uint16            `ch:"smtp_code"`
	EnhancedCode     string            `ch:"enhanced_code"`
	SMTPReply        string            `ch:"smtp_reply"`
	Blocklist        string            `ch:"blocklist"`
	BlocklistSubject string            `ch:"blocklist_subject"`
	BlocklistURL     string            `ch:"blocklist_url"`
	URL              string            `ch:"url"`
	IP               string            `ch:"ip"`
	UserAgent        string            `ch:"user_agent"`
	Country          string            `ch:"country"`
	Machine          *bool             `ch:"machine"`
	FeedbackSource   string            `ch:"feedback_source"`
	ListID           string            `ch:"list_id"`
	SendingIP        string            `ch:"sending_ip"`
	IPPool           string            `ch:"ip_pool"`
	Raw              string            `ch:"raw"`
}

func (s *stored) event() *schemas.Event {
	return &schemas.Event{
		ID: s.ID, Type: schemas.Type(s.Type), Time: s.Time, ReceivedAt: s.ReceivedAt, Provider: s.Provider, Source: s.Source,
		ProviderEvent: s.ProviderEvent, ProviderEventID: s.ProviderEventID, MessageID: s.MessageID,
		Recipient: s.Recipient, RecipientDomain: s.RecipientDomain, RecipientHash: s.RecipientHash, MailboxProvider: s.MailboxProvider,
		Campaign: s.Campaign, Tags: s.Tags, Metadata: s.Metadata,
		Subject: s.Subject, FromDomain: s.FromDomain, SendingDomain: s.SendingDomain, Template: s.Template,
		BounceType: schemas.BounceType(s.BounceType), Reason: schemas.Reason(s.Reason), Cause: schemas.Cause(s.Cause),
		Confidence: schemas.Confidence(s.Confidence), Classifier: s.Classifier, Permanent: s.Permanent,
		SMTPCode: int(s.SMTPCode), EnhancedCode: s.EnhancedCode, SMTPReply: s.SMTPReply,
		Blocklist: s.Blocklist, BlocklistSubject: s.BlocklistSubject, BlocklistURL: s.BlocklistURL,
		URL: s.URL, IP: s.IP, UserAgent: s.UserAgent, Country: s.Country, Machine: s.Machine,
		FeedbackSource: s.FeedbackSource, ListID: s.ListID, SendingIP: s.SendingIP, IPPool: s.IPPool, Raw: []byte(s.Raw),
	}
}

// storedVerdict is what is stored of an event's verdict.
type storedVerdict struct {
	ID         string `ch:"id"`
	Type       string `ch:"type"`
	BounceType string `ch:"bounce_type"`
	Reason     string `ch:"reason"`
	Cause      string `ch:"cause"`
	Confidence string `ch:"confidence"`
	Blocklist  string `ch:"blocklist"`
	Permanent  *bool  `ch:"permanent"`
	Machine    *bool  `ch:"machine"`
}

// of returns e with the verdict s.
func (s *storedVerdict) of(e *schemas.Event) *schemas.Event {
	is := *e
	is.BounceType, is.Reason, is.Cause = schemas.BounceType(s.BounceType), schemas.Reason(s.Reason), schemas.Cause(s.Cause)
	is.Confidence, is.Blocklist, is.Permanent, is.Machine = schemas.Confidence(s.Confidence), s.Blocklist, s.Permanent, s.Machine
	return &is
}

// asStored gives pairs read from the topics to use, with what is stored of each event in
// place of what the record says: a topic keeps every record of before, also of an event
// that was corrected since.
func (r *Replay) asStored(use func(context.Context, []pair, Position) error) func(context.Context, []pair, Position) error {
	return func(ctx context.Context, pairs []pair, at Position) error {
		found, err := r.verdicts(ctx, pairs)
		if err != nil {
			return err
		}
		for i := range pairs {
			one := &pairs[i]
			if one.fault != "" {
				continue
			}
			was, is := found[one.was.ID], found[one.is.ID]
			switch {
			case was != nil:
				one.was = was.of(one.was)
			case is != nil: // its type was corrected before
				one.was = is.of(&one.is)
			}
		}
		return use(ctx, pairs, at)
	}
}

// verdicts returns what is stored of the events of pairs, by id.
func (r *Replay) verdicts(ctx context.Context, pairs []pair) (map[string]*storedVerdict, error) {
	var ids, sources, types, hours []string
	var from, to time.Time
	for i := range pairs {
		if pairs[i].fault != "" {
			continue
		}
		for _, e := range []*schemas.Event{pairs[i].was, &pairs[i].is} {
			if from.IsZero() {
				from, to = e.Time, e.Time
			}
			from, to = earliest(from, e.Time), latest(to, e.Time)
			ids, sources, types = append(ids, e.ID), append(sources, e.Source), append(types, string(e.Type))
			hours = append(hours, e.Time.UTC().Truncate(time.Hour).Format(time.DateTime))
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	args := []any{clickhouse.Arg("from", stamp(from)), clickhouse.Arg("to", stamp(to))}
	for name, words := range map[string][]string{"ids": ids, "sources": sources, "types": types, "hours": hours} {
		slices.Sort(words)
		args = append(args, clickhouse.Arg(name, clickhouse.Words(slices.Compact(words))))
	}
	var rows []storedVerdict
	if err := r.deps.Store.Select(ctx, &rows, verdictsSQL, args...); err != nil {
		return nil, fmt.Errorf("read what is stored of %d events: %w", len(pairs), err)
	}
	found := make(map[string]*storedVerdict, len(rows))
	for i := range rows {
		found[rows[i].ID] = &rows[i]
	}
	return found, nil
}
