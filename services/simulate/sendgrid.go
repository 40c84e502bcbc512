package simulate

import (
	"encoding/json"
	"strconv"

	"github.com/mailstream/mailstream/schemas"
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
	TLS       int    `json:"tls,omitempty"`

	Machine *bool           `json:"sg_machine_open,omitempty"`
	Offset  *sendgridOffset `json:"url_offset,omitempty"`
}

// sendgridOffset says which of several equal links was followed.
type sendgridOffset struct {
	Index int    `json:"index"`
	Type  string `json:"type"`
}

// sendgrid posts an array, with other event ids the second time. CRLF
// stands between the objects and at the end, and is signed.
func sendgrid(facts []fact, o *occasion) (request, error) {
	body := []byte("[")
	for i := range facts {
		if i > 0 {
			body = append(body, ",\r\n"...)
		}
		object, err := json.Marshal(sendgridObject(&facts[i], o.attempt))
		if err != nil {
			return request{}, err
		}
		body = append(body, object...)
	}
	body = append(body, "]\r\n"...)
	return request{body: body, header: map[string]string{
		"Content-Type": "application/json;charset=utf-8", "User-Agent": "SendGrid Event API",
	}}, nil
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
		out.Event, out.Response, out.IP, out.TLS = "delivered", e.SMTPReply, sendingIP, 1
	case schemas.Deferred:
		out.Event, out.Response, out.IP, out.Attempt = "deferred", e.SMTPReply, sendingIP, "1"
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		out.IP, out.UserAgent = readerIP, readerAgent
		switch e.Type {
		case schemas.Opened:
			out.Event, out.Machine = "open", new(bool)
		case schemas.Clicked:
			out.Event, out.URL, out.Offset = "click", readerURL, &sendgridOffset{Type: "html"}
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
