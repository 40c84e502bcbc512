package ingress

import (
	"github.com/mailstream/mailstream/services/ingress/internal/provider"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/activecampaign"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/brevo"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/generic"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/mailchimp"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/mailersend"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/mailgun"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/mailjet"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/mailtrap"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/mandrill"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/postal"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/postmark"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/resend"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/sendgrid"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/ses"
	"github.com/mailstream/mailstream/services/ingress/internal/provider/sparkpost"
)

// entry is what the ingress knows of one provider.
type entry struct {
	provider.Provider
}

// registry lists every provider, a line each. A new one is a package below
// internal/provider, its fixtures, and its line here.
func registry() []entry {
	return []entry{
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

func lookup(name string) (entry, bool) {
	for _, e := range registry() {
		if e.Name() == name {
			return e, true
		}
	}
	return entry{}, false
}

// ProviderNames returns the names a Source may have as provider, in the order of
// the registry. The caller owns the slice.
func ProviderNames() []string {
	entries := registry()
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
