package brevo

import (
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// plain returns an event's word in the one spelling that is compared. Webhooks are
// set up with other words than those that arrive; both are understood.
func plain(word string) string { return strings.ToLower(strings.ReplaceAll(word, "_", "")) }

// ofLists says that an event happens to each of its lists: a sender asks for one
// of them.
func ofLists(word string) bool {
	switch plain(word) {
	case "unsubscribe", "unsubscribed", "listaddition":
		return true
	default:
		return false
	}
}

// byType fills in what depends on the kind of event.
func byType(e *entry, it *provider.Item) {
	ev := &it.Event
	switch plain(ev.ProviderEvent) {
	case "request", "sent":
		ev.Type = schemas.Processed
		e.sender(it)
	case "delivered":
		ev.Type = schemas.Delivered
		e.sender(it)
	case "deferred":
		ev.Type = schemas.Deferred
		it.Failure.Soft = true // Brevo goes on trying
		e.reply(it)
	case "softbounce":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Soft
		it.Failure.Class, it.Failure.Soft = "soft_bounce", true
		e.reply(it)
	case "hardbounce":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
		it.Failure.Class = "hard_bounce" // of spam and policy too, so the reply may say that it will pass
		e.reply(it)
	case "invalid", "invalidemail":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
		it.Failure.Class = "invalid_email"
		e.reply(it)
	case "blocked":
		e.blocked(it)
	case "error":
		e.failed(it)
	case "spam", "complaint":
		ev.Type = schemas.Complained
	case "opened", "uniqueopened":
		ev.Type = schemas.Opened
		e.reader(it)
	case "proxyopen", "uniqueproxyopen", "proxyopened", "uniqueproxyopened", "loadedbyproxy":
		ev.Type = schemas.Opened
		e.reader(it)
		ev.Machine = provider.True()
	case "click":
		ev.Type = schemas.Clicked
		e.reader(it)
	case "unsubscribed", "unsubscribe":
		ev.Type = schemas.Unsubscribed
		e.reader(it)
	case "listaddition":
		ev.Type = schemas.Subscribed
	case "contactupdated", "contactdeleted":
		ev.Type = schemas.Other
		it.Distinguish(string(ev.Raw)) // two changes in one second
	default:
		e.Out.Unknown(it)
	}
}

// sender fills in the address Brevo sent from. With opens and clicks the field
// may hold the reader's, so it is not read there.
func (e *entry) sender(it *provider.Item) {
	it.Event.SendingIP = provider.IP(e.Text(fieldSendingIP))
}

// reply fills in what the remote server, or Brevo in its place, said.
func (e *entry) reply(it *provider.Item) {
	e.sender(it)
	it.Event.SMTPReply = e.Text(fieldReason)
	it.Distinguish(it.Event.SMTPReply) // fails twice in one second
}

// reader fills in what is known of the one who opened, clicked or left.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	ev.UserAgent = e.Text(fieldAgent)
	if ev.URL = e.Text(fieldLink); ev.URL == "" {
		ev.URL = e.Text(fieldURL) // of marketing
	}
	it.Distinguish(ev.UserAgent) // by a person and the scanner behind the same address
	it.Distinguish(ev.URL)       // two links in one second
}

// blocked was not even tried; the text says whose wish that is.
func (e *entry) blocked(it *provider.Item) {
	it.Event.Type = schemas.Blocked
	e.reply(it)
	text := strings.ToLower(it.Event.SMTPReply)
	switch {
	case strings.Contains(text, "unsubscribed"):
		it.Failure.Class = "blocked unsubscribed"
	case strings.Contains(text, "hard bounce"), strings.Contains(text, "bounced"):
		it.Failure.Class = "blocked bounced"
	case strings.Contains(text, "spam"), strings.Contains(text, "complain"):
		it.Failure.Class = "blocked complained"
	default:
		it.Failure.Class = "blocked"
	}
}

// failed is about the message, not the address.
func (e *entry) failed(it *provider.Item) {
	it.Event.Type = schemas.Failed
	it.Failure.Soft = true
	e.reply(it)
	it.Failure.Class = "error"
	if strings.Contains(strings.ToLower(it.Event.SMTPReply), "template") {
		it.Failure.Class = "error template"
	}
}
