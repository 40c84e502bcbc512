package subject

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// What is handed out of a text has the person's address, and in no form another one.
func TestAlone_HandsOutNobodyElse(t *testing.T) {
	t.Parallel()
	p := person{finder: NewFinder("ada@example.com")}
	bob := NewFinder("bob@other.example")
	for _, text := range []string{
		"ada@example.com, bob@other.example",
		"email=ada@example.com&cc=bob@other.example",
		"email=ada%40example.com&cc=bob%2540other.example",
		"ada@example.com|bob@other.example",
		`ada@example.com "bob"@other.example`,
		"ada@example.com <bounces-bob=other.example@esp.example>",
		"To: ada=40example.com, bob=40other.example",
		`{"to":"ada\u0040example.com","cc":"{\"x\":\"bob\\u0040other.example\"}"}`,
		"ada@example.com " + base64.StdEncoding.EncodeToString([]byte("Cc: bob@other.example")),
	} {
		line, err := json.Marshal(map[string]string{"text": text, "mine": "Ada <ada@example.com>"})
		if err != nil {
			t.Fatal(err)
		}
		got := p.alone(line)
		if !p.finder.In([]byte(got)) || bob.In([]byte(got)) || strings.Contains(got, "bob=") {
			t.Errorf("of %s is handed out %s", text, got)
		}
	}
	if got := p.alone([]byte(`{"url":"https://x.example/?e=ada%40example.com","n":1}`)); got != `{"n":1,"url":"https://x.example/?e=ada@example.com"}` {
		t.Errorf("nothing of others was in it: %s", got)
	}
}

func TestOwn_TakesOthersOutOfWhatQuotes(t *testing.T) {
	t.Parallel()
	p, bob := person{finder: NewFinder("ada@example.com")}, NewFinder("bob@other.example")
	line := `{"message_id":"4711@mail.example","recipient":"ada@example.com","n":18446744073709551615,` +
		`"subject":"bob@other.example asks","tags":["of-bob@other.example"],"metadata":{"bob@other.example":"x"},"url":"https://x.example/?by=bob%40other.example",` +
		`"smtp_reply":"550 forwarded to <bob@other.example>","raw":"{\"to\":[\"ada@example.com\",\"bob\\u0040other.example\"]}"}`
	got, err := p.own([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if bob.In(got) || !strings.Contains(string(got), `"4711@mail.example"`) || !strings.Contains(string(got), `18446744073709551615`) ||
		!strings.Contains(string(got), `"raw":"{\"to\":[\"ada@example.com\",\"(another address)\"]}"`) {
		t.Errorf("became %s", got)
	}
	alone := `{"raw":"{ \"to\" : \"ada\\u0040example.com\" }"}`
	if got, err := p.own([]byte(alone)); err != nil || string(got) != alone {
		t.Errorf("nothing of others was in it: %s, %v", got, err)
	}
}
