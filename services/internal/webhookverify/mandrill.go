package webhookverify

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"net/url"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// mandrill is HMAC-SHA1 over the webhook's URL, as written in Mandrill's
// settings, and the fields of the form. It signs no time.
type mandrill struct {
	url  string
	keys [][]byte
}

func newMandrill(b *builder) Verifier {
	b.needPublicURL("mandrill signs it")
	return &mandrill{url: b.PublicURL, keys: b.texts()}
}

// needPublicURL reports that public_url is missing or no URL.
func (b *builder) needPublicURL(why string) {
	u, err := url.Parse(b.PublicURL)
	b.check(b.PublicURL != "", "public_url", "is missing: %s", why)
	if b.PublicURL != "" {
		b.check(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "", "public_url", "is no http or https URL")
	}
}

// fieldsMax bounds the fields of a form that is not proven yet. Mandrill has one.
const fieldsMax = 64

// Verify decides.
func (v *mandrill) Verify(_ context.Context, r *Request) Verdict {
	given, found := given(r.Header, webhooksign.MandrillHeader, base64.StdEncoding.DecodeString)
	if found != Genuine {
		return found
	}
	if bytes.Count(r.Body, []byte{'&'}) >= fieldsMax {
		return Unreadable
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return Unreadable
	}
	content := webhooksign.MandrillContent(v.url, form)
	mac := func(key []byte) []byte { return webhooksign.MAC(sha1.New, key, content) }
	if anyMAC(v.keys, given, mac) {
		return Genuine
	}
	// The probe before a webhook is saved has a published key, so it proves only
	// that there is nothing in it.
	probe := len(form) == 1 && form.Get("mandrill_events") == "[]"
	if probe && anyMAC([][]byte{[]byte(webhooksign.MandrillProbeKey)}, given, mac) {
		return Settled
	}
	return Refused
}
