// Package dialect is what the simulation needs to write the requests of one email
// provider: the facts it has to write, the request it returns, and what most
// providers have in common. Each provider's own dialect is in its package.
package dialect

import (
	"bytes"
	"crypto"
	"fmt"
	"net/http"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// Dialect is how one provider writes its requests.
type Dialect struct {
	// Single says that the provider posts one event a request, whatever the size of
	// the groups.
	Single bool
	// HasWord says whether the provider has a word for what happened; nil means
	// yes. What it has none for is not played, so that everything counted was sent.
	HasWord func(*Fact) bool
	// Write returns facts as one request without a signature.
	Write func(facts []Fact, o *Occasion) (Request, error)
	// Sign makes a request genuine; nil where a password or the URL does.
	Sign Signature
	// Key is the published signing key of the development configuration, where it
	// is not DevelopmentKey.
	Key string
	// PrivateKey is the published private key of the development configuration,
	// PEM, where the provider signs with one.
	PrivateKey []byte
	// Media is the content type; "" is JSON.
	Media string
	// InQuery says that the provider puts an event into the parameters of the URL, by GET.
	InQuery bool
}

// Signature makes a request genuine, as a provider does.
type Signature func(r *Request, o *Occasion) error

// DevelopmentKey is the signing key that most sources of the development
// configuration have. It is published and proves nothing about a sender.
const DevelopmentKey = "development-signing-key"

// Request is one webhook.
type Request struct {
	Method string // "" is POST
	Query  string // of the URL, without "?"
	Body   []byte
	Header map[string]string
}

// Occasion is what a dialect has to know beside the facts.
type Occasion struct {
	Grouped   bool          // write the form for several events even when there is one
	Attempt   int           // 1 when the same facts were posted before: some ids change
	Key       string        // the shared key to sign with
	Private   crypto.Signer // the private key to sign with; nil for none
	PublicURL string        // the URL that is signed
	TopicArn  string        // of SNS; "" is that of the development configuration
}

// Prepare completes o with the published keys of d.
func (d *Dialect) Prepare(o *Occasion) error {
	if o.Key == "" {
		if o.Key = d.Key; o.Key == "" {
			o.Key = DevelopmentKey
		}
	}
	if d.PrivateKey == nil {
		return nil
	}
	key, err := webhooksign.PrivateKey(d.PrivateKey)
	if err != nil {
		return fmt.Errorf("read the development key: %w", err)
	}
	o.Private = key
	return nil
}

// Compose returns facts as one request of d, signed.
func (d *Dialect) Compose(facts []Fact, o *Occasion) (Request, error) {
	r, err := d.Write(facts, o)
	if err == nil && d.Sign != nil {
		err = d.Sign(&r, o)
	}
	return r, err
}

// Captured returns the body of a request that was received once as the provider
// would post it now; of one that sends parameters they begin with "?".
func (d *Dialect) Captured(body []byte, o *Occasion) (Request, error) {
	media := d.Media
	if media == "" {
		media = JSONMedia
	}
	if query, ok := bytes.CutPrefix(body, []byte("?")); ok && d.InQuery {
		return Request{Method: http.MethodGet, Query: string(query)}, nil
	}
	r := Request{Body: body, Header: map[string]string{"Content-Type": media}}
	if d.Sign == nil {
		return r, nil
	}
	return r, d.Sign(&r, o)
}
