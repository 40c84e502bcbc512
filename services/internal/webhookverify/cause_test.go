package webhookverify

import (
	"encoding/json"
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

func TestVerify_SaysWhatIsPeculiarToAScheme(t *testing.T) {
	t.Parallel()
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
	for _, tt := range []struct {
		name string
		v    Verifier
		r    *Request
		want Verdict
	}{
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
	w := TimeWindow{Clock: func() time.Time { return time.Unix(1000, 0) }, Size: time.Minute}
	for text, want := range map[string]Verdict{"940": Genuine, "1060": Genuine, "939": OldTime, "1061": FutureTime, "": BadSignature, "x": BadSignature, "-1": BadSignature} {
		if got := w.Judge(text, time.Second); got != want {
			t.Errorf("%q at 1000: verdict %d, want %d", text, got, want)
		}
	}
}
