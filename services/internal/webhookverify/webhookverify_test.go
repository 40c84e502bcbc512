package webhookverify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
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
	v := New(schemeOf(provider), s, opt, &p)
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

func TestVerify_TakesTheSignaturesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	for _, tt := range samples() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := verifier(t, tt.provider, tt.settings, Options{Clock: at(tt.now)})
			for n := range 2 { // a resend of the same request is genuine too
				if got := v.Verify(t.Context(), tt.request); got != Genuine {
					t.Errorf("time %d: verdict %d", n, got)
				}
			}
		})
	}
}

// with returns the sample's request with one thing changed.
func (s sample) with(change func(*Request)) *Request {
	r := &Request{Method: s.request.Method, Header: s.request.Header.Clone(), Body: bytes.Clone(s.request.Body)}
	change(r)
	return r
}

func TestVerify_RefusesEverythingElse(t *testing.T) {
	t.Parallel()
	for _, tt := range samples() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opt := Options{Clock: at(tt.now)}
			refuse := func(what string, s Settings, r *Request) {
				t.Helper()
				if got := verifier(t, tt.provider, s, opt).Verify(t.Context(), r); !got.Refuses() {
					t.Errorf("%s: verdict %d", what, got)
				}
			}
			wrong, several := tt.settings, tt.settings
			wrong.Keys = []string{tt.wrongKey}
			refuse("wrong key", wrong, tt.request)
			several.Keys = append([]string{tt.wrongKey}, tt.settings.Keys...)
			if got := verifier(t, tt.provider, several, opt).Verify(t.Context(), tt.request); got != Genuine {
				t.Errorf("the right key after a wrong one: verdict %d", got)
			}
			refuse("empty body", tt.settings, tt.with(func(r *Request) { r.Body = nil }))
			if tt.header == "" {
				return // the body is not signed; its own test says what is
			}
			for i := range tt.request.Body {
				refuse(fmt.Sprint("altered byte ", i), tt.settings, tt.with(func(r *Request) { r.Body[i] ^= 1 }))
			}
			refuse("byte more", tt.settings, tt.with(func(r *Request) { r.Body = append(r.Body, '\n') }))
			refuse("byte less", tt.settings, tt.with(func(r *Request) { r.Body = r.Body[:len(r.Body)-1] }))
			value := tt.request.Header.Get(tt.header)
			refuse("no header", tt.settings, tt.with(func(r *Request) { r.Header.Del(tt.header) }))
			for _, bad := range []string{"", " ", "=", ",", "v1,", "v1=", "sha256=", "t=,v1=", "t=1772615730,v1=", value[:len(value)/2], "x" + value[1:], strings.Repeat("v1,AA== ", 10_000)} {
				refuse("header "+bad[:min(len(bad), 20)], tt.settings, tt.with(func(r *Request) { r.Header.Set(tt.header, bad) }))
			}
			// 0 of no provider, so that any other clock is outside its window.
			if sch := schemeOf(tt.provider); sch.window > 0 && tt.now > 0 && (tt.settings.Custom == nil || signsTime(tt.settings.Custom)) {
				for _, seconds := range []int64{tt.now - int64(sch.window.Seconds()) - 1, tt.now + int64(sch.window.Seconds()) + 1} {
					v := verifier(t, tt.provider, tt.settings, Options{Clock: at(seconds)})
					if got := v.Verify(t.Context(), tt.request); !got.Refuses() {
						t.Errorf("at %d: verdict %d", seconds, got)
					}
				}
			}
		})
	}
}

func signsTime(c *Custom) bool {
	return c.Algorithm == algorithmStandard || c.TimestampHeader != "" || c.TimestampParam != ""
}

func TestMailgun_TokenProvesOnlyTheEventsItCameWith(t *testing.T) {
	t.Parallel()
	now := time.Unix(1767225600, 0)
	v := verifier(t, "mailgun", Settings{Keys: []string{mailgunKey}}, Options{Clock: func() time.Time { return now }})
	verify := func(body string, want Verdict) {
		t.Helper()
		if got := v.Verify(t.Context(), request(body)); class(got) != want {
			t.Errorf("verdict %d, want %d: %s", got, want, body)
		}
	}
	verify(mailgunBody("delivered"), Genuine)
	verify(mailgunBody("complained"), Refused)
	now = now.Add(8 * time.Hour) // the last retry
	verify(mailgunBody("delivered"), Genuine)
	verify(`{"event-data":{"event":"delivered"},"signature":{"token":"`+mailgunToken+`","timestamp":1767225600,"signature":"`+strings.ToUpper(mailgunMAC)+`"}}`, Genuine)
	verify(mailgunBody("complained"), Refused)
	now = now.Add(time.Hour + time.Second)
	verify(mailgunBody("delivered"), Refused)
}

// TestMailgun_TakesTheSignaturesOfItsFixtures verifies every request that the
// decoder is tested with: the documentation's samples, signed one by one.
func TestMailgun_TakesTheSignaturesOfItsFixtures(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../provider/mailgun/testdata/*.in.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d fixtures, %v", len(paths), err)
	}
	for _, path := range paths {
		if strings.Contains(path, "not_this_provider") {
			continue
		}
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v := verifier(t, "mailgun", Settings{Keys: []string{mailgunKey}}, Options{Clock: at(1767225600)})
		if got := v.Verify(t.Context(), request(string(body))); got != Genuine {
			t.Errorf("%s: verdict %d", path, got)
		}
	}
}

func TestMailgun_TakesTheParentAccountsSignature(t *testing.T) {
	t.Parallel()
	v := verifier(t, "mailgun", Settings{Keys: []string{mailgunKey}}, Options{Clock: at(1767225600)})
	body := `{"signature":{"timestamp":"1767225600","token":"` + mailgunToken + `","signature":"` + strings.Repeat("0", 64) + `","parent-signature":"` + mailgunMAC + `"},"event-data":{}}`
	if got := v.Verify(t.Context(), request(body)); got != Genuine {
		t.Errorf("verdict %d", got)
	}
	for _, body := range []string{
		``, `[]`, `{}`, `null`, `{"signature":null}`, `{"signature":[]}`, `{"signature":{}}`, `{"signature":{"timestamp":{},"token":[],"signature":1}}`,
		strings.Repeat(`{"signature":`, 1000), `[` + mailgunBody("x") + `]`,
		`{"signature":{"timestamp":"1767225600","token":"","signature":"` + webhooksign.Mailgun(mailgunKey, "1767225600", "") + `"}}`,
		`{"signature":{"timestamp":"-1767225600","token":"t","signature":"` + webhooksign.Mailgun(mailgunKey, "-1767225600", "t") + `"}}`,
		// What is signed has no border: it must not be moved into the timestamp.
		`{"signature":{"timestamp":"17672256000","token":"` + mailgunToken[1:] + `","signature":"` + mailgunMAC + `"},"event-data":{"event":"forged"}}`,
	} {
		if got := v.Verify(t.Context(), request(body)); !got.Refuses() {
			t.Errorf("verdict %d: %.80s", got, body)
		}
	}
}

func TestTokens_AreBoundedAndForgottenInTheirOrder(t *testing.T) {
	t.Parallel()
	now := time.Unix(1767225600, 0)
	tk := newTokens(100)
	claim := func(i int, content string) bool {
		return tk.claim(strconv.Itoa(i), []byte(content), now, now.Add(time.Hour))
	}
	for i := range 1000 {
		if !claim(i, "a") {
			t.Fatalf("token %d was refused", i)
		}
	}
	if len(tk.used) != 100 || len(tk.queue) != 100 {
		t.Errorf("%d tokens, %d in the queue", len(tk.used), len(tk.queue))
	}
	for i := 900; i < 1000; i++ {
		if claim(i, "b") || !claim(i, "a") {
			t.Fatalf("token %d is not remembered", i)
		}
	}
	now = now.Add(time.Hour + time.Second)
	if !claim(999, "b") || len(tk.used) != 1 {
		t.Errorf("%d tokens after their time", len(tk.used))
	}
}

func TestProbes_AreSettledAndProveNoEvents(t *testing.T) {
	t.Parallel()
	mandrill := verifier(t, "mandrill", Settings{Keys: []string{"k"}, PublicURL: mandrillURL}, Options{})
	mailersend := verifier(t, "mailersend", Settings{Keys: []string{"k"}}, Options{})
	probe := func(form url.Values) *Request {
		return request(form.Encode(), "X-Mandrill-Signature: "+webhooksign.Mandrill(webhooksign.MandrillProbeKey, mandrillURL, form))
	}
	ping := func(body string) *Request {
		return request(body, "Signature: "+webhooksign.Hex(webhooksign.MailerSendPingKey, []byte(body)))
	}
	for _, tt := range []struct {
		name string
		v    Verifier
		r    *Request
		want Verdict
	}{
		{"mandrill, empty", mandrill, probe(url.Values{"mandrill_events": {"[]"}}), Settled},
		{"mandrill, events", mandrill, probe(url.Values{"mandrill_events": {`[{"event":"spam"}]`}}), Refused},
		{"mandrill, two fields", mandrill, probe(url.Values{"mandrill_events": {"[]"}, "x": {"[]"}}), Refused},
		{"mandrill, other text", mandrill, probe(url.Values{"mandrill_events": {"[ ]"}}), Refused},
		{"mandrill, sheet", mandrill, request("mandrill_events=%5B%5D", "X-Mandrill-Signature: xtEgtNVujueAzUtAboWUcVB6vDI="), Settled},
		{"mandrill, many fields", mandrill, request(strings.Repeat("a=b&", 100), "X-Mandrill-Signature: xtEgtNVujueAzUtAboWUcVB6vDI="), Refused},
		{"mailersend, ping", mailersend, ping(`{"type":"webhook.test","message":"This is a ping test message","created_at":"2026-03-04T09:15:30.000000Z"}`), Settled},
		{"mailersend, sheet", mailersend, request(`{"type":"webhook.test","message":"This is a ping test message","created_at":"2026-03-04T09:15:30.000000Z"}`,
			"Signature: 7dc7e875f962faaaa369ef9adba3bba1f357eedf98d930b157d0812ef50cdab5"), Settled},
		{"mailersend, event", mailersend, ping(`{"type":"activity.spam_complaint","data":{}}`), Refused},
		{"mailersend, both", mailersend, ping(`{"type":"webhook.test","type":"activity.spam_complaint"}`), Refused},
		{"mailersend, batch", mailersend, ping(`[{"type":"webhook.test"}]`), Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.v.Verify(t.Context(), tt.r); class(got) != tt.want {
				t.Errorf("verdict %d, want %d", got, tt.want)
			}
		})
	}
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

func TestMailchimp_TakesOneOfSeveralSignatures(t *testing.T) {
	t.Parallel()
	v := verifier(t, "mailchimp", Settings{Keys: []string{"new", mailchimpKey}, Window: time.Hour}, Options{Clock: at(1772615730 + 3000)})
	body := []byte("type=campaign")
	right := webhooksign.Mailchimp(mailchimpKey, time.Unix(1772615730, 0), body)
	wrong := hex.EncodeToString(make([]byte, 32))
	for value, want := range map[string]Verdict{
		right:                                        Genuine,
		strings.Replace(right, ",", " , ", 1):        Genuine,
		right + ",v1=" + wrong:                       Genuine,
		"v1=" + wrong + "," + right + ",v0=zzz":      Genuine,
		right + ",t=1772615730":                      Refused,
		"t=1772615731" + right[len("t=1772615730"):]: Refused,
		right[len("t=1772615730,"):]:                 Refused,
	} {
		if got := v.Verify(t.Context(), request(string(body), "X-Mailchimp-Signature: "+value)); class(got) != want {
			t.Errorf("%s: verdict %d, want %d", value, got, want)
		}
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
		{"window too large", "mailgun", Settings{Keys: []string{secret}, Window: 100 * time.Hour}, "replay_window: 100h0m0s is not in"},
		{"window below 0", "mailgun", Settings{Keys: []string{secret}, Window: -1}, "replay_window: -1ns is not in"},
		{"sns elsewhere", "mailgun", Settings{Keys: []string{secret}, SNS: &SNS{}}, "sns: mailgun has no use for it"},
		{"keys for ses", "ses", Settings{Keys: []string{secret}}, "signing_keys: ses has no use for it"},
		{"no topics", "ses", Settings{SNS: &SNS{}}, "sns.topic_arns: is missing"},
		{"topic", "ses", Settings{SNS: &SNS{TopicArns: []string{"arn:aws:s3:eu-west-1:123456789012:x"}}}, "sns.topic_arns[0]: \"arn:aws:s3"},
		{"certificate", "ses", Settings{SNS: &SNS{TopicArns: []string{"arn:aws:sns:eu-west-1:123456789012:x"}, Certificates: []string{secret}}}, "sns.certificates[0]: is no PEM"},
		{"sendgrid key", "sendgrid", Settings{Keys: []string{secret}}, "signing_keys[0]: is no ECDSA"},
		{"sendgrid key of another kind", "sendgrid", Settings{Keys: []string{postalKey}}, "signing_keys[0]: is no ECDSA"},
		{"postal key", "postal", Settings{Keys: []string{sendGridKey}}, "signing_keys[0]: is no RSA"},
		{"postal key set", "postal", Settings{JWKSURL: "http://postal.example.com/.well-known/jwks.json"}, "jwks_url: is no https URL"},
		{"mandrill without URL", "mandrill", Settings{Keys: []string{secret}}, "public_url: is missing"},
		{"mandrill with no URL", "mandrill", Settings{Keys: []string{secret}, PublicURL: "hunter2-hunter2.example"}, "public_url: is no http"},
		{"resend key", "resend", Settings{Keys: []string{secret}}, "signing_keys[0]: is not whsec_"},
		{"resend key too short", "resend", Settings{Keys: []string{"whsec_aHVudGVyMg=="}}, "signing_keys[0]: is not whsec_ and at least 16 bytes"},
		{"resend private key", "resend", Settings{Keys: []string{"whsk_aHVudGVyMi1odW50ZXIy"}}, "signing_keys[0]: is a private key"},
		{"resend public key", "resend", Settings{Keys: []string{"whpk_aHVudGVyMg=="}}, "signing_keys[0]: whpk_ is not followed by 32 bytes"},
		{"generic keys alone", "generic", Settings{Keys: []string{secret}}, "signature: is missing"},
		{"no keys", "generic", Settings{Custom: &base}, "signing_keys: is missing"},
		{"empty key", "mailchimp", Settings{Keys: []string{secret, ""}}, "signing_keys[1]: is empty"},
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
			if v := New(schemeOf(tt.provider), tt.s, Options{Provider: tt.provider}, &p); v != nil {
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

// FuzzHeaders holds every scheme to: no panic, and nothing proven but what is.
func FuzzHeaders(f *testing.F) {
	list := samples()
	for i, s := range list {
		f.Add(uint8(i), s.request.Header.Get(s.header), "1772615730", s.request.Body)
	}
	f.Add(uint8(0), "t=1,v1=00,v1=", "99999999999999999999", []byte(`{"signature":{"timestamp":1}}`))
	f.Fuzz(func(t *testing.T, which uint8, header, stamp string, body []byte) {
		s := list[int(which)%len(list)]
		r := s.with(func(r *Request) { r.Body = body })
		if s.header != "" {
			r.Header.Set(s.header, header)
		}
		for _, name := range []string{"svix-timestamp", "webhook-timestamp", webhooksign.SendGridTimestampHeader, "X-HubSpot-Request-Timestamp"} {
			if r.Header.Get(name) != "" {
				r.Header.Set(name, stamp)
			}
		}
		v := verifier(t, s.provider, s.settings, Options{Clock: at(s.now)})
		if v.Verify(t.Context(), r) == Genuine && s.header != "" && !bytes.Equal(body, s.request.Body) && s.provider != "mandrill" {
			t.Fatalf("%s: another body is proven", s.name)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, s := range samples() {
		b.Run(strings.ReplaceAll(s.name, " ", "-"), func(b *testing.B) {
			v := verifier(b, s.provider, s.settings, Options{Clock: at(s.now)})
			b.SetBytes(int64(len(s.request.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if v.Verify(b.Context(), s.request) != Genuine {
					b.Fatal("refused")
				}
			}
		})
	}
}
