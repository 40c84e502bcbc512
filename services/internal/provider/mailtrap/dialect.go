package mailtrap

import (
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// write posts its events in an object, the same when it is resent.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	objects := make([]dialect.Object, len(facts))
	for i := range facts {
		objects[i] = sentEvent(&facts[i])
	}
	return dialect.JSON(dialect.Object{"events": objects})
}

func sentEvent(f *dialect.Fact) dialect.Object {
	e := &f.Event
	out := dialect.Object{
		"message_id": dialect.GUID(f.MessageID), "event_id": f.UUID(), "email": e.Recipient, "timestamp": e.Time.Unix(),
		"sending_stream": "transactional", "sending_domain_name": "example.com", "category": "simulated",
		"custom_variables": dialect.Object{"campaign": f.Campaign},
	}
	switch e.Type {
	case schemas.Delivered:
		out["event"] = "delivery"
	case schemas.Opened, schemas.Clicked, schemas.Unsubscribed:
		out["event"], out["ip"], out["user_agent"] = "open", dialect.ReaderIP, dialect.ReaderAgent
		switch e.Type {
		case schemas.Clicked:
			out["event"], out["url"] = "click", dialect.ReaderURL
		case schemas.Unsubscribed:
			out["event"] = "unsubscribe"
		}
	case schemas.Complained:
		out["event"] = "spam"
	default:
		out["event"], out["bounce_category"] = "bounce", "badrecipient"
		out["response_code"], out["response"] = sentReply(e.SMTPReply)
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

// sentReply splits a reply as Mailtrap does.
func sentReply(reply string) (code int, text string) {
	code, err := strconv.Atoi(reply[:3])
	if err != nil {
		return 0, reply
	}
	return code, reply[4:]
}
