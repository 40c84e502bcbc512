package mandrill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// sentEvent is an object of Mandrill.
type sentEvent struct {
	Event     string        `json:"event"`
	Time      int64         `json:"ts"`
	ID        string        `json:"_id"`
	URL       string        `json:"url,omitempty"`
	IP        string        `json:"ip,omitempty"`
	UserAgent string        `json:"user_agent,omitempty"`
	Location  *sentLocation `json:"location,omitempty"`
	Message   sentMessage   `json:"msg"`
}

type sentLocation struct {
	Country string `json:"country_short"`
}

type sentMessage struct {
	ID          string            `json:"_id"`
	Email       string            `json:"email"`
	Sender      string            `json:"sender"`
	Tags        []string          `json:"tags"`
	Metadata    map[string]string `json:"metadata"`
	Template    string            `json:"template"`
	State       string            `json:"state"`
	Tries       []sentTry         `json:"smtp_events,omitempty"`
	Diag        string            `json:"diag,omitempty"`
	Description string            `json:"bounce_description,omitempty"`
}

type sentTry struct {
	Time   int64  `json:"ts"`
	Type   string `json:"type"`
	Diag   string `json:"diag"`
	Source string `json:"source_ip"`
}

// write posts a form, the same when it is resent.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	objects := make([]sentEvent, len(facts))
	for i := range facts {
		objects[i] = sentObject(&facts[i])
	}
	list, err := json.Marshal(objects)
	list = bytes.ReplaceAll(list, []byte("/"), []byte(`\/`)) // as PHP writes it
	if err != nil {
		return dialect.Request{}, err
	}
	return dialect.Form(url.Values{"mandrill_events": {string(list)}})
}

func sentObject(f *dialect.Fact) sentEvent {
	e := &f.Event
	id := strconv.FormatInt(f.MessageID, 16)
	out := sentEvent{Time: e.Time.Unix(), ID: id, Message: sentMessage{
		ID: id, Email: e.Recipient, Sender: "shop@example.com", Tags: []string{"simulated"},
		Metadata: map[string]string{"order": id}, Template: f.Campaign, State: "sent",
	}}
	switch e.Type {
	case schemas.Delivered:
		out.Event, out.Message.Tries = "delivered", sentTries("sent", e)
	case schemas.Deferred:
		out.Event, out.Message.Tries, out.Message.State = "deferral", sentTries("deferred", e), "deferred"
	case schemas.Opened, schemas.Clicked:
		out.Event, out.IP, out.UserAgent, out.Location = "open", dialect.ReaderIP, dialect.ReaderAgent, &sentLocation{"DE"}
		if e.Type == schemas.Clicked {
			out.Event, out.URL = "click", dialect.ReaderURL
		}
	case schemas.Unsubscribed:
		out.Event, out.Message.State = "unsub", "unsub"
	case schemas.Complained:
		out.Event, out.Message.State = "spam", "spam"
	default: // a reject is what was not tried
		out.Message.Diag = "smtp;" + e.SMTPReply
		out.Event, out.Message.State, out.Message.Description = "soft_bounce", "soft-bounced", "mailbox_full"
		switch {
		case e.Type == schemas.Blocked:
			out.Message.Description = "general"
		case e.BounceType == schemas.Hard:
			out.Event, out.Message.State, out.Message.Description = "hard_bounce", "bounced", "bad_mailbox"
		}
	}
	return out
}

// sentTries has the server's reply as long as a message has not bounced.
func sentTries(kind string, e *schemas.Event) []sentTry {
	return []sentTry{{Time: e.Time.Unix(), Type: kind, Diag: e.SMTPReply, Source: dialect.SendingIP}}
}

func sign(r *dialect.Request, o *dialect.Occasion) error {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return fmt.Errorf("read the form: %w", err)
	}
	r.Header[signatureHeader] = signature(o.Key, o.PublicURL, form)
	return nil
}
