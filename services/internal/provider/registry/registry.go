// Package registry lists the providers, and what the services know of each. It is
// the one place that names them all.
package registry

import (
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/activecampaign"
	"github.com/mailstream/mailstream/services/internal/provider/brevo"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/provider/mailchimp"
	"github.com/mailstream/mailstream/services/internal/provider/mailersend"
	"github.com/mailstream/mailstream/services/internal/provider/mailgun"
	"github.com/mailstream/mailstream/services/internal/provider/mailjet"
	"github.com/mailstream/mailstream/services/internal/provider/mailtrap"
	"github.com/mailstream/mailstream/services/internal/provider/mandrill"
	"github.com/mailstream/mailstream/services/internal/provider/postal"
	"github.com/mailstream/mailstream/services/internal/provider/postmark"
	"github.com/mailstream/mailstream/services/internal/provider/resend"
	"github.com/mailstream/mailstream/services/internal/provider/sendgrid"
	"github.com/mailstream/mailstream/services/internal/provider/ses"
	"github.com/mailstream/mailstream/services/internal/provider/sparkpost"
)

// Entry is what the services know of one provider.
type Entry struct {
	provider.Provider
}

// Entries returns every provider, a line each. A new one is a package beside this
// one, its fixtures, and its line here. The caller owns the slice.
func Entries() []Entry {
	return []Entry{
		{Provider: mailjet.Provider{}},
		{Provider: new(generic.Provider)}, // each source of it is configured
		{Provider: sendgrid.Provider{}},
		{Provider: mailgun.Provider{}},
		{Provider: ses.Provider{}},
		{Provider: sparkpost.Provider{}},
		{Provider: postmark.Provider{}},
		{Provider: mailtrap.Provider{}},
		{Provider: mandrill.Provider{}},
		{Provider: postal.Provider{}},
		{Provider: resend.Provider{}},
		{Provider: mailchimp.Provider{}},
		{Provider: brevo.Provider{}},
		{Provider: activecampaign.Provider{}},
		{Provider: mailersend.Provider{}},
	}
}

// Find returns the entry of the named provider.
func Find(name string) (Entry, bool) {
	for _, e := range Entries() {
		if e.Name() == name {
			return e, true
		}
	}
	return Entry{}, false
}

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
