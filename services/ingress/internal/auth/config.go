// Package auth decides whether a request is from the source it claims: by what
// its headers or URL carry, by what its raw bytes prove, and by where it comes
// from. Secrets are compared by their hashes in constant time, all of them each
// time, so that neither length nor position nor number shows.
//
// It says yes or no and never why: no answer, error or log line of it holds a
// secret or helps to guess one. It keeps no list of attempts.
package auth

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
	"github.com/mailstream/mailstream/services/internal/provider/ses"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// Config is how a source's requests are known to be genuine: the word none, or
// one or more schemes, all of which must agree. Every scheme takes several
// secrets at once, so that one can be changed without losing an event.
type Config struct {
	// None takes everybody's requests.
	None bool `yaml:"-"`
	// Basic is HTTP Basic (RFC 7617), which providers send for https://user:pass@host.
	Basic *Basic `yaml:"basic,omitempty"`
	// Bearer are the tokens of an Authorization: Bearer header (RFC 6750). Default
	// none.
	Bearer Secrets `yaml:"bearer,omitempty"`
	// Header is a secret in a dedicated HTTP header.
	Header *Named `yaml:"header,omitempty"`
	// Query is a secret in a parameter of the URL's query.
	Query *Named `yaml:"query,omitempty"`
	// Path is a secret as the last element of the path: /v1/webhooks/SOURCE/SECRET.
	// Default none.
	Path Secrets `yaml:"path,omitempty"`
	// SigningKeys are the keys of a provider that signs its requests, as the
	// provider shows them. Default none.
	SigningKeys Secrets `yaml:"signing_keys,omitempty"`
	// ReplayWindow is how far a signed time may be from our clock, before or after.
	// Range [0s, 72h]. Default by provider: what its retries need.
	ReplayWindow time.Duration `yaml:"replay_window,omitempty"`
	// PublicURL is the webhook's URL as the provider has it, credentials and query
	// included, for those who sign it: mandrill, and generic with {url}. Proxies
	// change what arrives here, so it cannot be taken from the request. Default none.
	PublicURL *config.Secret `yaml:"public_url,omitempty"`
	// SNS is for ses: whose messages are taken.
	SNS *ses.SNS `yaml:"sns,omitempty"`
	// JWKSURL is for postal: where the installation publishes its key, instead of
	// or beside SigningKeys. Default none.
	JWKSURL string `yaml:"jwks_url,omitempty"`
	// Signature is for generic: what is signed and how.
	Signature *webhookverify.Custom `yaml:"signature,omitempty"`
}

// settings returns what is about signatures.
func (c Config) settings() webhookverify.Settings {
	s := webhookverify.Settings{
		Window: c.ReplayWindow, JWKSURL: c.JWKSURL, Custom: c.Signature,
	}
	if c.SNS != nil {
		s.Own = map[string]any{ses.SNSField: c.SNS}
	}
	if c.PublicURL != nil {
		s.PublicURL = c.PublicURL.Reveal()
	}
	for _, key := range c.SigningKeys {
		s.Keys = append(s.Keys, key.Reveal())
	}
	return s
}

// ProvesURL says whether an attacker who replays a request cannot change the
// parameters of its URL: no signature covers them, so only a shared secret
// protects them.
func (c Config) ProvesURL() bool {
	return c.Signature == nil || c.Basic != nil || c.Header != nil || c.Query != nil || len(c.Bearer)+len(c.Path) > 0
}

// ProvesHeaders says the same of the named headers: all of them are signed, or a
// secret is asked for.
func (c Config) ProvesHeaders(names ...string) bool {
	if c.ProvesURL() {
		return true
	}
	signed := strings.ToLower(c.Signature.Signed)
	for _, name := range names {
		if !strings.Contains(signed, "{header:"+name+"}") {
			return false
		}
	}
	return true
}

// Basic is a user name and its passwords.
type Basic struct {
	// Username is compared like a secret. Required.
	Username string `yaml:"username"`
	// Password is one or several. Required.
	Password Secrets `yaml:"password"`
}

// Named is a header or parameter and the values it may have.
type Named struct {
	// Name of the header or parameter. Required.
	Name string `yaml:"name"`
	// Value is one or several. Required.
	Value Secrets `yaml:"value"`
}

// Secrets is one secret or a list of them.
type Secrets []config.Secret

// none is the configuration value for no authentication.
const none = "none"

// plainConfig has Config's fields without its methods.
type plainConfig Config

// ReadWord takes none; everything else is a mapping of schemes.
func (c *Config) ReadWord(word string) error {
	if word != none {
		return fmt.Errorf("is one word: want none or schemes: basic, bearer, header, query, path, signing_keys, sns, jwks_url, signature")
	}
	*c = Config{None: true}
	return nil
}

// MarshalYAML prints what can be parsed as configuration, secrets as <set>.
func (c Config) MarshalYAML() (any, error) {
	if c.None {
		return none, nil
	}
	return plainConfig(c), nil
}

// Validate reports every fault to p. provider decides what can be signed.
func (c Config) Validate(p *config.Problems, provider string) {
	schemes := len(c.Bearer) + len(c.Path)
	if c.settings().Any() {
		schemes++
	}
	if c.Basic != nil {
		schemes++
		p.Check(c.Basic.Username != "", "basic.username", "must not be empty")
		c.Basic.Password.validate(p, "basic.password")
	}
	for _, n := range []struct {
		name  string
		named *Named
	}{{"header", c.Header}, {"query", c.Query}} {
		if n.named != nil {
			schemes++
			p.Check(n.named.Name != "", n.name+".name", "must not be empty")
			n.named.Value.validate(p, n.name+".value")
		}
	}
	for _, s := range []struct {
		name    string
		secrets Secrets
	}{{"bearer", c.Bearer}, {"path", c.Path}, {"signing_keys", c.SigningKeys}} {
		if len(s.secrets) > 0 {
			s.secrets.validate(p, s.name)
		}
	}
	p.Check(c.Basic == nil || len(c.Bearer) == 0, "bearer", "cannot be beside basic: a request has one Authorization header and all schemes must agree")
	p.Check(schemes > 0 || c.None, "", "is missing: name a scheme, or none")
	c.verifier(provider, webhookverify.Options{}, p)
}

// verifier returns nil where nothing about signatures is configured, or where it
// has faults.
func (c Config) verifier(provider string, opt webhookverify.Options, p *config.Problems) webhookverify.Verifier {
	s := c.settings()
	if !s.Any() && s.Window == 0 && s.PublicURL == "" {
		return nil
	}
	entry, _ := registry.Find(provider) // what is not found signs nothing
	opt.Provider = provider
	return webhookverify.New(entry.Verify, s, opt, p)
}

func (s Secrets) validate(p *config.Problems, field string) {
	p.Check(len(s) > 0, field, "must not be empty")
	for i, secret := range s {
		p.Check(secret.IsSet(), fmt.Sprintf("%s[%d]", field, i), "has no value")
	}
}

// ParsePrefixes reads addresses and CIDR blocks; err names the first that is
// none.
func ParsePrefixes(list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		if addr, err := netip.ParseAddr(text); err == nil {
			addr = addr.Unmap()
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an IP address nor a CIDR block", text)
		}
		if bits := prefix.Bits() - mappedBits; bits >= 0 && prefix.Addr().Is4In6() {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), bits)
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

// mappedBits precede an IPv4 address in an IPv4-mapped IPv6 address (RFC 4291,
// section 2.5.5.2); senders are compared without them.
const mappedBits = 96
