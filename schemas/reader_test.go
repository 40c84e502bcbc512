package schemas

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas/jsonlex"
)

// TestReader_ReadsBackEveryField writes events with one field each, and with all,
// and reads them back: by the generated code and by the struct tags.
func TestReader_ReadsBackEveryField(t *testing.T) {
	all := reflect.ValueOf(full())
	var r Reader
	for i := -1; i < all.NumField(); i++ {
		want := full()
		name := "all"
		if i >= 0 {
			name = all.Type().Field(i).Name
			want = Event{}
			reflect.ValueOf(&want).Elem().Field(i).Set(all.Field(i))
			if all.Field(i).IsZero() {
				t.Errorf("full() has no %s", name)
			}
		}
		text := AppendJSON(nil, &want)
		if err := r.Read(text); err != nil || r.unusual {
			t.Errorf("%s: %v, unusual %v", name, err, r.unusual)
		}
		var got Event
		if !r.copyTo(&got) || !reflect.DeepEqual(want, got) {
			t.Errorf("%s: want %+v\n got %+v", name, want, got)
		}
		if byTags, err := decodeByTags(text); err != nil || !reflect.DeepEqual(want, byTags) {
			t.Errorf("%s: encoding/json says %+v, %v", name, byTags, err)
		}
	}
}

func TestReader_ReadsEverySample(t *testing.T) {
	paths, err := filepath.Glob("samples/event.*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d samples, %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, text)
	}
}

// same checks that Decode says what encoding/json says of value, and that a
// Reader takes it, or does not, for the right reason.
func same(t *testing.T, value []byte) {
	t.Helper()
	want, wantErr := decodeByTags(value)
	got, err := Decode(value)
	if !reflect.DeepEqual(want, got) || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
		t.Fatalf("%q:\nwant %+v, %v\n got %+v, %v", value, want, wantErr, got, err)
	}
	var r Reader
	err = r.Read(value)
	var e Event
	_, wrongType := errors.AsType[*FieldError](err)
	switch {
	case err == nil && !json.Valid(value):
		t.Fatalf("%q is read, but is no JSON", value)
	case err == nil && !r.unusual && r.copyTo(&e) && wantErr != nil:
		t.Fatalf("%q is read, encoding/json says %v", value, wantErr)
	case err != nil && !wrongType && json.Valid(value) && strings.HasPrefix(strings.TrimLeft(string(value), " \t\r\n"), "{"):
		t.Fatalf("%q is a JSON object: %v", value, err)
	}
}

// unusual are records that readers have been known to disagree on.
func unusual() []string {
	return []string{
		``, `null`, `[]`, `{}`, ` { } `, `{"id":"x"} `, `{"id":"x"}}`, `{"id":"x",}`, `{"id":"x"`, `{"id"}`, "\ufeff{}",
		`{"id":"a","id":"b"}`, `{"id":"a","id":null}`, `{"ID":"a"}`, `{"id":"a","Id":"b"}`, `{"\u0069d":"a"}`, `{"ſource":"a"}`, `{"provider_event_id":"1","provider_event":"2"}`,
		`{"id":"\ud83d\ude00\ud83d\n\u0000\/"}`, "{\"id\":\"\xff\xc3\\u00a9\"}", "{\"i\xff\":1}",
		`{"tags":["a"],"tags":["b","c"]}`, `{"tags":["a"],"tags":[null]}`, `{"tags":["a"],"tags":null}`, `{"tags":[]}`, `{"tags":[1]}`, `{"tags":{}}`,
		`{"metadata":{"a":"1"},"metadata":{"b":"2","a":"3"}}`, `{"metadata":{"a":"1"},"metadata":null}`, `{"metadata":{}}`, `{"metadata":{"a":null}}`, `{"metadata":{"a":"1","a":"2"}}`,
		`{"permanent":true,"permanent":null}`, `{"permanent":true,"permanent":false}`, `{"machine":1}`,
		`{"smtp_code":65535}`, `{"smtp_code":65536}`, `{"smtp_code":-1}`, `{"smtp_code":-0}`, `{"smtp_code":5.5e2}`, `{"smtp_code":9223372036854775808}`, `{"smtp_code":1e999}`, `{"smtp_code":"550"}`, `{"smtp_code":0550}`,
		`{"new":576460761234567891234567890,"x":-1.5E-400}`,
		`{"raw":null}`, `{"raw": [ 9007199254740993 ] }`, `{"raw":{]}`, "{\"raw\":\"\xff\"}",
		`{"time":"2026-01-01T00:00:00\u005a"}`, `{"time":"2026-02-30T00:00:00.000Z"}`, `{"time":"2026-01-01T1:00:00Z"}`, `{"time":"2026-01-01T01:00:00,5Z"}`, `{"time":"2026-01-01T01:00:00.123456789+02:00"}`,
		`{"time":""}`, `{"time":null}`, `{"time":5}`, `{"time":"x","time":"2026-01-01T00:00:00.000Z"}`, `{"time":"2026-01-01T00:00:00.000Z","time":"x"}`, `{"time":"0000-01-01T00:00:00.000Z"}`,
		`{"id":5,"tags":[{"a":}]}`, `{"id":5,"type":6}`, `{"id":5,"type":"opened"}`,
		`{"x":` + strings.Repeat("[", depthMax-1) + strings.Repeat("]", depthMax-1) + `}`, `{"x":` + strings.Repeat("[", depthMax) + strings.Repeat("]", depthMax) + `}`,
		`{"raw":` + strings.Repeat("[", depthMax) + strings.Repeat("]", depthMax) + `}`, `{"id":` + strings.Repeat("[", 1<<20),
	}
}

func TestDecode_SaysWhatEncodingJSONSays(t *testing.T) {
	for _, value := range unusual() {
		same(t, []byte(value))
	}
}

func FuzzReader(f *testing.F) {
	e := full()
	f.Add(AppendJSON(nil, &e))
	for _, value := range unusual() {
		if len(value) < depthMax {
			f.Add([]byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) { same(t, value) })
}

func TestReader_NamesTheFirstFault(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"no JSON", `hello`, "offset 0: want an object"},
		{"wrong type", `{"id":"a","smtp_code":"550"}`, `"smtp_code": offset 22: want a number`},
		{"out of range", `{"smtp_code":65536}`, `"smtp_code": offset 13: want an integer in range`},
		{"two of the wrong type", `{"tags":[1],"id":2}`, `"tags": offset 9: want a string`},
		{"wrong type, then no JSON", `{"tags":[1],"id":2`, `offset 9: want a string`},
		{"more behind it", `{} {}`, "offset 3: want the end"},
	} {
		var r Reader
		if err := r.Read([]byte(tt.value)); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestReader_ReadsOnBehindAFieldOfTheWrongType(t *testing.T) {
	var r Reader
	err := r.Read([]byte(`{"id":"1","tags":[{"a":["b"]}],"time":5,"campaign":{"c":"d"},"source":"acme"}`))
	field, ok := errors.AsType[*FieldError](err)
	if !ok || field.Field != "tags" || string(r.ID) != "1" || string(r.Source) != "acme" || r.Tags != nil || r.Time != nil || r.Campaign != nil {
		t.Errorf("%v: %+v", err, r.EventView)
	}
	if at, ok := errors.AsType[*jsonlex.Error](err); !ok || at.Offset != 18 {
		t.Errorf("got %v, want offset 18", err)
	}
}

func TestReader_ForgetsTheRecordBefore(t *testing.T) {
	e := full()
	var r Reader
	for _, value := range []string{string(AppendJSON(nil, &e)), `{"id":5,"tags":["x"],"metadata":{"y":"z"}}`, `{"id":"2"}`} {
		_ = r.Read([]byte(value)) // the second one is meant to fail
	}
	if !reflect.DeepEqual(r.EventView, EventView{ID: []byte("2")}) || r.fault != nil {
		t.Errorf("%+v", r.EventView)
	}
}

func TestReader_DoesNotAllocate(t *testing.T) {
	e := full()
	text := AppendJSON(nil, &e)
	var r Reader
	if n := testing.AllocsPerRun(100, func() {
		if err := r.Read(text); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a record, want none", n)
	}
}

func TestParseTime_AgreesWithTheLibrary(t *testing.T) {
	for at := time.Date(0, 1, 1, 23, 59, 59, 999e6, time.UTC); at.Year() < 2810; at = at.Add(31*time.Hour + 61*time.Second + 7*time.Millisecond) {
		got, ok := parseUTC(AppendTime(nil, at))
		if !ok || got != at {
			t.Fatalf("%v: %v %v", at, got, ok)
		}
	}
	for _, text := range []string{"2026-13-01T00:00:00.000Z", "2025-02-29T00:00:00.000Z", "1900-02-29T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-01T00:60:00.000Z", "2026-01-01 00:00:00.000Z", "2026-01-0aT00:00:00.000Z", "", "yesterday"} {
		if _, err := ParseTime([]byte(text)); !errors.Is(err, errNotTime) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	e := full()
	text := AppendJSON(nil, &e)
	var r Reader
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Read(text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReference_Decode is encoding/json on the same record.
func BenchmarkReference_Decode(b *testing.B) {
	e := full()
	text := AppendJSON(nil, &e)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeByTags(text); err != nil {
			b.Fatal(err)
		}
	}
}
