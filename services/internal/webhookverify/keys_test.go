package webhookverify

import (
	"crypto/rsa"
	"os"
	"testing"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// SchemeOf returns the scheme of a provider of the samples; nil for the others.
func SchemeOf(provider string) *Scheme {
	return map[string]*Scheme{
		"ses": AmazonSNS(), "resend": StandardWebhooks(),
		"mailtrap": Hex("Mailtrap-Signature"), "postal": Postal(), "generic": Configured(),
	}[provider]
}

// topicArn is the topic that the tests take messages of.
const topicArn = "arn:aws:sns:eu-west-1:123456789012:mailstream-development"

// published are the published keys of the development configuration.
type published struct {
	Postal, SNS    *rsa.PrivateKey
	SNSCertificate string
}

func loadKeys(tb testing.TB) published {
	tb.Helper()
	read := func(file string) []byte {
		text, err := os.ReadFile("../provider/" + file)
		if err != nil {
			tb.Fatal(err)
		}
		return text
	}
	key := func(file string) *rsa.PrivateKey {
		k, err := webhooksign.PrivateKey(read(file))
		if err != nil {
			tb.Fatal(err)
		}
		return k.(*rsa.PrivateKey)
	}
	return published{Postal: key("postal/development.key.pem"), SNS: key("ses/development.key.pem"), SNSCertificate: string(read("ses/development.cert.pem"))}
}
