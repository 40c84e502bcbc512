package simulate

import (
	"github.com/mailstream/mailstream/schemas"
)

// postmarkTime is how Postmark writes a time.
const postmarkTime = "2006-01-02T15:04:05.0000000Z07:00"

// postmark posts one flat object, the same when it is sent again.
func postmark(facts []fact, _ *occasion) (request, error) {
	f := &facts[0]
	r, err := jsonRequest(postmarkRecord(f))
	if err == nil {
		r.header["X-PM-Webhook-Trace-Id"] = f.id()
	}
	return r, err
}

func postmarkRecord(f *fact) object {
	e := &f.event
	at := e.Time.Format(postmarkTime)
	out := object{
		"MessageID": guid(f.messageID), "MessageStream": "outbound", "ServerID": 4711,
		"Tag": "simulated", "Metadata": object{"campaign": f.campaign},
	}
	switch e.Type {
	case schemas.Delivered:
		out["RecordType"], out["Recipient"], out["DeliveredAt"], out["Details"] = "Delivery", e.Recipient, at, "smtp;"+e.SMTPReply
	case schemas.Opened, schemas.Clicked:
		out["RecordType"], out["Recipient"], out["ReceivedAt"], out["UserAgent"] = "Open", e.Recipient, at, readerAgent
		out["Geo"] = object{"IP": readerIP, "CountryISOCode": "DE"}
		if e.Type == schemas.Clicked {
			out["RecordType"], out["OriginalLink"], out["ClickLocation"] = "Click", readerURL, "HTML"
		}
	case schemas.Unsubscribed:
		out["RecordType"], out["Recipient"], out["ChangedAt"] = "SubscriptionChange", e.Recipient, at
		out["Origin"], out["SuppressSending"], out["SuppressionReason"] = "Recipient", true, "ManualSuppression"
	default: // what did not arrive, or came back as spam
		out["RecordType"], out["Email"], out["BouncedAt"], out["Details"] = "Bounce", e.Recipient, at, "smtp;"+e.SMTPReply
		out["ID"], out["From"] = f.messageID, "shop@example.com"
		kind := postmarkKind(e)
		if kind == "SpamComplaint" {
			out["RecordType"] = kind
		}
		out["Type"], out["Inactive"] = kind, kind == "HardBounce" || kind == "SpamComplaint"
	}
	return out
}

func postmarkKind(e *schemas.Event) string {
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
