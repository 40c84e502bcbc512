// Package profile is what the services know of one provider, as each provider
// package says it and package registry lists it.
package profile

import (
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// Entry is what the services know of one provider. Each provider package returns
// its own, and registry lists them.
type Entry struct {
	provider.Provider
	// Verify checks the signature of a request; nil where the provider signs
	// nothing.
	Verify *webhookverify.Scheme
	// Dialect is how the simulation writes the provider's requests.
	Dialect dialect.Dialect
	// Classes is what the provider's words say of why mail did not arrive, as
	// classify.New reads it; empty where each source maps its own.
	Classes string
	// BlocksLiterally says that the provider has its own word for mail that a remote
	// server refused because of the sender or the content, so that its bounces are
	// never blocks.
	BlocksLiterally bool
	// Development is the provider's source of the development configuration, YAML
	// without name and provider.
	Development string
	// Relays are the domains that the provider's SMTP servers are in, lower case;
	// empty where it has none of its own.
	Relays []string
}
