package webhookverify

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// class is Refused for every refusal: most tests do not care why.
func class(v Verdict) Verdict {
	if v.Refuses() {
		return Refused
	}
	return v
}

// TestVerify_SaysWhyForTheOperator takes the samples of the documentation and
// breaks each in one way.
func TestVerify_SaysWhyForTheOperator(t *testing.T) {
	t.Parallel()
	for _, tt := range samples() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			own := func(now int64) Verifier { return verifier(t, tt.provider, tt.settings, Options{Clock: at(now)}) }
			want := func(what string, v Verifier, r *Request, want Verdict) {
				t.Helper()
				if got := v.Verify(t.Context(), r); got != want {
					t.Errorf("%s: verdict %d, want %d", what, got, want)
				}
			}
			other := tt.settings
			other.Keys = []string{tt.wrongKey}
			want("another key", verifier(t, tt.provider, other, Options{Clock: at(tt.now)}), tt.request, Refused)
			if tt.header != "" {
				want("no header", own(tt.now), tt.with(func(r *Request) { r.Header.Del(tt.header) }), NoSignature)
				want("an empty header", own(tt.now), tt.with(func(r *Request) { r.Header.Set(tt.header, " ") }), NoSignature)
				want("a header that cannot be read", own(tt.now), tt.with(func(r *Request) { r.Header.Set(tt.header, "§") }), BadSignature)
				if tt.provider != "mandrill" { // whose form is read before it is compared
					want("an altered body", own(tt.now), tt.with(func(r *Request) { r.Body[len(r.Body)-1] ^= 1 }), Refused)
				}
			}
			sch := schemeOf(tt.provider)
			if size := int64(sch.window.Seconds()); size > 0 && tt.now > 0 && (tt.settings.Custom == nil || signsTime(tt.settings.Custom)) {
				want("a clock that is ahead", own(tt.now+size+1), tt.request, OldTime)
				want("a clock that is behind", own(tt.now-size-1), tt.request, FutureTime)
			}
		})
	}
}

func TestVerify_SaysWhatIsPeculiarToAScheme(t *testing.T) {
	t.Parallel()
	mailgun := verifier(t, "mailgun", Settings{Keys: []string{mailgunKey}}, Options{Clock: at(1767225600)})
	mandrill := verifier(t, "mandrill", Settings{Keys: []string{"key"}, PublicURL: "https://hooks.example.com/v1/webhooks/m"}, Options{})
	sns := verifier(t, "ses", Settings{SNS: &SNS{TopicArns: []string{topicArn}}}, Options{})
	message := func(change func(*webhooksign.SNSMessage)) *Request {
		m := webhooksign.SNSMessage{
			Type: webhooksign.SNSNotification, TopicArn: topicArn, Message: "{}", SignatureVersion: "2",
			Signature: "AAAA", SigningCertURL: "https://evil.example/SimpleNotificationService-1.pem",
		}
		change(&m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return request(string(text), webhooksign.SNSTypeHeader+": "+webhooksign.SNSNotification)
	}
	if got := mailgun.Verify(t.Context(), request(mailgunBody("delivered"))); got != Genuine {
		t.Fatalf("verdict %d", got)
	}
	for _, tt := range []struct {
		name string
		v    Verifier
		r    *Request
		want Verdict
	}{
		{"a token of other events", mailgun, request(mailgunBody("complained")), UsedToken},
		{"no JSON", mailgun, request("event=delivered"), Unreadable},
		{"JSON without a signature", mailgun, request(`{"event-data":{}}`), NoSignature},
		{"a signature that is no hex", mailgun, request(`{"signature":{"timestamp":"1767225600","token":"t","signature":"zz"}}`), BadSignature},
		{"a form with too many fields", mandrill, request(strings.Repeat("a=b&", 100), webhooksign.MandrillHeader+": AAAA"), Unreadable},
		{"a form of another key", mandrill, request(url.Values{"mandrill_events": {"[]"}}.Encode(), webhooksign.MandrillHeader+": AAAA"), Refused},
		{"a topic that is not listed", sns, message(func(m *webhooksign.SNSMessage) { m.TopicArn = "arn:aws:sns:us-east-1:123456789012:others" }), UnknownTopic},
		{"a certificate that is not Amazon's", sns, message(func(*webhooksign.SNSMessage) {}), UnknownKey},
		{"no signature", sns, message(func(m *webhooksign.SNSMessage) { m.Signature = "" }), NoSignature},
		{"a bare record", sns, request(`{"eventType":"Bounce","mail":{}}`), Unwrapped},
		{"a bare notification", sns, request(`{"notificationType":"Bounce","mail":{}}`), Unwrapped},
		{"something else", sns, request(`{"event":"bounce"}`), NoSignature},
		{"a version of no meaning", sns, message(func(m *webhooksign.SNSMessage) { m.SignatureVersion = "3" }), BadSignature},
		{"no message", sns, request("hello", webhooksign.SNSTypeHeader+": Notification"), Unreadable},
	} {
		if got := tt.v.Verify(t.Context(), tt.r); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestVerdict_OnlyThreeAreNoRefusal(t *testing.T) {
	t.Parallel()
	var zero Verdict
	if !zero.Refuses() || Genuine.Refuses() || Settled.Refuses() || Unsure.Refuses() || !UnknownKey.Refuses() || Verdict(-1).Refuses() {
		t.Error("a verdict is of the wrong side")
	}
	w := window{clock: func() time.Time { return time.Unix(1000, 0) }, size: time.Minute}
	for text, want := range map[string]Verdict{"940": Genuine, "1060": Genuine, "939": OldTime, "1061": FutureTime, "": BadSignature, "x": BadSignature, "-1": BadSignature} {
		if got := w.judge(text, time.Second); got != want {
			t.Errorf("%q at 1000: verdict %d, want %d", text, got, want)
		}
	}
}
