package postal

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	postalKey   = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkuj1afm64RXcnV2ZjrqoNTZHFjc0DGFXWMww+9yV87VnIuvl9MvJjRZqGhDdEQU+tVUWdiDy6kP1Oi+0uyxskpRUNGkPg8eU5uaXqUOiwQsB6cGz/UM3OyFxMTBE2ZV6x+bUUrTc48yK9i28SRp159Nc4wnEl5TVtfYd+ak3gyQIDAQAB"
	postalShort = "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhANLZMcZrw2MExJcyFdl83vTKJ6O/igGUCzHM/qn4fGeJ/bQE56EokqPbhxJq0+HBAp3O5dwKFZp0orbPVlcSY20ntEu89+asxUUKFZ6oYmvEn0MJjZue1X6eK/HB5eShpwIDAQAB" // 768 bits
	postalOther = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA11VENb2KIpoksLgy5gvyMRHwomyVOqdreVJ4bP/XguYl4quBnYgRmSw6Ebj8ot/4UFVILRrCv2bPimWE/KCsnbRrsx8k/M4j9ui/3b70Of48vd7Ulm2SEvV6PCdX5PQ3v0EasKarDic416z5weFJkOnBcE3nKCakzMSSH9M0fQ7u3XMTUkZ5zKaFwPE+1x0nTVxxvyRXuyDdhcK4M1SRqejsm7ahL+Nm6P4Etn4NYB+PH1JMo48xwiLeybUbdDOe5mabHbiemhEDS1BPmlNQQefnfa0LROraggtfpNvm6qIFEkzEomhctosaNVZpO2JNojNUUh2DEbi6ksMmI2WyqQIDAQAB"
	postalBody  = `{"event":"MessageSent","timestamp":1772615730.12345,"payload":{"status":"Sent"},"uuid":"7f2d0a7e-5f0b-4d55-9a8e-0f2f2c6d1c11"}`
	postalMAC   = "YpmhmSbrPcd+a3dzY+QlkbZG1I9OEzW/6KzhxyAoOWF7pL2NA/6Y8tZ3sC3mYKn0ay57kyME5FfqjoSEuohArUaiX0meIczPNkYmboomD1DkNhYFCYo/wW7ZIC5cQLqGox+Qc3gP3cuDOoJfVb9FrGRRk6cAxeW5UrbdXV0ndtU="

	ecdsaKey = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhxmxjpwwBZC7RSqh48rYqzBvkYhn6JO9KaGeXCR+6aqGPTLvSfXTlD5Ruv7m2ukEfUKeHIB34Wvt8IlPnbsQhQ=="
)

func sample() verifytest.Sample {
	return verifytest.Sample{
		Name: "postal", Provider: Name, Settings: webhookverify.Settings{Keys: []string{postalKey}},
		Request: verifytest.Request(postalBody, SignatureHeader+": "+postalMAC),
		Header:  SignatureHeader, WrongKey: postalOther,
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, scheme(), sample())
}

func FuzzSignature(f *testing.F) { verifytest.Fuzz(f, scheme(), nil, sample()) }

func BenchmarkSignature(b *testing.B) { verifytest.Bench(b, scheme(), sample()) }

func TestSignature_SettingsNameTheFaultAndNeverTheKey(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]webhookverify.Settings{
		"signing_keys[0]: is not an RSA":                                  {Keys: []string{ecdsaKey}},
		"signing_keys[0]: is not an RSA public key of at least 1024 bits": {Keys: []string{postalShort}},
		"signing_keys[1]: is not an RSA public key of at least 1024 bits": {Keys: []string{postalKey, verifytest.Secret}},
		"signing_keys: is missing":                                        {Window: 0},
		"jwks_url: is not an https URL":                                   {JWKSURL: "http://postal.example.com/.well-known/jwks.json"},
	} {
		verifytest.Fault(t, scheme(), Name, s, want)
	}
}

func TestPostal_DoesNotLookAtSHA1(t *testing.T) {
	t.Parallel()
	// The signature that Postal sends beside the other one, for old receivers.
	const sha1 = "YRM9limUiubLQcJQboj1KMbZ9+AK4+HOgzt6cupix83Kzz3a72O8HaiZ32xSBop4AmYM/osBauIyPJUY99l256Jq1hao/3jHP6LQOUHrjAXez5iwk276UvsnUpy/Gy5C1thOoqmNkWMfWjXpbisZ3J3hKgVql2CbEDj6HKMKH3Y="
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{postalKey}}, webhookverify.Options{})
	for _, tt := range []struct {
		name    string
		headers []string
		want    webhookverify.Verdict
	}{
		{"alone", []string{"X-Postal-Signature: " + sha1}, webhookverify.Refused},
		{"under the name of SHA-256", []string{"X-Postal-Signature-256: " + sha1}, webhookverify.Refused},
		{"beside SHA-256", []string{"X-Postal-Signature: " + sha1, "X-Postal-Signature-256: " + postalMAC}, webhookverify.Genuine},
	} {
		if got := v.Verify(t.Context(), verifytest.Request(postalBody, tt.headers...)); verifytest.Class(got) != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}

// newKey is the key of an installation.
func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const jwksURL = "https://postal.example.com/.well-known/jwks.json"

func jwk(kid string, key *rsa.PublicKey) string {
	return fmt.Sprintf(`{"kty":"RSA","use":"sig","alg":"RS256","kid":%q,"n":%q,"e":"AQAB"}`, kid, base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
}

func TestPostal_FollowsTheRotationOfTheKeySet(t *testing.T) {
	t.Parallel()
	w := verifytest.NewWorld(t)
	old, next := newKey(t), newKey(t)
	clock := servicetest.Fixed(time.Unix(1772615730, 0))
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{JWKSURL: jwksURL}, webhookverify.Options{Clock: clock.Now, Client: w.Client})
	verify := func(what, kid string, key *rsa.PrivateKey, want webhookverify.Verdict) {
		t.Helper()
		signature, err := signature(key, []byte(postalBody))
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Verify(t.Context(), verifytest.Request(postalBody, "X-Postal-Signature-256: "+signature, "X-Postal-Signature-KID: "+kid)); verifytest.Class(got) != want {
			t.Errorf("%s: verdict %d, want %d", what, got, want)
		}
	}
	fetched := func(times int) {
		t.Helper()
		if n := len(w.Asked()); n != times {
			t.Errorf("%d fetches, want %d", n, times)
		}
	}
	set := func(keys ...string) {
		w.Text("postal.example.com/.well-known/jwks.json", `{"keys":[`+strings.Join(append(keys, `{"kty":"EC","kid":"ec"}`, `{"kty":"RSA","kid":"bad","n":"","e":"AQAB"}`), ",")+`]}`)
	}
	verify("no key set", "a", old, webhookverify.Unsure)
	fetched(1)
	set(jwk("a", &old.PublicKey))
	verify("a moment later", "a", old, webhookverify.Unsure)
	fetched(0)
	clock.Advance(keySetPause)
	verify("first key", "a", old, webhookverify.Genuine)
	fetched(1)
	verify("again", "a", old, webhookverify.Genuine)
	fetched(0)
	verify("without a key id", "", old, webhookverify.Genuine)
	fetched(0)
	verify("another key under its id", "a", next, webhookverify.Refused)
	fetched(0)
	verify("unknown key id", "b", next, webhookverify.Refused)
	fetched(0)
	clock.Advance(keySetPause)
	set(jwk("a", &old.PublicKey), jwk("b", &next.PublicKey))
	verify("rotated", "b", next, webhookverify.Genuine)
	fetched(1)
	verify("the one before", "a", old, webhookverify.Genuine)
	fetched(0)
	clock.Advance(keySetAge)
	set(jwk("b", &next.PublicKey))
	verify("taken out", "a", old, webhookverify.Refused)
	fetched(1)
	for _, page := range []string{`<html>`, `{"status":"maintenance"}`} {
		clock.Advance(keySetAge)
		w.Text("postal.example.com/.well-known/jwks.json", page)
		verify("while the set is away behind "+page, "b", next, webhookverify.Genuine)
		fetched(1)
	}
	clock.Advance(keySetAge)
	set()
	verify("all taken out", "b", next, webhookverify.Refused)
	fetched(1)
}

func TestPostal_TakesAPinnedKeyBesideTheKeySet(t *testing.T) {
	t.Parallel()
	w, own, other := verifytest.NewWorld(t), newKey(t), newKey(t)
	pinned, err := webhooksign.PublicKey(own.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.Text("postal.example.com/.well-known/jwks.json", `{"keys":[`+jwk("b", &other.PublicKey)+`]}`)
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{pinned}, JWKSURL: jwksURL}, webhookverify.Options{Client: w.Client})
	for _, tt := range []struct {
		name, kid string
		key       *rsa.PrivateKey
		fetches   int
	}{
		{"the pinned one, which nobody looks up", "a", own, 0},
		{"the one of the set", "b", other, 1},
	} {
		signature, err := signature(tt.key, []byte(postalBody))
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Verify(t.Context(), verifytest.Request(postalBody, "X-Postal-Signature-256: "+signature, "X-Postal-Signature-KID: "+tt.kid)); got != webhookverify.Genuine {
			t.Errorf("%s: verdict %d", tt.name, got)
		}
		if n := len(w.Asked()); n != tt.fetches {
			t.Errorf("%s: %d fetches, want %d", tt.name, n, tt.fetches)
		}
	}
}

func FuzzKeySet(f *testing.F) {
	key, err := webhooksign.PrivateKey(developmentKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"keys":[` + jwk("a", key.Public().(*rsa.PublicKey)) + `]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if keys, err := parseKeySet(text); err == nil && len(keys) > keySetMax {
			t.Fatalf("%d keys", len(keys))
		}
	})
}
