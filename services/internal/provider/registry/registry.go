// Package registry lists the providers. It is the one place that names them all.
package registry

import (
	"strings"
	"sync"

	"github.com/mailstream/mailstream/services/internal/classify"
	"github.com/mailstream/mailstream/services/internal/provider/activecampaign"
	"github.com/mailstream/mailstream/services/internal/provider/brevo"
	"github.com/mailstream/mailstream/services/internal/provider/elasticemail"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/provider/mailchimp"
	"github.com/mailstream/mailstream/services/internal/provider/mailersend"
	"github.com/mailstream/mailstream/services/internal/provider/mailgun"
	"github.com/mailstream/mailstream/services/internal/provider/mailjet"
	"github.com/mailstream/mailstream/services/internal/provider/mailtrap"
	"github.com/mailstream/mailstream/services/internal/provider/mandrill"
	"github.com/mailstream/mailstream/services/internal/provider/postal"
	"github.com/mailstream/mailstream/services/internal/provider/postmark"
	"github.com/mailstream/mailstream/services/internal/provider/profile"
	"github.com/mailstream/mailstream/services/internal/provider/resend"
	"github.com/mailstream/mailstream/services/internal/provider/sendgrid"
	"github.com/mailstream/mailstream/services/internal/provider/ses"
	"github.com/mailstream/mailstream/services/internal/provider/sparkpost"
)

// Entries returns every provider, a line each. A new one is a package beside this
// one, its page in docs/providers, and its line here. The caller owns the slice.
func Entries() []profile.Entry {
	return []profile.Entry{
		mailjet.Entry(),
		generic.Entry(),
		sendgrid.Entry(),
		mailgun.Entry(),
		ses.Entry(),
		sparkpost.Entry(),
		postmark.Entry(),
		mailtrap.Entry(),
		mandrill.Entry(),
		postal.Entry(),
		resend.Entry(),
		mailchimp.Entry(),
		brevo.Entry(),
		activecampaign.Entry(),
		mailersend.Entry(),
		elasticemail.Entry(),
	}
}

// Find returns the entry of the named provider.
func Find(name string) (profile.Entry, bool) {
	for _, e := range Entries() {
		if e.Name() == name {
			return e, true
		}
	}
	return profile.Entry{}, false
}

// Literal returns the names of the providers whose bounces are never blocks, since
// they have a separate event type for a block: profile.Entry.BlocksLiterally. The
// caller owns the map.
func Literal() map[string]bool {
	literal := map[string]bool{}
	for _, e := range Entries() {
		if e.BlocksLiterally {
			literal[e.Name()] = true
		}
	}
	return literal
}

// Relay returns the name of the provider that the SMTP server called host belongs
// to, "" when it is not one of ours.
func Relay(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, e := range Entries() {
		for _, domain := range e.Relays {
			if host == domain || strings.HasSuffix(host, "."+domain) {
				return e.Name()
			}
		}
	}
	return ""
}

// Classifier returns the classifier with the classes of all providers, made once in
// a process. An error means that a data file is at fault.
func Classifier() (*classify.Classifier, error) { return classifier() }

var classifier = sync.OnceValues(func() (*classify.Classifier, error) {
	classes := map[string]string{}
	for _, e := range Entries() {
		if e.Classes != "" {
			classes[e.Name()] = e.Classes
		}
	}
	return classify.New(classes)
})

// Names returns the names a source may have as provider, in the order of the
// entries. The caller owns the slice.
func Names() []string {
	entries := Entries()
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// DevelopmentSources returns the sources of the development configuration, one a
// provider and named as it, as YAML: the list below ingress.sources.
func DevelopmentSources() string {
	var out strings.Builder
	for _, e := range Entries() {
		out.WriteString("- name: " + e.Name() + "\n  provider: " + e.Name() + "\n  allow_simulate: true\n")
		for line := range strings.Lines(e.Development) {
			out.WriteString("  " + line)
		}
	}
	return out.String()
}
