package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
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
	v := New(provider, s, opt, &p)
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

// sample is a request with a signature that was computed apart from this code,
// by the provider or for its sheet, and the key that proves it.
type sample struct {
	name, provider string
	settings       Settings
	now            int64
	request        *Request
	header         string // that carries the signature; "" when it is in the body
	wrongKey       string // of the same form
}

const (
	mailgunKey   = "example-mailgun-signing-key"
	mailgunToken = "0123456789abcdef0123456789abcdef0123456789abcdef01"
	mailgunMAC   = "c8b2680a4d470310bf739396049f1bfa833ab28261e38f268e4421bb8af5c7ac"
)

func mailgunBody(event string) string {
	return `{"signature":{"timestamp":"1767225600","token":"` + mailgunToken + `","signature":"` + mailgunMAC + `"},"event-data":{"event":"` + event + `"}}`
}

const (
	sendGridKey   = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhxmxjpwwBZC7RSqh48rYqzBvkYhn6JO9KaGeXCR+6aqGPTLvSfXTlD5Ruv7m2ukEfUKeHIB34Wvt8IlPnbsQhQ=="
	sendGridOther = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEluNsdmwDpzMLPs1vvJS9mOthrN1xbcUMuO4nwO+hKVvUt+jTAHIdY7Wsv3iRLweBDqDhNXn3Koxw4wBTaiztrg=="
	sendGridBody  = "[{\"email\":\"ana@example.com\",\"event\":\"processed\",\"timestamp\":1767225600},\r\n{\"email\":\"bo@example.com\",\"event\":\"delivered\",\"timestamp\":1767225601}]\r\n"
	sendGridMAC   = "MEYCIQCD0tDjE5Vzb8Mo3Np8MRqj2tFskmsjgC/c4Eam7/6V2gIhAJkocPDZ5eiVhHIiBsiQA2GLL0CMfFPBJEFlnI3/O2QD"

	standardSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	standardPublic = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
	standardV1     = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	standardV1a    = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
	otherPublic    = "whpk_ebVWLo/mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ="
	otherSecret    = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

	postalKey   = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkuj1afm64RXcnV2ZjrqoNTZHFjc0DGFXWMww+9yV87VnIuvl9MvJjRZqGhDdEQU+tVUWdiDy6kP1Oi+0uyxskpRUNGkPg8eU5uaXqUOiwQsB6cGz/UM3OyFxMTBE2ZV6x+bUUrTc48yK9i28SRp159Nc4wnEl5TVtfYd+ak3gyQIDAQAB"
	postalOther = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA11VENb2KIpoksLgy5gvyMRHwomyVOqdreVJ4bP/XguYl4quBnYgRmSw6Ebj8ot/4UFVILRrCv2bPimWE/KCsnbRrsx8k/M4j9ui/3b70Of48vd7Ulm2SEvV6PCdX5PQ3v0EasKarDic416z5weFJkOnBcE3nKCakzMSSH9M0fQ7u3XMTUkZ5zKaFwPE+1x0nTVxxvyRXuyDdhcK4M1SRqejsm7ahL+Nm6P4Etn4NYB+PH1JMo48xwiLeybUbdDOe5mabHbiemhEDS1BPmlNQQefnfa0LROraggtfpNvm6qIFEkzEomhctosaNVZpO2JNojNUUh2DEbi6ksMmI2WyqQIDAQAB"
	postalBody  = `{"event":"MessageSent","timestamp":1772615730.12345,"payload":{"status":"Sent"},"uuid":"7f2d0a7e-5f0b-4d55-9a8e-0f2f2c6d1c11"}`
	postalMAC   = "YpmhmSbrPcd+a3dzY+QlkbZG1I9OEzW/6KzhxyAoOWF7pL2NA/6Y8tZ3sC3mYKn0ay57kyME5FfqjoSEuohArUaiX0meIczPNkYmboomD1DkNhYFCYo/wW7ZIC5cQLqGox+Qc3gP3cuDOoJfVb9FrGRRk6cAxeW5UrbdXV0ndtU="

	mandrillURL  = "https://hooks.example.com/mandrill?tenant=7"
	mailchimpKey = "mc_test_secret_0123456789"
	mailchimpSig = "70dabed31362eb29cc6fdc2f17a956aad823661a70cc2094e4fa260e7a1aeb1f"

	hubspotSecret = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
	hubspotBody   = `[{"eventId":100,"subscriptionId":7,"portalId":62515,"appId":54321,"occurredAt":1772615730123,"subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":501,"propertyName":"hs_email_optout","propertyValue":"true","changeSource":"CRM"}]`
)

// standardRequest is the published vector, by any of the two sets of names.
func standardRequest(prefix, signature string) *Request {
	return request(`{"test": 2432232314}`, prefix+"id: msg_p5jXN8AQM9LWM0D4loKWxJek", prefix+"timestamp: 1614265330", prefix+"signature: "+signature)
}

func samples() []sample {
	list := []sample{
		{"mailgun", "mailgun", Settings{Keys: []string{mailgunKey}}, 1767225600, request(mailgunBody("delivered")), "", "other"},
		{"sendgrid", "sendgrid", Settings{Keys: []string{sendGridKey}}, 1767225605, request(sendGridBody,
			webhooksign.SendGridTimestampHeader+": 1767225605", webhooksign.SendGridSignatureHeader+": "+sendGridMAC),
			webhooksign.SendGridSignatureHeader, sendGridOther},
		{"mandrill", "mandrill", Settings{Keys: []string{"example-mandrill-key"}, PublicURL: mandrillURL}, 0,
			request("mandrill_events="+url.QueryEscape(`[{"event":"send","_id":"a1","ts":1767225600}]`), "X-Mandrill-Signature: SO2AfQ16YIFixR4NtXjh+JA+72E="), "X-Mandrill-Signature", "other"},
		{"resend by svix names", "resend", Settings{Keys: []string{standardSecret}}, 1614265330, standardRequest("svix-", standardV1), "svix-signature", otherSecret},
		{"resend by standard names", "resend", Settings{Keys: []string{standardSecret}}, 1614265330, standardRequest("webhook-", standardV1), "webhook-signature", otherSecret},
		{"standard webhooks v1a", "resend", Settings{Keys: []string{standardPublic}}, 1614265330, standardRequest("webhook-", standardV1a), "webhook-signature", otherPublic},
		{"resend", "resend", Settings{Keys: []string{otherSecret}}, 1772615730, request(`{"type":"email.delivered","created_at":"2026-03-04T09:15:30.123Z","data":{"email_id":"0c3a1f52-0a51-4d7e-9a55-2f6f1f2d1b11"}}`,
			"svix-id: msg_2abcDEF", "svix-timestamp: 1772615730", "svix-signature: v1,nUiSATfSN+HziJ0NKZPGJMXHgcG5MQkK+cr4yFuDAUw="), "svix-signature", standardSecret},
		{"mailersend", "mailersend", Settings{Keys: []string{"ms_test_signing_secret"}}, 0,
			request(`{"type":"activity.delivered","created_at":"2026-03-04T09:15:30.000000Z","data":{"id":"65f0c0ffee0123456789abcd"}}`, "Signature: e25eb22fe14b0924cae5661d0ecb20ad835257b6660c6da2be830063eeedcef0"), "Signature", "other"},
		{"mailtrap", "mailtrap", Settings{Keys: []string{"8d9a3c0e7f5b2d4a6c1e9f8b3a7d5c2e"}}, 0,
			request(`{"event":"delivery","sending_stream":"transactional","category":"welcome","message_id":"a8b1d8f6-1f8d-4a3c-9b2e-1a2b3c4d5e6f","email":"recipient@example.com","event_id":"f1e2d3c4-b5a6-7890-1234-567890abcdef","timestamp":1716070000}`,
				"Mailtrap-Signature: 6d262e2611cd09be1f948382b5c611d63b0e585c4c9c5e40139d6ac3876d5433"), "Mailtrap-Signature", "other"},
		{"postal", "postal", Settings{Keys: []string{postalKey}}, 0, request(postalBody, "X-Postal-Signature-256: "+postalMAC), "X-Postal-Signature-256", postalOther},
		{"mailchimp", "mailchimp", Settings{Keys: []string{mailchimpKey}}, 1772615730,
			request("type=unsubscribe&fired_at=2026-03-04+09%3A15%3A30&data%5Blist_id%5D=a1b2c3d4e5&data%5Bemail%5D=ana%40example.com&data%5Breason%5D=manual",
				"X-Mailchimp-Signature: t=1772615730,v1="+mailchimpSig), "X-Mailchimp-Signature", "other"},
	}
	return append(list, customSamples()...)
}

// customSamples are the schemes of the generic source.
func customSamples() []sample {
	const companyBody = `{"event":"delivered","id":"evt_1"}`
	const hexMAC = "11c0491427b287cb6445dfd1270306bb008291bea08cdda409b35c08754e5100"
	company := func(name string, c Custom, value string) sample {
		c.Header = "Company-Webhook-Signature"
		if c.Algorithm == "" {
			c.Algorithm = "hmac-sha256"
		}
		return sample{name, "generic", Settings{Keys: []string{"topsecret"}, Custom: &c}, 1772615730,
			request(companyBody, "Company-Webhook-Signature: "+value), "Company-Webhook-Signature", "other"}
	}
	return []sample{
		company("company, hex", Custom{}, hexMAC),
		company("company, HEX", Custom{}, strings.ToUpper(hexMAC)),
		company("company, prefix", Custom{Prefix: "sha256="}, "sha256="+hexMAC),
		company("company, base64", Custom{Encoding: "base64"}, "EcBJFCeyh8tkRd/RJwMGuwCCkb6gjN2kCbNcCHVOUQA="),
		company("company, base64url", Custom{Encoding: "base64"}, "EcBJFCeyh8tkRd_RJwMGuwCCkb6gjN2kCbNcCHVOUQA"),
		company("company, pairs", Custom{Param: "v1", TimestampParam: "t", Signed: "{timestamp}.{body}"},
			"t=1772615730,v1=91d2dde6a9ddc71db9080d9d8b98efc6095cac119299ca1814ba8dde9e43d5fc"),
		company("company, sha1", Custom{Algorithm: "hmac-sha1"}, "aaf8afad9f6046c6db46d7f70184a6d8d3174d15"),
		company("company, sha512", Custom{Algorithm: "hmac-sha512"},
			"68abb0d2f7a14d333e2cfa2fcf73b02cfcc57d19f2a20dcd7e970acd913ebb6e030c34774824bc3441aad1593763af7d2f56af85ff4cdac2f1c10c480e589f6e"),
		{"github", "generic", Settings{Keys: []string{"It's a Secret to Everybody"}, Custom: &Custom{Algorithm: "hmac-sha256", Header: "X-Hub-Signature-256", Prefix: "sha256="}}, 0,
			request("Hello, World!", "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"), "X-Hub-Signature-256", "other"},
		{"hubspot v3", "generic", Settings{Keys: []string{hubspotSecret}, PublicURL: "https://hooks.example.com/hubspot?tenant=acme", Custom: &Custom{
			Algorithm: "hmac-sha256", Header: "X-HubSpot-Signature-v3", Encoding: "base64", Signed: "{method}{url}{body}{timestamp}",
			TimestampHeader: "X-HubSpot-Request-Timestamp", TimestampUnit: "ms",
		}}, 1772615731, request(hubspotBody, "X-HubSpot-Request-Timestamp: 1772615731000", "X-HubSpot-Signature-v3: 0qCyTcjFh6rw3TElivfIGzmF3uwwseN3WwKSu5//lkc="), "X-HubSpot-Signature-v3", "other"},
		{"generic standard webhooks", "generic", Settings{Keys: []string{standardSecret}, Custom: &Custom{Algorithm: "standard-webhooks"}}, 1614265330, standardRequest("webhook-", standardV1), "webhook-signature", otherSecret},
		{"generic ed25519", "generic", Settings{Keys: []string{standardPublic[5:]}, Custom: &Custom{
			Algorithm: "ed25519", Header: "webhook-signature", Prefix: "v1a,", Encoding: "base64", Signed: "{header:webhook-id}.{timestamp}.{body}", TimestampHeader: "webhook-timestamp",
		}}, 1614265330, standardRequest("webhook-", standardV1a), "webhook-signature", otherPublic[5:]},
	}
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
				if got := verifier(t, tt.provider, s, opt).Verify(t.Context(), r); got != Refused {
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
			if sch, _ := schemeOf(tt.provider); sch.window > 0 && tt.now > 0 && (tt.settings.Custom == nil || signsTime(tt.settings.Custom)) {
				for _, seconds := range []int64{tt.now - int64(sch.window.Seconds()) - 1, tt.now + int64(sch.window.Seconds()) + 1} {
					v := verifier(t, tt.provider, tt.settings, Options{Clock: at(seconds)})
					if got := v.Verify(t.Context(), tt.request); got != Refused {
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
		if got := v.Verify(t.Context(), request(body)); got != want {
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
		if got := v.Verify(t.Context(), request(body)); got != Refused {
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
		{"mailersend, event", mailersend, ping(`{"type":"activity.spam_complaint","data":{}}`), Refused},
		{"mailersend, both", mailersend, ping(`{"type":"webhook.test","type":"activity.spam_complaint"}`), Refused},
		{"mailersend, batch", mailersend, ping(`[{"type":"webhook.test"}]`), Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.v.Verify(t.Context(), tt.r); got != tt.want {
				t.Errorf("verdict %d, want %d", got, tt.want)
			}
		})
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
		{"v1 under the name of v1a", standardRequest("webhook-", "v1a"+standardV1[2:]), Refused},
		{"mixed sets", request(`{"test": 2432232314}`, "svix-id: msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp: 1614265330", "svix-signature: "+standardV1), Refused},
		{"id with a dot", request("x", "svix-id: msg.1614265330", "svix-timestamp: 1614265330", "svix-signature: "+dotted), Refused},
		{"two signatures' headers", func() *Request {
			r := standardRequest("svix-", standardV1)
			r.Header.Add("svix-signature", standardV1)
			return r
		}(), Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := v.Verify(t.Context(), tt.r); got != tt.want {
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
		if got := v.Verify(t.Context(), request(string(body), "X-Mailchimp-Signature: "+value)); got != want {
			t.Errorf("%s: verdict %d, want %d", value, got, want)
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
			if v := New(tt.provider, tt.s, Options{}, &p); v != nil {
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
