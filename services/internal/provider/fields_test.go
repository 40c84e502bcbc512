package provider_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

const (
	fieldEvent provider.FieldID = iota
	fieldTo
	fieldTags
	fieldMeta
)

func names() provider.Names { return provider.Names{"event", "to", "tags", "meta"} }

const fieldCount = fieldMeta + 1

func fieldOf(key string) provider.FieldID {
	switch key {
	case "recipient":
		return fieldTo
	case "subject":
		return provider.InRaw
	default:
		return names().Find(key)
	}
}

// read takes apart the objects of a request, each with the fields of the same batch,
// and gives the last of them.
func read(t *testing.T, b *provider.Batch, text string) provider.Fields {
	t.Helper()
	var f provider.Fields
	err := b.ObjectsIn([]byte(text), jsontext.Limits{Depth: 8, Items: 8}, func(m jsontext.Members, _ *provider.Item, b *provider.Batch) {
		f = b.Fields(fieldCount)
		f.Read(m, fieldOf)
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFields_AreReadByNameAndByOtherKeys(t *testing.T) {
	t.Parallel()
	var b provider.Batch
	f := read(t, &b, `{"event":"sent","event":"open","recipient":7,"tags":["a",["b"]],"meta":{"k":[1]},"subject":"s","To":"x","":1}`)
	if f.Text(fieldEvent) != "open" || f.Text(fieldTo) != "7" {
		t.Errorf("event %q of %q, want the last one, of the other key", f.Text(fieldEvent), f.Text(fieldTo))
	}
	it := &b.Items()[0]
	f.Tags(it, fieldTags)
	f.Metadata(it, fieldMeta)
	if !slices.Equal(it.Event.Tags, []string{"a"}) || it.Event.Metadata["k"] != "[1]" {
		t.Errorf("tags %q, metadata %q", it.Event.Tags, it.Event.Metadata)
	}
	want := []provider.Drifted{
		{Kind: provider.UnknownField, Name: "To"}, {Kind: provider.UnknownField, Name: ""},
		{Kind: provider.WrongType, Name: "tags[]"},
	}
	if !slices.Equal(b.Drifts(), want) {
		t.Errorf("drift %v, want %v", b.Drifts(), want)
	}
}

func TestFields_OfAnObjectHaveNothingOfTheOneBefore(t *testing.T) {
	t.Parallel()
	var b provider.Batch
	f := read(t, &b, `[{"event":"sent","to":"a"},{"to":null}]`)
	for _, field := range []provider.FieldID{fieldEvent, fieldTo} {
		if f.Has(field) || f.Text(field) != "" {
			t.Errorf("field %d is %q", field, f.Value(field))
		}
	}
	f.Set(fieldTo, jsontext.Value(`"b"`))
	if !f.Has(fieldTo) || f.Text(fieldTo) != "b" {
		t.Errorf("to is %q", f.Value(fieldTo))
	}
	b.Reset()
	if f.Has(fieldTo) {
		t.Error("a batch keeps a value of the last request")
	}
}

func TestFields_OfProvidersThatShareABatchAreTheirOwn(t *testing.T) {
	t.Parallel()
	var b provider.Batch
	for range 2 {
		long := read(t, &b, `{"event":"sent","to":"a","tags":"t"}`)
		if long.Text(fieldEvent) != "sent" || long.Has(fieldMeta) {
			t.Errorf("event %q, meta %q", long.Value(fieldEvent), long.Value(fieldMeta))
		}
		if short := b.Fields(1); short.Has(fieldEvent) {
			t.Errorf("event %q of the object before", short.Value(fieldEvent))
		}
		whole := b.Fields(fieldCount)
		for field := range fieldCount {
			if whole.Has(field) {
				t.Errorf("field %d is %q of the object before", field, whole.Value(field))
			}
		}
		b.Reset()
	}
}

// readBad asks for a text where there is an object, in every item of a request of n.
func readBad(t *testing.T, b *provider.Batch, n int) {
	t.Helper()
	text := "[" + strings.Repeat(`{"meta":{"k":1},"to":{}},`, n-1) + `{"to":[]}]`
	err := b.ObjectsIn([]byte(text), jsontext.Limits{Depth: 8, Items: n}, func(m jsontext.Members, it *provider.Item, b *provider.Batch) {
		f := b.Fields(fieldCount)
		f.Read(m, fieldOf)
		it.ReadTime(f.Value(fieldTo), provider.Time)
		f.Text(fieldTo)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDriftAt_NamesAsMuchOfARequestAsIsReported(t *testing.T) {
	t.Parallel()
	var b provider.Batch
	for range 2 { // the second time in used memory
		b.Reset()
		readBad(t, &b, 1000)
		if n := len(b.Drifts()); n != 64 {
			t.Errorf("%d are reported, want 64", n)
		}
		for _, d := range b.Drifts() {
			if d != (provider.Drifted{Kind: provider.WrongType, Name: "to"}) {
				t.Errorf("drift %v", d)
			}
		}
		for i := range b.Items() {
			if path := b.TimePath(&b.Items()[i]); path != "to" {
				t.Fatalf("the time of item %d is at %q", i, path)
			}
		}
	}
}

func TestRoot_IsWherePathsBegin(t *testing.T) {
	t.Parallel()
	var b provider.Batch
	_, m, err := b.ObjectIn([]byte(`{"list":[{"to":{"a":[]}}],"other":7}`), jsontext.Limits{Depth: 8, Items: 8})
	if err != nil || !m.Next() {
		t.Fatal(err)
	}
	list := m.Value().Elements()
	list.Next()
	member := func(v jsontext.Value) jsontext.Value {
		inner := b.Members(v)
		inner.Next()
		return inner.Value()
	}
	it := b.Add(list.Value())
	it.TimeIn(member(list.Value()))
	if path := b.TimePath(it); path != "list[].to" {
		t.Errorf("the time is at %q of the whole", path)
	}
	b.Root(list.Value())
	b.Text(member(member(list.Value())))
	if path := b.TimePath(it); path != "to" || b.Drifts()[0].Name != "to.a" {
		t.Errorf("the time is at %q, the drift at %q", path, b.Drifts()[0].Name)
	}
	b.Reset()
	if path := b.TimePath(b.Add(nil)); path != "time" {
		t.Errorf("no time is at %q", path)
	}
}

// What a package with a table of its fields writes about them: the constants, their
// names, and the keys of each in a switch.
var (
	constant = regexp.MustCompile(`(?m)^\t(field\w+)(?: provider\.FieldID = iota)?$`)
	naming   = regexp.MustCompile(`(?m)^\t(field\w+): +"(.+)",$`)
	keying   = regexp.MustCompile(`(?m)^\tcase (".*):.*\n\t\treturn (field\w+)$`)
)

// TestNames_AreThoseOfTheSwitch reads the sources: a field that the table leaves out or
// names otherwise than the switch beside it is never found.
func TestNames_AreThoseOfTheSwitch(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*/field.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d packages with fields, %v", len(files), err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, named := string(source), map[string]string{"fieldCount": "none"}
		if !strings.Contains(text, "provider.Names{") {
			continue
		}
		for _, m := range naming.FindAllStringSubmatch(text, -1) {
			named[m[1]] = m[2]
		}
		for _, m := range constant.FindAllStringSubmatch(text, -1) {
			if named[m[1]] == "" {
				t.Errorf("%s: names has no %s", file, m[1])
			}
		}
		for _, m := range keying.FindAllStringSubmatch(text, -1) {
			name := named[m[2]][strings.LastIndexByte(named[m[2]], '.')+1:] // of msg.ts, whose key is ts
			if !strings.Contains(m[1], strconv.Quote(name)) {
				t.Errorf("%s: %s is called %q, but its keys are %s", file, m[2], name, m[1])
			}
		}
	}
}
