package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// signature makes a request genuine, as a provider does.
type signature func(r *request, o *occasion) error

// compose returns facts as one request of d, signed.
func (d dialect) compose(facts []fact, o *occasion) (request, error) {
	r, err := d.write(facts, o)
	if err == nil && d.sign != nil {
		err = d.sign(&r, o)
	}
	return r, err
}

// captured returns the body of a request that was received once as the provider
// would post it now.
func (d dialect) captured(body []byte, o *occasion) (request, error) {
	media := d.media
	if media == "" {
		media = jsonMedia
	}
	r := request{body: body, header: map[string]string{"Content-Type": media}}
	if d.sign == nil {
		return r, nil
	}
	return r, d.sign(&r, o)
}

// bySum puts the hex HMAC of the body into a header.
func bySum(header string) signature {
	return func(r *request, o *occasion) error {
		r.header[header] = webhooksign.Hex(o.auth.SigningKey.Reveal(), r.body)
		return nil
	}
}

// byTimedSum puts the time and an HMAC over it and the body into a header.
func byTimedSum(header string) signature {
	return func(r *request, o *occasion) error {
		r.header[header] = webhooksign.Mailchimp(o.auth.SigningKey.Reveal(), time.Now(), r.body)
		return nil
	}
}

func signSendGrid(r *request, o *occasion) (err error) {
	now := o.now()
	r.header[webhooksign.SendGridTimestampHeader] = now
	r.header[webhooksign.SendGridSignatureHeader], err = webhooksign.SendGrid(o.keys.SendGrid, now, r.body)
	return err
}

// signResend keeps the id of what is posted again; time and signature are new.
func signResend(r *request, o *occasion) (err error) {
	id, now := r.header["svix-id"], o.now()
	if id == "" {
		id = "msg_" + fingerprint(r.body, 0)
	}
	r.header["svix-id"], r.header["svix-timestamp"] = id, now
	r.header["svix-signature"], err = webhooksign.StandardWebhooks(o.auth.SigningKey.Reveal(), id, now, r.body)
	return err
}

// signPostal leaves out the signature with SHA-1 that Postal sends too: it costs
// another one and proves nothing.
func signPostal(r *request, o *occasion) (err error) {
	r.header["User-Agent"], r.header[webhooksign.PostalKeyID] = "Postal/3.3.6", postalKey
	r.header[webhooksign.PostalHeader], err = webhooksign.Postal(o.keys.Postal, r.body)
	return err
}

func signMandrill(r *request, o *occasion) error {
	form, err := url.ParseQuery(string(r.body))
	if err != nil {
		return fmt.Errorf("read the form: %w", err)
	}
	r.header[webhooksign.MandrillHeader] = webhooksign.Mandrill(o.auth.SigningKey.Reveal(), o.auth.PublicURL.Reveal(), form)
	return nil
}

// mailgunTokenBytes is the length of a token.
const mailgunTokenBytes = 50

// signMailgun writes the signature beside the event, under another token the
// second time.
func signMailgun(r *request, o *occasion) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(r.body, &parts); err != nil {
		return fmt.Errorf("read the event: %w", err)
	}
	if parts == nil {
		return errors.New("read the event: it is null")
	}
	now, token := o.now(), fingerprint(r.body, o.attempt)[:mailgunTokenBytes]
	var err error
	parts["signature"], err = json.Marshal(map[string]string{
		"timestamp": now, "token": token, "signature": webhooksign.Mailgun(o.auth.SigningKey.Reveal(), now, token),
	})
	if err != nil {
		return err
	}
	r.body, err = json.Marshal(parts)
	return err
}

// signSES signs the message of SNS, whose topic and time are made ours.
func signSES(r *request, o *occasion) error {
	var m webhooksign.SNSMessage
	if err := json.Unmarshal(r.body, &m); err != nil {
		return fmt.Errorf("read the message of SNS: %w", err)
	}
	m.TopicArn, m.Timestamp, m.SignatureVersion = o.auth.TopicArn, time.Now().UTC().Format(sesTime), "2"
	if err := m.Sign(o.keys.SNS); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "text/plain; charset=UTF-8", webhooksign.SNSTypeHeader: m.Type, "x-amz-sns-message-id": m.MessageID, "x-amz-sns-topic-arn": m.TopicArn,
		"x-amz-sns-subscription-arn": m.TopicArn + ":simulated",
	} {
		r.header[name] = value
	}
	var err error
	r.body, err = json.Marshal(m)
	return err
}

// fingerprint is a text that no two bodies, nor two attempts at one, share.
func fingerprint(body []byte, attempt int) string {
	sum := sha256.Sum256(append([]byte{byte(attempt)}, body...))
	return hex.EncodeToString(sum[:])
}
