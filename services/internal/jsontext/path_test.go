package jsontext

import (
	"slices"
	"strings"
	"testing"
)

func TestPathTo_NamesTheMembersOnTheWay(t *testing.T) {
	t.Parallel()
	const text = `[{"a":1}, {"data" : {"to":[ "x" ,{"n\u0061me":2}],"deep":[[3,[4]]],"":{"e":5}}, "b":{},"a":"x","a":6}]`
	var d Document
	if err := d.Parse([]byte(text), wide); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]string{
		"2": "data.to[].name", "3": "data.deep[][]", "4": "data.deep[][][]", "5": "data..e", "{}": "b", "6": "a",
		`{"n\u0061me":2}`: "data.to[]", `[ "x" ,{"n\u0061me":2}]`: "data.to", d.text1(): "",
	} {
		v := d.part(part)
		root := d.ItemWith(v)
		if got, ok := d.PathTo(root, v); !ok || got != want {
			t.Errorf("the path of %s is %q, %v, want %q", part, got, ok, want)
		}
		if got, ok := new(Document).PathTo(root, v); !ok || got != want {
			t.Errorf("the path of %s is %q, %v in a text that was not parsed, want %q", part, got, ok, want)
		}
	}
}

// text1 is the second item.
func (d *Document) text1() string { return string(d.items[1]) }

// part returns the first bytes of the text that are s, as they are in it.
func (d *Document) part(s string) Value {
	at := strings.LastIndex(string(d.text), s)
	return d.text[at : at+len(s)]
}

func TestPathTo_IsFalseForWhatIsNoValueOfTheRoot(t *testing.T) {
	t.Parallel()
	var d Document
	if err := d.Parse([]byte(`[{"key":"text"},{"b":[1, 2]},"plain"]`), wide); err != nil {
		t.Fatal(err)
	}
	first := d.items[0]
	for name, v := range map[string]Value{
		"nothing": nil, "a copy": slices.Clone(d.part("2")), "of another item": d.part("2"), "a key": d.part(`"key"`),
		"a part of a text": d.part("ext"), "more than the root": d.text[:len(first)+1], "the whole text": d.text,
	} {
		if got, ok := d.PathTo(first, v); ok {
			t.Errorf("%s is at %q", name, got)
		}
	}
	if v := d.ItemWith(d.text[:1]); v != nil {
		t.Errorf("the bracket is in %s", v)
	}
	for name, v := range map[string]Value{"of another text": slices.Clone(d.part("2")), "nothing": nil} {
		if found := d.ItemWith(v); found != nil {
			t.Errorf("%s is in %s", name, found)
		}
	}
	if got, ok := d.PathTo(d.items[2], d.part("plain")); ok {
		t.Errorf("what is in a text is at %q", got)
	}
}

// FuzzPathTo asks for every value of a text where it is, by a document and without.
func FuzzPathTo(f *testing.F) {
	for _, seed := range []string{
		`{"a":{"b":[1,{"c":"x"}]},"a":2}`, `[{"a":[[{}],[]]},"s",[1]]`, `{"":{"":[{"":null}]},"\u0061":true}`, `[]`, `7`,
		"[{\"\xff\":[ 1 , 2 ]} , {\"[]\":{\".\":0}}]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d, none Document
		if len(data) > 1<<10 || d.Parse(data, Limits{Depth: 16, Items: 1 << 10}) != nil { // every value is looked for
			return
		}
		for _, item := range d.Items() {
			visit("", item, func(want string, v Value) {
				if got, ok := d.PathTo(item, v); !ok || got != want {
					t.Fatalf("the path of %s is %q, %v, want %q", v, got, ok, want)
				}
				if got, ok := none.PathTo(item, v); !ok || got != want {
					t.Fatalf("the path of %s is %q, %v without a document, want %q", v, got, ok, want)
				}
				if found := d.ItemWith(v); !found.same(item) {
					t.Fatalf("%s is said to be in %s", v, found)
				}
				if _, ok := d.PathTo(item, slices.Clone(v)); ok {
					t.Fatalf("a copy of %s has a path", v)
				}
			})
		}
	})
}

// visit calls each with the path of every value in v, v among them.
func visit(path string, v Value, each func(string, Value)) {
	each(path, v)
	for m := v.Members(); m.Next(); {
		next := m.Key()
		if path != "" {
			next = path + "." + next
		}
		visit(next, m.Value(), each)
	}
	for e := v.Elements(); e.Next(); {
		visit(path+"[]", e.Value(), each)
	}
}
