package brevo

import (
	"strconv"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// write posts an object, or an array where batches are switched on; a repeat is
// the same.
func write(facts []dialect.Fact, o *dialect.Occasion) (dialect.Request, error) {
	objects := make([]dialect.Object, len(facts))
	for i := range facts {
		objects[i] = sentEvent(&facts[i])
	}
	if !o.Grouped && len(objects) == 1 {
		return dialect.JSON(objects[0])
	}
	return dialect.JSON(objects)
}

func sentEvent(f *dialect.Fact) dialect.Object {
	e := &f.Event
	out := dialect.Object{
		"id": 90211, "email": e.Recipient, "message-id": "<" + strconv.FormatInt(f.MessageID, 10) + "@smtp-relay.mailin.fr>",
		"date": e.Time.Format("2006-01-02 15:04:05"), "ts_event": e.Time.Unix(), "ts": e.Time.Unix(), "ts_epoch": e.Time.UnixMilli(),
		"tags": []string{"simulated"}, "X-Mailin-custom": `{"campaign":"` + f.Campaign + `"}`,
	}
	switch e.Type {
	case schemas.Delivered:
		out["event"], out["sending_ip"] = "delivered", dialect.SendingIP
	case schemas.Opened, schemas.Clicked:
		out["event"], out["sending_ip"], out["user_agent"], out["device_used"] = "opened", dialect.ReaderIP, dialect.ReaderAgent, "DESKTOP"
		if e.Type == schemas.Clicked {
			out["event"], out["link"] = "click", dialect.ReaderURL
		}
	case schemas.Unsubscribed:
		out["event"] = "unsubscribed"
	case schemas.Complained:
		out["event"] = "spam"
	default: // its own word "blocked" is for what it did not try
		out["event"], out["sending_ip"], out["reason"] = "soft_bounce", dialect.SendingIP, e.SMTPReply
		if e.Type == schemas.Deferred {
			out["event"] = "deferred"
		} else if e.BounceType == schemas.Hard {
			out["event"] = "hard_bounce"
		}
	}
	return out
}
