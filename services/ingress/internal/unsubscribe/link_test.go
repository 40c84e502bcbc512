package unsubscribe

import (
	"net/url"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const testKey = "key-of-the-unsubscribe-tests"

// vectorToken was made apart from this code, as docs/unsubscribe.md says: openssl dgst
// -sha256 -hmac over the purpose and the payload.
const (
	vectorSignature = "jtm6LBjWOA-jiwdez-Yh1SeKwp-FZ5P4SKVMMh577SE"
	vectorPayload   = "eyJhIjoiYW5hQGV4YW1wbGUuY29tIiwibCI6IndlZWtseSIsIm0iOiJtLTEifQ"
	vectorToken     = vectorPayload + "." + vectorSignature
)

func TestToken_IsTheOneOfTheDocument(t *testing.T) {
	t.Parallel()
	want := Mail{Recipient: "ana@example.com", List: "weekly", MessageID: "m-1"}
	if got, err := read([][]byte{[]byte(testKey)}, vectorToken); err != nil || got != want {
		t.Errorf("read %+v, %v", got, err)
	}
	if got, err := Token(testKey, want); err != nil || got != vectorToken {
		t.Errorf("made %s, %v", got, err)
	}
}

func TestRead_RefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	keys := [][]byte{[]byte("a-newer-key-of-the-tests"), []byte(testKey)}
	if _, err := read(keys, vectorToken); err != nil {
		t.Errorf("the second key: %v", err)
	}
	for i := range len(vectorToken) {
		altered := []byte(vectorToken)
		altered[i] ^= 1
		if _, err := read(keys, string(altered)); err == nil {
			t.Errorf("altered byte %d is taken", i)
		}
	}
	other, _ := Token("another-key-of-the-tests", Mail{Recipient: "ana@example.com"})
	for name, token := range map[string]string{
		"another key": other, "empty": "", "no dot": vectorPayload, "no signature": vectorPayload + ".", "padded": vectorToken + "=",
		"a line": vectorToken + "\n", "twice": vectorToken + "." + vectorToken, "long": strings.Repeat("a", tokenBytesMax) + vectorToken,
	} {
		if _, err := read(keys, token); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := read(nil, vectorToken); err == nil {
		t.Error("without a key everything is taken")
	}
}

func TestToken_RefusesWhatNoHeaderHasRoomFor(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", fieldBytesMax)
	for name, m := range map[string]Mail{
		"no recipient":    {List: "weekly"},
		"list and stream": {Recipient: "ana@example.com", List: "a", Stream: "b"},
		"long list":       {Recipient: "ana@example.com", List: long + "x"},
		"all long":        {Recipient: "ana@example.com", List: long, MessageID: long, Campaign: long},
	} {
		if token, err := Token(testKey, m); err == nil {
			t.Errorf("%s: %s", name, token)
		}
	}
}

func TestLink_NamesTheFault(t *testing.T) {
	t.Parallel()
	c := Default()
	if _, err := c.Link(Mail{Recipient: "ana@example.com"}); err == nil || !strings.Contains(err.Error(), "public_url") {
		t.Errorf("without a URL: %v", err)
	}
	c.PublicURL, c.SigningKeys = "https://hooks.example.com/", []config.Secret{config.Literal(testKey)}
	if _, err := c.Link(Mail{Recipient: "ana"}); err == nil || strings.Contains(err.Error(), "ana") {
		t.Errorf("no address: %v", err)
	}
	link, err := c.Link(Mail{Recipient: "ana@example.com", List: "weekly", MessageID: "m-1"})
	if want := "https://hooks.example.com/u/" + vectorToken; err != nil || link != want {
		t.Errorf("%s, %v; want %s", link, err, want)
	}
	if u, err := url.Parse(link); err != nil || u.RawQuery != "" {
		t.Errorf("%s: %v", link, err)
	}
}

func TestConfig_NamesEveryFault(t *testing.T) {
	t.Parallel()
	var p config.Problems
	Config{
		PublicURL: "hooks.example.com?x=1", Sender: "", Lists: map[string]string{"weekly": ""},
		SigningKeys: []config.Secret{config.Literal("short")},
	}.Validate(&p)
	err := p.Err()
	for _, want := range []string{"public_url", "signing_keys[0]", "sender", "lists.weekly"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "short") {
		t.Error("the key is shown")
	}
	p = config.Problems{}
	Config{PublicURL: "https://hooks.example.com", Source: "a", Sender: "b"}.Validate(&p)
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "signing_keys") {
		t.Errorf("without a key: %v", err)
	}
	p = config.Problems{}
	Default().Validate(&p)
	if err := p.Err(); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(vectorToken)
	f.Add(vectorPayload)
	keys := [][]byte{[]byte(testKey)}
	f.Fuzz(func(t *testing.T, token string) {
		m, err := read(keys, token)
		if err != nil {
			return
		}
		again, err := Token(testKey, m)
		if err != nil {
			t.Fatalf("read %+v, which is no mail: %v", m, err)
		}
		if _, err := read(keys, again); err != nil {
			t.Fatal(err)
		}
	})
}
