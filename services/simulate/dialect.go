package simulate

import (
	"encoding/json"
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
	// write returns facts as one request, signed as the provider signs.
	write func(facts []fact, o *occasion) (request, error)
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

// dialects are the providers that can be played, by their names in the
// configuration.
func dialects() map[string]dialect {
	return map[string]dialect{
		"activecampaign": {write: activecampaign, single: true, tells: activecampaignTells},
		"brevo":          {write: brevo},
		"generic":        {write: generic},
		"mailchimp":      {write: mailchimp, single: true, tells: mailchimpTells},
		"mailersend":     {write: mailersend, single: true},
		"mailgun":        {write: mailgun, single: true},
		"mailjet":        {write: mailjet},
		"mailtrap":       {write: mailtrap},
		"mandrill":       {write: mandrill},
		"postal":         {write: postal, single: true, tells: postalTells},
		"postmark":       {write: postmark, single: true},
		"resend":         {write: resend, single: true},
		"sendgrid":       {write: sendgrid},
		"ses":            {write: ses, single: true},
		"sparkpost":      {write: sparkpost},
	}
}

// Providers returns the names of the providers that can be played, sorted.
func Providers() []string { return sortedNames(dialects()) }

// jsonRequest returns v as a request that nobody signed.
func jsonRequest(v any) (request, error) {
	body, err := json.Marshal(v)
	return request{body: body, header: map[string]string{"Content-Type": "application/json"}}, err
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
