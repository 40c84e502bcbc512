package simulate

import (
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// dialect is how one provider writes its requests.
type dialect struct {
	// single says that the provider posts one event a request, whatever Group asks
	// for.
	single bool
	// tells says whether the provider has a word for an event; nil means all. What
	// it has none for is not played, so that everything counted was sent.
	tells func(*schemas.Event) bool
	// write returns facts as one request that nobody has signed.
	write func(facts []fact, o *occasion) (request, error)
	// sign makes it genuine; nil where a password or the URL does.
	sign signature
	// media is the content type; "" is JSON.
	media string
}

// request is one webhook.
type request struct {
	body   []byte
	header map[string]string
}

// occasion is what a dialect has to know beside the facts.
type occasion struct {
	grouped bool // write the form for several events even when there is one
	attempt int  // 1 when the same facts were posted before: some ids change
	auth    Auth
	keys    webhooksign.Development
}

// newOccasion finds the keys to sign with.
func newOccasion(cfg Config) (*occasion, error) {
	keys, err := webhooksign.LoadDevelopment()
	if err != nil {
		return nil, err
	}
	o := &occasion{grouped: cfg.Group > 1, auth: cfg.Auth, keys: keys}
	if !o.auth.SigningKey.IsSet() {
		o.auth.SigningKey = config.Literal(webhooksign.DevelopmentSecret)
		if cfg.Provider == "resend" {
			o.auth.SigningKey = config.Literal(webhooksign.DevelopmentStandardSecret)
		}
	}
	if !o.auth.PublicURL.IsSet() {
		o.auth.PublicURL = config.Literal(cfg.target())
	}
	if o.auth.TopicArn == "" {
		o.auth.TopicArn = webhooksign.DevelopmentTopicArn
	}
	return o, nil
}

// now is the time that is signed, in Unix seconds.
func (o *occasion) now() string { return strconv.FormatInt(time.Now().Unix(), 10) }

// The content types of webhooks.
const (
	jsonMedia = "application/json"
	formMedia = "application/x-www-form-urlencoded"
)

// dialects are the providers that can be played, by their names in the
// configuration.
func dialects() map[string]dialect {
	return map[string]dialect{
		"activecampaign": {write: activecampaign, single: true, tells: activecampaignTells, media: formMedia},
		"brevo":          {write: brevo},
		"generic":        {write: generic, sign: byTimedSum(webhooksign.GenericHeader)},
		"mailchimp":      {write: mailchimp, single: true, tells: mailchimpTells, sign: byTimedSum(webhooksign.MailchimpHeader), media: formMedia},
		"mailersend":     {write: mailersend, single: true, sign: bySum(webhooksign.MailerSendHeader)},
		"mailgun":        {write: mailgun, single: true, sign: signMailgun},
		"mailjet":        {write: mailjet},
		"mailtrap":       {write: mailtrap, sign: bySum(webhooksign.MailtrapHeader)},
		"mandrill":       {write: mandrill, sign: signMandrill, media: formMedia},
		"postal":         {write: postal, single: true, tells: postalTells, sign: signPostal},
		"postmark":       {write: postmark, single: true},
		"resend":         {write: resend, single: true, sign: signResend},
		"sendgrid":       {write: sendgrid, sign: signSendGrid},
		"ses":            {write: ses, single: true, sign: signSES},
		"sparkpost":      {write: sparkpost},
	}
}

// Providers returns the names of the providers that can be played, sorted.
func Providers() []string { return sortedNames(dialects()) }

// formRequest returns a form as a request that nobody signed.
func formRequest(form url.Values) (request, error) {
	return request{body: []byte(form.Encode()), header: map[string]string{"Content-Type": formMedia}}, nil
}

// jsonRequest returns v as a request that nobody signed.
func jsonRequest(v any) (request, error) {
	body, err := json.Marshal(v)
	return request{body: body, header: map[string]string{"Content-Type": jsonMedia}}, err
}

// sentAt is when the message was sent. Who reads a mail the second it is sent is
// taken for a machine.
func (f *fact) sentAt() time.Time { return f.event.Time.Add(-time.Minute) }

// id returns a text that no two facts of a run share.
func (f *fact) id() string {
	return string(f.event.Type) + "-" + strconv.FormatInt(f.messageID, 36)
}

// The reader that opens, clicks and leaves.
const (
	readerIP    = "203.0.113.17"
	readerAgent = "Mozilla/5.0 (X11; Linux x86_64) Simulated/1.0"
	readerURL   = "https://shop.example.com/offer"
	sendingIP   = "198.51.100.7"
)
