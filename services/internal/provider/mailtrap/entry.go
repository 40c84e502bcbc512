package mailtrap

import (
	_ "embed"

	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/profile"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// classes are what the provider's words say of why mail did not arrive.
//
//go:embed classes.yaml
var classes string

// development is the source of the development configuration, without its name.
//
//go:embed development.yaml
var development string

// SignatureHeader carries the hex HMAC of the body.
const SignatureHeader = "Mailtrap-Signature"

// Entry returns what the services know of Mailtrap.
func Entry() profile.Entry {
	return profile.Entry{
		Provider:    Provider{},
		Verify:      webhookverify.Hex(SignatureHeader),
		Dialect:     dialect.Dialect{Write: write, Sign: dialect.HexSum(SignatureHeader)},
		Classes:     classes,
		Development: development,
		Relays:      []string{"mailtrap.io"},
	}
}
