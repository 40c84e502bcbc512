package subject

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// encodings are the forms in which an address may be in what providers send.
func encodings(address string) map[string]string {
	unicode, percent, quoted, entities := "", "", "", ""
	for _, r := range address {
		unicode += fmt.Sprintf(`\u%04x`, r)
		entities += fmt.Sprintf("&#%d;", r)
	}
	for _, b := range []byte(address) {
		percent += fmt.Sprintf("%%%02X", b)
		quoted += fmt.Sprintf("=%02X", b)
	}
	forms := map[string]string{
		"plain": address, "upper case": strings.ToUpper(address), "mixed case": strings.ToUpper(address[:1]) + address[1:],
		"url": url.QueryEscape(address), "percent": percent, "lower percent": strings.ToLower(percent),
		"json": strings.ReplaceAll(address, "@", `\u0040`), "unicode": unicode,
		"quoted-printable": strings.ReplaceAll(address, "@", "=40"), "quoted all": quoted, "soft break": address[:3] + "=\r\n" + address[3:],
		"entities": entities, "url in json": strings.ReplaceAll(url.QueryEscape(address), "%", `\u0025`),
	}
	for shift := range 3 {
		text := strings.Repeat("x", shift) + "<" + address + ">, and more of it"
		forms[fmt.Sprintf("base64 %d", shift)] = base64.StdEncoding.EncodeToString([]byte(text))
		forms[fmt.Sprintf("base64url %d", shift)] = base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	lines := base64.StdEncoding.EncodeToString([]byte("To: " + address + "\r\nSubject: hello\r\n"))
	forms["base64 in lines"] = lines[:7] + "\r\n" + lines[7:]
	forms["json in base64"] = base64.StdEncoding.EncodeToString([]byte(`{"email":"` + forms["json"] + `"}`))
	forms["base64 of upper case"] = base64.StdEncoding.EncodeToString([]byte(strings.ToUpper(address)))
	return forms
}

func TestFinder_FindsEveryEncoding(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"ana.lopez@example.com", "o'neil+news@example.co.uk", "jörg@xn--bcher-kva.example"} {
		f := NewFinder(address)
		for name, form := range encodings(address) {
			for _, around := range []string{"%s", `{"email":"%s","x":1}`, "email=%s&x=1", "<%s>", "To: %s;", "mailto:%s?subject=x"} {
				if strings.HasPrefix(name, "base64") && around == "mailto:%s?subject=x" {
					continue
				}
				if text := strings.ReplaceAll(around, "%s", form); !f.In([]byte(text)) {
					t.Errorf("%s not found as %s: %s", address, name, text)
				}
			}
		}
	}
	if !NewFinder("jörg@xn--bcher-kva.example").In([]byte("to JÖRG@bücher.example")) {
		t.Error("an international domain was not found as people write it")
	}
	if !NewFinder("ana@gmail.com").In([]byte("ana@googlemail.com")) {
		t.Error("the other domain of a mailbox was not found")
	}
}

func TestFinder_FindsNobodyElse(t *testing.T) {
	t.Parallel()
	f := NewFinder("ana@example.com")
	for _, text := range []string{
		"", "joana@example.com", "x.ana@example.com", "ana@example.com.au", "ana@example.community", "ana@example-com", "ana+x@example.com",
		"-ana@example.com", "jöana@example.com", "@example.com", base64.StdEncoding.EncodeToString([]byte("joana@example.com")), "diana%40example.com",
	} {
		if f.In([]byte(text)) {
			t.Errorf("found in %q", text)
		}
	}
}

func FuzzFinder_FindsWhatIsThere(f *testing.F) {
	f.Add("x", "y")
	f.Add(`{"a":"`, `"}`)
	f.Add("%4", "=\r\n")
	finder := NewFinder("ana@example.com")
	f.Fuzz(func(t *testing.T, before, after string) {
		finder.In([]byte(before + after)) // must end
		if text := before + " <ana@example.com> " + after; !finder.In([]byte(text)) {
			t.Errorf("not found in %q", text)
		}
	})
}
