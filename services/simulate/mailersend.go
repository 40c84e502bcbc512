package simulate

import (
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// mailersend posts one object of version 2, the same when it is sent again.
func mailersend(facts []fact, o *occasion) (request, error) {
	r, err := jsonRequest(mailersendEvent(&facts[0]))
	if err == nil {
		r.header[webhooksign.MailerSendHeader] = webhooksign.Hex(o.auth.SigningKey.Reveal(), r.body)
	}
	return r, err
}

func mailersendEvent(f *fact) object {
	e := &f.event
	var kind string
	meta := object{}
	switch e.Type {
	case schemas.Delivered:
		kind = "delivered"
	case schemas.Opened, schemas.Clicked:
		kind = "opened"
		meta = object{"ip": readerIP, "country": "DE", "user_agent": readerAgent, "device_type": "desktop"}
		if e.Type == schemas.Clicked {
			kind, meta["url"] = "clicked", readerURL
		}
	case schemas.Unsubscribed:
		kind, meta["unsubscribe_reason"] = "unsubscribed", "NO_LONGER_WANT"
	case schemas.Complained:
		kind = "spam_complaint"
	case schemas.Deferred:
		kind, meta = "deferred", mailersendReply(e)
	default: // blocked is a hard bounce of MailerSend's, and only its reply says more
		kind, meta = "hard_bounced", mailersendReply(e)
		if e.BounceType == schemas.Soft {
			kind = "soft_bounced"
		}
	}
	return object{"type": "activity." + kind, "created_at": e.Time.Format(sesTime), "data": object{
		"id": f.id(), "domain_id": "simulated", "message_id": guid(f.messageID), "email_id": guid(f.messageID), "type": kind,
		"subject": "Your order", "recipient": e.Recipient, "tags": []string{f.campaign}, "meta": meta,
	}}
}

// mailersendReply is what the remote server said. The code it starts with stands
// beside it once more.
func mailersendReply(e *schemas.Event) object {
	return object{"bounce_reason": e.SMTPReply, "bounce_code": e.SMTPReply[:3]}
}
