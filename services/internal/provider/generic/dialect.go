package generic

import (
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// write posts what the generic source of the development configuration is set
// up for, the same when it is resent, except for the time of its signature.
func write(facts []dialect.Fact, o *dialect.Occasion) (dialect.Request, error) {
	objects := make([]dialect.Object, len(facts))
	for i := range facts {
		objects[i] = sentEvent(&facts[i])
	}
	var v any = objects
	if !o.Grouped && len(objects) == 1 {
		v = objects[0]
	}
	return dialect.JSON(v)
}

func sentEvent(f *dialect.Fact) dialect.Object {
	e := &f.Event
	kind := string(e.Type)
	if e.Type == schemas.Bounced {
		kind += "_" + string(e.BounceType)
	}
	return dialect.Object{
		"event": kind, "id": f.ID(), "time": e.Time.Format(time.RFC3339), "recipient": e.Recipient,
		"message_id": dialect.GUID(f.MessageID), "reply": e.SMTPReply,
	}
}
