package ses

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	snsTopic    = "arn:aws:sns:eu-west-1:123456789012:ses-events"
	snsHostName = "sns.eu-west-1.amazonaws.com"
	snsPath     = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
)

// amazon is everything outside, with the published key that signs as Amazon does.
type amazon struct {
	*verifytest.World
	tb          testing.TB
	key         *rsa.PrivateKey
	certificate string // PEM
}

func newAmazon(tb testing.TB) *amazon {
	tb.Helper()
	key, err := webhooksign.PrivateKey(developmentKey)
	if err != nil {
		tb.Fatal(err)
	}
	return &amazon{World: verifytest.NewWorld(tb), tb: tb, key: key.(*rsa.PrivateKey), certificate: developmentCertificate(tb)}
}

// developmentCertificate is the certificate of the published key, in PEM.
func developmentCertificate(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile("development.cert.pem")
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// observed is a logger whose lines can be read.
func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return zap.New(core), logs
}

// message is a signed notification after change.
func (w *amazon) message(change func(*Message)) *webhookverify.Request {
	w.tb.Helper()
	m := Message{
		Type: Notification, MessageID: "11111111-2222-4333-8444-555555555555", TopicArn: snsTopic,
		Subject: "Amazon SES Email Event Notification", Message: `{"eventType":"Send","mail":{}}`, Timestamp: "2026-01-01T00:00:00.500Z",
		SignatureVersion: "2", SigningCertURL: "https://" + snsHostName + snsPath,
	}
	if change != nil {
		change(&m)
	}
	if m.Signature == "" {
		if err := m.Sign(w.key); err != nil {
			w.tb.Fatal(err)
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		w.tb.Fatal(err)
	}
	return verifytest.Request(string(body), "x-amz-sns-message-type: "+m.Type)
}

// subscription is a signed SubscriptionConfirmation.
func (w *amazon) subscription(subscribeURL string) *webhookverify.Request {
	return w.message(func(m *Message) {
		m.Type, m.Subject, m.Token, m.SubscribeURL = subscribe, "", "0123abcd", subscribeURL
	})
}

func subscribeURL(host string) string {
	q := url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {snsTopic}, "Token": {"0123abcd"}}
	return "https://" + host + "/?" + q.Encode()
}

func snsSettings() webhookverify.Settings {
	return webhookverify.Settings{Own: map[string]any{SNSField: &SNS{TopicArns: []string{snsTopic}}}}
}

// snsClock is within the validity of the development certificate.
var snsClock = verifytest.At(1767225600)

func TestSNS_ChecksBothVersionsAndFetchesTheCertificateOnce(t *testing.T) {
	t.Parallel()
	w := newAmazon(t)
	w.Text(snsHostName+snsPath, w.certificate)
	v := verifytest.Verifier(t, scheme(), snsSettings(), webhookverify.Options{Clock: snsClock, Client: w.Client})
	for _, version := range []string{"1", "2", "2"} {
		r := w.message(func(m *Message) { m.SignatureVersion = version })
		if got := v.Verify(t.Context(), r); got != webhookverify.Genuine {
			t.Errorf("version %s: verdict %d", version, got)
		}
	}
	noSubject := w.message(func(m *Message) { m.Subject = "" })
	if got := v.Verify(t.Context(), noSubject); got != webhookverify.Genuine {
		t.Errorf("without subject: verdict %d", got)
	}
	if diff := cmp.Diff([]string{"GET " + snsHostName + snsPath}, w.Asked()); diff != "" {
		t.Error(diff)
	}
}

func TestSNS_RefusesWithoutFetchingAnything(t *testing.T) {
	t.Parallel()
	w := newAmazon(t)
	w.Text(snsHostName+snsPath, w.certificate)
	certificateAt := func(u string) *webhookverify.Request {
		return w.message(func(m *Message) { m.SigningCertURL = u })
	}
	other := w.message(nil)
	other.Header.Set("x-amz-sns-message-type", subscribe)
	noHeader := w.message(nil)
	noHeader.Header = http.Header{}
	for _, tt := range []struct {
		name string
		r    *webhookverify.Request
	}{
		{"another topic", w.message(func(m *Message) { m.TopicArn += "x" })},
		{"another account's topic", w.message(func(m *Message) { m.TopicArn = "arn:aws:sns:eu-west-1:999999999999:ses-events" })},
		{"no topic", w.message(func(m *Message) { m.TopicArn = "" })},
		{"another kind in the header", other},
		{"no kind in the header", noHeader},
		{"unknown kind", w.message(func(m *Message) { m.Type = "Other" })},
		{"version 3", w.message(func(m *Message) { m.SignatureVersion = "3" })},
		{"no version", w.message(func(m *Message) { m.SignatureVersion = "" })},
		{"signature no base64", w.message(func(m *Message) { m.Signature = "!" })},
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
		{"not JSON", verifytest.Request("x", "x-amz-sns-message-type: Notification")},
		{"raw delivery", verifytest.Request(`{"eventType":"Bounce"}`, "x-amz-sns-message-type: Notification", "x-amz-sns-rawdelivery: true")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := verifytest.Verifier(t, scheme(), snsSettings(), webhookverify.Options{Clock: snsClock, Client: w.Client})
			if got := v.Verify(t.Context(), tt.r); !got.Refuses() {
				t.Errorf("verdict %d", got)
			}
			if asked := w.Asked(); len(asked) > 0 {
				t.Errorf("fetched %v", asked)
			}
		})
	}
}

func TestSNS_RefusesWhatTheCertificateDoesNotProve(t *testing.T) {
	t.Parallel()
	w := newAmazon(t)
	w.Text(snsHostName+snsPath, w.certificate)
	otherKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := w.message(func(m *Message) {
		if err := m.Sign(otherKey); err != nil {
			t.Fatal(err)
		}
	})
	altered := w.message(nil)
	altered.Body = []byte(strings.Replace(string(altered.Body), "Send", "Spam", 1))
	v1 := w.message(func(m *Message) { m.SignatureVersion = "1" })
	downgraded := w.message(nil)
	downgraded.Body = []byte(strings.Replace(string(downgraded.Body), `"SignatureVersion":"2"`, `"SignatureVersion":"1"`, 1))
	strict := snsSettings()
	strict.Own[SNSField].(*SNS).RefuseVersion1 = true
	for _, tt := range []struct {
		name  string
		s     webhookverify.Settings
		clock func() time.Time
		r     *webhookverify.Request
	}{
		{"another key", snsSettings(), snsClock, forged},
		{"altered message", snsSettings(), snsClock, altered},
		{"another version than signed", snsSettings(), snsClock, downgraded},
		{"version 1 where it is refused", strict, snsClock, v1},
		{"certificate not valid yet", snsSettings(), verifytest.At(1500000000), w.message(nil)},
		{"certificate over", snsSettings(), verifytest.At(5000000000), w.message(nil)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := verifytest.Verifier(t, scheme(), tt.s, webhookverify.Options{Clock: tt.clock, Client: w.Client})
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
		{"endless", func(rw http.ResponseWriter) { fmt.Fprint(rw, strings.Repeat("x", webhookverify.FetchBytesMax+1)) }},
		{"no certificate", func(rw http.ResponseWriter) { fmt.Fprint(rw, "hello") }},
		{"fault", func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusInternalServerError) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newAmazon(t)
			if tt.answer != nil {
				w.Answer(snsHostName+snsPath, tt.answer)
			}
			clock := servicetest.Fixed(snsClock())
			v := verifytest.Verifier(t, scheme(), snsSettings(), webhookverify.Options{Clock: clock.Now, Client: w.Client})
			for range 5 { // the miss is remembered
				if got := v.Verify(t.Context(), w.message(nil)); got != webhookverify.Unsure {
					t.Errorf("verdict %d", got)
				}
			}
			if asked := w.Asked(); len(asked) != 1 {
				t.Errorf("asked for %v", asked)
			}
			w.Text(snsHostName+snsPath, w.certificate)
			clock.Advance(20 * time.Second)
			if got := v.Verify(t.Context(), w.message(nil)); got != webhookverify.Genuine {
				t.Errorf("at the first retry of SNS: verdict %d", got)
			}
			w.Answer(snsHostName+snsPath, func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusInternalServerError) })
			clock.Advance(2 * certificateAge)
			if got := v.Verify(t.Context(), w.message(nil)); got != webhookverify.Genuine {
				t.Errorf("with an old certificate: verdict %d", got)
			}
		})
	}
}

func TestSNS_TrustsNobodyElsesTLS(t *testing.T) {
	t.Parallel()
	w := newAmazon(t)
	w.Text(snsHostName+snsPath, w.certificate)
	w.Client.Transport.(*http.Transport).TLSClientConfig = nil // the authorities of the system
	v := verifytest.Verifier(t, scheme(), snsSettings(), webhookverify.Options{Clock: snsClock, Client: w.Client})
	if got := v.Verify(t.Context(), w.message(nil)); got != webhookverify.Unsure || len(w.Asked()) > 0 {
		t.Errorf("verdict %d", got)
	}
}

func TestCertificates_AreBounded(t *testing.T) {
	t.Parallel()
	w := newAmazon(t)
	v := verifytest.Verifier(t, scheme(), snsSettings(), webhookverify.Options{Clock: snsClock, Client: w.Client}).(*verifier)
	for i := range missesMax + 2*certificatesMax*8 {
		path := fmt.Sprintf("/SimpleNotificationService-%032x.pem", i)
		if i%8 == 0 {
			w.Text(snsHostName+path, w.certificate)
		}
		r := w.message(func(m *Message) { m.SigningCertURL = "https://" + snsHostName + path })
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
		want   webhookverify.Verdict
		asks   bool
	}{
		{"right", subscribeURL(snsHostName), http.StatusOK, webhookverify.Settled, true},
		{"refused by Amazon", subscribeURL(snsHostName), http.StatusForbidden, webhookverify.Unsure, true},
		{"redirected", subscribeURL(snsHostName), http.StatusFound, webhookverify.Unsure, true},
		{"another host", subscribeURL("evil.example"), http.StatusOK, webhookverify.Refused, false},
		{"another region", subscribeURL("sns.us-east-1.amazonaws.com"), http.StatusOK, webhookverify.Refused, false},
		{"http", strings.Replace(subscribeURL(snsHostName), "https", "http", 1), http.StatusOK, webhookverify.Refused, false},
		{"another action", strings.Replace(subscribeURL(snsHostName), "ConfirmSubscription", "Unsubscribe", 1), http.StatusOK, webhookverify.Refused, false},
		{"two actions", subscribeURL(snsHostName) + "&Action=DeleteTopic", http.StatusOK, webhookverify.Refused, false},
		{"another topic", strings.Replace(subscribeURL(snsHostName), "ses-events", "others", 1), http.StatusOK, webhookverify.Refused, false},
		{"another token", strings.Replace(subscribeURL(snsHostName), "0123abcd", "x", 1), http.StatusOK, webhookverify.Refused, false},
		{"another path", strings.Replace(subscribeURL(snsHostName), "/?", "/x?", 1), http.StatusOK, webhookverify.Refused, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newAmazon(t)
			w.Text(snsHostName+snsPath, w.certificate)
			w.Answer(snsHostName+"/", func(rw http.ResponseWriter) {
				rw.Header().Set("Location", "https://elsewhere.example/")
				rw.WriteHeader(tt.status)
			})
			log, lines := observed()
			v := verifytest.Verifier(t, scheme(), snsSettings(), webhookverify.Options{Clock: snsClock, Client: w.Client, Log: log, Source: "acme"})
			if got := v.Verify(t.Context(), w.subscription(tt.url)); verifytest.Class(got) != tt.want {
				t.Errorf("verdict %d, want %d", got, tt.want)
			}
			want := []string{"GET " + snsHostName + snsPath}
			if tt.asks {
				want = append(want, "GET "+strings.TrimPrefix(tt.url, "https://"))
			}
			if diff := cmp.Diff(want, w.Asked()); diff != "" {
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
	w := newAmazon(t)
	w.Text(snsHostName+snsPath, w.certificate)
	log, lines := observed()
	v := verifytest.Verifier(t, scheme(), snsSettings(), webhookverify.Options{Clock: snsClock, Client: w.Client, Log: log})
	r := w.message(func(m *Message) {
		m.Type, m.Subject, m.Token, m.SubscribeURL = unsubscribe, "", "0123abcd", subscribeURL(snsHostName)
	})
	if got := v.Verify(t.Context(), r); got != webhookverify.Settled {
		t.Errorf("verdict %d", got)
	}
	if len(w.Asked()) != 1 || lines.FilterMessage("sns topic was unsubscribed").Len() != 1 {
		t.Errorf("log %v", lines.All())
	}
}

func TestSNS_PinnedCertificatesReplaceFetching(t *testing.T) {
	t.Parallel()
	w := newAmazon(t)
	s := snsSettings()
	s.Own[SNSField].(*SNS).Certificates = []string{w.certificate}
	v := verifytest.Verifier(t, scheme(), s, webhookverify.Options{Clock: snsClock, Client: w.Client})
	r := w.message(func(m *Message) { m.SigningCertURL = "" })
	if got := v.Verify(t.Context(), r); got != webhookverify.Genuine || len(w.Asked()) > 0 {
		t.Errorf("verdict %d", got)
	}
	late := verifytest.Verifier(t, scheme(), s, webhookverify.Options{Clock: verifytest.At(5000000000), Client: w.Client})
	if got := late.Verify(t.Context(), r); !got.Refuses() {
		t.Errorf("after its end: verdict %d", got)
	}
}

func TestSNS_SaysWhyItRefuses(t *testing.T) {
	t.Parallel()
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Own: map[string]any{SNSField: &SNS{TopicArns: []string{DevelopmentTopicArn}}}}, webhookverify.Options{})
	message := func(change func(*Message)) *webhookverify.Request {
		m := Message{
			Type: Notification, TopicArn: DevelopmentTopicArn, Message: "{}", SignatureVersion: "2",
			Signature: "AAAA", SigningCertURL: "https://evil.example/SimpleNotificationService-1.pem",
		}
		change(&m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return verifytest.Request(string(text), TypeHeader+": "+Notification)
	}
	for _, tt := range []struct {
		name string
		r    *webhookverify.Request
		want webhookverify.Verdict
	}{
		{"a topic that is not listed", message(func(m *Message) { m.TopicArn = "arn:aws:sns:us-east-1:123456789012:others" }), webhookverify.UnknownTopic},
		{"a certificate that is not Amazon's", message(func(*Message) {}), webhookverify.UnknownKey},
		{"no signature", message(func(m *Message) { m.Signature = "" }), webhookverify.NoSignature},
		{"a bare record", verifytest.Request(`{"eventType":"Bounce","mail":{}}`), webhookverify.Unwrapped},
		{"a bare notification", verifytest.Request(`{"notificationType":"Bounce","mail":{}}`), webhookverify.Unwrapped},
		{"something else", verifytest.Request(`{"event":"bounce"}`), webhookverify.NoSignature},
		{"a version of no meaning", message(func(m *Message) { m.SignatureVersion = "3" }), webhookverify.BadSignature},
		{"no message", verifytest.Request("hello", TypeHeader+": Notification"), webhookverify.Unreadable},
	} {
		if got := v.Verify(t.Context(), tt.r); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSignature_TakesNoMemoryForWhatItPassesOver(t *testing.T) {
	verifytest.TakesNoMemory(t, scheme(), snsSettings(), func(fill string) *webhookverify.Request {
		return verifytest.Request(`{`+fill+`"Type":"Notification","TopicArn":"x"}`, TypeHeader+": "+Notification)
	})
}

func TestSignature_SettingsNameTheFaultAndNeverTheKey(t *testing.T) {
	t.Parallel()
	own := func(sns SNS) webhookverify.Settings {
		return webhookverify.Settings{Own: map[string]any{SNSField: &sns}}
	}
	for want, s := range map[string]webhookverify.Settings{
		"signing_keys: must be empty: provider ses": {Keys: []string{verifytest.Secret}},
		"sns.topic_arns: is missing":                own(SNS{}),
		"sns.topic_arns[0]: \"arn:aws:s3":           own(SNS{TopicArns: []string{"arn:aws:s3:eu-west-1:123456789012:x"}}),
		"sns.certificates[0]: is not a PEM":         own(SNS{TopicArns: []string{snsTopic}, Certificates: []string{verifytest.Secret}}),
	} {
		verifytest.Fault(t, scheme(), Name, s, want)
	}
}

func TestMessage_ContentIsWhatAmazonSigns(t *testing.T) {
	t.Parallel()
	m := Message{
		Type: Notification, MessageID: "11111111-2222-4333-8444-555555555555", Message: "hello",
		Timestamp: "2026-01-01T00:00:00.000Z", TopicArn: "arn:aws:sns:eu-west-1:123456789012:ses-events",
	}
	v1, v2 := sha1.Sum(m.content()), sha256.Sum256(m.content())
	if got := hex.EncodeToString(v1[:]); got != "12407772a6a188aae5112b144b1aac5928908b0d" {
		t.Errorf("SHA-1 %s", got)
	}
	if got := hex.EncodeToString(v2[:]); got != "0eab57f94f4f6031d7483d4352f10441b417df7ae1007e941770bceea9494dd8" {
		t.Errorf("SHA-256 %s", got)
	}
	m.Subject = "s"
	if want := "Message\nhello\nMessageId\n11111111-2222-4333-8444-555555555555\nSubject\ns\nTimestamp\n2026-01-01T00:00:00.000Z\nTopicArn\narn:aws:sns:eu-west-1:123456789012:ses-events\nType\nNotification\n"; string(m.content()) != want {
		t.Errorf("content %q", m.content())
	}
	m.Token, m.SubscribeURL = "tok", "https://x"
	// Amazon's own JavaScript validator takes the fields of a notification for the second.
	for _, m.Type = range []string{subscribe, unsubscribe} {
		if want := "Message\nhello\nMessageId\n11111111-2222-4333-8444-555555555555\nSubscribeURL\nhttps://x\nTimestamp\n2026-01-01T00:00:00.000Z\nToken\ntok\nTopicArn\narn:aws:sns:eu-west-1:123456789012:ses-events\nType\n" + m.Type + "\n"; string(m.content()) != want {
			t.Errorf("content %q", m.content())
		}
	}
}

func TestMessage_ItsSignatureIsProvenByTheKey(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	m := Message{Type: Notification, Message: "m", SignatureVersion: "2"}
	err = m.Sign(key)
	given, decodeErr := base64.StdEncoding.DecodeString(m.Signature)
	sum := sha256.Sum256(m.content())
	if err != nil || decodeErr != nil || rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], given) != nil {
		t.Errorf("signature %q, %v, %v", m.Signature, err, decodeErr)
	}
}

func FuzzCertificate(f *testing.F) {
	f.Add([]byte(developmentCertificate(f)))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := parseCertificate(text); err == nil && p.key == nil {
			t.Fatal("a certificate without a key")
		}
	})
}
