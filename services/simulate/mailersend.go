package simulate

import (
	"cmp"

	"github.com/mailstream/mailstream/schemas"
)

// mailersend posts one object of version 2, the same when it is sent again.
func mailersend(facts []fact, _ *occasion) (request, error) {
	return jsonRequest(mailersendEvent(&facts[0]))
}

// mailersendTime is how MailerSend writes a time.
const mailersendTime = "2006-01-02T15:04:05.000000Z"

func mailersendEvent(f *fact) object {
	e := &f.event
	var kind, state string    // state is the message's where that is another word
	var meta any = []string{} // an empty object, as PHP writes it
	switch e.Type {
	case schemas.Delivered:
		kind = "delivered"
	case schemas.Opened, schemas.Clicked:
		reader := object{"ip": readerIP, "country": "DE", "user_agent": readerAgent, "device_type": "desktop", "browser": "Firefox"}
		kind, meta = "opened", reader
		if e.Type == schemas.Clicked {
			kind, reader["url"] = "clicked", readerURL
		}
	case schemas.Unsubscribed:
		kind, meta = "unsubscribed", object{"unsubscribe_reason": "NO_LONGER_WANT"}
	case schemas.Complained:
		kind = "spam_complaint"
	case schemas.Deferred:
		kind = "deferred"
	default: // blocked is a hard bounce of MailerSend's, and only its reply says more
		kind, state, meta = "hard_bounced", "rejected", mailersendReply(e, schemas.Hard)
		if e.BounceType == schemas.Soft {
			kind, meta = "soft_bounced", mailersendReply(e, schemas.Soft)
		}
	}
	return object{"type": "activity." + kind, "created_at": e.Time.Format(mailersendTime), "data": object{
		"id": f.id(), "domain_id": "simulated", "message_id": guid(f.messageID), "email_id": guid(f.messageID), "type": cmp.Or(state, kind),
		"subject": "Your order", "recipient": e.Recipient, "tags": []string{f.campaign}, "meta": meta,
	}}
}

// mailersendReply is what the remote server said. The code it starts with stands
// beside it once more.
func mailersendReply(e *schemas.Event, b schemas.BounceType) object {
	return object{"bounce_reason": e.SMTPReply, "bounce_code": e.SMTPReply[:3], "bounce_type": string(b)}
}
