package simulate

import (
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// generic posts what the generic source of the development configuration is set
// up for, the same when it is sent again but for the time of its signature.
func generic(facts []fact, o *occasion) (request, error) {
	objects := make([]object, len(facts))
	for i := range facts {
		objects[i] = genericEvent(&facts[i])
	}
	var v any = objects
	if !o.grouped && len(objects) == 1 {
		v = objects[0]
	}
	return jsonRequest(v)
}

func genericEvent(f *fact) object {
	e := &f.event
	kind := string(e.Type)
	if e.Type == schemas.Bounced {
		kind += "_" + string(e.BounceType)
	}
	return object{
		"event": kind, "id": f.id(), "time": e.Time.Format(time.RFC3339), "recipient": e.Recipient,
		"message_id": guid(f.messageID), "reply": e.SMTPReply,
	}
}
