package mailchimp

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
)

const mailchimpKey = "mc_test_secret_0123456789"

func sample() verifytest.Sample {
	return verifytest.Sample{
		Name: "mailchimp", Provider: "mailchimp", Settings: webhookverify.Settings{Keys: []string{mailchimpKey}}, Now: 1772615730,
		Request: verifytest.Request("type=unsubscribe&fired_at=2026-03-04+09%3A15%3A30&data%5Blist_id%5D=a1b2c3d4e5&data%5Bemail%5D=ana%40example.com&data%5Breason%5D=manual",
			"X-Mailchimp-Signature: t=1772615730,v1=70dabed31362eb29cc6fdc2f17a956aad823661a70cc2094e4fa260e7a1aeb1f"),
		Header: SignatureHeader, WrongKey: "other",
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
	verifytest.Fault(t, scheme(), "mailchimp", webhookverify.Settings{Keys: []string{verifytest.Secret, ""}}, "signing_keys[1]: is empty")
}

func TestSignature_TakesOneOfSeveralSignatures(t *testing.T) {
	t.Parallel()
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{"new", mailchimpKey}, Window: time.Hour}, webhookverify.Options{Clock: verifytest.At(1772615730 + 3000)})
	body := []byte("type=campaign")
	right := webhooksign.TimedHex(mailchimpKey, time.Unix(1772615730, 0), body)
	wrong := hex.EncodeToString(make([]byte, 32))
	for value, want := range map[string]webhookverify.Verdict{
		right:                                        webhookverify.Genuine,
		strings.Replace(right, ",", " , ", 1):        webhookverify.Genuine,
		right + ",v1=" + wrong:                       webhookverify.Genuine,
		"v1=" + wrong + "," + right + ",v0=zzz":      webhookverify.Genuine,
		right + ",t=1772615730":                      webhookverify.Refused,
		"t=1772615731" + right[len("t=1772615730"):]: webhookverify.Refused,
		right[len("t=1772615730,"):]:                 webhookverify.Refused,
	} {
		if got := v.Verify(t.Context(), verifytest.Request(string(body), "X-Mailchimp-Signature: "+value)); verifytest.Class(got) != want {
			t.Errorf("%s: verdict %d, want %d", value, got, want)
		}
	}
}
