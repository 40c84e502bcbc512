package mailgun

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// sentEvent is the part of the body beside the signature.
type sentEvent struct {
	Event     string            `json:"event"`
	ID        string            `json:"id"`
	Timestamp float64           `json:"timestamp"`
	LogLevel  string            `json:"log-level"`
	Recipient string            `json:"recipient"`
	Domain    string            `json:"recipient-domain"`
	Tags      []string          `json:"tags"`
	Variables map[string]string `json:"user-variables"`
	Message   sentMessage       `json:"message"`

	Severity string        `json:"severity,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	Status   *sentStatus   `json:"delivery-status,omitempty"`
	Envelope *sentEnvelope `json:"envelope,omitempty"`
	IP       string        `json:"ip,omitempty"`
	Place    *sentPlace    `json:"geolocation,omitempty"`
	Client   *sentClient   `json:"client-info,omitempty"`
	URL      string        `json:"url,omitempty"`
}

type sentMessage struct {
	Headers map[string]string `json:"headers"`
}

// sentStatus has what a remote server said in message, and what Mailgun says in
// its place in description.
type sentStatus struct {
	Attempt     int    `json:"attempt-no"`
	Code        int    `json:"code"`
	Enhanced    string `json:"enhanced-code,omitempty"`
	Message     string `json:"message"`
	Description string `json:"description"`
	BounceType  string `json:"bounce-type,omitempty"`
}

type sentEnvelope struct {
	Sender    string `json:"sender"`
	Targets   string `json:"targets"`
	Transport string `json:"transport"`
	SendingIP string `json:"sending-ip"`
}

type sentPlace struct {
	Country string `json:"country"`
}

type sentClient struct {
	UserAgent string `json:"user-agent"`
}

// write posts one event, the second time under another token.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	return dialect.JSON(dialect.Object{"event-data": sentObject(&facts[0])})
}

func sentObject(f *dialect.Fact) sentEvent {
	e := &f.Event
	_, domain, _ := strings.Cut(e.Recipient, "@")
	out := sentEvent{
		ID: f.ID(), Timestamp: float64(e.Time.UnixMilli()) / 1000, LogLevel: "info", Recipient: e.Recipient, Domain: domain,
		Tags: []string{"simulated"}, Variables: map[string]string{"campaign": f.Campaign},
		Message: sentMessage{Headers: map[string]string{"message-id": strconv.FormatInt(f.MessageID, 36) + "@mg.example.com"}},
	}
	switch e.Type {
	case schemas.Delivered:
		out.Event = "delivered"
		out.tried(e)
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		out.Event = string(e.Type)
		out.IP, out.Place, out.Client = dialect.ReaderIP, &sentPlace{"DE"}, &sentClient{dialect.ReaderAgent}
		if e.Type == schemas.Clicked {
			out.URL = dialect.ReaderURL
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
func (out *sentEvent) tried(e *schemas.Event) {
	code, message, _ := strings.Cut(e.SMTPReply, " ")
	enhanced, _, _ := strings.Cut(message, " ")
	number, _ := strconv.Atoi(code) // every played reply begins with one
	out.Status = &sentStatus{Attempt: 1, Code: number, Enhanced: enhanced, Message: message}
	out.Envelope = &sentEnvelope{Sender: "shop@mg.example.com", Targets: e.Recipient, Transport: "smtp", SendingIP: dialect.SendingIP}
}

// tokenBytes is the length of a token.
const tokenBytes = 50

// sign writes the signature beside the event, under another token the
// second time.
func sign(r *dialect.Request, o *dialect.Occasion) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &parts); err != nil {
		return fmt.Errorf("read the event: %w", err)
	}
	if parts == nil {
		return errors.New("read the event: it is null")
	}
	now, token := dialect.Now(), dialect.Fingerprint(r.Body, o.Attempt)[:tokenBytes]
	var err error
	parts["signature"], err = json.Marshal(map[string]string{
		"timestamp": now, "token": token, "signature": signature(o.Key, now, token),
	})
	if err != nil {
		return err
	}
	r.Body, err = json.Marshal(parts)
	return err
}
