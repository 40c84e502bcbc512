// Package mailbox says who runs the mailboxes of a domain ("google" for
// gmail.com), by a static table of consumer domains. It makes no DNS lookup, so
// for a company's domain it does not know the provider, and returns "" rather
// than guess.
package mailbox

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

//go:embed domains.yaml
var domainsYAML []byte

// Table maps domains to mailbox providers. It is safe for concurrent use.
type Table struct {
	domains  map[string]string
	families map[string]string
}

// New reads the embedded data file. An error means that the file is at fault.
func New() (*Table, error) {
	var f struct {
		Families map[string]string   `yaml:"families"`
		Domains  map[string][]string `yaml:"domains"`
	}
	if err := config.Decode("domains.yaml", domainsYAML, &f); err != nil {
		return nil, err
	}
	t := &Table{domains: map[string]string{}, families: f.Families}
	for provider, domains := range f.Domains {
		for _, domain := range domains {
			if other, ok := t.domains[domain]; ok {
				return nil, fmt.Errorf("read domains.yaml: %q is listed under %q and %q", domain, other, provider)
			}
			t.domains[domain] = provider
		}
	}
	return t, nil
}

// Provider returns who runs the mailboxes of domain, a lower-case A-label; empty
// when the table does not say.
func (t *Table) Provider(domain string) string {
	if provider, ok := t.domains[domain]; ok {
		return provider
	}
	name, ending, _ := strings.Cut(domain, ".")
	if provider, ok := t.families[name]; ok && countryEnding(ending) {
		return provider
	}
	return ""
}

// Known says whether provider is one that Provider may return.
func (t *Table) Known(provider string) bool {
	for _, names := range []map[string]string{t.domains, t.families} {
		for _, name := range names {
			if name == provider {
				return true
			}
		}
	}
	return false
}

// countryEnding says that ending is a country's, alone or below com or co: fr,
// co.uk, com.br. Under any other top-level domain the same name may belong to
// another company.
func countryEnding(ending string) bool {
	first, second, two := strings.Cut(ending, ".")
	if !two {
		return len(first) == 2
	}
	return (first == "com" || first == "co") && len(second) == 2
}
