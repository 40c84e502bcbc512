package resend

import (
	_ "embed"

	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/profile"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// DevelopmentKey is the secret of the development configuration. It is published.
const DevelopmentKey = "whsec_ZGV2ZWxvcG1lbnQtc2lnbmluZy1rZXk="

// classes are what the provider's words say of why mail did not arrive.
//
//go:embed classes.yaml
var classes string

// development is the source of the development configuration, without its name.
//
//go:embed development.yaml
var development string

// Entry returns what the services know of Resend.
func Entry() profile.Entry {
	return profile.Entry{
		Provider:    Provider{},
		Verify:      webhookverify.StandardWebhooks(),
		Dialect:     dialect.Dialect{Write: write, Single: true, Sign: sign, Key: DevelopmentKey},
		Classes:     classes,
		Development: development,
		Relays:      []string{"resend.com"},
	}
}
