package subject

import (
	"bytes"
	"compress/gzip"
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
	cut := packed(t, strings.Repeat("ana@example.com ", 1000))
	for _, tt := range []struct{ address, text string }{
		{"ada@example.com", "email=ada%40example.com&x=1"},                    // =ad is no quoted-printable
		{"ada@example.com", "x=1&email=Hello+ada%40example.com"},              // + is a space of a form
		{"ana@example.com", `{"diagnostic":"550 unknown:\nana@example.com"}`}, // and n no letter of theirs
		{"ana@example.com", `{"text":"rcpt\tana@example.com\r\n"}`},
		{"nana@example.com", `EXAMPLE\nana@example.com`},
		{"ana@example.com", `{"mime":"To: ana=40exam=\r\nple.com"}`},
		{"ana.lopez@example.com", `{"mime":"VG86IGFuYS5s\r\nb3BlekBleGFtcGxlLmNvbQ=="}`},
		{"ana.lopez@example.com", `{"mime":"PGFuYS5sb3BlekBleGFtcGxlLmNvbT4\/Pw=="}`},
		{"🙂ana@example.com", `{"e":"\ud83d\ude42ana@example.com"}`},
		{"jörg@example.com", "jo\u0308rg@example.com"}, // NFD
		{"jörg@example.com", "jo\xcc\x88rg@example.com"},
		{"jörg@example.com", "jo%CC%88rg%40example.com"},
		{"jörg@example.com", "JO\u0308RG@EXAMPLE.COM"},
		{`ana@example.com`, `{"e":"\"ana\"@example.com"}`},
		{`"ana b"@example.com`, `{"e":"\"Ana B\"@example.com"}`},
		{"ana@example.com", "“ana@example.com” is unknown"},
		{"ana@example.com", "To:\u00a0ana@example.com\u00a0"},
		{"ana@example.com", "收件人ana@example.com不存在"},
		{"ana@example.com", "ana@example.com으로 보낼 수 없습니다"},
		{"ana@example.com", "`ana@example.com`, **ana@example.com**"},
		{"ana@example.com", "=?utf-8?Q?for_ana=40example.com?="},
		{"ana@example.com", "=?utf-8?B?Zm9yIGFu?=\r\n =?utf-8?B?YUBleGFtcGxlLmNvbQ==?="},
		{"ana@example.com", "a\x00n\x00a\x00@\x00e\x00x\x00a\x00m\x00p\x00l\x00e\x00.\x00c\x00o\x00m\x00"},
		{"ana@example.com", "Return-Path: <bounces+123-ana=example.com@esp.example>"},
		{"ana@example.com", "<SRS0=HHH=TT=example.com=ana@forwarder.example>"},
		{"ana@example.com", packed(t, `{"email":"ana\u0040example.com"}`)},
		{"ana@example.com", base64.StdEncoding.EncodeToString([]byte(packed(t, "ana@example.com")))},
		{"ana@example.com", cut[:len(cut)-8]},
		{"ana@example.com", `{"a":"{\"b\":\"{\\"c\\":\\"ana\\u0040example.com\\"}\"}"}`},
		{"ana@example.com", "a=%25%32%35%34%30&e=ana%252540example.com"},
		{"neil@example.com", "rcpt='neil@example.com'"},
		{strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("d", 46)+".", 4) + "example", strings.Repeat("A", 64) + "%40" + strings.Repeat(strings.Repeat("D", 46)+".", 4) + "example"},
	} {
		if !NewFinder(tt.address).In([]byte(tt.text)) {
			t.Errorf("%s not found in %q", tt.address, tt.text)
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
	for other, text := range map[string]string{
		"neil@example.com":  "o'neil@example.com",
		"nana@example.com":  `{"diagnostic":"550 unknown:\nana@example.com"}`,
		"ana@example.co":    "ana@example.com",
		"rg@example.com":    "jo\u0308rg@example.com",
		"b@example.com":     `"a b"@example.com and a&b@example.org`,
		"ana@sub.example":   "ana@xn--sub-hoa.example",
		"email@example.com": "email=example.com&to=bob@example.com",
		"bo@example.com":    "bounces+jo-bob=example.com@esp.example",
		"用户@example.com":    "新用户@example.com",
	} {
		if NewFinder(other).In([]byte(text)) {
			t.Errorf("%s found in %q", other, text)
		}
	}
}

// packed is text as gzip.
func packed(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
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
