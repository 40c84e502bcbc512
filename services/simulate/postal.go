package simulate

import (
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// postal posts one object, the same when it is sent again.
func postal(facts []fact, o *occasion) (request, error) {
	f := &facts[0]
	kind, payload := postalPayload(f)
	r, err := jsonRequest(object{"event": kind, "timestamp": f.event.Time.Unix(), "payload": payload, "uuid": guid(f.messageID) + "-" + string(f.event.Type)})
	if err != nil {
		return r, err
	}
	r.header[webhooksign.PostalHeader], err = webhooksign.Postal(o.keys.Postal, r.body)
	return r, err
}

// postalTells says that Postal has no word for those who complain or leave.
func postalTells(e *schemas.Event) bool {
	return e.Type != schemas.Complained && e.Type != schemas.Unsubscribed
}

func postalPayload(f *fact) (kind string, payload object) {
	e := &f.event
	message := object{
		"id": f.messageID, "token": strconv.FormatInt(f.messageID, 36), "direction": "outgoing",
		"message_id": strconv.FormatInt(f.messageID, 36) + "@rp.postal.example.org", "to": e.Recipient, "from": "shop@example.com",
		"subject": "Your order", "timestamp": e.Time.Unix(), "spam_status": "NotChecked", "tag": f.campaign,
	}
	status := func(word, details string) object {
		return object{"message": message, "status": word, "details": details, "output": e.SMTPReply, "sent_with_ssl": true, "timestamp": e.Time.Unix(), "time": 0.2}
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
	case e.Type == schemas.Blocked: // which Postal has for its own list alone
		held := status("Held", "Recipient ("+e.Recipient+") is on the suppression list (reason: too many hard fails)")
		held["output"] = ""
		return "MessageHeld", held
	case e.BounceType == schemas.Soft: // a report that came in later
		return "MessageBounced", object{"original_message": message, "bounce": object{"id": f.messageID + 1, "direction": "incoming"}}
	default:
		return "MessageDeliveryFailed", status("HardFail", "Permanent SMTP delivery error when sending to "+sendingIP+":25")
	}
}
