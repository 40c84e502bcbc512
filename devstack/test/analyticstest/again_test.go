package analyticstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/deadletters"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/replay"
)

// bounceOf is a hard bounce as Mailjet reports it.
func bounceOf(n int) string {
	return fmt.Sprintf(`{"event":"bounce","time":%d,"MessageID":%d,"email":"ana%d@example.com","hard_bounce":true,"error_related_to":"recipient","error":"user unknown","comment":"550 5.1.1 user unknown"}`,
		1772615730+n, 19421777835146490+n, n)
}

// history opens what w has, with a pepper of its own.
func (w *world) history(t *testing.T) *pipeline.History {
	t.Helper()
	return w.historyAt(t, w.engine.URL())
}

// historyAt is history with ClickHouse at an address.
func (w *world) historyAt(t *testing.T, clickhouse string) *pipeline.History {
	t.Helper()
	cfg, _, err := pipeline.Load(pipeline.Input{File: fmt.Appendf(nil, `
kafka: {brokers: [%q], topics: {partitions: 4}}
clickhouse: {url: %q, database: %q}
privacy: {pepper: 0123456789abcdef}
ingress: {sources: [{name: acme, provider: mailjet, auth: {basic: {username: u, password: p}}}]}
`, w.brokers, clickhouse, w.database), Name: "test", Services: []pipeline.Name{pipeline.Replay}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := pipeline.OpenHistory(cfg, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func letterOf(t *testing.T, id, reason, bytes string) *kgo.Record {
	t.Helper()
	at := time.Date(2026, 3, 4, 9, 20, 0, 0, time.UTC)
	return &kgo.Record{Topic: "email.dead-letter", Key: []byte(id), Value: mustJSON(t, schemas.DeadLetter{
		ID: id, Time: at, ReceivedAt: at, Service: "ingress", Reason: reason, Detail: "d", Provider: "mailjet", Source: "acme", Bytes: []byte(bytes),
	})}
}

func letterID(n int) string { return fmt.Sprintf("%032x", n) }

// bounced fills the table with n events by way of dead letters of an old parser.
func (w *world) bounced(t *testing.T, h *pipeline.History, n int) {
	t.Helper()
	var recs []*kgo.Record
	for i := range n {
		recs = append(recs, letterOf(t, letterID(i), "no_type", bounceOf(i)))
	}
	w.produce(t, recs...)
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE state = 'open'", fmt.Sprint(n))
	r, err := h.Letters.Redrive(t.Context(), deadletters.Filter{Reason: "no_type"}, anybody(h), deadletters.Options{Operation: "op-1", Kafka: h.Kafka, Prefix: h.Prefix, Rate: deadletters.RateMax})
	if err != nil || r.Passed != int64(n) || r.Events != int64(n) {
		t.Fatalf("redriven %+v, %v", r, err)
	}
	w.wantSQL(t, "SELECT count() FROM events WHERE origin = 'replay'", fmt.Sprint(n))
	w.wantSQL(t, "SELECT count(), any(operation) FROM dead_letters WHERE state = 'redriven'", fmt.Sprintf("%d\top-1", n))
}

func TestDeadLetters_LeaveTheListOnceTheyAreEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	w.produce(t,
		letterOf(t, letterID(1), "no_type", bounceOf(1)),
		letterOf(t, letterID(2), "no_type", `{"email":"ana@example.com"}`),
		letterOf(t, letterID(3), "raw_delivery", bounceOf(3)),
	)
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE state = 'open'", "3")
	all := deadletters.Filter{State: deadletters.StateOpen}
	dry, err := h.Letters.Redrive(t.Context(), all, anybody(h), deadletters.Options{Operation: "dry", Prefix: h.Prefix, Rate: 1})
	if err != nil || !dry.DryRun || dry.Passed != 1 || dry.Failed != 2 || dry.Faults["no_type"] != 1 || dry.Faults["unproven"] != 1 {
		t.Errorf("plan %+v, %v", dry, err)
	}
	opt := deadletters.Options{Operation: "op-1", Kafka: h.Kafka, Prefix: h.Prefix, Rate: 100}
	for range 2 { // the second one finds nothing that passes, or the same letter and its same event
		if _, err := h.Letters.Redrive(t.Context(), all, anybody(h), opt); err != nil {
			t.Fatal(err)
		}
	}
	w.wantSQL(t, "SELECT id, operation FROM dead_letters WHERE state = 'redriven'", letterID(1)+"\top-1")
	w.wantSQL(t, "SELECT count(), any(type), any(source) FROM events", "1\tbounced\tacme")

	if _, err := h.Letters.Discard(t.Context(), all, " ", opt); err == nil {
		t.Error("discarded without a note")
	}
	if r, err := h.Letters.Discard(t.Context(), deadletters.Filter{Reason: "raw_delivery"}, "a test", opt); err != nil || r.Passed != 1 {
		t.Errorf("discarded %+v, %v", r, err)
	}
	w.wantSQL(t, "SELECT id, note FROM dead_letters WHERE state = 'discarded'", letterID(3)+"\ta test")
	w.produce(t, letterOf(t, letterID(3), "raw_delivery", bounceOf(3)), letterOf(t, letterID(4), "no_type", "x")) // a repeat of a closed one, and a mark behind it
	w.wantSQL(t, "SELECT groupArray(id) FROM (SELECT id FROM dead_letters WHERE state = 'open' ORDER BY id)", "['"+letterID(2)+"','"+letterID(4)+"']")
	groups, err := h.Letters.Groups(t.Context(), all)
	if err != nil || len(groups) != 1 || groups[0].Reason != "no_type" || groups[0].Letters != 2 {
		t.Errorf("groups %+v, %v", groups, err)
	}
	shown, ok, err := h.Letters.Get(t.Context(), letterID(2), false)
	if err != nil || !ok || strings.Contains(shown.Bytes, "ana") || !strings.Contains(shown.Bytes, "email") {
		t.Errorf("shown %+v, %v, %v", shown, ok, err)
	}
	if shown, _, err = h.Letters.Get(t.Context(), letterID(2), true); err != nil || !strings.Contains(shown.Bytes, "ana@example.com") {
		t.Errorf("raw %+v, %v", shown, err)
	}
}

var stretch = replay.Request{From: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)}

func (w *world) replayOptions(h *pipeline.History, file string) replay.Options {
	return replay.Options{Kafka: h.Kafka, Prefix: h.Prefix, Rate: replay.RateMax, File: file, Expand: w.cfg.ClickHouse.Expand}
}

// spoil stores the events once more with another verdict, as an old classifier gave,
// and as if their records were past the retention of the topics.
func (w *world) spoil(t *testing.T, n int) {
	t.Helper()
	w.sql(t, fmt.Sprintf("INSERT INTO event_log SELECT * REPLACE ('policy' AS reason, 'sender' AS cause, NULL AS permanent, 'old' AS classifier, '' AS kafka_topic) FROM event_log FINAL ORDER BY time LIMIT %d", n))
	w.wantSQL(t, "SELECT countIf(reason = 'policy') FROM events", fmt.Sprint(n))
}

// What the topics still have is read from there, what they have lost from the tables,
// each once; what a run publishes is no part of it, also after a kill.
func TestReplay_ReadsTheTopicsAndWhatTheyHaveLostFromTheTables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	w.bounced(t, h, 30)
	w.sql(t, "INSERT INTO event_log SELECT * REPLACE (time - toIntervalHour(5) AS time, generateUUIDv4() AS id, '' AS raw, '' AS kafka_topic) FROM event_log FINAL") // of before
	other := letterOf(t, letterID(99), "no_type", strings.ReplaceAll(bounceOf(99), "1772615829", "1772515829"))                                                      // the day before
	w.produce(t, other)
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE state = 'open'", "1")
	if r, err := h.Letters.Redrive(t.Context(), deadletters.Filter{Reason: "no_type"}, anybody(h), deadletters.Options{Operation: "op-9", Kafka: h.Kafka, Prefix: h.Prefix, Rate: 100}); err != nil || r.Events != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	w.wantSQL(t, "SELECT count() FROM events", "61")
	w.settled(t, h, stretch)
	r, err := h.Replay(t.Context(), stretch)
	if err != nil {
		t.Fatal(err)
	}
	border := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	if ranges := r.Ranges(); len(ranges) != 2 || ranges[0].Store != "clickhouse" || !ranges[0].To.Equal(border) || ranges[1].Store != "kafka" || !ranges[1].To.Equal(stretch.To) {
		t.Fatalf("ranges %s", mustJSON(t, r.Ranges()))
	}
	plan, err := r.Scan(t.Context(), nil)
	if err != nil || plan.Events != 60 || plan.Same != 30 || plan.Faults["no_bytes"] != 30 {
		t.Fatalf("plan %s, %v", mustJSON(t, plan), err)
	}
	file := filepath.Join(t.TempDir(), "replay.json")
	first := w.replayOptions(h, file)
	first.Kafka = &stumbling{Publisher: h.Kafka, left: 7}
	first.Rate = 10 // a record a call
	if _, err := r.Run(t.Context(), replay.Progress{Operation: "op", Request: stretch}, first); !errors.Is(err, errAway) {
		t.Fatalf("ended with %v", err)
	}
	w.wantSQL(t, "SELECT countIf(kafka_offset > 0) > 0 FROM event_log", "1")
	progress, err := replay.Resume(file, "other", stretch)
	if err != nil || !progress.Border.Equal(border) {
		t.Fatalf("%+v, %v", progress, err)
	}
	if r, err = h.Replay(t.Context(), stretch); err != nil { // as after a kill
		t.Fatal(err)
	}
	if progress, err = r.Run(t.Context(), progress, w.replayOptions(h, file)); err != nil || !progress.Done || progress.Published != 30 || progress.Failed != 30 {
		t.Errorf("%+v, %v", progress, err)
	}
	w.wantSQL(t, "SELECT count() FROM events", "61")
	w.agree(t, "after the replay")

	// The topic loses what the tables do not give this run: before the run comes to it, and
	// what is next of a run that was interrupted in it.
	admin := kadm.NewClient(w.client)
	ends, err := admin.ListEndOffsets(t.Context(), "email.bounced")
	if err != nil {
		t.Fatal(err)
	}
	if deleted, err := admin.DeleteRecords(t.Context(), ends.Offsets()); err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted.Error())
	}
	for name, offsets := range map[string]map[string]int64{"before": nil, "within": progress.Position.Offsets} {
		lost := progress
		lost.Done, lost.Position.Offsets = false, map[string]int64{}
		for p := range offsets {
			lost.Position.Offsets[p] = 0
		}
		if _, err := r.Run(t.Context(), lost, w.replayOptions(h, file)); !errors.Is(err, replay.ErrExpired) {
			t.Errorf("%s: went on where the topic has lost what was next: %v", name, err)
		}
	}
}

func TestReplay_PlansThenMakesRightAndCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	w.bounced(t, h, 30)
	w.spoil(t, 10)
	w.settled(t, h, stretch)
	r, err := h.Replay(t.Context(), stretch)
	if err != nil || r.Total() != 30 {
		t.Fatalf("%d events, %v", r.Total(), err)
	}
	plan, err := r.Scan(t.Context(), nil)
	if err != nil || plan.Events != 30 || plan.Changed != 10 || plan.Same != 20 || len(plan.Changes) != 1 ||
		plan.Changes[0].Was.String() != "bounced policy sender hard confidence=certain" || plan.Changes[0].Is.String() != "bounced invalid_recipient recipient hard confidence=certain permanent=true" {
		t.Fatalf("plan %s, %v", mustJSON(t, plan), err)
	}
	before := w.sql(t, "SELECT groupArray(id) FROM (SELECT id FROM events ORDER BY id)")
	file := filepath.Join(t.TempDir(), "replay.json")
	progress, err := replay.Resume(file, "op-2", stretch)
	if err != nil {
		t.Fatal(err)
	}
	if progress, err = r.Run(t.Context(), progress, w.replayOptions(h, file)); err != nil || !progress.Done || progress.Published != 30 {
		t.Fatalf("%+v, %v", progress, err)
	}
	w.wantSQL(t, "SELECT count(), countIf(reason = 'invalid_recipient' AND permanent) FROM events", "30\t30")
	if after := w.sql(t, "SELECT groupArray(id) FROM (SELECT id FROM events ORDER BY id)"); after != before {
		t.Errorf("ids were %s, are %s", before, after)
	}
	w.agree(t, "after the replay")
}

// The id that an old parser, which called the bounce blocked, gave the event of
// bounceOf(0), and the one of today.
const (
	idAsBlocked = "019cb821-8350-80c1-a79f-d7c8ab4cfea0"
	idToday     = "019cb821-8350-867d-a83a-4024f16ef47e"
)

func TestReplay_MovesAnEventWhoseTypeIsAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1s, seal_rest: 2s}`)
	w.analytics(t)
	h := w.history(t)
	at := time.Unix(1772615730, 0).UTC()
	was := schemas.Event{ID: idAsBlocked, Type: schemas.Blocked, Time: at, ReceivedAt: at, Provider: "mailjet", Source: "acme", ProviderEvent: "bounce", Campaign: "spring", Raw: json.RawMessage(bounceOf(0))}
	today, err := h.Maker.Event(&was)
	if err != nil {
		t.Fatal(err)
	}
	was.MessageID, was.Recipient, was.RecipientHash = today.MessageID, today.Recipient, today.RecipientHash
	other := was // of the same message, and no part of the replay
	other.ID, other.Type, other.Time, other.Raw = "019cb813-5668-8003-8000-000000000001", schemas.Opened, at.Add(30*time.Hour), nil
	w.publish(t, again(was, time.Hour), was, other) // the first one came last
	w.wantSQL(t, "SELECT count(), (SELECT sum(rows) FROM hour_rows) FROM sealed_hours", "2\t3")
	w.wantSQL(t, "SELECT outcome, isNotNull(blocked), opens FROM messages", "blocked\t1\t1")
	w.sql(t, "INSERT INTO receipt_log SELECT * REPLACE (received_at + 1 AS received_at) FROM receipt_log WHERE event = sipHash64(toUUID('"+idAsBlocked+"'))") // which no topic has any more
	w.settled(t, h, stretch)
	r, err := h.Replay(t.Context(), stretch)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "replay.json")
	if _, err := r.Run(t.Context(), replay.Progress{Operation: "op", Request: stretch}, w.replayOptions(h, file)); err != nil {
		t.Fatal(err)
	}
	w.wantSQL(t, "SELECT count(), any(type), any(toString(id)) FROM events WHERE type != 'opened'", "1\tbounced\t"+idToday)
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", "7") // three, the new one for each record, and before and after the old one is dropped
	w.wantSQL(t, "SELECT outcome, isNotNull(blocked), isNotNull(bounced), opens FROM messages", "bounced\t0\t1\t1")
	w.wantSQL(t, "SELECT outcome, isNotNull(blocked), isNotNull(first_open) FROM campaign_messages WHERE campaign = 'spring'", "\t0\t1") // the bytes name no campaign
	w.wantSQL(t, "SELECT arraySort(groupArray(toString(type))) FROM person_messages", "['bounced','opened']")
	w.wantSQL(t, "SELECT type, event = sipHash64(toUUID('"+idToday+"')), uniqExact(received_at), min(received_at) = min(time) FROM receipt_log WHERE type != 'opened' GROUP BY type, event", "bounced\t1\t4\t1")
	w.agree(t, "after the type changed")
}

// stumbling is a broker that goes away after some records.
type stumbling struct {
	replay.Publisher
	left int
}

var errAway = errors.New("away")

func (s *stumbling) Publish(ctx context.Context, recs ...*kgo.Record) error {
	if s.left -= len(recs); s.left < 0 {
		return errAway
	}
	return s.Publisher.Publish(ctx, recs...)
}

func TestReplay_GoesOnWhereItWasInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	w.sql(t, `INSERT INTO event_log (id, type, time, received_at, provider, source, provider_event, raw)
		SELECT generateUUIDv4(), 'opened', toDateTime64('2026-03-04 09:00:00', 3, 'UTC') + toIntervalSecond(intDiv(number, 3)), now64(3), 'mailjet', 'acme', 'open', '' FROM numbers(2500)`)
	w.bounced(t, h, 5)
	w.settled(t, h, stretch)
	r, err := h.Replay(t.Context(), stretch)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "replay.json")
	first := w.replayOptions(h, file)
	first.Kafka = &stumbling{Publisher: h.Kafka, left: 3}
	first.Rate = 10 // a record a call
	_, err = r.Run(t.Context(), replay.Progress{Operation: "op", Request: stretch}, first)
	if !errors.Is(err, errAway) {
		t.Fatalf("ended with %v", err)
	}
	progress, err := replay.Resume(file, "other", stretch)
	if err != nil || progress.Operation != "op" {
		t.Fatalf("%+v, %v", progress, err)
	}
	other := stretch
	other.Source = "acme"
	if _, err := replay.Resume(file, "other", other); err == nil {
		t.Error("the file of one replay was taken for another")
	}
	if progress, err = r.Run(t.Context(), progress, w.replayOptions(h, file)); err != nil || !progress.Done || progress.Events != 2505 || progress.Published != 5 || progress.Failed != 2500 {
		t.Errorf("%+v, %v", progress, err)
	}
	w.wantSQL(t, "SELECT count() FROM events", "2505")
	if done, err := replay.Resume(file, "next", stretch); err != nil || done.Operation != "next" {
		t.Errorf("after the end: %+v, %v", done, err)
	}
	full := w.replayOptions(h, filepath.Join(t.TempDir(), "no", "such", "folder", "replay.json"))
	if p, err := r.Run(t.Context(), replay.Progress{Operation: "op", Request: stretch}, full); err == nil || p.Published != 0 {
		t.Errorf("published %d without a place for the position: %v", p.Published, err)
	}
}
