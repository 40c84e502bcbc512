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

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// at is a clock fixed at a Unix second.
func at(seconds int64) func() time.Time {
	return func() time.Time { return time.Unix(seconds, 0) }
}

func verifier(tb testing.TB, scheme string, s Settings, opt Options) Verifier {
	tb.Helper()
	var p config.Problems
	v := New(SchemeOf(scheme), s, opt, &p)
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

func TestStandard_TakesOneOfSeveralSignaturesOfOneSetOfHeaders(t *testing.T) {
	t.Parallel()
	v := verifier(t, schemeStandard, Settings{Keys: []string{otherSecret, standardSecret, standardPublic}}, Options{Clock: at(1614265330)})
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

// TestCustom_HashesTheBodyOnceForEachKey: an unauthenticated sender writes as many signatures
// into the header as there is room for.
func TestCustom_HashesTheBodyOnceForEachKey(t *testing.T) {
	t.Parallel()
	v := verifier(t, schemeConfigured, Settings{Keys: []string{"a", "b"}, Custom: &Custom{
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
	v := verifier(t, schemeConfigured, Settings{
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
		name, scheme string
		s            Settings
		want         string
	}{
		{"signs nothing", "", Settings{Keys: []string{secret}}, "signing_keys: this provider signs nothing"},
		{"window of one that signs nothing", "", Settings{Window: time.Hour}, "replay_window: this provider signs nothing"},
		{"window where no time is signed", schemeHex, Settings{Keys: []string{secret}, Window: time.Hour}, "replay_window: must be empty: provider example"},
		{"standard key", schemeStandard, Settings{Keys: []string{secret}}, "signing_keys[0]: is not whsec_"},
		{"standard key too short", schemeStandard, Settings{Keys: []string{"whsec_aHVudGVyMg=="}}, "signing_keys[0]: is not whsec_ and at least 16 bytes"},
		{"standard private key", schemeStandard, Settings{Keys: []string{"whsk_aHVudGVyMi1odW50ZXIy"}}, "signing_keys[0]: is a private key"},
		{"standard public key", schemeStandard, Settings{Keys: []string{"whpk_aHVudGVyMg=="}}, "signing_keys[0]: whpk_ is not followed by 32 bytes"},
		{"configured keys alone", schemeConfigured, Settings{Keys: []string{secret}}, "signature: is missing"},
		{"a field of one provider", schemeStandard, Settings{Keys: []string{standardSecret}, Own: map[string]any{"topics": secret}}, "topics: must be empty: provider example"},
		{"a key set", schemeStandard, Settings{Keys: []string{standardSecret}, JWKSURL: "https://example.com"}, "jwks_url: must be empty: provider example"},
		{"no keys", schemeConfigured, Settings{Custom: &base}, "signing_keys: is missing"},
		{"empty key of a provider without its own form", schemeConfigured, Settings{Keys: []string{""}, Custom: &base}, "signing_keys[0]: is not text"},
		{"timestamp in no list", schemeConfigured, with(func(c *Custom) { c.Signed, c.TimestampParam = "{timestamp}.{body}", "t" }), "signature.param: is missing"},
		{"algorithm", schemeConfigured, with(func(c *Custom) { c.Algorithm = "md5" }), `signature.algorithm: "md5" is not one of`},
		{"no header", schemeConfigured, with(func(c *Custom) { c.Header = "" }), "signature.header: is missing"},
		{"encoding", schemeConfigured, with(func(c *Custom) { c.Encoding = "base32" }), "signature.encoding:"},
		{"key encoding", schemeConfigured, with(func(c *Custom) { c.KeyEncoding = "rot13" }), "signature.key_encoding:"},
		{"key not hex", schemeConfigured, with(func(c *Custom) { c.KeyEncoding = "hex" }), "signing_keys[0]: is not hex"},
		{"ed25519 key", schemeConfigured, with(func(c *Custom) { c.Algorithm, c.KeyEncoding = "ed25519", "base64" }), "signing_keys[0]"},
		{"nothing of the body", schemeConfigured, with(func(c *Custom) { c.Signed, c.TimestampHeader = "{timestamp}", "X-T" }), "has no {body}"},
		{"unknown placeholder", schemeConfigured, with(func(c *Custom) { c.Signed = "{body}{bodies}" }), "{bodies} is not one of"},
		{"open brace", schemeConfigured, with(func(c *Custom) { c.Signed = "{body" }), "is not one of"},
		{"url without URL", schemeConfigured, with(func(c *Custom) { c.Signed = "{url}{body}" }), "public_url: is missing"},
		{"timestamp without header", schemeConfigured, with(func(c *Custom) { c.Signed = "{timestamp}{body}" }), "needs timestamp_header"},
		{"timestamp that is not signed", schemeConfigured, with(func(c *Custom) { c.TimestampHeader = "X-T" }), "proves nothing"},
		{"unit", schemeConfigured, with(func(c *Custom) { c.TimestampUnit = "h" }), "signature.timestamp_unit:"},
		{"prefix beside param", schemeConfigured, with(func(c *Custom) { c.Param, c.Prefix = "v1", "x" }), "signature.prefix:"},
		{"standard with more", schemeConfigured, custom(Custom{Algorithm: "standard-webhooks", Header: "x"}), "signature: must have no other field beside algorithm"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p config.Problems
			if v := New(SchemeOf(tt.scheme), tt.s, Options{Provider: "example"}, &p); v != nil {
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
