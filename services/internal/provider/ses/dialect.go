package ses

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// write posts one record in a message of SNS, the second time with another message
// id.
func write(facts []dialect.Fact, o *dialect.Occasion) (dialect.Request, error) {
	f := &facts[0]
	record, err := json.Marshal(sentRecord(f))
	if err != nil {
		return dialect.Request{}, err
	}
	return dialect.JSON(Message{
		Type: Notification, MessageID: snsID(f, o.Attempt), Subject: "Amazon SES Email Event Notification", Message: string(record),
		SigningCertURL: "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
		UnsubscribeURL: "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + topicArn(o) + ":simulated",
	})
}

// snsID is a UUID that no two facts, nor two messages about one, share.
func snsID(f *dialect.Fact, attempt int) string {
	sum := sha256.Sum256([]byte(f.ID() + strconv.Itoa(attempt)))
	return dialect.GUID(int64(binary.BigEndian.Uint64(sum[:])))
}

func sentRecord(f *dialect.Fact) dialect.Object {
	e := &f.Event
	at := e.Time.Format(dialect.MilliTime)
	id := "0102" + strconv.FormatInt(f.MessageID, 16) + "-000000"
	kind, key, part := "Bounce", "bounce", dialect.Object{"timestamp": at}
	who := sentRecipient(e)
	switch e.Type {
	case schemas.Delivered:
		kind, key = "Delivery", "delivery"
		part["recipients"], part["smtpResponse"] = []string{e.Recipient}, e.SMTPReply
	case schemas.Deferred:
		kind, key = "DeliveryDelay", "deliveryDelay"
		part["delayType"], part["delayedRecipients"] = "General", []dialect.Object{who}
	case schemas.Opened:
		kind, key = "Open", "open"
		part["ipAddress"], part["userAgent"] = dialect.ReaderIP, dialect.ReaderAgent
	case schemas.Clicked:
		kind, key = "Click", "click"
		part["ipAddress"], part["userAgent"], part["link"] = dialect.ReaderIP, dialect.ReaderAgent, dialect.ReaderURL
	case schemas.Complained:
		kind, key = "Complaint", "complaint"
		part["feedbackId"], part["complainedRecipients"] = f.ID(), []dialect.Object{{"emailAddress": e.Recipient}}
		part["userAgent"], part["complaintFeedbackType"] = "Simulated-FBL/1.0", "abuse"
	case schemas.Unsubscribed:
		kind, key = "Subscription", "subscription"
		part["contactList"], part["source"] = "customers", "UnsubscribeHeader"
		part["newTopicPreferences"], part["oldTopicPreferences"] = dialect.Object{"unsubscribeAll": true}, dialect.Object{"unsubscribeAll": false}
	default: // what did not arrive
		part["feedbackId"], part["bouncedRecipients"] = f.ID(), []dialect.Object{who}
		part["bounceType"], part["bounceSubType"] = sentBounce(e)
	}
	return dialect.Object{"eventType": kind, key: part, "mail": dialect.Object{
		"timestamp": f.SentAt().Format(dialect.MilliTime), "messageId": id, "source": "shop@example.com", "destination": []string{e.Recipient},
		"tags": dialect.Object{"campaign": []string{f.Campaign}},
	}}
}

// sentRecipient has the reply of the remote server, where there was one.
func sentRecipient(e *schemas.Event) dialect.Object {
	out := dialect.Object{"emailAddress": e.Recipient}
	if reply := strings.Fields(e.SMTPReply); len(reply) > 1 {
		out["status"], out["diagnosticCode"] = reply[1], "smtp; "+e.SMTPReply
	}
	if e.Type == schemas.Bounced || e.Type == schemas.Blocked {
		out["action"] = "failed"
	}
	return out
}

func sentBounce(e *schemas.Event) (kind, subtype string) {
	switch {
	case e.Type == schemas.Blocked:
		return "Transient", "General"
	case e.BounceType == schemas.Hard:
		return "Permanent", "NoEmail"
	default:
		return "Transient", "MailboxFull"
	}
}

// sign signs the message of SNS, whose topic and time are made ours.
func sign(r *dialect.Request, o *dialect.Occasion) error {
	var m Message
	if err := json.Unmarshal(r.Body, &m); err != nil {
		return fmt.Errorf("read the message of SNS: %w", err)
	}
	m.TopicArn, m.Timestamp, m.SignatureVersion = topicArn(o), time.Now().UTC().Format(dialect.MilliTime), "2"
	if err := m.Sign(o.Private); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "text/plain; charset=UTF-8", TypeHeader: m.Type, "x-amz-sns-message-id": m.MessageID, "x-amz-sns-topic-arn": m.TopicArn,
		"x-amz-sns-subscription-arn": m.TopicArn + ":simulated",
	} {
		r.Header[name] = value
	}
	var err error
	r.Body, err = json.Marshal(m)
	return err
}

func topicArn(o *dialect.Occasion) string {
	if o.TopicArn == "" {
		return DevelopmentTopicArn
	}
	return o.TopicArn
}
