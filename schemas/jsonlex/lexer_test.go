package jsonlex

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// depthMax is the limit of encoding/json.
const depthMax = 10_000

// whole reads text as one value and returns its bytes.
func whole(text []byte) ([]byte, error) {
	l := Lexer{Data: text}
	l.Space()
	start := l.Pos
	if err := l.Skip(0, depthMax); err != nil {
		return nil, err
	}
	end := l.Pos
	if l.Space(); l.Pos < len(text) {
		return nil, l.Fail(End)
	}
	return text[start:end], nil
}

func TestSkip_ReturnsTheBytesAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"a":1,"b":[true,false,null,"x\u00e9\/"],"c":{"d":-1.5e+10}}`, ` [ ] `, `{}`, `"\ud83d\ude00"`, `0`, `-0.0`, `12345678901234567890`,
		"{ \"Message\\u0041\" :\t1 }\n",
	} {
		raw, err := whole([]byte(text))
		if want := strings.TrimSpace(text); err != nil || string(raw) != want {
			t.Errorf("%s: got %s, %v", text, raw, err)
		}
	}
}

func TestSkip_RefusesWhatIsNoJSONAndSaysWhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		offset, at int
	}{
		{"empty", ``, 0, 0},
		{"cut object", `{"a":1`, 6, 6},
		{"cut string", `"abc`, 4, 4},
		{"cut escape", `"\`, 1, 2},
		{"trailing comma", `[1,]`, 3, 3},
		{"two values", `1 2`, 2, 2},
		{"leading zero", `01`, 1, 1},
		{"plus", `+1`, 0, 0},
		{"bare fraction", `1.`, 2, 2},
		{"bare exponent", `1e+`, 3, 3},
		{"control character", "\"a\nb\"", 2, 2},
		{"control character after eight", "\"abcdefgh\x01\"", 9, 9},
		{"bad escape", `"\x"`, 1, 2},
		{"bad hex", `"\u12g4"`, 1, 5},
		{"bare word", `nul`, 0, 3},
		{"other word", `[trua]`, 1, 4},
		{"key without quotes", `{a:1}`, 1, 1},
		{"no colon", `{"a" 1}`, 5, 5},
		{"NaN", `NaN`, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := whole([]byte(tt.text))
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Offset != tt.offset || e.At != tt.at {
				t.Errorf("got %+v, want offset %d, shown at %d", err, tt.offset, tt.at)
			}
		})
	}
}

func TestSkip_BoundsNestingAsEncodingJSONDoes(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{1, depthMax, depthMax + 1, 1 << 20} {
		for _, text := range []string{
			strings.Repeat("[", depth) + strings.Repeat("]", depth),
			strings.Repeat(`{"":`, depth) + "0" + strings.Repeat("}", depth),
		} {
			_, err := whole([]byte(text))
			if valid := json.Valid([]byte(text)); valid != (err == nil) {
				t.Errorf("%d levels of %.4s: encoding/json says %v, we say %v", depth, text, valid, err)
			}
		}
	}
	e, ok := errors.AsType[*Error](func() error { _, err := whole(bytes.Repeat([]byte("["), depthMax+1)); return err }())
	if !ok || e.Want != LessNesting || e.Offset != depthMax {
		t.Errorf("got %+v", e)
	}
}

// text returns the value of the string that raw is.
func text(raw []byte) []byte {
	return AppendValid(nil, AppendUnescaped(nil, raw[1:len(raw)-1]))
}

func TestAppendUnescaped_TakesEveryPlaceOfAnEscape(t *testing.T) {
	t.Parallel()
	for _, escape := range []string{`\n`, `\"`, `\\`, `\/`, `\u00e9`, `\uD83D\uDE00`, `\ud800`, `\ud800\n`, `\ud800\u0041`, `\ud83d\ud83d\ude00`} {
		for before := range 18 {
			for after := range 18 {
				raw := []byte(`"` + strings.Repeat("a", before) + escape + strings.Repeat("b", after) + `"`)
				var want string
				if err := json.Unmarshal(raw, &want); err != nil {
					t.Fatal(err)
				}
				if got := string(text(raw)); got != want {
					t.Fatalf("%s: got %q, want %q", raw, got, want)
				}
			}
		}
	}
}

func TestString_SaysWhatHasToBeDone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Form{
		`""`: 0, `"abc"`: 0, `"01234567890"`: 0, `"ü"`: High, `"0123456789ü"`: High, `"\n"`: Escaped, `"ü\n"`: High | Escaped,
	} {
		l := Lexer{Data: []byte(text)}
		if form, err := l.String(); err != nil || form != want || l.Pos != len(text) {
			t.Errorf("%s: form %d, %v, at %d", text, form, err, l.Pos)
		}
	}
}

// FuzzSkip compares with encoding/json: the same texts are valid, and strings
// have the same value.
func FuzzSkip(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5e-3,"x\n\u20ac\ud83d\ude00"],"b":null}`, "\"\xff\xfe abc\"", `"\ud800"`, `"\ud800\u0041"`, `[[[]]]`, `-`, `1E+`, `"é\t"`, `"\u0000"`,
		"\"12345678\\\"\"", "\"\u2028\"", "\"\xc3\\u00a9\xa9\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := whole(data)
		if valid := json.Valid(data); valid != (err == nil) {
			t.Fatalf("%q: encoding/json says valid=%v, we say %v", data, valid, err)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(bytes.Trim(data, " \t\r\n"), raw) {
			t.Fatalf("%q: raw is %q", data, raw)
		}
		var want string
		if raw[0] != '"' || json.Unmarshal(raw, &want) != nil {
			return
		}
		if got := text(raw); string(got) != want {
			t.Fatalf("%q: string is %q, want %q", data, got, want)
		}
		l := Lexer{Data: raw}
		if form, _ := l.String(); form == 0 && string(raw[1:len(raw)-1]) != want || form&High == 0 && !utf8.Valid(raw) {
			t.Fatalf("%q: form %d", data, form)
		}
	})
}
