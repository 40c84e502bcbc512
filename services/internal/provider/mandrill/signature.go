package mandrill

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"net/url"
	"slices"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// scheme is how Mandrill signs: HMAC over the URL and the form.
func scheme() *webhookverify.Scheme {
	return &webhookverify.Scheme{Fields: []string{"signing_keys", "public_url"}, Build: newVerifier}
}

// signatureHeader carries the signature.
const signatureHeader = "X-Mandrill-Signature"

// probeKey is what Mandrill signs the empty batch with that it sends
// before a webhook is saved.
const probeKey = "test-webhook"

// signature returns the value of signatureHeader, base64, for a form posted to the
// URL as it is written in Mandrill's settings.
func signature(key, webhookURL string, form url.Values) string {
	return base64.StdEncoding.EncodeToString(webhooksign.MAC(sha1.New, []byte(key), content(webhookURL, form)))
}

// content returns what Mandrill signs: the URL, then name and value of
// every field, sorted by name.
func content(webhookURL string, form url.Values) []byte {
	names := make([]string, 0, len(form))
	size := len(webhookURL)
	for name, values := range form {
		names = append(names, name)
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	slices.Sort(names)
	out := append(make([]byte, 0, size), webhookURL...)
	for _, name := range names {
		for _, value := range form[name] {
			out = append(append(out, name...), value...)
		}
	}
	return out
}

// verifier checks HMAC-SHA1 over the webhook's URL, as written in Mandrill's
// settings, and the fields of the form. It signs no time.
type verifier struct {
	url  string
	keys [][]byte
}

func newVerifier(b *webhookverify.Builder) webhookverify.Verifier {
	b.NeedPublicURL("mandrill signs it")
	return &verifier{url: b.PublicURL, keys: b.TextKeys()}
}

// fieldsMax bounds the fields of a form that is not proven yet. Mandrill has one.
const fieldsMax = 64

// Verify decides.
func (v *verifier) Verify(_ context.Context, r *webhookverify.Request) webhookverify.Verdict {
	given, found := webhookverify.HeaderSignature(r.Header, signatureHeader, base64.StdEncoding.DecodeString)
	if found != webhookverify.Genuine {
		return found
	}
	if bytes.Count(r.Body, []byte{'&'}) >= fieldsMax {
		return webhookverify.Unreadable
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return webhookverify.Unreadable
	}
	signed := content(v.url, form)
	mac := func(key []byte) []byte { return webhooksign.MAC(sha1.New, key, signed) }
	if webhookverify.AnyMAC(v.keys, given, mac) {
		return webhookverify.Genuine
	}
	// The probe before a webhook is saved has a published key, so it proves only
	// that there is nothing in it.
	probe := len(form) == 1 && form.Get("mandrill_events") == "[]"
	if probe && webhookverify.AnyMAC([][]byte{[]byte(probeKey)}, given, mac) {
		return webhookverify.Settled
	}
	return webhookverify.Refused
}
