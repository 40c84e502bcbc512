package replay

import (
	"time"

	"github.com/mailstream/mailstream/schemas"
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
