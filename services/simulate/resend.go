package simulate

import (
	"github.com/mailstream/mailstream/schemas"
)

// resend posts one object under an id that a repeat has too; time and signature
// beside it are new each time.
func resend(facts []fact, _ *occasion) (request, error) {
	f := &facts[0]
	r, err := jsonRequest(resendEvent(f))
	r.header["svix-id"] = "msg_" + f.id()
	return r, err
}

func resendEvent(f *fact) object {
	e := &f.event
	at := e.Time.Format(sesTime)
	data := object{
		"email_id": guid(f.messageID), "created_at": f.sentAt().Format(sesTime), "from": "Shop <shop@example.com>", "to": []string{e.Recipient},
		"subject": "Your order", "template_id": f.campaign,
	}
	var kind string
	switch e.Type {
	case schemas.Delivered:
		kind = "email.delivered"
	case schemas.Deferred:
		kind = "email.delivery_delayed"
	case schemas.Opened:
		kind = "email.opened"
	case schemas.Clicked:
		kind = "email.clicked"
		data["click"] = object{"ipAddress": readerIP, "link": readerURL, "timestamp": at, "userAgent": readerAgent}
	case schemas.Complained:
		kind = "email.complained"
	case schemas.Unsubscribed: // which Resend says of a contact, not of a message
		kind = "contact.updated"
		data = object{"id": guid(f.messageID), "audience_id": "simulated", "created_at": at, "updated_at": at, "email": e.Recipient, "unsubscribed": true}
	default: // email.suppressed is for what was not tried
		kind = "email.bounced"
		data["bounce"] = resendBounce(e)
	}
	return object{"type": kind, "created_at": at, "data": data}
}

func resendBounce(e *schemas.Event) object {
	out := object{"type": "Transient", "subType": "MailboxFull", "message": "It came back.", "diagnosticCode": []string{"smtp; " + e.SMTPReply}}
	switch {
	case e.Type == schemas.Blocked:
		out["subType"] = "General"
	case e.BounceType == schemas.Hard:
		out["type"], out["subType"] = "Permanent", "NoEmail"
	}
	return out
}
