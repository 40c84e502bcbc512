package activecampaign

import (
	"net/url"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// write posts a form about a contact; it repeats nothing, and what comes
// twice is the same.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	f := &facts[0]
	e := &f.Event
	form := url.Values{
		"date_time": {e.Time.Format(time.RFC3339)}, "initiated_from": {"public"}, "initiated_by": {"contact"}, "list": {"0"},
		"contact[id]": {strconv.FormatInt(f.MessageID, 10)}, "contact[email]": {e.Recipient}, "contact[tags]": {"simulated"},
		"campaign[id]": {"77"}, "campaign[name]": {f.Campaign}, "campaign[message][id]": {"91"},
	}
	switch e.Type {
	case schemas.Opened:
		form.Set("type", "open")
		form.Set("contact[ip]", dialect.ReaderIP)
		form.Set("User-Agent", dialect.ReaderAgent)
	case schemas.Clicked:
		form.Set("type", "click")
		form.Set("link[id]", "12")
		form.Set("link[url]", dialect.ReaderURL)
	case schemas.Unsubscribed:
		form.Set("type", "unsubscribe")
		form.Set("list[0][id]", "3")
		form.Del("list")
		form.Set("unsubscribe[reason]", "Too many mails")
		form.Set("form[id]", "0")
	default: // blocked is a hard bounce of ActiveCampaign's, and only its code says more
		form.Set("type", "bounce")
		form.Set("initiated_from", "system")
		form.Set("initiated_by", "system")
		form.Del("campaign[name]")
		form.Del("campaign[message][id]")
		form.Set("bounce[type]", "hard")
		if e.BounceType == schemas.Soft {
			form.Set("bounce[type]", "soft")
		}
		form.Set("bounce[code]", e.SMTPReply[4:9])
		form.Set("bounce[description]", e.SMTPReply[10:])
	}
	return dialect.Form(form)
}

// hasWord says that ActiveCampaign has no word for what arrives, what
// waits, and complaints.
func hasWord(f *dialect.Fact) bool {
	e := &f.Event
	return e.Type != schemas.Delivered && e.Type != schemas.Deferred && e.Type != schemas.Complained
}
