package webhookverify

import (
	"slices"
	"time"
)

// Scheme is how one provider signs.
type Scheme struct {
	// window is the replay_window where none is configured; 0 says that no time is
	// signed, so that there is nothing to compare.
	window time.Duration
	fields []string // settings with a meaning, beside replay_window where a time is signed
	build  func(*builder) Verifier
}

func (s *Scheme) takes(field string) bool {
	return slices.Contains(s.fields, field) || field == "replay_window" && s.window > 0
}

// The windows, as each provider's retries allow.
const (
	windowUsual    = 5 * time.Minute // of Standard Webhooks, Mailchimp, HubSpot
	windowMailgun  = 9 * time.Hour   // retries for 8 h, maybe with the first time
	windowSendGrid = 25 * time.Hour  // retries for 24 h, maybe with the first time
)

// Mailgun returns the scheme of Mailgun: a signature in the body, over time and token.
func Mailgun() *Scheme { return &Scheme{windowMailgun, []string{"signing_keys"}, newMailgun} }

// SendGrid returns the scheme of SendGrid: ECDSA over time and body.
func SendGrid() *Scheme { return &Scheme{windowSendGrid, []string{"signing_keys"}, newSendGrid} }

// AmazonSNS returns the scheme of Amazon SNS: RSA over the fields of the message.
func AmazonSNS() *Scheme { return &Scheme{0, []string{"sns"}, newSNS} }

// Mandrill returns the scheme of Mandrill: HMAC over the URL and the form.
func Mandrill() *Scheme {
	return &Scheme{0, []string{"signing_keys", "public_url"}, newMandrill}
}

// StandardWebhooks returns the scheme of the specification Standard Webhooks.
func StandardWebhooks() *Scheme { return &Scheme{windowUsual, []string{"signing_keys"}, newStandard} }

// Hex returns the scheme of a header with the hex HMAC-SHA256 of the body.
func Hex(header string) *Scheme {
	return &Scheme{0, []string{"signing_keys"}, func(b *builder) Verifier {
		return &bodyMAC{header: header, keys: b.texts()}
	}}
}

// MailerSend returns the scheme of MailerSend: Hex, and a ping with a published key.
func MailerSend() *Scheme { return &Scheme{0, []string{"signing_keys"}, newMailerSend} }

// Postal returns the scheme of Postal: RSA over the body.
func Postal() *Scheme { return &Scheme{0, []string{"signing_keys", "jwks_url"}, newPostal} }

// Mailchimp returns the scheme of Mailchimp: HMAC over time and body.
func Mailchimp() *Scheme { return &Scheme{windowUsual, []string{"signing_keys"}, newMailchimp} }

// Configured returns the scheme that a source describes in its configuration.
func Configured() *Scheme {
	return &Scheme{windowUsual, []string{"signing_keys", "public_url", "signature"}, newCustom}
}
