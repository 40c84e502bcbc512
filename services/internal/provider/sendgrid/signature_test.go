package sendgrid

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"testing"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
)

const (
	sendGridKey   = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhxmxjpwwBZC7RSqh48rYqzBvkYhn6JO9KaGeXCR+6aqGPTLvSfXTlD5Ruv7m2ukEfUKeHIB34Wvt8IlPnbsQhQ=="
	sendGridOther = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEluNsdmwDpzMLPs1vvJS9mOthrN1xbcUMuO4nwO+hKVvUt+jTAHIdY7Wsv3iRLweBDqDhNXn3Koxw4wBTaiztrg=="
	sendGridBody  = "[{\"email\":\"ana@example.com\",\"event\":\"processed\",\"timestamp\":1767225600},\r\n{\"email\":\"bo@example.com\",\"event\":\"delivered\",\"timestamp\":1767225601}]\r\n"
	sendGridMAC   = "MEYCIQCD0tDjE5Vzb8Mo3Np8MRqj2tFskmsjgC/c4Eam7/6V2gIhAJkocPDZ5eiVhHIiBsiQA2GLL0CMfFPBJEFlnI3/O2QD"
	rsaKey        = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkuj1afm64RXcnV2ZjrqoNTZHFjc0DGFXWMww+9yV87VnIuvl9MvJjRZqGhDdEQU+tVUWdiDy6kP1Oi+0uyxskpRUNGkPg8eU5uaXqUOiwQsB6cGz/UM3OyFxMTBE2ZV6x+bUUrTc48yK9i28SRp159Nc4wnEl5TVtfYd+ak3gyQIDAQAB"
)

func sample() verifytest.Sample {
	return verifytest.Sample{
		Name: "sendgrid", Provider: "sendgrid", Settings: webhookverify.Settings{Keys: []string{sendGridKey}}, Now: 1767225605,
		Request: verifytest.Request(sendGridBody, timestampHeader+": 1767225605", signatureHeader+": "+sendGridMAC),
		Header:  signatureHeader, WrongKey: sendGridOther,
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, scheme(), sample())
}

func FuzzSignature(f *testing.F) { verifytest.Fuzz(f, scheme(), []string{timestampHeader}, sample()) }

func BenchmarkSignature(b *testing.B) { verifytest.Bench(b, scheme(), sample()) }

func TestSignature_SettingsNameTheFaultAndNeverTheKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{verifytest.Secret, rsaKey} {
		verifytest.Fault(t, scheme(), "sendgrid", webhookverify.Settings{Keys: []string{key}}, "signing_keys[0]: is not an ECDSA")
	}
}

func TestSignature_ProvesWhatItSigned(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("[{}]\r\n")
	text, err := signature(key, "1767225605", body)
	if err != nil {
		t.Fatal(err)
	}
	given, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !ecdsa.VerifyASN1(&key.PublicKey, digest("1767225605", body), given) {
		t.Errorf("signature %q, %v", text, err)
	}
}
