package simulate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// sesTime is how SES writes a time.
const sesTime = "2006-01-02T15:04:05.000Z"

// ses posts one record in a message of SNS, the second time with another message
// id.
func ses(facts []fact, o *occasion) (request, error) {
	f := &facts[0]
	record, err := json.Marshal(sesRecord(f))
	if err != nil {
		return request{}, err
	}
	return jsonRequest(webhooksign.SNSMessage{
		Type: webhooksign.SNSNotification, MessageID: snsID(f, o.attempt), Subject: "Amazon SES Email Event Notification", Message: string(record),
		SigningCertURL: "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
		UnsubscribeURL: "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + o.auth.TopicArn + ":simulated",
	})
}

// snsID is a UUID that no two facts, nor two messages about one, share.
func snsID(f *fact, attempt int) string {
	sum := sha256.Sum256([]byte(f.id() + strconv.Itoa(attempt)))
	return guid(int64(binary.BigEndian.Uint64(sum[:])))
}

// object is JSON that is written down once and read by nobody here.
type object map[string]any

func sesRecord(f *fact) object {
	e := &f.event
	at := e.Time.Format(sesTime)
	id := "0102" + strconv.FormatInt(f.messageID, 16) + "-000000"
	kind, key, part := "Bounce", "bounce", object{"timestamp": at}
	who := sesRecipient(e)
	switch e.Type {
	case schemas.Delivered:
		kind, key = "Delivery", "delivery"
		part["recipients"], part["smtpResponse"] = []string{e.Recipient}, e.SMTPReply
	case schemas.Deferred:
		kind, key = "DeliveryDelay", "deliveryDelay"
		part["delayType"], part["delayedRecipients"] = "General", []object{who}
	case schemas.Opened:
		kind, key = "Open", "open"
		part["ipAddress"], part["userAgent"] = readerIP, readerAgent
	case schemas.Clicked:
		kind, key = "Click", "click"
		part["ipAddress"], part["userAgent"], part["link"] = readerIP, readerAgent, readerURL
	case schemas.Complained:
		kind, key = "Complaint", "complaint"
		part["feedbackId"], part["complainedRecipients"] = f.id(), []object{{"emailAddress": e.Recipient}}
		part["userAgent"], part["complaintFeedbackType"] = "Simulated-FBL/1.0", "abuse"
	case schemas.Unsubscribed:
		kind, key = "Subscription", "subscription"
		part["contactList"], part["source"] = "customers", "UnsubscribeHeader"
		part["newTopicPreferences"], part["oldTopicPreferences"] = object{"unsubscribeAll": true}, object{"unsubscribeAll": false}
	default: // what did not arrive
		part["feedbackId"], part["bouncedRecipients"] = f.id(), []object{who}
		part["bounceType"], part["bounceSubType"] = sesBounce(e)
	}
	return object{"eventType": kind, key: part, "mail": object{
		"timestamp": f.sentAt().Format(sesTime), "messageId": id, "source": "shop@example.com", "destination": []string{e.Recipient},
		"tags": object{"campaign": []string{f.campaign}},
	}}
}

// sesRecipient tells what the remote server said, where it was asked.
func sesRecipient(e *schemas.Event) object {
	out := object{"emailAddress": e.Recipient}
	if reply := strings.Fields(e.SMTPReply); len(reply) > 1 {
		out["status"], out["diagnosticCode"] = reply[1], "smtp; "+e.SMTPReply
	}
	if e.Type == schemas.Bounced || e.Type == schemas.Blocked {
		out["action"] = "failed"
	}
	return out
}

func sesBounce(e *schemas.Event) (kind, subtype string) {
	switch {
	case e.Type == schemas.Blocked:
		return "Transient", "General"
	case e.BounceType == schemas.Hard:
		return "Permanent", "NoEmail"
	default:
		return "Transient", "MailboxFull"
	}
}
