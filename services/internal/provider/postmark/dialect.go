package postmark

import (
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// sentTime is how Postmark writes a time.
const sentTime = "2006-01-02T15:04:05.0000000Z07:00"

// write posts one flat object, the same when it is resent.
func write(facts []dialect.Fact, _ *dialect.Occasion) (dialect.Request, error) {
	f := &facts[0]
	r, err := dialect.JSON(sentRecord(f))
	if err == nil {
		r.Header["X-PM-Webhook-Trace-Id"] = f.ID()
	}
	return r, err
}

func sentRecord(f *dialect.Fact) dialect.Object {
	e := &f.Event
	at := e.Time.Format(sentTime)
	out := dialect.Object{
		"MessageID": dialect.GUID(f.MessageID), "MessageStream": "outbound", "ServerID": 4711,
		"Tag": "simulated", "Metadata": dialect.Object{"campaign": f.Campaign},
	}
	switch e.Type {
	case schemas.Delivered:
		out["RecordType"], out["Recipient"], out["DeliveredAt"], out["Details"] = "Delivery", e.Recipient, at, "smtp;"+e.SMTPReply
	case schemas.Opened, schemas.Clicked:
		out["RecordType"], out["Recipient"], out["ReceivedAt"], out["UserAgent"] = "Open", e.Recipient, at, dialect.ReaderAgent
		out["Geo"] = dialect.Object{"IP": dialect.ReaderIP, "CountryISOCode": "DE"}
		if e.Type == schemas.Clicked {
			out["RecordType"], out["OriginalLink"], out["ClickLocation"] = "Click", dialect.ReaderURL, "HTML"
		}
	case schemas.Unsubscribed:
		out["RecordType"], out["Recipient"], out["ChangedAt"] = "SubscriptionChange", e.Recipient, at
		out["Origin"], out["SuppressSending"], out["SuppressionReason"] = "Recipient", true, "ManualSuppression"
	default: // what did not arrive, or came back as spam
		out["RecordType"], out["Email"], out["BouncedAt"], out["Details"] = "Bounce", e.Recipient, at, "smtp;"+e.SMTPReply
		out["ID"], out["From"] = f.MessageID, "shop@example.com"
		kind := sentKind(e)
		if kind == "SpamComplaint" {
			out["RecordType"] = kind
		}
		out["Type"], out["Inactive"] = kind, kind == "HardBounce" || kind == "SpamComplaint"
	}
	return out
}

func sentKind(e *schemas.Event) string {
	switch {
	case e.Type == schemas.Complained:
		return "SpamComplaint"
	case e.Type == schemas.Deferred:
		return "Transient"
	case e.Type == schemas.Blocked:
		return "Blocked"
	case e.BounceType == schemas.Hard:
		return "HardBounce"
	default:
		return "SoftBounce"
	}
}
