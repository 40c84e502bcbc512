package simulate

import (
	"strconv"

	"github.com/mailstream/mailstream/schemas"
)

// mailjetEvent is Mailjet's object, with the fields of every event type; its
// documentation is the Event API guide.
type mailjetEvent struct {
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

func mailjet(facts []fact, o *occasion) (request, error) {
	objects := make([]mailjetEvent, len(facts))
	for i := range facts {
		objects[i] = mailjetObject(&facts[i])
	}
	var v any = objects
	if !o.grouped && len(objects) == 1 {
		v = objects[0]
	}
	return jsonRequest(v)
}

func mailjetObject(f *fact) mailjetEvent {
	e := &f.event
	o := mailjetEvent{
		Time: e.Time.Unix(), MessageID: f.messageID, MessageGUID: guid(f.messageID), Email: e.Recipient,
		CampaignID: 9001, ContactID: f.messageID % 1_000_000, CustomCampaign: f.campaign, CustomID: strconv.FormatInt(f.messageID, 36),
	}
	switch e.Type {
	case schemas.Delivered:
		o.Event, o.OldMessageID, o.SMTPReply = "sent", strconv.FormatInt(f.messageID, 10), "sent ("+e.SMTPReply+")"
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
		o.ErrorRelatedTo, o.Error = mailjetError(e.Reason)
	}
	return o
}

func mailjetError(r schemas.Reason) (relatedTo, text string) {
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

// guid spreads a message ID over the form of a UUID.
func guid(id int64) string {
	hex := strconv.FormatUint(uint64(id)|1<<63, 16)
	return hex[:8] + "-" + hex[8:12] + "-4" + hex[13:16] + "-8" + hex[12:13] + "00-" + hex[:12]
}
