package mailchimp

import (
	"net/url"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// write posts a form about a contact, the same when it is resent, except for
// the time of its signature.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	f := &facts[0]
	e := &f.Event
	form := url.Values{
		"type": {"cleaned"}, "fired_at": {e.Time.Format(time.DateTime)}, "data[list_id]": {"simulated"},
		"data[email]": {e.Recipient}, "data[campaign_id]": {f.Campaign}, "data[reason]": {"hard"},
	}
	if e.Type != schemas.Bounced {
		form.Set("type", "unsubscribe")
		form.Set("data[action]", "unsub")
		form.Set("data[reason]", "manual")
		form.Set("data[id]", strconv.FormatInt(f.MessageID, 16))
		form.Set("data[email_type]", "html")
		form.Set("data[ip_opt]", dialect.ReaderIP)
		form.Set("data[merges][EMAIL]", e.Recipient)
		form.Set("data[merges][FNAME]", "Ana")
	}
	if e.Type == schemas.Complained {
		form.Set("data[reason]", "abuse")
	}
	return dialect.Form(form)
}

// hasWord says what changes an audience; Mailchimp gives no other detail.
func hasWord(f *dialect.Fact) bool {
	e := &f.Event
	switch e.Type {
	case schemas.Unsubscribed, schemas.Complained:
		return true
	default:
		return e.BounceType == schemas.Hard
	}
}
