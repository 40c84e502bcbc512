package mandrill

import (
	"net/url"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
)

const (
	mandrillKey = "example-mandrill-key"
	mandrillURL = "https://hooks.example.com/mandrill?tenant=7"
	mandrillMAC = "SO2AfQ16YIFixR4NtXjh+JA+72E="
)

// form is what the sample posts.
func form() url.Values {
	return url.Values{"mandrill_events": {`[{"event":"send","_id":"a1","ts":1767225600}]`}}
}

func sample() verifytest.Sample {
	return verifytest.Sample{
		Name: "mandrill", Provider: "mandrill", ReadsBody: true, Settings: webhookverify.Settings{Keys: []string{mandrillKey}, PublicURL: mandrillURL},
		Request: verifytest.Request(form().Encode(), signatureHeader+": "+mandrillMAC), Header: signatureHeader, WrongKey: "other",
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, scheme(), sample())
	if got := signature(mandrillKey, mandrillURL, form()); got != mandrillMAC {
		t.Errorf("signed %s, want %s", got, mandrillMAC)
	}
	if got := signature(probeKey, mandrillURL, url.Values{"mandrill_events": {`[]`}}); got != "xtEgtNVujueAzUtAboWUcVB6vDI=" {
		t.Errorf("signed the probe %s", got)
	}
}

func FuzzSignature(f *testing.F) { verifytest.Fuzz(f, scheme(), nil, sample()) }

func BenchmarkSignature(b *testing.B) { verifytest.Bench(b, scheme(), sample()) }

func TestSignature_SettingsNameTheFaultAndNeverTheKey(t *testing.T) {
	t.Parallel()
	keys := []string{verifytest.Secret}
	verifytest.Fault(t, scheme(), "mandrill", webhookverify.Settings{Keys: keys}, "public_url: is missing")
	verifytest.Fault(t, scheme(), "mandrill", webhookverify.Settings{Keys: keys, PublicURL: verifytest.Secret + ".example"}, "public_url: is not an http")
}

func TestSignature_ProbesAreSettledAndProveNoEvents(t *testing.T) {
	t.Parallel()
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{"k"}, PublicURL: mandrillURL}, webhookverify.Options{})
	probe := func(form url.Values) *webhookverify.Request {
		return verifytest.Request(form.Encode(), signatureHeader+": "+signature(probeKey, mandrillURL, form))
	}
	for _, tt := range []struct {
		name string
		r    *webhookverify.Request
		want webhookverify.Verdict
	}{
		{"empty", probe(url.Values{"mandrill_events": {"[]"}}), webhookverify.Settled},
		{"events", probe(url.Values{"mandrill_events": {`[{"event":"spam"}]`}}), webhookverify.Refused},
		{"two fields", probe(url.Values{"mandrill_events": {"[]"}, "x": {"[]"}}), webhookverify.Refused},
		{"other text", probe(url.Values{"mandrill_events": {"[ ]"}}), webhookverify.Refused},
		{"sheet", verifytest.Request("mandrill_events=%5B%5D", "X-Mandrill-Signature: xtEgtNVujueAzUtAboWUcVB6vDI="), webhookverify.Settled},
		{"with many fields", verifytest.Request(strings.Repeat("a=b&", 100), "X-Mandrill-Signature: xtEgtNVujueAzUtAboWUcVB6vDI="), webhookverify.Refused},
		{"a form with too many fields", verifytest.Request(strings.Repeat("a=b&", 100), signatureHeader+": AAAA"), webhookverify.Unreadable},
		{"a form of another key", verifytest.Request(url.Values{"mandrill_events": {"[]"}}.Encode(), signatureHeader+": AAAA"), webhookverify.Refused},
	} {
		got := v.Verify(t.Context(), tt.r)
		if tt.want != webhookverify.Unreadable {
			got = verifytest.Class(got)
		}
		if got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}
