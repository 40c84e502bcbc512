package resend

import (
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// write posts one object under an id that a repeat has too; time and signature
// beside it are new each time.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	f := &facts[0]
	r, err := dialect.JSON(sentEvent(f))
	r.Header["svix-id"] = "msg_" + f.ID()
	return r, err
}

func sentEvent(f *dialect.Fact) dialect.Object {
	e := &f.Event
	at := e.Time.Format(dialect.MilliTime)
	data := dialect.Object{
		"email_id": dialect.GUID(f.MessageID), "created_at": f.SentAt().Format(dialect.MilliTime), "from": "Shop <shop@example.com>", "to": []string{e.Recipient},
		"subject": "Your order", "template_id": f.Campaign,
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
		data["click"] = dialect.Object{"ipAddress": dialect.ReaderIP, "link": dialect.ReaderURL, "timestamp": at, "userAgent": dialect.ReaderAgent}
	case schemas.Complained:
		kind = "email.complained"
	case schemas.Unsubscribed: // which Resend says of a contact, not of a message
		kind = "contact.updated"
		data = dialect.Object{"id": dialect.GUID(f.MessageID), "audience_id": "simulated", "created_at": at, "updated_at": at, "email": e.Recipient, "unsubscribed": true}
	default: // email.suppressed is for what was not tried
		kind = "email.bounced"
		data["bounce"] = sentBounce(e)
	}
	return dialect.Object{"type": kind, "created_at": at, "data": data}
}

func sentBounce(e *schemas.Event) dialect.Object {
	out := dialect.Object{"type": "Transient", "subType": "MailboxFull", "message": "It came back.", "diagnosticCode": []string{"smtp; " + e.SMTPReply}}
	switch {
	case e.Type == schemas.Blocked:
		out["subType"] = "General"
	case e.BounceType == schemas.Hard:
		out["type"], out["subType"] = "Permanent", "NoEmail"
	}
	return out
}

// sign keeps the id of a request that is resent; time and signature are new.
func sign(r *dialect.Request, o *dialect.Occasion) (err error) {
	id, now := r.Header["svix-id"], dialect.Now()
	if id == "" {
		id = "msg_" + dialect.Fingerprint(r.Body, 0)
	}
	r.Header["svix-id"], r.Header["svix-timestamp"] = id, now
	r.Header["svix-signature"], err = webhooksign.StandardWebhooks(o.Key, id, now, r.Body)
	return err
}
