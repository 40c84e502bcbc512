package mailgun

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	mailgunKey   = "example-mailgun-signing-key"
	mailgunToken = "0123456789abcdef0123456789abcdef0123456789abcdef01"
	mailgunMAC   = "c8b2680a4d470310bf739396049f1bfa833ab28261e38f268e4421bb8af5c7ac"
)

func mailgunBody(event string) string {
	return `{"signature":{"timestamp":"1767225600","token":"` + mailgunToken + `","signature":"` + mailgunMAC + `"},"event-data":{"event":"` + event + `"}}`
}

func sample() verifytest.Sample {
	return verifytest.Sample{
		Name: "mailgun", Provider: "mailgun", Settings: webhookverify.Settings{Keys: []string{mailgunKey}}, Now: 1767225600,
		Request: verifytest.Request(mailgunBody("delivered")), WrongKey: "other",
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, scheme(), sample())
	if got := signature(mailgunKey, "1767225600", mailgunToken); got != mailgunMAC {
		t.Errorf("signed %s, want %s", got, mailgunMAC)
	}
}

func FuzzSignature(f *testing.F) { verifytest.Fuzz(f, scheme(), nil, sample()) }

func BenchmarkSignature(b *testing.B) { verifytest.Bench(b, scheme(), sample()) }

func TestSignature_SettingsNameTheFaultAndNeverTheKey(t *testing.T) {
	t.Parallel()
	keys := []string{verifytest.Secret}
	for want, s := range map[string]webhookverify.Settings{
		"replay_window: 100h0m0s is not in":    {Keys: keys, Window: 100 * time.Hour},
		"replay_window: -1ns is not in":        {Keys: keys, Window: -1},
		"sns: must be empty: provider mailgun": {Keys: keys, Own: map[string]any{"sns": struct{}{}}},
	} {
		verifytest.Fault(t, scheme(), "mailgun", s, want)
	}
}

func TestSignature_SaysWhyForTheOperator(t *testing.T) {
	t.Parallel()
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{mailgunKey}}, webhookverify.Options{Clock: verifytest.At(1767225600)})
	if got := v.Verify(t.Context(), verifytest.Request(mailgunBody("delivered"))); got != webhookverify.Genuine {
		t.Fatalf("verdict %d", got)
	}
	for _, tt := range []struct {
		name, body string
		want       webhookverify.Verdict
	}{
		{"a token of other events", mailgunBody("complained"), webhookverify.UsedToken},
		{"no JSON", "event=delivered", webhookverify.Unreadable},
		{"JSON without a signature", `{"event-data":{}}`, webhookverify.NoSignature},
		{"a signature that is no hex", `{"signature":{"timestamp":"1767225600","token":"t","signature":"zz"}}`, webhookverify.BadSignature},
	} {
		if got := v.Verify(t.Context(), verifytest.Request(tt.body)); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSignature_TakesNoMemoryForWhatItPassesOver(t *testing.T) {
	keys := webhookverify.Settings{Keys: []string{"key"}}
	for _, format := range []string{
		`{FILL"signature":{"timestamp":"1","token":"t","signature":"00"},"event-data":{}}`,
		`{"signature":{FILL"timestamp":"1","token":"t","signature":"00"},"event-data":{}}`,
	} {
		verifytest.TakesNoMemory(t, scheme(), keys, func(fill string) *webhookverify.Request {
			return verifytest.Request(strings.Replace(format, "FILL", fill, 1))
		})
	}
}

func TestSignature_KnowsTheFormItRetired(t *testing.T) {
	t.Parallel()
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{mailgunKey}}, webhookverify.Options{Clock: verifytest.At(1767225600)})
	form := func(signature string) *webhookverify.Request {
		return &webhookverify.Request{
			Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			Body: []byte("event=dropped&recipient=ana%40example.com&timestamp=1767225600&token=" + mailgunToken + "&signature=" + signature),
		}
	}
	if got := v.Verify(t.Context(), form(mailgunMAC)); got != webhookverify.Genuine {
		t.Errorf("its own form: %v", got)
	}
	if got := v.Verify(t.Context(), form(strings.Repeat("0", 64))); !got.Refuses() {
		t.Errorf("a form of an unknown sender: %v", got)
	}
}

func TestSignature_TokenProvesOnlyTheEventsItCameWith(t *testing.T) {
	t.Parallel()
	clock := servicetest.Fixed(time.Unix(1767225600, 0))
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{mailgunKey}}, webhookverify.Options{Clock: clock.Now})
	verify := func(body string, want webhookverify.Verdict) {
		t.Helper()
		if got := v.Verify(t.Context(), verifytest.Request(body)); verifytest.Class(got) != want {
			t.Errorf("verdict %d, want %d: %s", got, want, body)
		}
	}
	verify(mailgunBody("delivered"), webhookverify.Genuine)
	verify(mailgunBody("complained"), webhookverify.Refused)
	clock.Advance(8 * time.Hour) // the last retry
	verify(mailgunBody("delivered"), webhookverify.Genuine)
	verify(`{"event-data":{"event":"delivered"},"signature":{"token":"`+mailgunToken+`","timestamp":1767225600,"signature":"`+strings.ToUpper(mailgunMAC)+`"}}`, webhookverify.Genuine)
	verify(mailgunBody("complained"), webhookverify.Refused)
	clock.Advance(time.Hour + time.Second)
	verify(mailgunBody("delivered"), webhookverify.Refused)
}

// TestSignature_TakesTheSignaturesOfItsFixtures verifies every request that the
// decoder is tested with: the documentation's samples, signed one by one.
func TestSignature_TakesTheSignaturesOfItsFixtures(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.in.json")
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
		v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{mailgunKey}}, webhookverify.Options{Clock: verifytest.At(1767225600)})
		if got := v.Verify(t.Context(), verifytest.Request(string(body))); got != webhookverify.Genuine {
			t.Errorf("%s: verdict %d", path, got)
		}
	}
}

func TestSignature_TakesTheParentAccountsSignature(t *testing.T) {
	t.Parallel()
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{mailgunKey}}, webhookverify.Options{Clock: verifytest.At(1767225600)})
	body := `{"signature":{"timestamp":"1767225600","token":"` + mailgunToken + `","signature":"` + strings.Repeat("0", 64) + `","parent-signature":"` + mailgunMAC + `"},"event-data":{}}`
	if got := v.Verify(t.Context(), verifytest.Request(body)); got != webhookverify.Genuine {
		t.Errorf("verdict %d", got)
	}
	for _, body := range []string{
		``, `[]`, `{}`, `null`, `{"signature":null}`, `{"signature":[]}`, `{"signature":{}}`, `{"signature":{"timestamp":{},"token":[],"signature":1}}`,
		strings.Repeat(`{"signature":`, 1000), `[` + mailgunBody("x") + `]`,
		`{"signature":{"timestamp":"1767225600","token":"","signature":"` + signature(mailgunKey, "1767225600", "") + `"}}`,
		`{"signature":{"timestamp":"-1767225600","token":"t","signature":"` + signature(mailgunKey, "-1767225600", "t") + `"}}`,
		// What is signed has no border: it must not be moved into the timestamp.
		`{"signature":{"timestamp":"17672256000","token":"` + mailgunToken[1:] + `","signature":"` + mailgunMAC + `"},"event-data":{"event":"forged"}}`,
	} {
		if got := v.Verify(t.Context(), verifytest.Request(body)); !got.Refuses() {
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
