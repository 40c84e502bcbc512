package simulate

import (
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
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
	Diag        string            `json:"diag,omitempty"`
	Description string            `json:"bounce_description,omitempty"`
	Reject      *mandrillReject   `json:"reject,omitempty"`
}

type mandrillReject struct {
	Reason string `json:"reason"`
}

// mandrill posts a form, signed together with its URL.
func mandrill(facts []fact, o *occasion) (request, error) {
	objects := make([]mandrillEvent, len(facts))
	for i := range facts {
		objects[i] = mandrillObject(&facts[i])
	}
	list, err := json.Marshal(objects)
	form := url.Values{"mandrill_events": {string(list)}}
	return request{body: []byte(form.Encode()), header: map[string]string{
		"Content-Type":             "application/x-www-form-urlencoded",
		webhooksign.MandrillHeader: webhooksign.Mandrill(o.auth.SigningKey.Reveal(), o.auth.PublicURL.Reveal(), form),
	}}, err
}

func mandrillObject(f *fact) mandrillEvent {
	e := &f.event
	id := strconv.FormatInt(f.messageID, 16)
	out := mandrillEvent{Time: e.Time.Unix(), ID: id, Message: mandrillMessage{
		ID: id, Email: e.Recipient, Sender: "shop@example.com", Tags: []string{"simulated"},
		Metadata: map[string]string{"order": id}, Template: f.campaign, Diag: e.SMTPReply,
	}}
	switch e.Type {
	case schemas.Delivered:
		out.Event = "delivered"
	case schemas.Deferred:
		out.Event = "deferral"
	case schemas.Opened, schemas.Clicked:
		out.Event, out.IP, out.UserAgent, out.Location = "open", readerIP, readerAgent, &mandrillLocation{"DE"}
		if e.Type == schemas.Clicked {
			out.Event, out.URL = "click", readerURL
		}
	case schemas.Unsubscribed:
		out.Event = "unsub"
	case schemas.Complained:
		out.Event = "spam"
	case schemas.Blocked: // which Mandrill has for its own lists alone
		out.Event, out.Message.Diag, out.Message.Reject = "reject", "", &mandrillReject{"hard-bounce"}
	default:
		out.Event, out.Message.Description = "soft_bounce", "mailbox_full"
		if e.BounceType == schemas.Hard {
			out.Event, out.Message.Description = "hard_bounce", "bad_mailbox"
		}
	}
	return out
}
