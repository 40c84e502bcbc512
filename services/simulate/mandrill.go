package simulate

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/mailstream/mailstream/schemas"
)

// mandrillEvent is an object of Mandrill.
type mandrillEvent struct {
	Event     string            `json:"event"`
	Time      int64             `json:"ts"`
	ID        string            `json:"_id"`
	URL       string            `json:"url,omitempty"`
	IP        string            `json:"ip,omitempty"`
	UserAgent string            `json:"user_agent,omitempty"`
	Location  *mandrillLocation `json:"location,omitempty"`
	Message   mandrillMessage   `json:"msg"`
}

type mandrillLocation struct {
	Country string `json:"country_short"`
}

type mandrillMessage struct {
	ID          string            `json:"_id"`
	Email       string            `json:"email"`
	Sender      string            `json:"sender"`
	Tags        []string          `json:"tags"`
	Metadata    map[string]string `json:"metadata"`
	Template    string            `json:"template"`
	State       string            `json:"state"`
	Tries       []mandrillTry     `json:"smtp_events,omitempty"`
	Diag        string            `json:"diag,omitempty"`
	Description string            `json:"bounce_description,omitempty"`
}

type mandrillTry struct {
	Time   int64  `json:"ts"`
	Type   string `json:"type"`
	Diag   string `json:"diag"`
	Source string `json:"source_ip"`
}

// mandrill posts a form, the same when it is sent again.
func mandrill(facts []fact, _ *occasion) (request, error) {
	objects := make([]mandrillEvent, len(facts))
	for i := range facts {
		objects[i] = mandrillObject(&facts[i])
	}
	list, err := json.Marshal(objects)
	list = bytes.ReplaceAll(list, []byte("/"), []byte(`\/`)) // as PHP writes it
	if err != nil {
		return request{}, err
	}
	return formRequest(url.Values{"mandrill_events": {string(list)}})
}

func mandrillObject(f *fact) mandrillEvent {
	e := &f.event
	id := strconv.FormatInt(f.messageID, 16)
	out := mandrillEvent{Time: e.Time.Unix(), ID: id, Message: mandrillMessage{
		ID: id, Email: e.Recipient, Sender: "shop@example.com", Tags: []string{"simulated"},
		Metadata: map[string]string{"order": id}, Template: f.campaign, State: "sent",
	}}
	switch e.Type {
	case schemas.Delivered:
		out.Event, out.Message.Tries = "delivered", mandrillTries("sent", e)
	case schemas.Deferred:
		out.Event, out.Message.Tries, out.Message.State = "deferral", mandrillTries("deferred", e), "deferred"
	case schemas.Opened, schemas.Clicked:
		out.Event, out.IP, out.UserAgent, out.Location = "open", readerIP, readerAgent, &mandrillLocation{"DE"}
		if e.Type == schemas.Clicked {
			out.Event, out.URL = "click", readerURL
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

// mandrillTries is where a reply stands as long as a message has not bounced.
func mandrillTries(kind string, e *schemas.Event) []mandrillTry {
	return []mandrillTry{{Time: e.Time.Unix(), Type: kind, Diag: e.SMTPReply, Source: sendingIP}}
}
