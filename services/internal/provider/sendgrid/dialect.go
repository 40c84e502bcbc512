package sendgrid

import (
	"encoding/json"
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// sentEvent is an object of SendGrid, with an argument of the sender.
type sentEvent struct {
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

	Machine *bool       `json:"sg_machine_open,omitempty"`
	Offset  *sentOffset `json:"url_offset,omitempty"`
}

// sentOffset says which of several equal links was followed.
type sentOffset struct {
	Index int    `json:"index"`
	Type  string `json:"type"`
}

// write posts an array, with other event ids the second time. CRLF separates
// the objects and ends the body, and is signed.
func write(facts []dialect.Fact, o *dialect.Occasion) (dialect.Request, error) {
	body := []byte("[")
	for i := range facts {
		if i > 0 {
			body = append(body, ",\r\n"...)
		}
		text, err := json.Marshal(sentObject(&facts[i], o.Attempt))
		if err != nil {
			return dialect.Request{}, err
		}
		body = append(body, text...)
	}
	body = append(body, "]\r\n"...)
	return dialect.Request{Body: body, Header: map[string]string{
		"Content-Type": "application/json;charset=utf-8", "User-Agent": "SendGrid Event API",
	}}, nil
}

func sentObject(f *dialect.Fact, attempt int) sentEvent {
	e := &f.Event
	id := "Sim" + strconv.FormatInt(f.MessageID, 36)
	out := sentEvent{
		Email: e.Recipient, Timestamp: e.Time.Unix(), EventID: f.ID() + "-" + strconv.Itoa(attempt),
		MessageID: id + ".recvd-5f54b5d587-aaaaa-1-67BADEEA-6.0", SMTPID: "<" + id + "@geopod-ismtpd-1>",
		Category: []string{"simulated"}, Campaign: f.Campaign,
	}
	switch e.Type {
	case schemas.Delivered:
		out.Event, out.Response, out.IP, out.TLS = "delivered", e.SMTPReply, dialect.SendingIP, 1
	case schemas.Deferred:
		out.Event, out.Response, out.IP, out.Attempt = "deferred", e.SMTPReply, dialect.SendingIP, "1"
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		out.IP, out.UserAgent = dialect.ReaderIP, dialect.ReaderAgent
		switch e.Type {
		case schemas.Opened:
			out.Event, out.Machine = "open", new(bool)
		case schemas.Clicked:
			out.Event, out.URL, out.Offset = "click", dialect.ReaderURL, &sentOffset{Type: "html"}
		default:
			out.Event, out.Group = "group_unsubscribe", 17
		}
	case schemas.Complained:
		out.Event = "spamreport"
	default: // what did not arrive
		out.Event, out.Reason, out.IP, out.Type = "bounce", e.SMTPReply, dialect.SendingIP, "blocked"
		if e.BounceType == schemas.Hard {
			out.Type, out.Class, out.Status = "bounce", "Invalid Address", "5.1.1"
		} else if e.BounceType == schemas.Soft {
			out.Type, out.Class = "expired", "Mailbox Unavailable"
		}
	}
	return out
}

func sign(r *dialect.Request, o *dialect.Occasion) (err error) {
	now := dialect.Now()
	r.Header[timestampHeader] = now
	r.Header[signatureHeader], err = signature(o.Private, now, r.Body)
	return err
}
