package simulate

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// postalKey is the id of the development key in a key set.
const postalKey = "development"

// postal posts one object, the same when it is sent again.
func postal(facts []fact, _ *occasion) (request, error) {
	f := &facts[0]
	kind, payload := postalPayload(f)
	return jsonRequest(object{"event": kind, "timestamp": postalTime(f.event.Time), "payload": payload, "uuid": f.uuid()})
}

// postalTime is seconds with decimals: all of Postal's times are floats.
func postalTime(t time.Time) json.Number {
	return json.Number(strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64))
}

// postalTells says that Postal has no word for those who complain or leave.
func postalTells(e *schemas.Event) bool {
	return e.Type != schemas.Complained && e.Type != schemas.Unsubscribed
}

func postalPayload(f *fact) (kind string, payload object) {
	e := &f.event
	at, token := postalTime(e.Time), strconv.FormatInt(f.messageID, 36)
	message := object{
		"id": f.messageID, "token": token, "direction": "outgoing",
		"message_id": token + "@rp.postal.example.org", "to": e.Recipient, "from": "shop@example.com",
		"subject": "Your order", "timestamp": postalTime(f.sentAt()), "spam_status": "NotChecked", "tag": f.campaign,
	}
	status := func(word, details string) object {
		return object{"message": message, "status": word, "details": details, "output": e.SMTPReply, "sent_with_ssl": true, "timestamp": at, "time": 0.2}
	}
	switch {
	case e.Type == schemas.Delivered:
		return "MessageSent", status("Sent", "Message accepted by "+sendingIP+":25")
	case e.Type == schemas.Deferred:
		return "MessageDelayed", status("SoftFail", "Temporary SMTP delivery error when sending to "+sendingIP+":25")
	case e.Type == schemas.Opened:
		return "MessageLoaded", object{"message": message, "ip_address": readerIP, "user_agent": readerAgent}
	case e.Type == schemas.Clicked:
		return "MessageLinkClicked", object{"message": message, "url": readerURL, "token": "click", "ip_address": readerIP, "user_agent": readerAgent}
	case e.BounceType == schemas.Soft: // a report that came in later
		return "MessageBounced", object{"original_message": message, "bounce": object{
			"id": f.messageID + 1, "token": token + "dsn", "direction": "incoming",
			"message_id": token + "@mx.example.com", "to": token + "@psrp.postal.example.org", "from": "",
			"subject": "Undelivered mail", "timestamp": at, "spam_status": "NotSpam", "tag": nil,
		}}
	default:
		return "MessageDeliveryFailed", status("HardFail", "Permanent SMTP delivery error when sending to "+sendingIP+":25")
	}
}
