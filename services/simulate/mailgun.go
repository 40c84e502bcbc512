package simulate

import (
	"strconv"
	"strings"

	"github.com/mailstream/mailstream/schemas"
)

// mailgunEvent is what stands beside the signature.
type mailgunEvent struct {
	Event     string            `json:"event"`
	ID        string            `json:"id"`
	Timestamp float64           `json:"timestamp"`
	LogLevel  string            `json:"log-level"`
	Recipient string            `json:"recipient"`
	Domain    string            `json:"recipient-domain"`
	Tags      []string          `json:"tags"`
	Variables map[string]string `json:"user-variables"`
	Message   mailgunMessage    `json:"message"`

	Severity string           `json:"severity,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Status   *mailgunStatus   `json:"delivery-status,omitempty"`
	Envelope *mailgunEnvelope `json:"envelope,omitempty"`
	IP       string           `json:"ip,omitempty"`
	Place    *mailgunPlace    `json:"geolocation,omitempty"`
	Client   *mailgunClient   `json:"client-info,omitempty"`
	URL      string           `json:"url,omitempty"`
}

type mailgunMessage struct {
	Headers map[string]string `json:"headers"`
}

// mailgunStatus has what a remote server said in message, and what Mailgun says in
// its place in description.
type mailgunStatus struct {
	Attempt     int    `json:"attempt-no"`
	Code        int    `json:"code"`
	Enhanced    string `json:"enhanced-code,omitempty"`
	Message     string `json:"message"`
	Description string `json:"description"`
	BounceType  string `json:"bounce-type,omitempty"`
}

type mailgunEnvelope struct {
	Sender    string `json:"sender"`
	Targets   string `json:"targets"`
	Transport string `json:"transport"`
	SendingIP string `json:"sending-ip"`
}

type mailgunPlace struct {
	Country string `json:"country"`
}

type mailgunClient struct {
	UserAgent string `json:"user-agent"`
}

// mailgun posts one event, the second time under another token.
func mailgun(facts []fact, _ *occasion) (request, error) {
	return jsonRequest(object{"event-data": mailgunObject(&facts[0])})
}

func mailgunObject(f *fact) mailgunEvent {
	e := &f.event
	_, domain, _ := strings.Cut(e.Recipient, "@")
	out := mailgunEvent{
		ID: f.id(), Timestamp: float64(e.Time.UnixMilli()) / 1000, LogLevel: "info", Recipient: e.Recipient, Domain: domain,
		Tags: []string{"simulated"}, Variables: map[string]string{"campaign": f.campaign},
		Message: mailgunMessage{Headers: map[string]string{"message-id": strconv.FormatInt(f.messageID, 36) + "@mg.example.com"}},
	}
	switch e.Type {
	case schemas.Delivered:
		out.Event = "delivered"
		out.tried(e)
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		out.Event = string(e.Type)
		out.IP, out.Place, out.Client = readerIP, &mailgunPlace{"DE"}, &mailgunClient{readerAgent}
		if e.Type == schemas.Clicked {
			out.URL = readerURL
		}
	case schemas.Complained:
		out.Event, out.LogLevel = "complained", "warn"
	case schemas.Deferred:
		out.Event, out.LogLevel, out.Severity, out.Reason = "failed", "warn", "temporary", "generic"
		out.tried(e)
	case schemas.Blocked:
		out.Event, out.LogLevel, out.Severity, out.Reason = "failed", "error", "permanent", "espblock"
		out.tried(e)
	default:
		out.Event, out.LogLevel, out.Severity, out.Reason = "failed", "error", "permanent", "bounce"
		out.tried(e)
		out.Status.BounceType = string(e.BounceType)
	}
	return out
}

// tried fills in how the remote server answered.
func (out *mailgunEvent) tried(e *schemas.Event) {
	code, message, _ := strings.Cut(e.SMTPReply, " ")
	enhanced, _, _ := strings.Cut(message, " ")
	number, _ := strconv.Atoi(code) // every played reply begins with one
	out.Status = &mailgunStatus{Attempt: 1, Code: number, Enhanced: enhanced, Message: message}
	out.Envelope = &mailgunEnvelope{Sender: "shop@mg.example.com", Targets: e.Recipient, Transport: "smtp", SendingIP: sendingIP}
}
