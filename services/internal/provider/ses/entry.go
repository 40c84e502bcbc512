package ses

import (
	_ "embed"

	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/profile"
)

// DevelopmentTopicArn is the topic that the development configuration takes
// messages of.
const DevelopmentTopicArn = "arn:aws:sns:eu-west-1:123456789012:mailstream-development"

// developmentKey is published: it proves nothing about a sender.
//
//go:embed development.key.pem
var developmentKey []byte

// classes are what the provider's words say of why mail did not arrive.
//
//go:embed classes.yaml
var classes string

// development is the source of the development configuration, without its name.
//
//go:embed development.yaml
var development string

// Entry returns what the services know of Amazon SES.
func Entry() profile.Entry {
	return profile.Entry{
		Provider:    Provider{},
		Verify:      scheme(),
		Dialect:     dialect.Dialect{Write: write, Single: true, Sign: sign, PrivateKey: developmentKey},
		Classes:     classes,
		Development: development,
		Relays:      []string{"amazonaws.com"},
	}
}
