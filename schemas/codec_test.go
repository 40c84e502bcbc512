package schemas

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func full() Event {
	yes, no := true, false
	return Event{
		ID:   "019b7000-aaaa-8bbb-8ccc-ddddeeeeffff",
		Type: Bounced, Time: time.UnixMilli(1772615730123).UTC(),
		ReceivedAt: time.UnixMilli(1772615731000).UTC(),
		Provider:   "mailjet", Source: "acme-mailjet", ProviderEvent: "bounce", ProviderEventID: "e-1",
		MessageID: "576460761234567891", Recipient: "ana@example.com", RecipientDomain: "example.com",
		RecipientHash: "00112233445566778899aabbccddeeff", MailboxProvider: "google",
		Campaign: "spring \"2026\"", Tags: []string{"a", "b\\c"},
		Metadata: map[string]string{"b": "2", "a": "1\n", "<&>": "\u2028"},
		Subject:  "Your order \u00fc", FromDomain: "example.org", SendingDomain: "mg.example.org", Template: "t-7",
		BounceType: Hard, Reason: InvalidRecipient, Cause: CauseRecipient, Confidence: Certain, Classifier: "2026-11-1",
		Permanent: &yes, SMTPCode: 550, EnhancedCode: "5.1.1", SMTPReply: "550 5.1.1 \x01\t\r no such user ü",
		Blocklist: "spamhaus-zen", BlocklistSubject: "192.0.2.1", BlocklistURL: "https://example.com/192.0.2.1",
		URL: "https://example.com/?a=1&b=<2>", IP: "2001:db8::1", UserAgent: "Example/1.0", Country: "DE",
		Machine: &no, FeedbackSource: "JMRPP", ListID: "17", SendingIP: "192.0.2.1", IPPool: "tx",
		Raw: json.RawMessage("{ \"event\": \"bounce\",\r\n \"MessageID\":576460761234567891}"),
	}
}

// viaStruct encodes e the way the struct tags say, without MarshalJSON.
func viaStruct(t *testing.T, e Event) map[string]any {
	t.Helper()
	type bare Event
	b, err := json.Marshal(bare(e))
	if err != nil {
		t.Fatal(err)
	}
	return object(t, b)
}

func object(t *testing.T, b []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("decode %q: %v", b, err)
	}
	return m
}

func TestAppendJSON_SaysWhatTheStructTagsSay(t *testing.T) {
	for _, tt := range []struct {
		name  string
		event Event
	}{
		{"every field", full()},
		{"no field", Event{}},
		{"raw only", Event{Raw: json.RawMessage(`[]`)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := viaStruct(t, tt.event)
			for _, key := range []string{"time", "received_at"} { // the layout is ours
				at, err := time.Parse(time.RFC3339, want[key].(string))
				if err != nil {
					t.Fatal(err)
				}
				want[key] = at.UTC().Format(timeLayout)
			}
			got := object(t, AppendJSON(nil, &tt.event))
			if !reflect.DeepEqual(want, got) {
				t.Errorf("want %v\n got %v", want, got)
			}
		})
	}
}

func TestAppendJSON_KeepsTheOrderOfTheStruct(t *testing.T) {
	e := full()
	b := AppendJSON(nil, &e)
	at := -1
	typ := reflect.TypeFor[Event]()
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		next := bytes.Index(b, []byte(`"`+name+`":`))
		if next <= at {
			t.Fatalf("field %q is at %d, after %d is wanted (is it encoded?): %s", name, next, at, b)
		}
		at = next
	}
}

func TestAppendJSON_KeepsRawByteForByte(t *testing.T) {
	e := full()
	if b := AppendJSON(nil, &e); !bytes.Contains(b, e.Raw) {
		t.Errorf("raw %q is not in %q", e.Raw, b)
	}
}

func TestAppendJSON_ReplacesInvalidUTF8(t *testing.T) {
	e := Event{Recipient: "a\xff\xfeb\u00fc", Raw: json.RawMessage("{\"a\":\"\xe2\x28\u20ac\"}")}
	b := AppendJSON(nil, &e)
	if !utf8.Valid(b) || !json.Valid(b) {
		t.Fatalf("not JSON in UTF-8: %q", b)
	}
	m := object(t, b)
	if m["recipient"] != "a\ufffd\ufffdb\u00fc" {
		t.Errorf("recipient %q", m["recipient"])
	}
	if got := m["raw"].(map[string]any)["a"]; got != "\ufffd(\u20ac" {
		t.Errorf("raw %q", got)
	}
}

func TestAppendJSON_DoesNotAllocate(t *testing.T) {
	e := full()
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = AppendJSON(buf[:0], &e) }); n != 0 {
		t.Errorf("%v allocations an event, want none", n)
	}
}

func TestMarshalJSON_IsWhatEncodingJSONUses(t *testing.T) {
	e := full()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(object(t, AppendJSON(nil, &e)), object(t, b)) {
		t.Errorf("json.Marshal says %s", b)
	}
}

func TestDecode_ReadsWhatAppendJSONWrites(t *testing.T) {
	want := full()
	got, err := Decode(AppendJSON(nil, &want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("want %+v\n got %+v", want, got)
	}
}

func TestDecode_TakesUnknownFieldsAndRefusesBrokenRecords(t *testing.T) {
	if e, err := Decode([]byte(`{"id":"x","type":"opened","new_field":{"a":[1]}}`)); err != nil || e.Type != Opened {
		t.Errorf("unknown field: %+v, %v", e, err)
	}
	for _, bad := range []string{``, `[]`, `{`, `{"time":"yesterday"}`, `{"smtp_code":"many"}`, `{"id":1234567}`} {
		_, err := Decode([]byte(bad))
		if err == nil {
			t.Errorf("Decode(%q) gave no error", bad)
		} else if strings.Contains(err.Error(), "yesterday") || strings.Contains(err.Error(), "1234567") {
			t.Errorf("Decode(%q) repeats the record: %v", bad, err)
		}
	}
}

func TestAppendTime_IsWhatTheLayoutSays(t *testing.T) {
	for _, at := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(0, -1), time.Unix(951782399, 999999999), time.Unix(951782400, 0), time.Unix(951868800, 0),
		time.UnixMilli(1772615730123), time.Date(1900, 2, 28, 23, 59, 59, 0, time.UTC), time.Date(1900, 3, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(-1, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 4, 1, 0, 0, 0, time.FixedZone("", 5*3600)),
	} {
		if want, got := at.UTC().Format(timeLayout), string(AppendTime(nil, at)); want != got {
			t.Errorf("want %s, got %s", want, got)
		}
	}
	for day := range 400 * 366 { // an era and more
		at := time.Date(1800, 1, 1, 12, 34, 56, 789e6, time.UTC).AddDate(0, 0, day)
		if want, got := at.Format(timeLayout), string(AppendTime(nil, at)); want != got {
			t.Fatalf("want %s, got %s", want, got)
		}
	}
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("ana@example.com", "key", "value \"\\\n\x00\u2028", int64(1772615730123), 550)
	f.Add("\xff\xc0", "\xed\xa0\x80", "</script>", int64(-1), 0)
	f.Fuzz(func(t *testing.T, s, key, value string, ms int64, code int) {
		at := time.UnixMilli(ms % (1 << 45)).UTC()
		raw, err := json.Marshal(value)
		if err != nil {
			t.Skip()
		}
		want := Event{
			ID: s, Time: at, ReceivedAt: at, Provider: s, Source: key, Recipient: s, SMTPReply: value,
			Tags: []string{s, value}, Metadata: map[string]string{key: value}, SMTPCode: code, Raw: raw,
		}
		b := AppendJSON(nil, &want)
		if !json.Valid(b) || !utf8.Valid(b) {
			t.Fatalf("not JSON: %q", b)
		}
		got, err := Decode(b)
		if at.Year() > 9999 || at.Year() < 0 {
			return // RFC 3339 has no such year
		}
		if err != nil {
			t.Fatal(err)
		}
		// encoding/json repairs invalid UTF-8 in the same way.
		type bare Event
		b, err = json.Marshal(bare(want))
		if err != nil {
			t.Fatal(err)
		}
		ref, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		got.Raw, ref.Raw = nil, nil // json.Marshal compacts and escapes it
		if !reflect.DeepEqual(ref, got) {
			t.Fatalf("want %+v\n got %+v", ref, got)
		}
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	e := full()
	buf := AppendJSON(nil, &e)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendJSON(buf[:0], &e)
	}
}

func BenchmarkDecode(b *testing.B) {
	e := full()
	buf := AppendJSON(nil, &e)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}
