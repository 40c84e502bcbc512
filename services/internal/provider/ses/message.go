package ses

import (
	"crypto"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// Message is what Amazon SNS posts and signs. Fields that a kind of message
// does not have are empty.
type Message struct {
	Type             string
	MessageID        string `json:"MessageId"`
	Token            string `json:",omitempty"`
	TopicArn         string
	Subject          string `json:",omitempty"`
	Message          string
	SubscribeURL     string `json:",omitempty"`
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	UnsubscribeURL   string `json:",omitempty"`
}

// The kinds of Message.Type, also in the header TypeHeader.
const (
	Notification = "Notification"
	subscribe    = "SubscriptionConfirmation"
	unsubscribe  = "UnsubscribeConfirmation"
)

// TypeHeader carries the kind of a message, Message.Type.
const TypeHeader = "X-Amz-Sns-Message-Type"

// content returns what SNS signs: name and value of the message's fields, each
// with a newline, in the order of the names.
func (m *Message) content() []byte {
	fields := [][2]string{{"Message", m.Message}, {"MessageId", m.MessageID}}
	if m.Type == Notification {
		if m.Subject != "" {
			fields = append(fields, [2]string{"Subject", m.Subject})
		}
		fields = append(fields, [2]string{"Timestamp", m.Timestamp})
	} else {
		fields = append(fields, [2]string{"SubscribeURL", m.SubscribeURL},
			[2]string{"Timestamp", m.Timestamp}, [2]string{"Token", m.Token})
	}
	fields = append(fields, [2]string{"TopicArn", m.TopicArn}, [2]string{"Type", m.Type})
	var out []byte
	for _, f := range fields {
		out = append(append(out, f[0]...), '\n')
		out = append(append(out, f[1]...), '\n')
	}
	return out
}

// Sign sets m.Signature for m.SignatureVersion: 1 is SHA-1, 2 is SHA-256.
func (m *Message) Sign(key crypto.Signer) error {
	algorithm := crypto.SHA256
	if m.SignatureVersion == "1" {
		algorithm = crypto.SHA1
	}
	signature, err := webhooksign.RSA(key, algorithm, m.content())
	m.Signature = signature
	return err
}
