package unsubscribe

import (
	"encoding/json"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// raw is what happened, as the event keeps it: nothing of the token can be used from
// there.
type raw struct {
	Event     choice `json:"event"`
	Time      string `json:"time"`
	Recipient string `json:"recipient"`
	List      string `json:"list,omitempty"`
	Stream    string `json:"stream,omitempty"`
	MessageID string `json:"message_id,omitempty"`
	Campaign  string `json:"campaign,omitempty"`
}

// item is the event of a choice, made now.
func item(m Mail, c choice, now time.Time) *provider.Item {
	now = now.UTC().Truncate(time.Millisecond)
	if c.all() {
		m.List, m.Stream = "", ""
	}
	text, err := json.Marshal(raw{
		Event: c, Time: now.Format(time.RFC3339Nano), Recipient: m.Recipient,
		List: m.List, Stream: m.Stream, MessageID: m.MessageID, Campaign: m.Campaign,
	})
	if err != nil {
		text = nil // texts alone: it does not happen, and the event needs none
	}
	it := &provider.Item{Event: schemas.Event{
		Type: schemas.Unsubscribed, ProviderEvent: string(c), Recipient: m.Recipient,
		MessageID: m.MessageID, ListID: m.List, Campaign: m.Campaign, Raw: text,
	}}
	if c.undoes() {
		it.Event.Type = schemas.Subscribed
	}
	it.SetMetadata(schemas.MetadataStream, m.Stream)
	it.SetTime(now, "")
	it.Distinguish(m.List) // leaves two lists in one millisecond
	it.Distinguish(m.Stream)
	return it
}
