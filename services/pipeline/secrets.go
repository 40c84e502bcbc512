package pipeline

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const (
	// secretBytesMin is the length of a secret that attackers may try to guess:
	// tokens, passwords, signing keys, the pepper. `openssl rand -hex 24` makes
	// 48.
	secretBytesMin = 16
	// passwordBytesMin is what our password for a server elsewhere needs; the
	// server slows down those who try.
	passwordBytesMin = 8
)

// checkSecrets reports secrets of the named services that are published or easy
// to guess, where attackers may try them: at a service that listens beyond this
// host, or at a server that is not on it. In development they are allowed.
func (c Config) checkSecrets(p *config.Problems, names []Name) {
	used, known := append(sections(names), c.more(names)...), publishedSecrets()
	config.WalkSecrets(c, func(path string, s config.Secret) {
		section, _, _ := strings.Cut(path, ".")
		if !slices.Contains(used, section) {
			return
		}
		value := s.Reveal()
		p.Check(value == "" || strings.TrimSpace(value) != "", path, "is blank")
		defer p.Check(!strings.ContainsFunc(value, unicode.IsControl) || !inHeader(path), path, "holds a control character, such as a line feed: no request can carry it")
		if c.Mode == Development || !c.exposed(section, names) {
			return
		}
		p.Check(!known.has(value), path, "is published with Mailstream, so everybody knows it: set one of your own, `openssl rand -hex 24` makes one (or set mode: development)")
		least := c.secretBytes(path)
		p.Check(len(value) >= least, path, "has %d bytes, want at least %d, since it can be guessed over the network (`openssl rand -hex 24` makes one)", len(value), least)
	})
	if c.Mode != Development && c.exposed(string(Ingress), names) {
		c.checkSNS(p, known)
	}
}

// checkSNS refuses the published key pair of ses, whose public half is not a secret.
func (c Config) checkSNS(p *config.Problems, known published) {
	for i, s := range c.Ingress.Sources {
		if s.Auth.SNS == nil {
			continue
		}
		for j, certificate := range s.Auth.SNS.Certificates {
			p.Check(!known.has(certificate), indexed("ingress.sources", i)+"."+indexed("auth.sns.certificates", j),
				"is published with Mailstream, key and all: leave it out, then Amazon's own count")
		}
	}
}

// readerVariables hold the passwords of ClickHouse's read-only users. They are the
// server's, which cannot judge them; compose.production.yaml shows them to migrate.
func readerVariables() []string {
	return []string{"CLICKHOUSE_ANALYST_PASSWORD", "CLICKHOUSE_CONSOLE_PASSWORD"}
}

// checkReaders refuses a published password of those who read.
func (c Config) checkReaders(p *config.Problems, in Input) {
	if c.Mode == Development || !slices.Contains(in.Services, Migrate) {
		return
	}
	for _, kv := range in.Environ {
		name, value, _ := strings.Cut(kv, "=")
		p.Check(!slices.Contains(readerVariables(), name) || !placeholder.MatchString(value), name, "is published with Mailstream, so everybody knows it")
	}
}

// exposed says whether attackers may try the secrets of a section.
func (c Config) exposed(section string, names []Name) bool {
	beyond := func(name Name) bool { at := c.listen(name); return at != "" && !localAddress(at) }
	switch section {
	case "kafka":
		return c.remoteKafka() || slices.ContainsFunc(names, beyond)
	case "clickhouse":
		return c.remoteClickHouse() || slices.ContainsFunc(names, beyond)
	case "privacy":
		return slices.ContainsFunc(names, beyond)
	default:
		return beyond(Name(section))
	}
}

// secretBytes returns how long the secret at path has to be; 0 for one that
// others choose, such as a URL, or that a server here does not need.
func (c Config) secretBytes(path string) int {
	switch {
	case path == "kafka.sasl.password" && c.remoteKafka() && c.Kafka.SASL.Mechanism != "":
		return passwordBytesMin
	case path == "clickhouse.password" && c.remoteClickHouse() && c.ClickHouse.TLS.CertFile == "":
		return passwordBytesMin
	case strings.HasSuffix(path, ".public_url"):
		return 0
	case strings.HasPrefix(path, "ingress."), strings.HasPrefix(path, "privacy."), strings.Contains(path, ".tokens["):
		return secretBytesMin
	}
	return 0
}

// inHeader says whether the secret at path comes in one line of a request, or goes
// out in one. Signing keys do not, and the users of the console are a line each.
func inHeader(path string) bool {
	return !strings.Contains(path, ".signing_keys") && !strings.HasPrefix(path, "privacy.") && path != "console.auth.users" && path != "console.auth.session_key"
}

func (c Config) remoteKafka() bool {
	return slices.ContainsFunc(c.Kafka.Brokers, func(b string) bool { return !localAddress(b) })
}

func (c Config) remoteClickHouse() bool {
	u, err := url.Parse(c.ClickHouse.URL)
	return err == nil && !local(u.Hostname())
}

// published are the secrets of the development configuration, in the form that
// plainKey gives them.
type published map[string]bool

// placeholder marks a secret of an example, whatever else is in it. The slack URL
// of .env.example leads to a host below .invalid (RFC 2606); the hash is that of the
// password dev in compose.yaml, which a user of any name could keep.
var placeholder = regexp.MustCompile(`(?i)change[-_ ]?me|replace[-_ ]?me|\.invalid\b|^https?://dev:dev@|:\$2b\$10\$eP11iO00qNK/QDYxHh8ETeOE5yvoKezReopp2SaQYTYy8aMtccgOq`)

func publishedSecrets() published {
	known := published{}
	dev, err := Dev()
	if err != nil {
		return known // a test reads it
	}
	config.WalkSecrets(dev, func(_ string, s config.Secret) {
		if value := s.Reveal(); value != "" && !strings.HasPrefix(value, "http://") {
			known[plainKey(value)] = true
		}
	})
	for _, s := range dev.Ingress.Sources {
		if s.Auth.SNS != nil {
			for _, certificate := range s.Auth.SNS.Certificates {
				known[plainKey(certificate)] = true
			}
		}
	}
	return known
}

func (k published) has(value string) bool {
	return placeholder.MatchString(value) || value != "" && k[plainKey(value)]
}

// armour are the lines around a key in PEM form.
var armour = regexp.MustCompile(`-----[A-Z ]+-----`)

// plainKey returns a key without the ways to write it: the lines of PEM and white
// space.
func plainKey(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, armour.ReplaceAllString(text, ""))
}
