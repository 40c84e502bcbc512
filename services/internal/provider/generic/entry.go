package generic

import (
	_ "embed"

	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/profile"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// development is the source of the development configuration, without its name.
//
//go:embed development.yaml
var development string

// signatureHeader carries the time and the HMAC of a request to the source of the
// development configuration.
const signatureHeader = "Company-Webhook-Signature"

// Entry returns what the services know of the generic source.
func Entry() profile.Entry {
	return profile.Entry{
		Provider:        new(Provider), // each source of it is configured
		Verify:          webhookverify.Configured(),
		Dialect:         dialect.Dialect{Write: write, Sign: dialect.TimedSum(signatureHeader)},
		BlocksLiterally: true,
		Development:     development,
	}
}
