package sparkpost

import (
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// sentEvent is the inner object of SparkPost: text, numbers included.
type sentEvent struct {
	Type           string            `json:"type"`
	EventID        string            `json:"event_id"`
	Timestamp      string            `json:"timestamp"`
	MessageID      string            `json:"message_id"`
	TransmissionID string            `json:"transmission_id"`
	CampaignID     string            `json:"campaign_id"`
	To             string            `json:"rcpt_to"`
	RawTo          string            `json:"raw_rcpt_to"`
	Meta           map[string]string `json:"rcpt_meta"`
	Tags           []string          `json:"rcpt_tags"`

	SendingIP string     `json:"sending_ip,omitempty"`
	Class     string     `json:"bounce_class,omitempty"`
	Code      string     `json:"error_code,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	RawReason string     `json:"raw_reason,omitempty"`
	IP        string     `json:"ip_address,omitempty"`
	UserAgent string     `json:"user_agent,omitempty"`
	Place     *sentPlace `json:"geo_ip,omitempty"`
	URL       string     `json:"target_link_url,omitempty"`
	Report    string     `json:"fbtype,omitempty"`
	Reporter  string     `json:"report_by,omitempty"`
}

type sentPlace struct {
	Country string `json:"country"`
}

type sentItem struct {
	Msys map[string]sentEvent `json:"msys"`
}

// write posts an array; a batch that is resent is the same and has the same id.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	items := make([]sentItem, len(facts))
	for i := range facts {
		class, event := sentObject(&facts[i])
		items[i].Msys = map[string]sentEvent{class: event}
	}
	r, err := dialect.JSON(items)
	r.Header["X-MessageSystems-Batch-ID"] = facts[0].ID()
	return r, err
}

func sentObject(f *dialect.Fact) (class string, out sentEvent) {
	e := &f.Event
	id := strconv.FormatInt(f.MessageID, 10)
	out = sentEvent{
		EventID: f.ID(), Timestamp: strconv.FormatInt(e.Time.Unix(), 10), MessageID: "00" + id, TransmissionID: id,
		CampaignID: f.Campaign, To: e.Recipient, RawTo: e.Recipient, Meta: map[string]string{"order": id}, Tags: []string{"simulated"},
	}
	class, out.Type = "message_event", "bounce"
	if e.SMTPReply != "" {
		out.SendingIP, out.Reason, out.RawReason, out.Code = dialect.SendingIP, e.SMTPReply, e.SMTPReply, e.SMTPReply[:3]
	}
	switch e.Type {
	case schemas.Delivered:
		out.Type, out.Reason, out.RawReason, out.Code = "delivery", "", "", ""
	case schemas.Deferred:
		out.Type, out.Class = "delay", "20"
	case schemas.Complained:
		out.Type, out.Report, out.Reporter = "spam_complaint", "abuse", "fbl.mailbox.example"
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		class, out.Type = "track_event", "open"
		out.IP, out.UserAgent, out.Place = dialect.ReaderIP, dialect.ReaderAgent, &sentPlace{"DE"}
		switch e.Type {
		case schemas.Clicked:
			out.Type, out.URL = "click", dialect.ReaderURL
		case schemas.Unsubscribed:
			class, out.Type, out.URL, out.Place = "unsubscribe_event", "link_unsubscribe", dialect.ReaderURL, nil
		}
	case schemas.Blocked:
		out.Class = "50"
	default:
		out.Class = "22"
		if e.BounceType == schemas.Hard {
			out.Class = "10"
		}
	}
	return class, out
}
