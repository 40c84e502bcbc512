package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// whole reads text as one value.
func whole(text []byte) ([]byte, error) {
	var s Scanner
	s.Reset(text)
	raw, err := s.Raw()
	if err != nil {
		return nil, err
	}
	return raw, s.End()
}

func TestRaw_ReturnsTheBytesAsTheyStand(t *testing.T) {
	for _, text := range []string{
		`{"a":1,"b":[true,false,null,"x\u00e9\/"],"c":{"d":-1.5e+10}}`, ` [ ] `, `{}`, `"\ud83d\ude00"`, `0`, `-0.0`, `12345678901234567890`,
		"{ \"Message\\u0041\" :\t1 }\n",
	} {
		raw, err := whole([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(strings.TrimSpace(text), string(raw)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestRaw_RefusesWhatIsNoJSONAndSaysWhere(t *testing.T) {
	tests := []struct {
		name   string
		text   string
		offset int
	}{
		{"empty", ``, 0},
		{"cut object", `{"a":1`, 6},
		{"cut string", `"abc`, 4},
		{"trailing comma", `[1,]`, 3},
		{"two values", `1 2`, 2},
		{"leading zero", `01`, 1},
		{"plus", `+1`, 0},
		{"bare fraction", `1.`, 2},
		{"control character", "\"a\nb\"", 2},
		{"control character after eight", "\"abcdefgh\x01\"", 9},
		{"bad escape", `"\x"`, 1},
		{"bad hex", `"\u12g4"`, 1},
		{"bare word", `nul`, 0},
		{"key without quotes", `{a:1}`, 1},
		{"no colon", `{"a" 1}`, 5},
		{"NaN", `NaN`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := whole([]byte(tt.text))
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Offset != tt.offset {
				t.Errorf("got %v, want an error at %d", err, tt.offset)
			}
		})
	}
}

func TestRaw_BoundsNesting(t *testing.T) {
	if _, err := whole([]byte(strings.Repeat("[", 1<<20))); err == nil {
		t.Error("a million brackets were accepted")
	}
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	if _, err := whole([]byte(deep)); err != nil {
		t.Errorf("5000 levels: %v", err)
	}
}

func TestScanner_ReadsMembersInOrder(t *testing.T) {
	var s Scanner
	s.Reset([]byte(` { "s" : "a\"b\u00e9" , "n" : 65535 , "t" : true , "z" : null , "list" : [ "x" , "y" ] , "skip" : { "k" : [ ] } } `))
	got := map[string]any{}
	if err := s.Object(); err != nil {
		t.Fatal(err)
	}
	for {
		key, ok, err := s.Key()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		switch name := string(key); name {
		case "s":
			v, err := s.String()
			got[name] = must(t, string(v), err)
		case "n":
			v, err := s.Uint(65535)
			got[name] = must(t, v, err)
		case "t":
			v, err := s.Bool()
			got[name] = must(t, v, err)
		case "z":
			got[name] = s.Null()
		case "list":
			got[name] = elements(t, &s)
		default:
			v, err := s.Raw()
			got[name] = must(t, string(v), err)
		}
	}
	if err := s.End(); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"s": `a"bé`, "n": uint64(65535), "t": true, "z": true, "list": []string{"x", "y"}, "skip": `{ "k" : [ ] }`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func elements(t *testing.T, s *Scanner) []string {
	t.Helper()
	var list []string
	if err := s.Array(); err != nil {
		t.Fatal(err)
	}
	for {
		ok, err := s.Element()
		if !must(t, ok, err) {
			return list
		}
		v, err := s.String()
		list = append(list, must(t, string(v), err))
	}
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestUint_RefusesWhatDoesNotFit(t *testing.T) {
	for _, text := range []string{"65536", "-1", "1.5", "1e3", "99999999999999999999999", `"5"`, "", "x"} {
		var s Scanner
		s.Reset([]byte(text))
		if n, err := s.Uint(65535); err == nil {
			t.Errorf("%q was read as %d", text, n)
		}
	}
}

// FuzzScanner holds the scanner to encoding/json: the same texts are valid, and
// strings have the same value.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5e-3,"x\n\u20ac\ud83d\ude00"],"b":null}`, "\"\xff\xfe abc\"", `"\ud800"`, `"\ud800\u0041"`, `[[[]]]`, `-`, `1E+`, `"é\t"`, `"\u0000"`,
		"\"12345678\\\"\"", "\"\u2028\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		raw, err := whole(text)
		if valid := json.Valid(text); valid != (err == nil) {
			t.Fatalf("%q: encoding/json says valid=%v, we say %v", text, valid, err)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(bytes.Trim(text, " \t\r\n"), raw) {
			t.Fatalf("%q: raw is %q", text, raw)
		}
		var want string
		if raw[0] != '"' || json.Unmarshal(text, &want) != nil {
			return
		}
		var s Scanner
		s.Reset(text)
		got, err := s.String()
		if err != nil || string(got) != want {
			t.Fatalf("%q: string is %q (%v), want %q", text, got, err, want)
		}
	})
}
