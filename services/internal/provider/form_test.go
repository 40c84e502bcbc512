package provider_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/provider"
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

// FuzzFormIn holds that a form in parts is bounded, never panics, and is not taken
// for one where the body is an object.
func FuzzFormIn(f *testing.F) {
	for _, seed := range [][2]string{
		{"application/x-www-form-urlencoded", "a=1&b=2"},
		{"application/x-www-form-urlencoded; charset=utf-8", ` {"a":1}`},
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n"},
		{"multipart/form-data", "--\r\n\r\n"}, {"multipart/form-data; boundary=b", "--b\r\n\r\n"}, {"application/json", "a=1"}, {"", "a=1"},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		fields, ok := provider.FormIn(contentType, body)
		total := 0
		for _, field := range fields {
			total += len(field.Name) + len(field.Value)
		}
		if ok && (len(fields) == 0 || len(fields) > 1000 || total > len(body)) {
			t.Errorf("%d fields with %d bytes of %d", len(fields), total, len(body))
		}
		if ok && strings.HasPrefix(strings.TrimSpace(string(body)), "{") {
			t.Error("an object was read as a form")
		}
	})
}

func TestFormIn_LeavesFilesOutAndReadsTheRest(t *testing.T) {
	t.Parallel()
	body := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nfile\r\n--b--\r\n"
	got, ok := provider.FormIn("multipart/form-data; boundary=b", []byte(body))
	if diff := cmp.Diff([]provider.Field{{Name: "a", Value: "1"}}, got); !ok || diff != "" {
		t.Errorf("%v: %s", ok, diff)
	}
}
