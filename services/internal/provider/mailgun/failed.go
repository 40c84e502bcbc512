package mailgun

import (
	"cmp"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// status fills in what the remote server, or Mailgun in its place, said. It
// returns Mailgun's own number where the code is not one of SMTP's, and whether the
// bounce is called hard or soft.
func (e *entry) status(ev *schemas.Event) (own, bounce string) {
	message, description := "", ""
	for m := e.Object(fieldStatus); m.Next(); {
		switch m.Key() {
		case "code":
			code := e.Out.Text(m.Value())
			if ev.SMTPCode = provider.SMTPCode(code); ev.SMTPCode == 0 {
				own = provider.Number(code)
			}
		case "enhanced-code":
			ev.EnhancedCode = provider.EnhancedCode(e.Out.Text(m.Value()))
		case "message":
			message = e.Out.Text(m.Value())
		case "description":
			description = e.Out.Text(m.Value())
		case "bounce-type":
			bounce = strings.ToLower(e.Out.Text(m.Value()))
		}
	}
	ev.SMTPReply = message
	if message == "" { // as with suppressions
		ev.SMTPReply = description
	}
	return own, bounce
}

// failed distinguishes what Mailgun retries from what it has given up or never
// tried.
func (e *entry) failed(it *provider.Item) {
	ev := &it.Event
	own, bounce := e.status(ev)
	reason := strings.ToLower(e.Text(fieldReason))
	it.Failure.Class = class(reason, own)
	severity := strings.ToLower(e.Text(fieldSeverity))
	switch {
	case severity == "temporary", strings.EqualFold(ev.ProviderEvent, "temporary_fail"):
		ev.Type = schemas.Deferred
		it.Failure.Soft = true
	case strings.HasPrefix(reason, "suppress-"), own == "605", own == "606", own == "607":
		ev.Type = schemas.Blocked
	case bounce == "soft", reason == "old", own == "602", reason == "espblock", reason == "blacklisted":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Soft
	case severity == "permanent", bounce == "hard", strings.EqualFold(ev.ProviderEvent, "permanent_fail"):
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
	default: // no word on it: the reply decides
		ev.Type = schemas.Bounced
	}
}

// class is Mailgun's word for why. Some of its reasons say nothing: then its own
// number does, if there is one.
func class(reason, own string) string {
	switch reason {
	case "", "generic", "bounce", "hardfail":
		return cmp.Or(own, reason)
	default:
		return reason
	}
}
