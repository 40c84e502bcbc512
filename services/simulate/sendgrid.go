package simulate

import (
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// sendgridEvent is an object of SendGrid, with an argument of the sender.
type sendgridEvent struct {
	Email     string   `json:"email"`
	Timestamp int64    `json:"timestamp"`
	Event     string   `json:"event"`
	EventID   string   `json:"sg_event_id"`
	MessageID string   `json:"sg_message_id"`
	SMTPID    string   `json:"smtp-id"`
	Category  []string `json:"category"`
	Campaign  string   `json:"campaign"` // the argument

	IP        string `json:"ip,omitempty"`
	Response  string `json:"response,omitempty"`
	Attempt   string `json:"attempt,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Status    string `json:"status,omitempty"`
	Type      string `json:"type,omitempty"`
	Class     string `json:"bounce_classification,omitempty"`
	UserAgent string `json:"useragent,omitempty"`
	URL       string `json:"url,omitempty"`
	Group     int    `json:"asm_group_id,omitempty"`
}

// sendgrid posts an array, signed, with other event ids the second time.
func sendgrid(facts []fact, o *occasion) (request, error) {
	objects := make([]sendgridEvent, len(facts))
	for i := range facts {
		objects[i] = sendgridObject(&facts[i], o.attempt)
	}
	r, err := jsonRequest(objects)
	if err != nil {
		return r, err
	}
	r.body = append(r.body, "\r\n"...) // as SendGrid does, and signs it
	now := o.now()
	r.header[webhooksign.SendGridTimestampHeader] = now
	r.header[webhooksign.SendGridSignatureHeader], err = webhooksign.SendGrid(o.keys.SendGrid, now, r.body)
	return r, err
}

func sendgridObject(f *fact, attempt int) sendgridEvent {
	e := &f.event
	id := "Sim" + strconv.FormatInt(f.messageID, 36)
	out := sendgridEvent{
		Email: e.Recipient, Timestamp: e.Time.Unix(), EventID: f.id() + "-" + strconv.Itoa(attempt),
		MessageID: id + ".recvd-5f54b5d587-aaaaa-1-67BADEEA-6.0", SMTPID: "<" + id + "@geopod-ismtpd-1>",
		Category: []string{"simulated"}, Campaign: f.campaign,
	}
	switch e.Type {
	case schemas.Delivered:
		out.Event, out.Response, out.IP = "delivered", e.SMTPReply, sendingIP
	case schemas.Deferred:
		out.Event, out.Response, out.IP, out.Attempt = "deferred", e.SMTPReply, sendingIP, "1"
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		out.IP, out.UserAgent = readerIP, readerAgent
		switch e.Type {
		case schemas.Opened:
			out.Event = "open"
		case schemas.Clicked:
			out.Event, out.URL = "click", readerURL
		default:
			out.Event, out.Group = "group_unsubscribe", 17
		}
	case schemas.Complained:
		out.Event = "spamreport"
	default: // what did not arrive
		out.Event, out.Reason, out.IP, out.Type = "bounce", e.SMTPReply, sendingIP, "blocked"
		if e.BounceType == schemas.Hard {
			out.Type, out.Class, out.Status = "bounce", "Invalid Address", "5.1.1"
		} else if e.BounceType == schemas.Soft {
			out.Type, out.Class = "expired", "Mailbox Unavailable"
		}
	}
	return out
}
