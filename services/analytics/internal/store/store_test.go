package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse/clickhousetest"
)

// stored sends recs through a block and the client to a stand-in server, which
// takes the bytes apart with another encoder than ours, and returns the rows.
func stored(tb testing.TB, table string, recs ...*kgo.Record) []clickhousetest.Row {
	tb.Helper()
	return storedBut(tb, nobody{}, table, recs...)
}

// storedBut is stored while people are erased.
func storedBut(tb testing.TB, erased Erased, table string, recs ...*kgo.Record) []clickhousetest.Row {
	tb.Helper()
	return storedUnder(tb, nil, erased, table, recs...)
}

// storedUnder is storedBut under the rules of what is kept.
func storedUnder(tb testing.TB, keep Keep, erased Erased, table string, recs ...*kgo.Record) []clickhousetest.Row {
	tb.Helper()
	srv := clickhousetest.Start(tb)
	client, err := clickhouse.Open(srv.Config(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	b := NewBlock(schemas.DefaultTopicPrefix, erased, keep)
	for _, rec := range recs {
		if err := b.Append(rec); err != nil {
			tb.Fatal(err)
		}
	}
	if err := Insert(context.Background(), client, b); err != nil {
		tb.Fatal(err)
	}
	return srv.Rows(table)
}

func eventRecord(value string) *kgo.Record {
	return &kgo.Record{Topic: "email.bounced", Partition: 3, Offset: 1 << 40, Value: []byte(value)}
}

const fullEvent = `{
	"id":"0193486f-5a00-8abc-9def-0123456789AB","type":"bounced","time":"2026-11-20T10:00:00.123Z","received_at":"2026-11-20T10:00:01.9Z",
	"provider":"mailjet","source":"acme","provider_event":"bounce","provider_event_id":"e-1","message_id":"19421777835146490",
	"recipient":"j\u00f6rg@example.com","recipient_domain":"example.com","recipient_hash":"00112233445566778899aabbccddeeff","mailbox_provider":"google",
	"campaign":"spring","tags":["a","b\"c"],"metadata":{"order":"7","empty":""},
	"subject":"Your order","from_domain":"example.org","sending_domain":"mg.example.org","template":"t-7",
	"bounce_type":"hard","reason":"invalid_recipient","cause":"recipient","confidence":"certain","classifier":"2026-11-01","permanent":true,
	"smtp_code":550,"enhanced_code":"5.1.1","smtp_reply":"no such \ud83d\ude00 user\n","blocklist":"spamhaus-zen","blocklist_subject":"192.0.2.1","blocklist_url":"https://e.com/zen","url":"https://e.com/?a=1&b=2","ip":"2001:db8::1","user_agent":"UA","country":"DE",
	"machine":false,"feedback_source":"fbl","list_id":"17","sending_ip":"192.0.2.1","ip_pool":"tx",
	"some_later_field":{"x":[1,2,{"y":null}]},
	"raw": { "MessageID" : 92233720368547758089, "esc":"\u00e9\/" } }`

func TestBlock_EventKeepsEveryFieldExactly(t *testing.T) {
	t.Parallel()
	ms := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	yes, no := true, false
	want := clickhousetest.Row{
		"id": uuid.MustParse("0193486f-5a00-8abc-9def-0123456789ab"), "type": "bounced",
		"time": ms("2026-11-20T10:00:00.123Z"), "received_at": ms("2026-11-20T10:00:01.9Z"),
		"provider": "mailjet", "source": "acme", "provider_event": "bounce", "provider_event_id": "e-1",
		"message_id": "19421777835146490", "recipient": "jörg@example.com", "recipient_domain": "example.com",
		"recipient_hash": "00112233445566778899aabbccddeeff", "mailbox_provider": "google", "campaign": "spring",
		"tags": []string{"a", `b"c`}, "metadata": map[string]string{"order": "7", "empty": ""},
		"subject": "Your order", "from_domain": "example.org", "sending_domain": "mg.example.org", "template": "t-7", "ip_pool": "tx",
		"bounce_type": "hard", "reason": "invalid_recipient", "cause": "recipient", "confidence": "certain", "classifier": "2026-11-01",
		"blocklist": "spamhaus-zen", "blocklist_subject": "192.0.2.1", "blocklist_url": "https://e.com/zen",
		"permanent": &yes, "smtp_code": uint16(550), "enhanced_code": "5.1.1", "smtp_reply": "no such 😀 user\n",
		"url": "https://e.com/?a=1&b=2", "ip": "2001:db8::1", "user_agent": "UA", "country": "DE", "machine": &no,
		"feedback_source": "fbl", "list_id": "17", "sending_ip": "192.0.2.1",
		"raw":         `{ "MessageID" : 92233720368547758089, "esc":"\u00e9\/" }`,
		"origin":      "live",
		"kafka_topic": "email.bounced", "kafka_partition": uint16(3), "kafka_offset": uint64(1 << 40),
		"weight": 1., "message_key": uint64(0),
	}
	if diff := cmp.Diff([]clickhousetest.Row{want}, stored(t, "event_log", eventRecord(fullEvent))); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}

func minimal(extra string) string {
	return `{"id":"0193486f-5a00-8abc-9def-0123456789ab","type":"delivered","time":"2026-11-20T10:00:00Z","received_at":"2026-11-20T12:00:00.5+02:00","provider":"p","source":"s"` + extra + `}`
}

func TestBlock_AbsentAndNullFieldsAreUnknown(t *testing.T) {
	t.Parallel()
	rows := stored(t, "event_log", eventRecord(minimal("")), eventRecord(minimal(`,"machine":null,"tags":null,"raw":null,"smtp_code":null,"campaign":null`)))
	if diff := cmp.Diff(rows[0], rows[1]); diff != "" {
		t.Errorf("absent and null differ:\n%s", diff)
	}
	for column, want := range map[string]any{
		"machine": nil, "permanent": nil, "smtp_code": uint16(0), "raw": "", "tags": []string{}, "metadata": map[string]string{},
		"received_at": time.Date(2026, 11, 20, 10, 0, 0, 5e8, time.UTC),
	} {
		if diff := cmp.Diff(want, rows[0][column]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", column, diff)
		}
	}
}

// Every field of the contract has a column and the other way round.
func TestBlock_HasAColumnForEveryFieldOfAnEvent(t *testing.T) {
	t.Parallel()
	row := stored(t, "event_log", eventRecord(fullEvent))[0]
	fields := map[string]bool{}
	typ := reflect.TypeFor[schemas.Event]()
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		fields[name] = true
		if _, ok := row[name]; !ok {
			t.Errorf("field %q has no column", name)
		}
	}
	for column := range row {
		if !fields[column] && !slices.Contains([]string{"origin", "weight", "message_key"}, column) && !strings.HasPrefix(column, "kafka_") { // a header, and what of it is kept
			t.Errorf("column %q is no field", column)
		}
	}
}

func TestBlock_FaultyEventIsNamedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		value  string
		reason Reason
	}{
		{"no value", ``, Empty},
		{"no JSON", `hello`, NotJSON},
		{"cut", minimal("")[:60], NotJSON},
		{"more behind it", minimal("") + "{}", NotJSON},
		{"array", `[]`, NotJSON},
		{"no id", `{"type":"delivered"}`, MissingField},
		{"empty source", strings.Replace(minimal(""), `"source":"s"`, `"source":""`, 1), MissingField},
		{"no received_at", strings.Replace(minimal(""), `received_at`, `received`, 1), MissingField},
		{"id that is none", strings.Replace(minimal(""), `0193486f`, `xxxxxxxx`, 1), BadField},
		{"id as number", strings.Replace(minimal(""), `"0193486f-5a00-8abc-9def-0123456789ab"`, `5`, 1), BadField},
		{"time that is none", strings.Replace(minimal(""), `2026-11-20T10:00:00Z`, `2026-02-30T10:00:00Z`, 1), BadField},
		{"time of the ancients", strings.Replace(minimal(""), `2026-11-20T10:00:00Z`, `0001-01-01T00:00:00Z`, 1), OutOfRange},
		{"time of our descendants", strings.Replace(minimal(""), `2026-11-20T10:00:00Z`, `9999-12-31T23:59:59.999Z`, 1), OutOfRange},
		{"tags that are none", minimal(`,"tags":"a"`), BadField},
		{"tag that is no text", minimal(`,"tags":["a",1]`), BadField},
		{"metadata of numbers", minimal(`,"metadata":{"a":1}`), BadField},
		{"code beyond its column", minimal(`,"smtp_code":65536`), BadField},
		{"code below zero", minimal(`,"smtp_code":-1`), BadField},
		{"machine as text", minimal(`,"machine":"yes"`), BadField},
		{"raw that is no value", minimal(`,"raw":{]`), NotJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBlock(schemas.DefaultTopicPrefix, nobody{}, nil)
			err := b.Append(eventRecord(tt.value))
			fault, ok := errors.AsType[*Fault](err)
			if !ok || fault.Reason != tt.reason {
				t.Fatalf("got %v, want %s", err, tt.reason)
			}
			for _, col := range b.events.columns() {
				if col.Data.Rows() != 0 {
					t.Errorf("column %s has a row", col.Name)
				}
			}
		})
	}
}

// The detail is what a person finds in the dead letter.
func TestBlock_FaultSaysWhereAndNothingOfTheRecord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, value, want string }{
		{"no JSON", `hello`, "not_json: offset 0: want an object"},
		{"cut", minimal("")[:60], "not_json: offset 60: want a closing quote"},
		{"bad escape", `{"id":"\x"}`, "not_json: offset 7: want an escape"},
		{"control character", "{\"id\":\"a\nb\"}", "not_json: offset 8: want no control character"},
		{"wrong word", `{"x":nul}`, "not_json: offset 5: want a value"},
		{"no comma", `{"x":1 "y":2}`, "not_json: offset 7: want a comma or the end"},
		{"more behind it", minimal("") + "{}", "not_json: offset 166: want the end"},
		{"too deep", `{"x":` + strings.Repeat("[", 20_000), "not_json: offset 10004: want less nesting"},
		{"wrong type, then no JSON", minimal(`,"tags":[1],}`), "not_json: offset 174: want a string"},
		{"wrong type", minimal(`,"campaign":["x"]`), `bad_field: "campaign": offset 177: want a string`},
		{"two of the wrong type", minimal(`,"smtp_code":"550","campaign":1`), `bad_field: "smtp_code": offset 178: want a number`},
		{"number out of range", minimal(`,"smtp_code":70000`), `bad_field: "smtp_code": offset 178: want an integer in range`},
		{"number with a fraction", minimal(`,"smtp_code":55.0`), `bad_field: "smtp_code": offset 178: want an integer in range`},
		{"no boolean", minimal(`,"machine":"yes"`), `bad_field: "machine": offset 176: want true or false`},
		{"null in a list", minimal(`,"tags":["a",null]`), `bad_field: "tags": offset 178: want a string`},
		{"list for an object", minimal(`,"metadata":[]`), `bad_field: "metadata": offset 177: want an object`},
		{"id", strings.Replace(minimal(`,"tags":1`), `0193486f`, `xxxxxxxx`, 1), "bad_field: id is not a UUID"},
		{"time", strings.Replace(minimal(""), `2026-11-20T10:00:00Z`, `yesterday`, 1), "bad_field: time is not RFC 3339"},
		{"time out of range", strings.Replace(minimal(""), `2026-11-20T10:00:00Z`, `1969-12-31T23:59:59.999Z`, 1), "time_out_of_range: time is not in 1970 to 2106"},
		{"null for what is needed", strings.Replace(minimal(""), `"delivered"`, `null`, 1), `missing_field: "type"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := NewBlock(schemas.DefaultTopicPrefix, nobody{}, nil)
			if err := b.Append(eventRecord(tt.value)); err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestBlock_OriginIsOneOfTheFour(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{"": "live", "live": "live", "replay": "replay", "backfill": "backfill", "simulate": "simulate", "Replay": "live", "x": "live"} {
		rec := eventRecord(fullEvent)
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: schemas.HeaderOrigin, Value: []byte(header)})
		if got := stored(t, "event_log", rec)[0]["origin"]; got != want {
			t.Errorf("header %q: origin %v, want %s", header, got, want)
		}
	}
}

func TestBlock_ResetLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := NewBlock(schemas.DefaultTopicPrefix, nobody{}, nil)
	srv := clickhousetest.Start(t)
	client, err := clickhouse.Open(srv.Config(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{fullEvent, minimal("")} {
		if err := b.Append(eventRecord(value)); err != nil {
			t.Fatal(err)
		}
		if err := Insert(t.Context(), client, b); err != nil {
			t.Fatal(err)
		}
		b.Reset()
	}
	want := stored(t, "event_log", eventRecord(minimal("")))[0]
	if diff := cmp.Diff(want, srv.Rows("event_log")[1]); diff != "" {
		t.Errorf("second row of a reused block (-fresh +reused):\n%s", diff)
	}
}

// A dictionary of more than 256 and of more than 65,536 words needs wider keys.
func TestBlock_ManyDistinctWords(t *testing.T) {
	t.Parallel()
	for _, n := range []int{255, 256, 257, 65_536, 65_537} {
		recs := make([]*kgo.Record, n)
		for i := range recs {
			recs[i] = eventRecord(minimal(fmt.Sprintf(`,"campaign":"c%d"`, i)))
		}
		rows := stored(t, "event_log", recs...)
		for i, row := range rows {
			if want := fmt.Sprintf("c%d", i); row["campaign"] != want {
				t.Fatalf("%d words: row %d has %v, want %s", n, i, row["campaign"], want)
			}
		}
	}
}

func TestBlock_Suppressions(t *testing.T) {
	t.Parallel()
	at := func(n int) time.Time { return time.Date(2026, 11, 20, 10, n, 0, 0, time.UTC) }
	full := schemas.Suppression{
		Hash: "h1", Address: "a@b.c", UpdatedAt: at(9),
		Entries: []schemas.SuppressionEntry{
			{Scope: schemas.ScopeAccount, Reason: schemas.SuppressHardBounce, AddedAt: at(1), Since: at(1), Evidence: "id-1", Provider: "mailjet", Source: "acme"},
			{Scope: "list:17", Reason: schemas.SuppressManual, AddedAt: at(2), RemovedAt: at(3), ExpiresAt: at(4), Note: "n", RemovedBy: "api:1", RemovedNote: "r"},
		},
	}
	rows := stored(t, "suppression_log",
		record(t, "email.suppressions", "h1", full), record(t, "email.suppressions", "h2", schemas.Suppression{Hash: "h2", UpdatedAt: at(9)}),
		&kgo.Record{Topic: "email.suppressions", Key: []byte("h3"), Timestamp: at(5), Offset: 7})
	if len(rows) != 3 {
		t.Fatalf("%d rows, want 3", len(rows))
	}
	one, two := at(1), at(2)
	for column, want := range map[string]any{
		"recipient_hash": "h1", "deleted": uint8(0), "address": "a@b.c", "updated_at": at(9),
		"entries.scope": []string{"account", "list:17"}, "entries.added_at": []*time.Time{&one, &two},
		"entries.note": []string{"", "n"}, "entries.removed_by": []string{"", "api:1"},
	} {
		if diff := cmp.Diff(want, rows[0][column]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", column, diff)
		}
	}
	if rows[1]["deleted"] != uint8(0) || len(rows[1]["entries.scope"].([]string)) != 0 {
		t.Errorf("address without entries: %v", rows[1])
	}
	if rows[2]["deleted"] != uint8(1) || rows[2]["recipient_hash"] != "h3" || rows[2]["version"] != uint64(at(5).UnixMilli())<<20|7 {
		t.Errorf("tombstone: %v", rows[2])
	}
}

func record(tb testing.TB, topic, key string, v any) *kgo.Record {
	tb.Helper()
	value, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return &kgo.Record{Topic: topic, Key: []byte(key), Value: value, Timestamp: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)}
}

func TestBlock_Alerts(t *testing.T) {
	t.Parallel()
	at := func(n int) time.Time { return time.Date(2026, 11, 20, 10, n, 0, 0, time.UTC) }
	row := stored(t, "alert_log",
		record(t, "email.alerts", "f", schemas.Alert{
			Fingerprint: "f", Version: 3, Rule: "block_rate", Incident: "i", Labels: map[string]string{"source": "acme", "recipient_domain": "x.de"},
			State: schemas.AlertFiring, Value: 0.75, Peak: 0.8, Threshold: 0.6, MinVolume: 20, Counts: schemas.AlertCounts{Delivered: 5, Blocked: 15},
			Causes: map[string]int64{"sender": 15}, Reasons: []schemas.ReasonCount{{Reason: schemas.Reputation, Cause: schemas.CauseSender, Count: 15, Sample: "554"}},
			Window: "15m0s", Since: at(1), UpdatedAt: at(2), Late: true,
			Notify: []schemas.Notification{{Seq: 1, SentAt: at(3)}, {Seq: 2}, {Seq: 3, Failed: "gone"}},
		}),
		&kgo.Record{Topic: "email.alerts", Key: []byte("f")}, // the end of a compacted history is no row
	)
	if len(row) != 1 {
		t.Fatalf("%d rows, want 1", len(row))
	}
	three := at(3)
	for column, want := range map[string]any{
		"fingerprint": "f", "incident": "i", "version": uint64(3), "rule": "block_rate", "state": "firing", "value": 0.75, "peak": 0.8,
		"labels": map[string]string{"source": "acme", "recipient_domain": "x.de"}, "blocked": uint64(15), "causes": map[string]uint64{"sender": 15},
		"reasons.reason": []string{"reputation"}, "reasons.count": []uint64{15}, "since": at(1), "resolved_at": nil,
		"notified_at": &three, "owed": uint16(1), "late": true,
	} {
		if diff := cmp.Diff(want, row[0][column]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", column, diff)
		}
	}
}

func TestBlock_Audits(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 10, 0, 0, 5e6, time.UTC)
	full := schemas.Audit{ID: "a", Time: at, By: "ana", Role: "operator", Action: "suppression.lift", Object: "h", Note: "n"}
	rows := stored(t, "audit_records", record(t, "email.audit", "a", full), &kgo.Record{Topic: "email.audit", Key: []byte("a")})
	want := []clickhousetest.Row{{"id": "a", "time": at, "by": "ana", "role": "operator", "action": "suppression.lift", "object": "h", "note": "n"}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for reason, rec := range map[Reason]schemas.Audit{
		MissingField: {ID: "a", Action: "x"}, OutOfRange: {ID: "a", Time: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), Action: "x"},
	} {
		fault, ok := errors.AsType[*Fault](NewBlock("email.", nil, nil).Append(record(t, "email.audit", "a", rec)))
		if !ok || fault.Reason != reason {
			t.Errorf("%+v: %v, want %s", rec, fault, reason)
		}
	}
}

func TestBlock_DeadLettersNeverMakeDeadLetters(t *testing.T) {
	t.Parallel()
	good := schemas.DeadLetter{ID: "d1", Time: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), Service: "ingress", Reason: "not_json", Detail: "offset 3", Bytes: []byte{0, 0xff}}
	bad := &kgo.Record{Topic: "email.dead-letter", Partition: 1, Offset: 5, Value: []byte("{"), Timestamp: time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC)}
	rows := stored(t, "dead_letter_log", record(t, "email.dead-letter", "", good), bad, &kgo.Record{Topic: "email.dead-letter", Offset: 6, Timestamp: bad.Timestamp})
	if len(rows) != 3 {
		t.Fatalf("%d rows, want 3", len(rows))
	}
	if rows[0]["id"] != "d1" || rows[0]["bytes"] != "\x00\xff" || rows[0]["received_at"] != nil {
		t.Errorf("good one: %v", rows[0])
	}
	if rows[1]["service"] != Service || rows[1]["reason"] != string(NotJSON) || rows[1]["bytes"] != "{" || rows[1]["origin"] != "email.dead-letter/1/5" {
		t.Errorf("bad one: %v", rows[1])
	}
}

func TestDeadLetter_HasTheSameIDWheneverTheRecordIsRead(t *testing.T) {
	t.Parallel()
	rec := eventRecord("{")
	f := faultf(NotJSON, "x")
	one, two := DeadLetter(rec, f, time.Unix(1, 0)), DeadLetter(rec, f, time.Unix(2, 0))
	rec.Offset++
	if one.ID != two.ID || one.ID == DeadLetter(rec, f, time.Unix(1, 0)).ID {
		t.Errorf("ids %s and %s", one.ID, two.ID)
	}
}

// FuzzEvent holds the reader to the codec of the contract: what one takes the
// other takes, with the same id, time, texts and lists.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(fullEvent))
	f.Add([]byte(minimal("")))
	f.Add([]byte(minimal(`,"tags":[],"metadata":{},"raw":"x"`)))
	f.Add([]byte(minimal(`,"tags":["a"],"tags":["b","c"],"Recipient":"x","time":"2026-11-20T1:00:00Z"`)))
	f.Fuzz(func(t *testing.T, value []byte) {
		b := newEvents(nobody{}, nil)
		err := b.append(&kgo.Record{Value: value})
		if err != nil {
			if b.id.Rows() != 0 || b.raw.Rows() != 0 {
				t.Fatal("a faulty record left a row")
			}
			if _, ok := errors.AsType[*Fault](err); !ok {
				t.Fatalf("%v is no fault", err)
			}
			return
		}
		if otherCase(value) {
			return // encoding/json, and so the codec, takes such keys for fields
		}
		want, err := schemas.Decode(value)
		if err != nil {
			t.Fatalf("taken here, refused by the codec: %v", err)
		}
		if got := b.row; got.time != want.Time.UnixMilli() || string(got.Recipient) != want.Recipient || string(got.MessageID) != want.MessageID ||
			len(got.Tags) != len(want.Tags) || got.SMTPCode != want.SMTPCode {
			t.Fatalf("differs from the codec: %+v", want)
		}
	})
}

// otherCase says whether the object value has a key with an upper-case letter or a
// character beyond ASCII.
func otherCase(value []byte) bool {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		return false
	}
	for key := range members {
		for _, c := range []byte(key) {
			if 'A' <= c && c <= 'Z' || c >= 0x80 {
				return true
			}
		}
	}
	return false
}

func BenchmarkBlock_Append(b *testing.B) {
	e, err := schemas.Decode([]byte(fullEvent))
	if err != nil {
		b.Fatal(err)
	}
	e.Raw = []byte(`{"event":"bounce","time":1767225600,"MessageID":19421777835146490,"Message_GUID":"6b1f0c52-3a0e-4c5e-9d1a-0f8a3a7c1d01","email":"ana@example.com","pad":"` + strings.Repeat("x", 200) + `"}`)
	rec := eventRecord(string(schemas.AppendJSON(nil, &e)))
	block := NewBlock(schemas.DefaultTopicPrefix, nobody{}, nil)
	b.SetBytes(int64(len(rec.Value)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := block.Append(rec); err != nil {
			b.Fatal(err)
		}
		if n++; n%50_000 == 0 {
			block.Reset()
		}
	}
}
