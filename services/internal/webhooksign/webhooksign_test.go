package webhooksign_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// TestSigners_GiveTheSignaturesOfTheDocumentation holds every deterministic
// signer to a vector that the provider published or that was computed apart
// from this code.
func TestSigners_GiveTheSignaturesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	published := []byte(`{"test": 2432232314}`)
	standard := func(f func(key, id, ts string, body []byte) (string, error), key string) string {
		s, err := f(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", published)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	seed, err := hex.DecodeString("0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20")
	if err != nil {
		t.Fatal(err)
	}
	own := base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(seed))
	for _, tt := range []struct{ name, got, want string }{
		{"standard webhooks v1", standard(webhooksign.StandardWebhooks, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
			"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		{"standard webhooks v1a", standard(webhooksign.StandardWebhooksEd25519, "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="),
			"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="},
		{"standard webhooks v1a of a seed", standard(webhooksign.StandardWebhooksEd25519, own),
			"v1a,OVJuLC0iOuaBuQulpz9A/zDgvqV8z8miLUJk2j15ZMONwDNhOvPJ3rO4owAHFyjFq80+pUUjrNfTHAZs1RQnDw=="},
		{"hex of one provider", webhooksign.Hex("ms_test_signing_secret", []byte(`{"type":"activity.delivered","created_at":"2026-03-04T09:15:30.000000Z","data":{"id":"65f0c0ffee0123456789abcd"}}`)),
			"e25eb22fe14b0924cae5661d0ecb20ad835257b6660c6da2be830063eeedcef0"},
		{"hex of another", webhooksign.Hex("8d9a3c0e7f5b2d4a6c1e9f8b3a7d5c2e", []byte(`{"event":"delivery","sending_stream":"transactional","category":"welcome","message_id":"a8b1d8f6-1f8d-4a3c-9b2e-1a2b3c4d5e6f","email":"recipient@example.com","event_id":"f1e2d3c4-b5a6-7890-1234-567890abcdef","timestamp":1716070000}`)),
			"6d262e2611cd09be1f948382b5c611d63b0e585c4c9c5e40139d6ac3876d5433"},
		{"hex with a time", webhooksign.TimedHex("mc_test_secret_0123456789", time.Unix(1772615730, 0), []byte("type=unsubscribe&fired_at=2026-03-04+09%3A15%3A30&data%5Blist_id%5D=a1b2c3d4e5&data%5Bemail%5D=ana%40example.com&data%5Breason%5D=manual")),
			"t=1772615730,v1=70dabed31362eb29cc6fdc2f17a956aad823661a70cc2094e4fa260e7a1aeb1f"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.got != tt.want {
				t.Errorf("got %s, want %s", tt.got, tt.want)
			}
		})
	}
}

func TestPrivateKeys_SignWhatTheirPublicHalvesProve(t *testing.T) {
	t.Parallel()
	modulus, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("[{}]\r\n")
	text, err := webhooksign.RSA(throughPEM(t, modulus), crypto.SHA256, body)
	sum := sha256.Sum256(body)
	if err != nil || rsa.VerifyPKCS1v15(&modulus.PublicKey, crypto.SHA256, sum[:], decode(t, text)) != nil {
		t.Errorf("RSA: %v", err)
	}
	for _, text := range []string{"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := webhooksign.PrivateKey([]byte(text)); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}

// throughPEM writes key as a file holds it and reads it.
func throughPEM(t *testing.T, key any) crypto.Signer {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	read, err := webhooksign.PrivateKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
