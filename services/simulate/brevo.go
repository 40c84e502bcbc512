package simulate

import (
	"strconv"

	"github.com/mailstream/mailstream/schemas"
)

// brevo posts an object, or an array where batches are switched on; a repeat is
// the same.
func brevo(facts []fact, o *occasion) (request, error) {
	objects := make([]object, len(facts))
	for i := range facts {
		objects[i] = brevoEvent(&facts[i])
	}
	if !o.grouped && len(objects) == 1 {
		return jsonRequest(objects[0])
	}
	return jsonRequest(objects)
}

func brevoEvent(f *fact) object {
	e := &f.event
	out := object{
		"id": 90211, "email": e.Recipient, "message-id": "<" + strconv.FormatInt(f.messageID, 10) + "@smtp-relay.mailin.fr>",
		"date": e.Time.Format("2006-01-02 15:04:05"), "ts_event": e.Time.Unix(), "ts": e.Time.Unix(), "ts_epoch": e.Time.UnixMilli(),
		"tags": []string{"simulated"}, "X-Mailin-custom": `{"campaign":"` + f.campaign + `"}`,
	}
	switch e.Type {
	case schemas.Delivered:
		out["event"], out["sending_ip"] = "delivered", sendingIP
	case schemas.Opened, schemas.Clicked:
		out["event"], out["sending_ip"], out["user_agent"], out["device_used"] = "opened", readerIP, readerAgent, "DESKTOP"
		if e.Type == schemas.Clicked {
			out["event"], out["link"] = "click", readerURL
		}
	case schemas.Unsubscribed:
		out["event"] = "unsubscribed"
	case schemas.Complained:
		out["event"] = "spam"
	default: // its own word "blocked" is for what it did not try
		out["event"], out["sending_ip"], out["reason"] = "soft_bounce", sendingIP, e.SMTPReply
		if e.Type == schemas.Deferred {
			out["event"] = "deferred"
		} else if e.BounceType == schemas.Hard {
			out["event"] = "hard_bounce"
		}
	}
	return out
}
