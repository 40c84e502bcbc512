package generic

import (
	_ "embed"

	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/profile"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// development is the source of the development configuration, without its name.
//
//go:embed development.yaml
var development string

// Entry returns what the services know of the generic source.
func Entry() profile.Entry {
	return profile.Entry{
		Provider:        new(Provider), // each source of it is configured
		Verify:          webhookverify.Configured(),
		Dialect:         dialect.Dialect{Write: write, Sign: dialect.TimedSum(webhooksign.GenericHeader)},
		BlocksLiterally: true,
		Development:     development,
	}
}
