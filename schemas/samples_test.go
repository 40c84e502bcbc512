package schemas

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "add new fields to testdata/fields.txt")

// decodeStrictly decodes text into a new value of v's type and knows no
// unknown field.
func decodeStrictly(t *testing.T, text []byte, v any) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	fresh := reflect.New(reflect.TypeOf(v))
	if err := d.Decode(fresh.Interface()); err != nil {
		t.Fatal(err)
	}
	return fresh.Elem().Interface()
}

// bareEvent decodes by the struct tags alone.
type bareEvent Event

func TestSamples_AreWhatTheGoTypesWrite(t *testing.T) {
	paths, err := filepath.Glob("samples/*.json")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Type]bool{}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var value any
			switch kind, _, _ := strings.Cut(filepath.Base(path), "."); kind {
			case "webhook":
				value = Event(decodeStrictly(t, text, bareEvent{}).(bareEvent))
			case "event":
				e := Event(decodeStrictly(t, text, bareEvent{}).(bareEvent))
				seen[e.Type] = true
				value = e
			case "suppression":
				value = decodeStrictly(t, text, Suppression{})
			case "erasure":
				value = decodeStrictly(t, text, Erasure{})
			case "audit":
				value = decodeStrictly(t, text, Audit{})
			case "operation":
				value = decodeStrictly(t, text, Operation{})
			case "drift":
				value = decodeStrictly(t, text, Drift{})
			case "dead-letter":
				value = decodeStrictly(t, text, DeadLetter{})
			case "alert":
				value = decodeStrictly(t, text, Alert{})
			case "alert-control":
				value = decodeStrictly(t, text, AlertControl{})
			case "rate":
				value = decodeStrictly(t, text, Rate{})
			default:
				t.Fatalf("no type for sample %s", path)
			}
			var again bytes.Buffer
			enc := json.NewEncoder(&again)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(value); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Bytes(), text) {
				t.Errorf("read and written again:\n%s\nthe sample:\n%s", again.Bytes(), text)
			}
		})
	}
	for _, typ := range Types() {
		if !seen[typ] {
			t.Errorf("no sample of a %s event", typ)
		}
	}
}

// TestFields_AreOnlyAdded compares every JSON field and its Go type with the
// list of those that readers know. A field that is gone or has another type
// breaks them; a new one is added to the list with -update.
func TestFields_AreOnlyAdded(t *testing.T) {
	const path = "testdata/fields.txt"
	now := map[string]string{}
	for _, v := range []any{Event{}, Suppression{}, Alert{}, AlertControl{}, Erasure{}, Audit{}, DeadLetter{}, Operation{}, Drift{}, Rate{}} {
		collect(reflect.TypeOf(v), now)
	}
	known, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	missing := false
	for line := range strings.Lines(string(known)) {
		name, typ, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch got, ok := now[name]; {
		case !ok:
			t.Errorf("%s was taken out", name)
		case got != typ:
			t.Errorf("%s was %s, is %s", name, typ, got)
		}
		delete(now, name)
	}
	missing = len(now) > 0
	if missing && !*update {
		t.Errorf("new fields %v: run go test -run Fields -update and note them in CHANGELOG.md", slices.Sorted(maps.Keys(now)))
	}
	if *update && !t.Failed() {
		lines := slices.Collect(strings.Lines(string(known)))
		for name, typ := range now {
			lines = append(lines, name+" "+typ+"\n")
		}
		slices.Sort(lines)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func collect(t reflect.Type, into map[string]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		kind := f.Type.String()
		if strings.Contains(options, "omit") {
			kind += " optional"
		}
		into[t.Name()+"."+name] = kind
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			collect(inner, into)
		}
	}
}
