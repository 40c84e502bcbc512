package webhookverify

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

const (
	snsTopic    = "arn:aws:sns:eu-west-1:123456789012:ses-events"
	snsHostName = "sns.eu-west-1.amazonaws.com"
	snsPath     = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
)

// message is a signed notification after change.
func (w *world) message(change func(*webhooksign.SNSMessage)) *Request {
	w.tb.Helper()
	m := webhooksign.SNSMessage{
		Type: webhooksign.SNSNotification, MessageID: "11111111-2222-4333-8444-555555555555", TopicArn: snsTopic,
		Subject: "Amazon SES Email Event Notification", Message: `{"eventType":"Send","mail":{}}`, Timestamp: "2026-01-01T00:00:00.500Z",
		SignatureVersion: "2", SigningCertURL: "https://" + snsHostName + snsPath,
	}
	if change != nil {
		change(&m)
	}
	if m.Signature == "" {
		if err := m.Sign(w.keys.SNS); err != nil {
			w.tb.Fatal(err)
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		w.tb.Fatal(err)
	}
	return request(string(body), "x-amz-sns-message-type: "+m.Type)
}

// subscription is a signed SubscriptionConfirmation.
func (w *world) subscription(subscribeURL string) *Request {
	return w.message(func(m *webhooksign.SNSMessage) {
		m.Type, m.Subject, m.Token, m.SubscribeURL = webhooksign.SNSSubscribe, "", "0123abcd", subscribeURL
	})
}

func subscribeURL(host string) string {
	q := url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {snsTopic}, "Token": {"0123abcd"}}
	return "https://" + host + "/?" + q.Encode()
}

func snsSettings() Settings { return Settings{SNS: &SNS{TopicArns: []string{snsTopic}}} }

// snsClock is within the validity of the development certificate.
var snsClock = at(1767225600)

func TestSNS_ChecksBothVersionsAndFetchesTheCertificateOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.text(snsHostName+snsPath, w.keys.SNSCertificate)
	v := verifier(t, "ses", snsSettings(), Options{Clock: snsClock, Client: w.client})
	for _, version := range []string{"1", "2", "2"} {
		r := w.message(func(m *webhooksign.SNSMessage) { m.SignatureVersion = version })
		if got := v.Verify(t.Context(), r); got != Genuine {
			t.Errorf("version %s: verdict %d", version, got)
		}
	}
	noSubject := w.message(func(m *webhooksign.SNSMessage) { m.Subject = "" })
	if got := v.Verify(t.Context(), noSubject); got != Genuine {
		t.Errorf("without subject: verdict %d", got)
	}
	if diff := cmp.Diff([]string{"GET " + snsHostName + snsPath}, w.was()); diff != "" {
		t.Error(diff)
	}
}

func TestSNS_RefusesWithoutFetchingAnything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.text(snsHostName+snsPath, w.keys.SNSCertificate)
	certificateAt := func(u string) *Request {
		return w.message(func(m *webhooksign.SNSMessage) { m.SigningCertURL = u })
	}
	other := w.message(nil)
	other.Header.Set("x-amz-sns-message-type", webhooksign.SNSSubscribe)
	noHeader := w.message(nil)
	noHeader.Header = http.Header{}
	for _, tt := range []struct {
		name string
		r    *Request
	}{
		{"another topic", w.message(func(m *webhooksign.SNSMessage) { m.TopicArn += "x" })},
		{"another account's topic", w.message(func(m *webhooksign.SNSMessage) { m.TopicArn = "arn:aws:sns:eu-west-1:999999999999:ses-events" })},
		{"no topic", w.message(func(m *webhooksign.SNSMessage) { m.TopicArn = "" })},
		{"another kind in the header", other},
		{"no kind in the header", noHeader},
		{"unknown kind", w.message(func(m *webhooksign.SNSMessage) { m.Type = "Other" })},
		{"version 3", w.message(func(m *webhooksign.SNSMessage) { m.SignatureVersion = "3" })},
		{"no version", w.message(func(m *webhooksign.SNSMessage) { m.SignatureVersion = "" })},
		{"signature no base64", w.message(func(m *webhooksign.SNSMessage) { m.Signature = "!" })},
		{"http", certificateAt("http://" + snsHostName + snsPath)},
		{"another region", certificateAt("https://sns.us-east-1.amazonaws.com" + snsPath)},
		{"a bucket", certificateAt("https://s3.amazonaws.com/sns.eu-west-1.amazonaws.com" + snsPath)},
		{"a bucket's host", certificateAt("https://sns.s3.eu-west-1.amazonaws.com" + snsPath)},
		{"a longer host", certificateAt("https://" + snsHostName + ".evil.example" + snsPath)},
		{"user info", certificateAt("https://" + snsHostName + "@evil.example" + snsPath)},
		{"user info before", certificateAt("https://evil@" + snsHostName + snsPath)},
		{"port", certificateAt("https://" + snsHostName + ":8443" + snsPath)},
		{"capitals", certificateAt("https://SNS.eu-west-1.amazonaws.com" + snsPath)},
		{"query", certificateAt("https://" + snsHostName + snsPath + "?x=1")},
		{"fragment", certificateAt("https://" + snsHostName + snsPath + "#x")},
		{"another path", certificateAt("https://" + snsHostName + "/x" + snsPath)},
		{"escaped path", certificateAt("https://" + snsHostName + "/%2e%2e" + snsPath)},
		{"a name that is no hash", certificateAt("https://" + snsHostName + "/SimpleNotificationService-made-up.pem")},
		{"a name of other letters", certificateAt("https://" + snsHostName + strings.ToUpper(snsPath))},
		{"a name too long", certificateAt("https://" + snsHostName + "/SimpleNotificationService-" + strings.Repeat("0", 65) + ".pem")},
		{"another ending", certificateAt("https://" + snsHostName + strings.TrimSuffix(snsPath, ".pem") + ".pem.txt")},
		{"private address", certificateAt("https://169.254.169.254" + snsPath)},
		{"no URL", certificateAt("")},
		{"not JSON", request("x", "x-amz-sns-message-type: Notification")},
		{"raw delivery", request(`{"eventType":"Bounce"}`, "x-amz-sns-message-type: Notification", "x-amz-sns-rawdelivery: true")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := verifier(t, "ses", snsSettings(), Options{Clock: snsClock, Client: w.client})
			if got := v.Verify(t.Context(), tt.r); !got.Refuses() {
				t.Errorf("verdict %d", got)
			}
			if asked := w.was(); len(asked) > 0 {
				t.Errorf("fetched %v", asked)
			}
		})
	}
}

func TestSNS_RefusesWhatTheCertificateDoesNotProve(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.text(snsHostName+snsPath, w.keys.SNSCertificate)
	otherKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := w.message(func(m *webhooksign.SNSMessage) {
		if err := m.Sign(otherKey); err != nil {
			t.Fatal(err)
		}
	})
	altered := w.message(nil)
	altered.Body = []byte(strings.Replace(string(altered.Body), "Send", "Spam", 1))
	v1 := w.message(func(m *webhooksign.SNSMessage) { m.SignatureVersion = "1" })
	downgraded := w.message(nil)
	downgraded.Body = []byte(strings.Replace(string(downgraded.Body), `"SignatureVersion":"2"`, `"SignatureVersion":"1"`, 1))
	strict := snsSettings()
	strict.SNS.RefuseVersion1 = true
	for _, tt := range []struct {
		name  string
		s     Settings
		clock func() time.Time
		r     *Request
	}{
		{"another key", snsSettings(), snsClock, forged},
		{"altered message", snsSettings(), snsClock, altered},
		{"another version than signed", snsSettings(), snsClock, downgraded},
		{"version 1 where it is refused", strict, snsClock, v1},
		{"certificate not valid yet", snsSettings(), at(1500000000), w.message(nil)},
		{"certificate over", snsSettings(), at(5000000000), w.message(nil)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := verifier(t, "ses", tt.s, Options{Clock: tt.clock, Client: w.client})
			if got := v.Verify(t.Context(), tt.r); !got.Refuses() {
				t.Errorf("verdict %d", got)
			}
		})
	}
}

func TestSNS_AsksForAnotherTryWhenTheCertificateCannotBeHad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter)
	}{
		{"not found", nil},
		{"redirect", func(rw http.ResponseWriter) {
			rw.Header().Set("Location", "https://elsewhere.example/x.pem")
			rw.WriteHeader(http.StatusFound)
		}},
		{"endless", func(rw http.ResponseWriter) { fmt.Fprint(rw, strings.Repeat("x", fetchBytesMax+1)) }},
		{"no certificate", func(rw http.ResponseWriter) { fmt.Fprint(rw, "hello") }},
		{"fault", func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusInternalServerError) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tt.answer != nil {
				w.answer(snsHostName+snsPath, tt.answer)
			}
			now := snsClock()
			v := verifier(t, "ses", snsSettings(), Options{Clock: func() time.Time { return now }, Client: w.client})
			for range 5 { // the miss is remembered
				if got := v.Verify(t.Context(), w.message(nil)); got != Unsure {
					t.Errorf("verdict %d", got)
				}
			}
			if asked := w.was(); len(asked) != 1 {
				t.Errorf("asked for %v", asked)
			}
			w.text(snsHostName+snsPath, w.keys.SNSCertificate)
			now = now.Add(20 * time.Second)
			if got := v.Verify(t.Context(), w.message(nil)); got != Genuine {
				t.Errorf("at the first retry of SNS: verdict %d", got)
			}
			w.answer(snsHostName+snsPath, func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusInternalServerError) })
			now = now.Add(2 * certificateAge)
			if got := v.Verify(t.Context(), w.message(nil)); got != Genuine {
				t.Errorf("with an old certificate: verdict %d", got)
			}
		})
	}
}

func TestSNS_TrustsNobodyElsesTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.text(snsHostName+snsPath, w.keys.SNSCertificate)
	w.client.Transport.(*http.Transport).TLSClientConfig = nil // the authorities of the system
	v := verifier(t, "ses", snsSettings(), Options{Clock: snsClock, Client: w.client})
	if got := v.Verify(t.Context(), w.message(nil)); got != Unsure || len(w.was()) > 0 {
		t.Errorf("verdict %d", got)
	}
}

func TestCertificates_AreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := verifier(t, "ses", snsSettings(), Options{Clock: snsClock, Client: w.client}).(*sns)
	for i := range missesMax + 2*certificatesMax*8 {
		path := fmt.Sprintf("/SimpleNotificationService-%032x.pem", i)
		if i%8 == 0 {
			w.text(snsHostName+path, w.keys.SNSCertificate)
		}
		r := w.message(func(m *webhooksign.SNSMessage) { m.SigningCertURL = "https://" + snsHostName + path })
		v.Verify(t.Context(), r)
	}
	if c := v.certificates; len(c.known) > certificatesMax || len(c.misses) > missesMax {
		t.Errorf("%d certificates, %d misses", len(c.known), len(c.misses))
	}
}

func TestSNS_ConfirmsSubscriptionsOfItsTopics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		url    string
		status int
		want   Verdict
		asks   bool
	}{
		{"right", subscribeURL(snsHostName), http.StatusOK, Settled, true},
		{"refused by Amazon", subscribeURL(snsHostName), http.StatusForbidden, Unsure, true},
		{"redirected", subscribeURL(snsHostName), http.StatusFound, Unsure, true},
		{"another host", subscribeURL("evil.example"), http.StatusOK, Refused, false},
		{"another region", subscribeURL("sns.us-east-1.amazonaws.com"), http.StatusOK, Refused, false},
		{"http", strings.Replace(subscribeURL(snsHostName), "https", "http", 1), http.StatusOK, Refused, false},
		{"another action", strings.Replace(subscribeURL(snsHostName), "ConfirmSubscription", "Unsubscribe", 1), http.StatusOK, Refused, false},
		{"two actions", subscribeURL(snsHostName) + "&Action=DeleteTopic", http.StatusOK, Refused, false},
		{"another topic", strings.Replace(subscribeURL(snsHostName), "ses-events", "others", 1), http.StatusOK, Refused, false},
		{"another token", strings.Replace(subscribeURL(snsHostName), "0123abcd", "x", 1), http.StatusOK, Refused, false},
		{"another path", strings.Replace(subscribeURL(snsHostName), "/?", "/x?", 1), http.StatusOK, Refused, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.text(snsHostName+snsPath, w.keys.SNSCertificate)
			w.answer(snsHostName+"/", func(rw http.ResponseWriter) {
				rw.Header().Set("Location", "https://elsewhere.example/")
				rw.WriteHeader(tt.status)
			})
			log, lines := observed()
			v := verifier(t, "ses", snsSettings(), Options{Clock: snsClock, Client: w.client, Log: log, Source: "acme"})
			if got := v.Verify(t.Context(), w.subscription(tt.url)); class(got) != tt.want {
				t.Errorf("verdict %d, want %d", got, tt.want)
			}
			want := []string{"GET " + snsHostName + snsPath}
			if tt.asks {
				want = append(want, "GET "+strings.TrimPrefix(tt.url, "https://"))
			}
			if diff := cmp.Diff(want, w.was()); diff != "" {
				t.Error(diff)
			}
			for _, line := range lines.All() {
				if text := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(text, "0123abcd") {
					t.Errorf("the token is in the log: %s", text)
				}
			}
		})
	}
}

func TestSNS_OnlyNotesThatItWasUnsubscribed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.text(snsHostName+snsPath, w.keys.SNSCertificate)
	log, lines := observed()
	v := verifier(t, "ses", snsSettings(), Options{Clock: snsClock, Client: w.client, Log: log})
	r := w.message(func(m *webhooksign.SNSMessage) {
		m.Type, m.Subject, m.Token, m.SubscribeURL = webhooksign.SNSUnsubscribe, "", "0123abcd", subscribeURL(snsHostName)
	})
	if got := v.Verify(t.Context(), r); got != Settled {
		t.Errorf("verdict %d", got)
	}
	if len(w.was()) != 1 || lines.FilterMessage("sns topic was unsubscribed").Len() != 1 {
		t.Errorf("log %v", lines.All())
	}
}

func TestSNS_PinnedCertificatesReplaceFetching(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := snsSettings()
	s.SNS.Certificates = []string{w.keys.SNSCertificate}
	v := verifier(t, "ses", s, Options{Clock: snsClock, Client: w.client})
	r := w.message(func(m *webhooksign.SNSMessage) { m.SigningCertURL = "" })
	if got := v.Verify(t.Context(), r); got != Genuine || len(w.was()) > 0 {
		t.Errorf("verdict %d", got)
	}
	late := verifier(t, "ses", s, Options{Clock: at(5000000000), Client: w.client})
	if got := late.Verify(t.Context(), r); !got.Refuses() {
		t.Errorf("after its end: verdict %d", got)
	}
}

const jwksURL = "https://postal.example.com/.well-known/jwks.json"

func jwk(kid string, key *rsa.PublicKey) string {
	return fmt.Sprintf(`{"kty":"RSA","use":"sig","alg":"RS256","kid":%q,"n":%q,"e":"AQAB"}`, kid, base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
}

func TestPostal_FollowsTheRotationOfTheKeySet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, next := w.keys.Postal, w.keys.SNS
	now := time.Unix(1772615730, 0)
	v := verifier(t, "postal", Settings{JWKSURL: jwksURL}, Options{Clock: func() time.Time { return now }, Client: w.client})
	verify := func(what, kid string, key *rsa.PrivateKey, want Verdict) {
		t.Helper()
		signature, err := webhooksign.Postal(key, []byte(postalBody))
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Verify(t.Context(), request(postalBody, "X-Postal-Signature-256: "+signature, "X-Postal-Signature-KID: "+kid)); class(got) != want {
			t.Errorf("%s: verdict %d, want %d", what, got, want)
		}
	}
	fetched := func(times int) {
		t.Helper()
		if n := len(w.was()); n != times {
			t.Errorf("%d fetches, want %d", n, times)
		}
	}
	set := func(keys ...string) {
		w.text("postal.example.com/.well-known/jwks.json", `{"keys":[`+strings.Join(append(keys, `{"kty":"EC","kid":"ec"}`, `{"kty":"RSA","kid":"bad","n":"","e":"AQAB"}`), ",")+`]}`)
	}
	verify("no key set", "a", old, Unsure)
	fetched(1)
	set(jwk("a", &old.PublicKey))
	verify("a moment later", "a", old, Unsure)
	fetched(0)
	now = now.Add(keySetPause)
	verify("first key", "a", old, Genuine)
	fetched(1)
	verify("again", "a", old, Genuine)
	fetched(0)
	verify("without a key id", "", old, Genuine)
	fetched(0)
	verify("another key under its id", "a", next, Refused)
	fetched(0)
	verify("unknown key id", "b", next, Refused)
	fetched(0)
	now = now.Add(keySetPause)
	set(jwk("a", &old.PublicKey), jwk("b", &next.PublicKey))
	verify("rotated", "b", next, Genuine)
	fetched(1)
	verify("the one before", "a", old, Genuine)
	fetched(0)
	now = now.Add(keySetAge)
	set(jwk("b", &next.PublicKey))
	verify("taken out", "a", old, Refused)
	fetched(1)
	for _, page := range []string{`<html>`, `{"status":"maintenance"}`} {
		now = now.Add(keySetAge)
		w.text("postal.example.com/.well-known/jwks.json", page)
		verify("while the set is away behind "+page, "b", next, Genuine)
		fetched(1)
	}
	now = now.Add(keySetAge)
	set()
	verify("all taken out", "b", next, Refused)
	fetched(1)
}

func TestPostal_TakesAPinnedKeyBesideTheKeySet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pinned, err := webhooksign.PublicKey(w.keys.Postal.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.text("postal.example.com/.well-known/jwks.json", `{"keys":[`+jwk("b", &w.keys.SNS.PublicKey)+`]}`)
	v := verifier(t, "postal", Settings{Keys: []string{pinned}, JWKSURL: jwksURL}, Options{Client: w.client})
	for _, tt := range []struct {
		name, kid string
		key       *rsa.PrivateKey
		fetches   int
	}{
		{"the pinned one, which nobody looks up", "a", w.keys.Postal, 0},
		{"the one of the set", "b", w.keys.SNS, 1},
	} {
		signature, err := webhooksign.Postal(tt.key, []byte(postalBody))
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Verify(t.Context(), request(postalBody, "X-Postal-Signature-256: "+signature, "X-Postal-Signature-KID: "+tt.kid)); got != Genuine {
			t.Errorf("%s: verdict %d", tt.name, got)
		}
		if n := len(w.was()); n != tt.fetches {
			t.Errorf("%s: %d fetches, want %d", tt.name, n, tt.fetches)
		}
	}
}

func FuzzKeySetAndCertificate(f *testing.F) {
	d := loadKeys(f)
	f.Add([]byte(`{"keys":[` + jwk("a", &d.Postal.PublicKey) + `]}`))
	f.Add([]byte(d.SNSCertificate))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeySet(text)
		if err == nil && len(keys) > keySetMax {
			t.Fatalf("%d keys", len(keys))
		}
		if p, err := parseCertificate(text); err == nil && p.key == nil {
			t.Fatal("a certificate without a key")
		}
	})
}
