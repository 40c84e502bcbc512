package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mailstream/mailstream/schemas"
)

// mailtrap posts its events in an object, the same when it is sent again.
func mailtrap(facts []fact, _ *occasion) (request, error) {
	objects := make([]object, len(facts))
	for i := range facts {
		objects[i] = mailtrapEvent(&facts[i])
	}
	return jsonRequest(object{"events": objects})
}

// uuid is id in the form of a UUID: the message's, with the type in the two digits
// before the last dash, which guid leaves at zero.
func (f *fact) uuid() string {
	text := guid(f.messageID)
	dash := strings.LastIndexByte(text, '-')
	return text[:dash-2] + fmt.Sprintf("%02x", slices.Index(schemas.Types(), f.event.Type)) + text[dash:]
}

func mailtrapEvent(f *fact) object {
	e := &f.event
	out := object{
		"message_id": guid(f.messageID), "event_id": f.uuid(), "email": e.Recipient, "timestamp": e.Time.Unix(),
		"sending_stream": "transactional", "sending_domain_name": "example.com", "category": "simulated",
		"custom_variables": object{"campaign": f.campaign},
	}
	switch e.Type {
	case schemas.Delivered:
		out["event"] = "delivery"
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		out["event"], out["ip"], out["user_agent"] = "open", readerIP, readerAgent
		switch e.Type {
		case schemas.Clicked:
			out["event"], out["url"] = "click", readerURL
		case schemas.Unsubscribed:
			out["event"] = "unsubscribe"
		}
	case schemas.Complained:
		out["event"] = "spam"
	default:
		out["event"], out["bounce_category"] = "bounce", "badrecipient"
		out["response_code"], out["response"] = mailtrapReply(e.SMTPReply)
		switch {
		case e.Type == schemas.Deferred:
			out["event"], out["bounce_category"] = "soft bounce", "greylisting"
		case e.Type == schemas.Blocked:
			out["bounce_category"] = "block"
		case e.BounceType == schemas.Soft: // overquota would be the end of the address
			out["bounce_category"] = "transientfail"
		}
	}
	return out
}

// mailtrapReply splits a reply as Mailtrap does.
func mailtrapReply(reply string) (code int, text string) {
	code, err := strconv.Atoi(reply[:3])
	if err != nil {
		return 0, reply
	}
	return code, reply[4:]
}
