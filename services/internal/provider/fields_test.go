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
		f = b.Fields(names())
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
		{Kind: provider.WrongType, Name: "tags"},
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
		if short := b.Fields(names()[:1]); short.Has(fieldEvent) {
			t.Errorf("event %q of the object before", short.Value(fieldEvent))
		}
		whole := b.Fields(names())
		for field := range provider.FieldID(len(names())) {
			if whole.Has(field) {
				t.Errorf("field %d is %q of the object before", field, whole.Value(field))
			}
		}
		b.Reset()
	}
}

// What a package writes about its fields: the constants, their names, and the keys
// of each in a switch.
var (
	constant = regexp.MustCompile(`(?m)^\t(field\w+)(?: provider\.FieldID = iota)?$`)
	naming   = regexp.MustCompile(`(?m)^\t(field\w+): +"(.+)",$`)
	keying   = regexp.MustCompile(`(?m)^\tcase (".*):.*\n\t\treturn (field\w+)$`)
)

// TestNames_AreThoseOfTheSwitch reads the sources: where a package's names and its
// switch differ, drift is reported under the name of another field.
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
		text, named := string(source), map[string]string{}
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
