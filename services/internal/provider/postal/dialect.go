package postal

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// sentKey is the id of the development key in a key set.
const sentKey = "development"

// write posts one object, the same when it is resent.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	f := &facts[0]
	kind, payload := sentPayload(f)
	return dialect.JSON(dialect.Object{"event": kind, "timestamp": sentTime(f.Event.Time), "payload": payload, "uuid": f.UUID()})
}

// sentTime is seconds with decimals: all of Postal's times are floats.
func sentTime(t time.Time) json.Number {
	return json.Number(strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64))
}

// hasWord says that Postal has no word for those who complain or leave.
func hasWord(f *dialect.Fact) bool {
	e := &f.Event
	return e.Type != schemas.Complained && e.Type != schemas.Unsubscribed
}

func sentPayload(f *dialect.Fact) (kind string, payload dialect.Object) {
	e := &f.Event
	at, token := sentTime(e.Time), strconv.FormatInt(f.MessageID, 36)
	message := dialect.Object{
		"id": f.MessageID, "token": token, "direction": "outgoing",
		"message_id": token + "@rp.postal.example.org", "to": e.Recipient, "from": "shop@example.com",
		"subject": "Your order", "timestamp": sentTime(f.SentAt()), "spam_status": "NotChecked", "tag": f.Campaign,
	}
	status := func(word, details string) dialect.Object {
		return dialect.Object{"message": message, "status": word, "details": details, "output": e.SMTPReply, "sent_with_ssl": true, "timestamp": at, "time": 0.2}
	}
	switch {
	case e.Type == schemas.Delivered:
		return "MessageSent", status("Sent", "Message accepted by "+dialect.SendingIP+":25")
	case e.Type == schemas.Deferred:
		return "MessageDelayed", status("SoftFail", "Temporary SMTP delivery error when sending to "+dialect.SendingIP+":25")
	case e.Type == schemas.Opened:
		return "MessageLoaded", dialect.Object{"message": message, "ip_address": dialect.ReaderIP, "user_agent": dialect.ReaderAgent}
	case e.Type == schemas.Clicked:
		return "MessageLinkClicked", dialect.Object{"message": message, "url": dialect.ReaderURL, "token": "click", "ip_address": dialect.ReaderIP, "user_agent": dialect.ReaderAgent}
	case e.BounceType == schemas.Soft: // a report that came in later
		return "MessageBounced", dialect.Object{"original_message": message, "bounce": dialect.Object{
			"id": f.MessageID + 1, "token": token + "dsn", "direction": "incoming",
			"message_id": token + "@mx.example.com", "to": token + "@psrp.postal.example.org", "from": "",
			"subject": "Undelivered mail", "timestamp": at, "spam_status": "NotSpam", "tag": nil,
		}}
	default:
		return "MessageDeliveryFailed", status("HardFail", "Permanent SMTP delivery error when sending to "+dialect.SendingIP+":25")
	}
}

// sign leaves out the signature with SHA-1 that Postal sends too: it costs
// another one and proves nothing.
func sign(r *dialect.Request, o *dialect.Occasion) (err error) {
	r.Header["User-Agent"], r.Header[keyIDHeader] = "Postal/3.3.6", sentKey
	r.Header[SignatureHeader], err = signature(o.Private, r.Body)
	return err
}
