package simulate

import (
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// mailgunRequest is one event of Mailgun beside its signature.
type mailgunRequest struct {
	Signature struct {
		Timestamp string `json:"timestamp"`
		Token     string `json:"token"`
		Signature string `json:"signature"`
	} `json:"signature"`
	Event mailgunEvent `json:"event-data"`
}

type mailgunEvent struct {
	Event     string            `json:"event"`
	ID        string            `json:"id"`
	Timestamp float64           `json:"timestamp"`
	Recipient string            `json:"recipient"`
	Tags      []string          `json:"tags"`
	Variables map[string]string `json:"user-variables"`
	Message   mailgunMessage    `json:"message"`

	Severity string         `json:"severity,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Status   *mailgunStatus `json:"delivery-status,omitempty"`
	IP       string         `json:"ip,omitempty"`
	Place    *mailgunPlace  `json:"geolocation,omitempty"`
	Client   *mailgunClient `json:"client-info,omitempty"`
	URL      string         `json:"url,omitempty"`
}

type mailgunMessage struct {
	Headers map[string]string `json:"headers"`
}

type mailgunStatus struct {
	Code       int    `json:"code"`
	Message    string `json:"message"`
	BounceType string `json:"bounce-type,omitempty"`
}

type mailgunPlace struct {
	Country string `json:"country"`
}

type mailgunClient struct {
	UserAgent string `json:"user-agent"`
}

// mailgun posts one event, the second time under another token.
func mailgun(facts []fact, o *occasion) (request, error) {
	var r mailgunRequest
	r.Event = mailgunObject(&facts[0])
	s := &r.Signature
	s.Timestamp = o.now()
	s.Token = r.Event.ID + "-" + strconv.Itoa(o.attempt)
	s.Signature = webhooksign.Mailgun(o.auth.SigningKey.Reveal(), s.Timestamp, s.Token)
	return jsonRequest(r)
}

func mailgunObject(f *fact) mailgunEvent {
	e := &f.event
	out := mailgunEvent{
		ID: f.id(), Timestamp: float64(e.Time.UnixMilli()) / 1000, Recipient: e.Recipient,
		Tags: []string{"simulated"}, Variables: map[string]string{"campaign": f.campaign},
		Message: mailgunMessage{Headers: map[string]string{"message-id": strconv.FormatInt(f.messageID, 36) + "@mg.example.com"}},
	}
	switch e.Type {
	case schemas.Delivered:
		out.Event, out.Status = "delivered", &mailgunStatus{Code: 250, Message: e.SMTPReply}
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		out.Event = string(e.Type)
		out.IP, out.Place, out.Client = readerIP, &mailgunPlace{"DE"}, &mailgunClient{readerAgent}
		if e.Type == schemas.Clicked {
			out.URL = readerURL
		}
	case schemas.Complained:
		out.Event = "complained"
	case schemas.Deferred:
		out.Event, out.Severity, out.Reason, out.Status = "failed", "temporary", "generic", &mailgunStatus{Code: 451, Message: e.SMTPReply}
	case schemas.Blocked: // which Mailgun has for its own lists alone
		out.Event, out.Severity, out.Reason = "failed", "permanent", "suppress-bounce"
		out.Status = &mailgunStatus{Code: 605, Message: "Not delivering to previously bounced address"}
	default:
		out.Event, out.Severity, out.Reason = "failed", "permanent", "bounce"
		out.Status = &mailgunStatus{Code: 550, Message: e.SMTPReply, BounceType: string(e.BounceType)}
	}
	return out
}
