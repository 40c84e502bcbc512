package mailersend

import (
	"cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// write posts one object of version 2, the same when it is resent.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	return dialect.JSON(sentEvent(&facts[0]))
}

// sentTime is how MailerSend writes a time.
const sentTime = "2006-01-02T15:04:05.000000Z"

func sentEvent(f *dialect.Fact) dialect.Object {
	e := &f.Event
	var kind, state string    // state is the message's where that is another word
	var meta any = []string{} // an empty object, as PHP writes it
	switch e.Type {
	case schemas.Delivered:
		kind = "delivered"
	case schemas.Opened, schemas.Clicked:
		reader := dialect.Object{"ip": dialect.ReaderIP, "country": "DE", "user_agent": dialect.ReaderAgent, "device_type": "desktop", "browser": "Firefox"}
		kind, meta = "opened", reader
		if e.Type == schemas.Clicked {
			kind, reader["url"] = "clicked", dialect.ReaderURL
		}
	case schemas.Unsubscribed:
		kind, meta = "unsubscribed", dialect.Object{"unsubscribe_reason": "NO_LONGER_WANT"}
	case schemas.Complained:
		kind = "spam_complaint"
	case schemas.Deferred:
		kind = "deferred"
	default: // blocked is a hard bounce of MailerSend's, and only its reply says more
		kind, state, meta = "hard_bounced", "rejected", sentReply(e, schemas.Hard)
		if e.BounceType == schemas.Soft {
			kind, meta = "soft_bounced", sentReply(e, schemas.Soft)
		}
	}
	return dialect.Object{"type": "activity." + kind, "created_at": e.Time.Format(sentTime), "data": dialect.Object{
		"id": f.ID(), "domain_id": "simulated", "message_id": dialect.GUID(f.MessageID), "email_id": dialect.GUID(f.MessageID), "type": cmp.Or(state, kind),
		"subject": "Your order", "recipient": e.Recipient, "tags": []string{f.Campaign}, "meta": meta,
	}}
}

// sentReply is what the remote server said. The code it starts with is repeated
// in another field.
func sentReply(e *schemas.Event, b schemas.BounceType) dialect.Object {
	return dialect.Object{"bounce_reason": e.SMTPReply, "bounce_code": e.SMTPReply[:3], "bounce_type": string(b)}
}
