package mailjet

import (
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// sentEvent is Mailjet's object, with the fields of every event type; its
// documentation is the Event API guide.
type sentEvent struct {
	Event          string `json:"event"`
	Time           int64  `json:"time"`
	MessageID      int64  `json:"MessageID"`
	MessageGUID    string `json:"Message_GUID"`
	Email          string `json:"email"`
	CampaignID     int64  `json:"mj_campaign_id"`
	ContactID      int64  `json:"mj_contact_id"`
	CustomCampaign string `json:"customcampaign"`
	CustomID       string `json:"CustomID"`
	Payload        string `json:"Payload"`

	OldMessageID   string `json:"mj_message_id,omitempty"`
	SMTPReply      string `json:"smtp_reply,omitempty"`
	URL            string `json:"url,omitempty"`
	IP             string `json:"ip,omitempty"`
	Geo            string `json:"geo,omitempty"`
	Agent          string `json:"agent,omitempty"`
	Blocked        *bool  `json:"blocked,omitempty"`
	HardBounce     *bool  `json:"hard_bounce,omitempty"`
	ErrorRelatedTo string `json:"error_related_to,omitempty"`
	Error          string `json:"error,omitempty"`
	Comment        string `json:"comment,omitempty"`
	Source         string `json:"source,omitempty"`
	ListID         int64  `json:"mj_list_id,omitempty"`
}

func write(facts []dialect.Fact, o *dialect.Occasion) (dialect.Request, error) {
	objects := make([]sentEvent, len(facts))
	for i := range facts {
		objects[i] = sentObject(&facts[i])
	}
	var v any = objects
	if !o.Grouped && len(objects) == 1 {
		v = objects[0]
	}
	return dialect.JSON(v)
}

func sentObject(f *dialect.Fact) sentEvent {
	e := &f.Event
	o := sentEvent{
		Time: e.Time.Unix(), MessageID: f.MessageID, MessageGUID: dialect.GUID(f.MessageID), Email: e.Recipient,
		CampaignID: 9001, ContactID: f.MessageID % 1_000_000, CustomCampaign: f.Campaign, CustomID: strconv.FormatInt(f.MessageID, 36),
	}
	switch e.Type {
	case schemas.Delivered:
		o.Event, o.OldMessageID, o.SMTPReply = "sent", strconv.FormatInt(f.MessageID, 10), "sent ("+e.SMTPReply+")"
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		o.IP, o.Geo, o.Agent = "203.0.113.17", "DE", "Mozilla/5.0 (X11; Linux x86_64) Simulated/1.0"
		switch e.Type {
		case schemas.Opened:
			o.Event = "open"
		case schemas.Clicked:
			o.Event, o.URL = "click", "https://shop.example.com/offer"
		default:
			o.Event, o.ListID = "unsub", 17
		}
	case schemas.Complained:
		o.Event, o.Source = "spam", "JMRPP"
	case schemas.Blocked:
		o.Event, o.ErrorRelatedTo, o.Error, o.Comment = "blocked", "spam", "sender blocked", e.SMTPReply
	default: // bounced and deferred are both Mailjet's bounce
		hard := e.BounceType == schemas.Hard
		o.Event, o.Blocked, o.HardBounce, o.Comment = "bounce", &hard, &hard, e.SMTPReply
		o.ErrorRelatedTo, o.Error = sentError(e.Reason)
	}
	return o
}

func sentError(r schemas.Reason) (relatedTo, text string) {
	switch r {
	case schemas.InvalidRecipient:
		return "recipient", "user unknown"
	case schemas.MailboxFull:
		return "recipient", "quota exceeded"
	case schemas.Greylisted:
		return "domain", "greylisted"
	default:
		return "system", "system issue"
	}
}
