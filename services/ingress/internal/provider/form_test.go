package provider_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/ingress/internal/provider"
)

// FuzzForm holds ReadForm and FormObject to net/url and encoding/json: what one
// refuses the other does, and what is read is the same, field by field.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"", "&", "a=1", "a=1&a=2&b=&=c&a=3", "a%20b=c+d%2B&e=%e2%82%ac", "a=%zz", "a=%4", "%=1", "a=%ff%c3%28\x01\"\\",
		strings.Repeat("n", 40) + "=1&", strings.Repeat("a=1&b=2&", 20) + "c=\xe2\x82", "a=1;b=2", "\xff=1&\xff=2",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if strings.Contains(string(body), ";") {
			return // net/url refuses what WHATWG's form has no word about
		}
		fields, err := provider.ReadForm(body)
		want, wantErr := url.ParseQuery(string(body))
		if wantErr != nil || len(want) == 0 || strings.Count(string(body), "&") >= 1000 {
			if err == nil {
				t.Fatalf("%d fields, and net/url says %d with %v", len(fields), len(want), wantErr)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got := url.Values{}
		for _, field := range fields {
			got.Add(field.Name, field.Value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		object(t, provider.FormObject(fields), want)
	})
}

// object checks that text has the values, repaired where they are no UTF-8.
func object(t *testing.T, text []byte, values url.Values) {
	t.Helper()
	want := map[string]any{}
	for name, list := range values {
		clean := []any{}
		for _, v := range list {
			clean = append(clean, string([]rune(v)))
		}
		if want[string([]rune(name))] != nil {
			return // two names are the same once they are repaired
		}
		want[string([]rune(name))] = clean
		if len(clean) == 1 {
			want[string([]rune(name))] = clean[0]
		}
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}
