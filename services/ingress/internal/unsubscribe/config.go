// Package unsubscribe is where a person leaves a list without a provider: the one-click
// URL of List-Unsubscribe (RFC 8058) and a small page for a browser.
//
// A signed token in the URL says whom it is about, so there is no login. Only a POST
// changes anything: scanners follow links, too. What a person chooses becomes an event
// like any other, of the provider Provider.
package unsubscribe

import (
	"net/url"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Prefix is where the links lead: Prefix + token.
const Prefix = "/u/"

// Config is the section `ingress.unsubscribe`.
type Config struct {
	// PublicURL is how the ingress is reached from outside, such as
	// https://hooks.example.com: links begin with it. Default "": there are no links.
	PublicURL string `yaml:"public_url"`
	// SigningKeys sign the links. Links are made with the first; those of the others
	// stay good, so a key is changed by putting the new one before it. At least 16
	// bytes each. Required with PublicURL.
	SigningKeys []config.Secret `yaml:"signing_keys"`
	// Source is the `source` of the events: a-z, 0-9, '-', '_', '.', at most 64 bytes.
	// It may be that of a configured source. Default unsubscribe.
	Source string `yaml:"source"`
	// Sender is what the page calls the sender, at most 100 characters. Default "this
	// sender".
	Sender string `yaml:"sender"`
	// Lists are what the page calls lists and streams, by their ids, at most 1,000 of at
	// most 100 characters. Default none: the page says "this list".
	Lists map[string]string `yaml:"lists,omitempty"`
}

const (
	keyBytesMin    = 16
	listsMax       = 1000
	nameLettersMax = 100
)

// Default returns the settings of an empty section: no links.
func Default() Config { return Config{Source: "unsubscribe", Sender: "this sender"} }

// Enabled says whether there are links.
func (c Config) Enabled() bool { return c.PublicURL != "" }

// Validate reports every fault to p but that of Source, whose form the ingress knows.
func (c Config) Validate(p *config.Problems) {
	if u, err := url.Parse(c.PublicURL); c.Enabled() {
		p.Check(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.RawQuery == "" && u.Fragment == "" && u.User == nil,
			"public_url", "%q is not an http or https URL without user, query and fragment", c.PublicURL)
		p.Check(len(c.SigningKeys) > 0, "signing_keys", "is missing: without a key everybody could take anybody off a list")
	}
	p.Check(c.Enabled() || len(c.SigningKeys) == 0, "public_url", "is missing: links have to begin with it")
	for i, key := range c.SigningKeys {
		p.Check(len(key.Reveal()) >= keyBytesMin, indexed("signing_keys", i), "has %d bytes, want at least %d", len(key.Reveal()), keyBytesMin)
	}
	p.Check(named(c.Sender), "sender", "has %d characters, want 1 to %d", letters(c.Sender), nameLettersMax)
	p.Check(len(c.Lists) <= listsMax, "lists", "%d of them, want at most %d", len(c.Lists), listsMax)
	for id, name := range c.Lists {
		p.Check(id != "" && len(id) <= fieldBytesMax && named(name), "lists."+id, "wants an id of at most %d bytes and a name of 1 to %d characters", fieldBytesMax, nameLettersMax)
	}
}
