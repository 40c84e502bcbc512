package webhookverify

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// at is a clock that stands at a Unix second.
func at(seconds int64) func() time.Time {
	return func() time.Time { return time.Unix(seconds, 0) }
}

func verifier(tb testing.TB, provider string, s Settings, opt Options) Verifier {
	tb.Helper()
	var p config.Problems
	opt.Provider = provider
	v := New(SchemeOf(provider), s, opt, &p)
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	return v
}

// request is a POST with headers "Name: value".
func request(body string, headers ...string) *Request {
	r := &Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestPostal_DoesNotLookAtSHA1(t *testing.T) {
	t.Parallel()
	// The signature that Postal sends beside the other one, for old receivers.
	const sha1 = "YRM9limUiubLQcJQboj1KMbZ9+AK4+HOgzt6cupix83Kzz3a72O8HaiZ32xSBop4AmYM/osBauIyPJUY99l256Jq1hao/3jHP6LQOUHrjAXez5iwk276UvsnUpy/Gy5C1thOoqmNkWMfWjXpbisZ3J3hKgVql2CbEDj6HKMKH3Y="
	v := verifier(t, "postal", Settings{Keys: []string{postalKey}}, Options{})
	for _, tt := range []struct {
		name    string
		headers []string
		want    Verdict
	}{
		{"alone", []string{"X-Postal-Signature: " + sha1}, Refused},
		{"under the name of SHA-256", []string{"X-Postal-Signature-256: " + sha1}, Refused},
		{"beside SHA-256", []string{"X-Postal-Signature: " + sha1, "X-Postal-Signature-256: " + postalMAC}, Genuine},
	} {
		if got := v.Verify(t.Context(), request(postalBody, tt.headers...)); class(got) != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestStandard_TakesOneOfSeveralSignaturesOfOneSetOfHeaders(t *testing.T) {
	t.Parallel()
	v := verifier(t, "resend", Settings{Keys: []string{otherSecret, standardSecret, standardPublic}}, Options{Clock: at(1614265330)})
	wrong := "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32))
	dotted, err := webhooksign.StandardWebhooks(standardSecret, "msg.1614265330", "1614265330", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		r    *Request
		want Verdict
	}{
		{"after a wrong one", standardRequest("svix-", wrong+" "+standardV1), Genuine},
		{"after an unknown version", standardRequest("svix-", "v2,AAAA "+standardV1), Genuine},
		{"v1 and v1a", standardRequest("webhook-", wrong+" "+standardV1a), Genuine},
		{"v1a after three wrong ones", standardRequest("webhook-", strings.Repeat("v1a,AAAA ", publicTriesMax-1)+standardV1a), Genuine},
		{"v1a after too many", standardRequest("webhook-", strings.Repeat("v1a,AAAA ", publicTriesMax)+standardV1a), Refused},
		{"v1 under the name of v1a", standardRequest("webhook-", "v1a"+standardV1[2:]), Refused},
		{"mixed sets", request(`{"test": 2432232314}`, "svix-id: msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp: 1614265330", "svix-signature: "+standardV1), Refused},
		{"another id under the other name", func() *Request {
			r := standardRequest("webhook-", standardV1)
			r.Header.Set("svix-id", "msg_another")
			return r
		}(), Refused},
		{"both sets", func() *Request {
			r := standardRequest("webhook-", standardV1)
			r.Header.Set("svix-id", r.Header.Get("webhook-id"))
			return r
		}(), Genuine},
		{"id with a dot", request("x", "svix-id: msg.1614265330", "svix-timestamp: 1614265330", "svix-signature: "+dotted), Refused},
		{"two signatures' headers", func() *Request {
			r := standardRequest("svix-", standardV1)
			r.Header.Add("svix-signature", standardV1)
			return r
		}(), Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := v.Verify(t.Context(), tt.r); class(got) != tt.want {
				t.Errorf("verdict %d, want %d", got, tt.want)
			}
		})
	}
}

// TestCustom_HashesTheBodyOnceForEachKey: a stranger writes as many signatures
// into the header as there is room for.
func TestCustom_HashesTheBodyOnceForEachKey(t *testing.T) {
	t.Parallel()
	v := verifier(t, "generic", Settings{Keys: []string{"a", "b"}, Custom: &Custom{
		Algorithm: "hmac-sha256", Header: "X-Signature", Param: "v1", TimestampParam: "t", Signed: "{timestamp}.{body}",
	}}, Options{Clock: at(1772615730)}).(*custom)
	made := 0
	v.hash = func() hash.Hash { made++; return sha256.New() }
	wrong := webhooksign.MAC(v.hash, []byte("a"), []byte("body"))
	each := made
	made = 0
	value := "t=1772615730" + strings.Repeat(",v1="+hex.EncodeToString(wrong), pairsMax-1)
	if got := v.Verify(t.Context(), request("body", "X-Signature: "+value)); !got.Refuses() || made != len(v.keys)*each {
		t.Errorf("verdict %d, %d hashes, want %d", got, made, len(v.keys)*each)
	}
}

func TestCustom_TriesFewPublicKeySignatures(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, "generic", Settings{
		Keys:   []string{hex.EncodeToString(private.Public().(ed25519.PublicKey))},
		Custom: &Custom{Algorithm: algorithmEd25519, Header: "X-Signature", Param: "v1", KeyEncoding: "hex"},
	}, Options{})
	right := "v1=" + hex.EncodeToString(ed25519.Sign(private, []byte("body")))
	for wrong, want := range map[int]Verdict{0: Genuine, publicTriesMax - 1: Genuine, publicTriesMax: Refused} {
		if got := v.Verify(t.Context(), request("body", "X-Signature: "+strings.Repeat("v1=00,", wrong)+right)); class(got) != want {
			t.Errorf("after %d wrong ones: verdict %d, want %d", wrong, got, want)
		}
	}
}

func TestNew_NamesTheFaultAndNeverTheKey(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	custom := func(c Custom) Settings { return Settings{Keys: []string{secret}, Custom: &c} }
	base := Custom{Algorithm: "hmac-sha256", Header: "X-Signature"}
	with := func(change func(*Custom)) Settings {
		c := base
		change(&c)
		return custom(c)
	}
	for _, tt := range []struct {
		name, provider string
		s              Settings
		want           string
	}{
		{"signs nothing", "mailjet", Settings{Keys: []string{secret}}, "signing_keys: this provider signs nothing"},
		{"window of one that signs nothing", "postmark", Settings{Window: time.Hour}, "replay_window: this provider signs nothing"},
		{"window where no time is signed", "mailtrap", Settings{Keys: []string{secret}, Window: time.Hour}, "replay_window: mailtrap has no use for it"},
		{"keys for ses", "ses", Settings{Keys: []string{secret}}, "signing_keys: ses has no use for it"},
		{"no topics", "ses", Settings{SNS: &SNS{}}, "sns.topic_arns: is missing"},
		{"topic", "ses", Settings{SNS: &SNS{TopicArns: []string{"arn:aws:s3:eu-west-1:123456789012:x"}}}, "sns.topic_arns[0]: \"arn:aws:s3"},
		{"certificate", "ses", Settings{SNS: &SNS{TopicArns: []string{"arn:aws:sns:eu-west-1:123456789012:x"}, Certificates: []string{secret}}}, "sns.certificates[0]: is no PEM"},
		{"postal key", "postal", Settings{Keys: []string{sendGridKey}}, "signing_keys[0]: is no RSA"},
		{"postal key set", "postal", Settings{JWKSURL: "http://postal.example.com/.well-known/jwks.json"}, "jwks_url: is no https URL"},
		{"resend key", "resend", Settings{Keys: []string{secret}}, "signing_keys[0]: is not whsec_"},
		{"resend key too short", "resend", Settings{Keys: []string{"whsec_aHVudGVyMg=="}}, "signing_keys[0]: is not whsec_ and at least 16 bytes"},
		{"resend private key", "resend", Settings{Keys: []string{"whsk_aHVudGVyMi1odW50ZXIy"}}, "signing_keys[0]: is a private key"},
		{"resend public key", "resend", Settings{Keys: []string{"whpk_aHVudGVyMg=="}}, "signing_keys[0]: whpk_ is not followed by 32 bytes"},
		{"generic keys alone", "generic", Settings{Keys: []string{secret}}, "signature: is missing"},
		{"no keys", "generic", Settings{Custom: &base}, "signing_keys: is missing"},
		{"empty key of a provider without its own form", "generic", Settings{Keys: []string{""}, Custom: &base}, "signing_keys[0]: is not text"},
		{"postal key too short", "postal", Settings{Keys: []string{postalShort}}, "signing_keys[0]: is no RSA public key of at least 1024 bits"},
		{"timestamp in no list", "generic", with(func(c *Custom) { c.Signed, c.TimestampParam = "{timestamp}.{body}", "t" }), "signature.param: is missing"},
		{"algorithm", "generic", with(func(c *Custom) { c.Algorithm = "md5" }), `signature.algorithm: "md5" is none of`},
		{"no header", "generic", with(func(c *Custom) { c.Header = "" }), "signature.header: is missing"},
		{"encoding", "generic", with(func(c *Custom) { c.Encoding = "base32" }), "signature.encoding:"},
		{"key encoding", "generic", with(func(c *Custom) { c.KeyEncoding = "rot13" }), "signature.key_encoding:"},
		{"key not hex", "generic", with(func(c *Custom) { c.KeyEncoding = "hex" }), "signing_keys[0]: is not hex"},
		{"ed25519 key", "generic", with(func(c *Custom) { c.Algorithm, c.KeyEncoding = "ed25519", "base64" }), "signing_keys[0]"},
		{"nothing of the body", "generic", with(func(c *Custom) { c.Signed, c.TimestampHeader = "{timestamp}", "X-T" }), "has no {body}"},
		{"unknown placeholder", "generic", with(func(c *Custom) { c.Signed = "{body}{bodies}" }), "{bodies} is none of"},
		{"open brace", "generic", with(func(c *Custom) { c.Signed = "{body" }), "is none of"},
		{"url without URL", "generic", with(func(c *Custom) { c.Signed = "{url}{body}" }), "public_url: is missing"},
		{"timestamp without header", "generic", with(func(c *Custom) { c.Signed = "{timestamp}{body}" }), "needs timestamp_header"},
		{"timestamp that is not signed", "generic", with(func(c *Custom) { c.TimestampHeader = "X-T" }), "proves nothing"},
		{"unit", "generic", with(func(c *Custom) { c.TimestampUnit = "h" }), "signature.timestamp_unit:"},
		{"prefix beside param", "generic", with(func(c *Custom) { c.Param, c.Prefix = "v1", "x" }), "signature.prefix:"},
		{"standard with more", "generic", custom(Custom{Algorithm: "standard-webhooks", Header: "x"}), "signature: standard-webhooks fixes everything else"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p config.Problems
			if v := New(SchemeOf(tt.provider), tt.s, Options{Provider: tt.provider}, &p); v != nil {
				t.Error("there is a verifier")
			}
			text := fmt.Sprint(p.Err())
			if !strings.Contains(text, tt.want) {
				t.Errorf("faults %s, want %q", text, tt.want)
			}
			if strings.Contains(text, "hunter2") {
				t.Errorf("the key is shown: %s", text)
			}
		})
	}
}

// observed is a logger whose lines can be read.
func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return zap.New(core), logs
}
