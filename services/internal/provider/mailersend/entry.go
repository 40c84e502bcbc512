package mailersend

import (
	_ "embed"

	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/profile"
)

// classes are what the provider's words say of why mail did not arrive.
//
//go:embed classes.yaml
var classes string

// development is the source of the development configuration, without its name.
//
//go:embed development.yaml
var development string

// Entry returns what the services know of MailerSend.
func Entry() profile.Entry {
	return profile.Entry{
		Provider:    Provider{},
		Verify:      scheme(),
		Dialect:     dialect.Dialect{Write: write, Single: true, Sign: dialect.HexSum(SignatureHeader)},
		Classes:     classes,
		Development: development,
		Relays:      []string{"mailersend.net"},
	}
}
