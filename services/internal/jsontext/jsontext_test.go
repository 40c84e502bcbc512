package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var wide = Limits{Depth: 1000, Items: 1 << 20}

func texts(items []Value) []string {
	var out []string
	for _, v := range items {
		out = append(out, string(v))
	}
	return out
}

// split returns the items of a new document.
func split(in string, lim Limits) ([]Value, error) {
	var d Document
	err := d.Parse([]byte(in), lim)
	return d.Items(), err
}

func TestParse_GivesTheItemsByteForByte(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"bare object", "{\"a\": 1 }", []string{"{\"a\": 1 }"}},
		{"object in white space", " \r\n{\"a\":1}\t", []string{`{"a":1}`}},
		{"byte order mark", "\xef\xbb\xbf{}", []string{`{}`}},
		{"empty array", " [ ] ", nil},
		{"array", "[ {\"a\" : [1,2]} ,\r\n\"x,]\\\"\", 1.50e+2,null ,true]\n",
			[]string{`{"a" : [1,2]}`, `"x,]\""`, `1.50e+2`, `null`, `true`}},
		{"scalar", `"x"`, []string{`"x"`}},
		{"big number", `[576460761234567891]`, []string{`576460761234567891`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := split(tt.in, wide)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, texts(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParse_NamesTheOffsetOfTheFault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		offset   int
	}{
		{"empty", "", 0},
		{"white space", "  \n", 3},
		{"cut object", `{"a":1`, 6},
		{"missing comma", `{"a":1 "b":2}`, 7},
		{"trailing comma", `[1,]`, 3},
		{"text after", `{} x`, 3},
		{"two values", `{}{}`, 2},
		{"bad escape", `["\x"]`, 3},
		{"control character", "[\"a\nb\"]", 3},
		{"leading zero", `[01]`, 2},
		{"bare word", `event`, 0},
		{"not a literal", `[nul]`, 4},
		{"form", `event=sent`, 0},
		{"key is no string", `{1:2}`, 1},
		{"unclosed string", `"abc`, 4},
		{"closed by the wrong bracket", `{"a":1]`, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := split(tt.in, wide)
			se, ok := errors.AsType[*SyntaxError](err)
			if !ok || se.Offset != tt.offset {
				t.Errorf("got %v, want a syntax error at byte %d", err, tt.offset)
			}
		})
	}
}

func TestParse_RefusesATextCutAnywhere(t *testing.T) {
	t.Parallel()
	text := `[{"a":"0123456789\u00fc","bcdefghijkl":[true,-1.5e3,null,{}]}]`
	for end := range text {
		_, err := split(text[:end], wide)
		se, ok := errors.AsType[*SyntaxError](err)
		if !ok || se.Offset != end {
			t.Errorf("cut at %d: %v", end, err)
		}
	}
}

func TestParse_HoldsItsLimits(t *testing.T) {
	t.Parallel()
	lim := Limits{Depth: 4, Items: 3}
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"as deep as allowed", `[[[[]]]]`, true},
		{"deeper", `[[[[[]]]]]`, false},
		{"deep object", `{"a":{"a":{"a":{"a":{}}}}}`, false},
		{"as many as allowed", `[1,2,3]`, true},
		{"more", `[1,2,3,4]`, false},
		{"inner arrays are not items", `[[1,2,3,4,5]]`, true},
		{"a bomb of brackets", strings.Repeat("[", 1<<20), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := split(tt.in, lim)
			if _, limited := errors.AsType[*LimitError](err); limited == tt.ok {
				t.Errorf("got %v, want ok %v", err, tt.ok)
			}
		})
	}
}

func TestMembers_WalksAllKindsAndKeepsNumbersExact(t *testing.T) {
	t.Parallel()
	var d Document
	err := d.Parse([]byte(`[{}, {"s":"a\u00fc\n\ud83d\ude00\ud800" , "n":9223372036854775809,"b":true,"z":null,
		"o": {"x":[1,{"y":"}"}]},"a":[ "p" , 2 ,[3] ],"k\u0065y":"","":"empty"}, 1]`), wide)
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]string{
		{"s", "aü\n😀\ufffd"}, {"n", "9223372036854775809"}, {"b", "true"}, {"z", "raw null"},
		{"o", `raw {"x":[1,{"y":"}"}]}`}, {"a", `raw [ "p" , 2 ,[3] ]`}, {"key", ""}, {"", "empty"},
	}
	for name, m := range map[string]Members{"of the document": d.Members(1), "of the value": d.Items()[1].Members()} {
		var got [][2]string
		for m.Next() {
			text, ok := m.Value().Text()
			if !ok {
				text = "raw " + string(m.Value())
			}
			got = append(got, [2]string{m.Key(), text})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, empty := range []Members{d.Members(0), d.Members(2), d.Items()[0].Members(), d.Items()[2].Members()} {
		if empty.Next() {
			t.Error("there is a member in an empty object or a number")
		}
	}
}

func TestParse_ForgetsTheTextBefore(t *testing.T) {
	t.Parallel()
	var d Document
	if err := d.Parse([]byte(`[{"a":1},{"b":2}]`), wide); err != nil || !d.IsArray() || len(d.Items()) != 2 {
		t.Fatalf("%d items, %v", len(d.Items()), err)
	}
	if err := d.Parse([]byte(`{"c":3}`), wide); err != nil || d.IsArray() || len(d.Items()) != 1 {
		t.Fatalf("%d items, %v", len(d.Items()), err)
	}
	m := d.Members(0)
	if !m.Next() || m.Key() != "c" || m.Next() {
		t.Errorf("member %q", m.Key())
	}
	if err := d.Parse([]byte(`[{"a":1},`), wide); err == nil || len(d.Items()) != 0 {
		t.Errorf("%d items of a broken text, %v", len(d.Items()), err)
	}
}

func TestMembersOf_TakesAValueOfAnotherText(t *testing.T) {
	t.Parallel()
	var doc, other Document
	for d, text := range map[*Document]string{&doc: `[{"a":{"b":1}},{}]`, &other: `{"c":{"d":2,"e":{}}}`} {
		if err := d.Parse([]byte(text), wide); err != nil {
			t.Fatal(err)
		}
	}
	got := walkBy(other.Items()[0], doc.MembersOf)
	if diff := cmp.Diff(walk(other.Items()[0]), got); diff != "" {
		t.Error(diff)
	}
	if m := doc.MembersOf(Value(`{}`)); m.Next() {
		t.Error("an empty object of another text has members")
	}
}

func TestElements_WalksAnArray(t *testing.T) {
	t.Parallel()
	var got []string
	for e := Value(`[ "p,]" , 2 ,[3], {} ]`).Elements(); e.Next(); {
		got = append(got, string(e.Value()))
	}
	if diff := cmp.Diff([]string{`"p,]"`, "2", "[3]", "{}"}, got); diff != "" {
		t.Error(diff)
	}
	for e := Value(`{}`).Elements(); e.Next(); {
		t.Error("an object has no elements")
	}
}

// walk visits everything below v and returns what encoding/json would decode.
func walk(v Value) any { return walkBy(v, Value.Members) }

// walkBy is walk with another way to the members of an object.
func walkBy(v Value, of func(Value) Members) any {
	switch v.Kind() {
	case Object:
		return walkMembers(of(v), of)
	case Array:
		out := []any{}
		for e := v.Elements(); e.Next(); {
			out = append(out, walkBy(e.Value(), of))
		}
		return out
	case Number:
		return json.Number(string(v))
	case Bool:
		return string(v) == "true"
	case String:
		text, _ := v.Text()
		return text
	default:
		return nil
	}
}

func walkMembers(m Members, of func(Value) Members) map[string]any {
	out := map[string]any{}
	for m.Next() {
		out[strings.ToValidUTF8(m.Key(), "\ufffd")] = walkBy(m.Value(), of)
	}
	return out
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"event":"sent","time":1767225600,"MessageID":576460761234567891}`, `[{"a":[{}]},1,"\ud83d\ude00"]`,
		`[]`, ` [ 1 , "\\" ] `, `{"a":1,"a":2}`, "\"\xff\"", `-0.5e-7`, `[1,]`, `{"\u0061":""}`, "[\"\u2028\"]",
		`[{},"0"]`, `[{"a":{}},{"b":{"c":{},"d":[{"e":{}}]},"f":{}},{}]`, `"\\\ud83d\ude00\ud83d\n12345678\t"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var doc Document
		err := doc.Parse(data, wide)
		checked, checkErr := Check(data, wide)
		if (err == nil) != (checkErr == nil) {
			t.Fatalf("Parse says %v, Check says %v", err, checkErr)
		}
		if err == nil && !doc.IsArray() && !bytes.Equal(checked, doc.Items()[0]) {
			t.Fatalf("Parse finds %s, Check finds %s", doc.Items()[0], checked)
		}
		plain := bytes.TrimPrefix(data, bom)
		if valid := json.Valid(plain); valid != (err == nil) {
			if _, limited := errors.AsType[*LimitError](err); limited {
				return
			}
			t.Fatalf("encoding/json says valid %v, Parse says %v", valid, err)
		}
		if err != nil {
			return
		}
		var want any
		d := json.NewDecoder(bytes.NewReader(plain))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		list := []any{}
		for i, v := range doc.Items() {
			whole := walk(v)
			list = append(list, whole)
			if looked := walkBy(v, doc.MembersOf); !cmp.Equal(looked, whole) {
				t.Fatalf("item %d: %v looked up, %v by the value", i, looked, whole)
			}
			if members := walkMembers(doc.Members(i), doc.MembersOf); v.Kind() == Object && !cmp.Equal(any(members), whole) {
				t.Fatalf("item %d: %v by the document, %v by the value", i, members, whole)
			}
		}
		var got any = list
		if _, isArray := want.([]any); isArray != doc.IsArray() {
			t.Fatalf("array: %v", doc.IsArray())
		} else if !isArray {
			got = list[0]
		}
		// Invalid UTF-8 is repaired where the event is encoded, not here.
		if bytes.ContainsRune(plain, '\ufffd') || !bytes.Equal(plain, bytes.ToValidUTF8(plain, nil)) {
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestCheck_TakesNoMemory(t *testing.T) {
	text := []byte("{" + strings.Repeat(`"":0,`, 100_000) + `"a":{"b":[1,{"c":2}]}}`)
	allocs := testing.AllocsPerRun(3, func() {
		v, err := Check(text, wide)
		if err != nil || v.Kind() != Object {
			t.Fatalf("kind %d, error %v", v.Kind(), err)
		}
	})
	if allocs > 0 {
		t.Errorf("%g allocations", allocs)
	}
}

func TestMembers_KeyIsWhatKeyReturns(t *testing.T) {
	t.Parallel()
	for m := Value(`{"":1,"a":2,"\u0061":3,"\n":4,"ab":5,"\u0061\u0062":6,"\ud83d\ude00":7}`).Members(); m.Next(); {
		for _, key := range []string{"", "a", "ab", "\n", "\U0001f600", "\u0061"} {
			if got := m.KeyIs(key); got != (m.Key() == key) {
				t.Errorf("KeyIs(%q) of the key %q is %v", key, m.Key(), got)
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	item := `{"event":"bounce","time":1767225605,"MessageID":576460761234567892,"Message_GUID":"0b7d3c11-5f4f-4b0e-8e3b-1c2d3e4f5a02","email":"nobody@example.com","mj_campaign_id":9001,"mj_contact_id":43,"customcampaign":"","CustomID":"","Payload":"","blocked":true,"hard_bounce":true,"error_related_to":"recipient","error":"user unknown","comment":"550 5.1.1 <nobody@example.com>: no such user"}`
	data := []byte("[" + strings.Repeat(item+",", 99) + item + "]")
	var doc Document
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := doc.Parse(data, wide); err != nil {
			b.Fatal(err)
		}
		for i := range doc.Items() {
			for m := doc.Members(i); m.Next(); {
				_ = m.Key()
			}
		}
	}
}
