package elasticemail

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// write puts an event into the URL, the same when it is resent.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	f := &facts[0]
	e := &f.Event
	query := url.Values{
		"from": {"shop@example.org"}, "to": {e.Recipient}, "subject": {"Simulated"},
		"date": {e.Time.UTC().Format(layouts()[0])}, "channel": {f.Campaign}, "account": {"simulated"},
		"messageid": {strconv.FormatInt(f.MessageID, 36)}, "transaction": {dialect.GUID(f.MessageID)},
	}
	status, category := words(e)
	query.Set("status", status)
	if category != "" {
		query.Set("category", category)
	}
	if e.Type == schemas.Clicked {
		query.Set("target", dialect.ReaderURL)
	}
	return dialect.Request{Method: http.MethodGet, Query: query.Encode()}, nil
}

// words returns what Elastic Email calls an event, and why it failed.
func words(e *schemas.Event) (status, category string) {
	switch e.Type {
	case schemas.Delivered:
		return "Sent", ""
	case schemas.Opened:
		return "Opened", ""
	case schemas.Clicked:
		return "Clicked", ""
	case schemas.Complained:
		return "AbuseReport", ""
	case schemas.Unsubscribed:
		return "Unsubscribed", ""
	case schemas.Blocked: // by a server; its own block is NotDelivered
		return "Error", "BlackListed"
	default:
		if e.BounceType == schemas.Hard {
			return "Error", "NoMailbox"
		}
		return "Error", "Timeout"
	}
}

// hasWord says that Elastic Email tells nothing of mail that it goes on trying.
func hasWord(f *dialect.Fact) bool { return f.Event.Type != schemas.Deferred }
