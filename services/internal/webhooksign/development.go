package webhooksign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/pem"
	"fmt"
)

// The published secrets of the development configuration.
const (
	// DevelopmentSecret is the signing key of mailgun, mandrill, mailersend,
	// mailtrap, mailchimp and generic.
	DevelopmentSecret = "development-signing-key"
	// DevelopmentStandardSecret is the secret of resend.
	DevelopmentStandardSecret = "whsec_ZGV2ZWxvcG1lbnQtc2lnbmluZy1rZXk="
	// DevelopmentTopicArn is the topic that ses takes messages of.
	DevelopmentTopicArn = "arn:aws:sns:eu-west-1:123456789012:mailstream-development"
	// DevelopmentURL is what mandrill signs.
	DevelopmentURL = "http://127.0.0.1:8080/v1/webhooks/mandrill"
)

var (
	//go:embed development/sendgrid.key.pem
	developmentSendGrid []byte
	//go:embed development/postal.key.pem
	developmentPostal []byte
	//go:embed development/sns.key.pem
	developmentSNS []byte
	//go:embed development/sns.cert.pem
	developmentSNSCertificate string
	//go:embed development/sources.yaml
	developmentSources []byte
)

// Development are the published key pairs of the development configuration.
type Development struct {
	SendGrid *ecdsa.PrivateKey
	Postal   *rsa.PrivateKey
	SNS      *rsa.PrivateKey
	// SNSCertificate is the PEM certificate of SNS, for auth.sns.certificates.
	SNSCertificate string
}

// LoadDevelopment reads the embedded keys. An error means that this package was
// built from damaged files.
func LoadDevelopment() (Development, error) {
	d := Development{SNSCertificate: developmentSNSCertificate}
	var err error
	if d.SendGrid, err = privateKey[*ecdsa.PrivateKey](developmentSendGrid); err != nil {
		return d, err
	}
	if d.Postal, err = privateKey[*rsa.PrivateKey](developmentPostal); err != nil {
		return d, err
	}
	d.SNS, err = privateKey[*rsa.PrivateKey](developmentSNS)
	return d, err
}

func privateKey[K any](text []byte) (key K, err error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return key, fmt.Errorf("read development key: no PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return key, fmt.Errorf("read development key: %w", err)
	}
	key, ok := parsed.(K)
	if !ok {
		return key, fmt.Errorf("read development key: is a %T", parsed)
	}
	return key, nil
}

// DevelopmentSources returns the signing sources of the development
// configuration as YAML: the list below ingress.sources. The caller owns it.
func DevelopmentSources() []byte { return bytes.Clone(developmentSources) }

// PublicKey returns the public half of an ECDSA or RSA key as SendGrid and
// Postal show it, and as auth.signing_keys takes it: SubjectPublicKeyInfo (RFC
// 5280) in base64.
func PublicKey(public any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(der), nil
}
