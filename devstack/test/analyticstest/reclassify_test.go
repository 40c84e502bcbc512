package analyticstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/deadletters"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/replay"
	"github.com/mailstream/mailstream/services/servicetest"
)

var reclassified = replay.Request{From: stretch.From, To: stretch.To, Verdicts: true}

// judged is a bounce of the past as a classifier of before took it, whose bytes are
// past their retention.
func judged(n int, reply string) schemas.Event {
	e := eventAt(n, schemas.Bounced, time.Date(2026, 3, 4, 9, 0, n, 0, time.UTC))
	yes := true
	e.BounceType, e.Reason, e.Cause, e.Confidence, e.Permanent = schemas.Hard, schemas.InvalidRecipient, schemas.CauseRecipient, schemas.Certain, &yes
	e.Classifier, e.SMTPReply, e.Raw = "old", reply, nil
	return e
}

const (
	ofSender    = "550 5.7.1 Service unavailable, client host [192.0.2.1] blocked using Spamhaus"
	ofRecipient = "550 5.1.1 user unknown"
)

func (w *world) reclassify(t *testing.T, h *pipeline.History) (*replay.Replay, *replay.Plan) {
	t.Helper()
	r, err := h.Replay(t.Context(), reclassified)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := r.Scan(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r, plan
}

// listing is a record of the list that rests on events.
func listing(t *testing.T, events ...schemas.Event) (recs []*kgo.Record) {
	t.Helper()
	for _, e := range events {
		recs = append(recs, &kgo.Record{Topic: "email.suppressions", Key: []byte(e.RecipientHash), Value: mustJSON(t, schemas.Suppression{
			Hash: e.RecipientHash, Address: e.Recipient, UpdatedAt: e.Time,
			Entries: []schemas.SuppressionEntry{{Scope: schemas.ScopeAccount, Reason: schemas.SuppressHardBounce, AddedAt: e.Time, Since: e.Time, Evidence: e.ID}},
		})})
	}
	return recs
}

// What was taken for a dead address and is a fault of the sender today is corrected in
// events, rates and sealed hours; nothing else is written; who was listed for it is
// named and stays listed.
func TestReclassify_CorrectsWhatChangedAndListsWhomItListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1s, seal_rest: 2s}`)
	w.analytics(t)
	h := w.history(t)
	wrong, right, doubtful := judged(1, ofSender), judged(2, ofRecipient), judged(3, "5.0.0 no")
	prefetch := eventAt(4, schemas.Opened, wrong.Time)
	prefetch.UserAgent, prefetch.Raw = "Mimecast Link Protection", nil
	delivered := eventAt(5, schemas.Delivered, wrong.Time)
	w.publish(t, wrong, right, doubtful, prefetch, delivered)
	w.produce(t, listing(t, wrong, right)...)
	w.wantSQL(t, "SELECT (SELECT count() FROM sealed_hours), (SELECT count() FROM suppressions WHERE active)", "1\t2")

	r, plan := w.reclassify(t, h)
	if plan.Events != 4 || plan.Changed != 2 || plan.Same != 1 || plan.Faults["unsure"] != 1 || len(plan.Changes) != 2 {
		t.Fatalf("plan %s", mustJSON(t, plan))
	}
	if len(plan.Listed) != 1 || plan.Listed[0].Event != wrong.ID || plan.Listed[0].Hash != wrong.RecipientHash || plan.Listed[0].Is.Reason != schemas.Blocklist {
		t.Errorf("listed %s", mustJSON(t, plan.Listed))
	}
	file := filepath.Join(t.TempDir(), "reclassify.json")
	progress, err := r.Run(t.Context(), replay.Progress{Operation: "reclassify-1", Request: reclassified}, w.replayOptions(h, file))
	if err != nil || progress.Published != 2 || !progress.Done {
		t.Fatalf("%+v, %v", progress, err)
	}
	w.wantSQL(t, "SELECT count(), countIf(origin = 'replay') FROM events", "5\t2")
	w.wantSQL(t, "SELECT reason, cause, permanent, machine FROM events WHERE id = '"+wrong.ID+"'", "blocklist\tsender\tfalse\t\\N")
	w.wantSQL(t, "SELECT machine FROM events WHERE id = '"+prefetch.ID+"'", "true")
	w.wantSQL(t, "SELECT recipient, message_id, smtp_reply FROM events WHERE id = '"+wrong.ID+"'", wrong.Recipient+"\t"+wrong.MessageID+"\t"+ofSender)
	w.wantSQL(t, "SELECT cause, sum(events) FROM rates_1h WHERE type = 'bounced' GROUP BY cause ORDER BY cause", "recipient\t2\nsender\t1")
	w.wantSQL(t, "SELECT count() FROM sealed_hours", "1") // counted anew
	w.wantSQL(t, "SELECT cause, sum(events) FROM rates_1h WHERE type = 'bounced' GROUP BY cause ORDER BY cause", "recipient\t2\nsender\t1")
	w.agree(t, "after the hour was sealed once more")
	w.wantSQL(t, "SELECT count() FROM suppressions WHERE active", "2")

	if named, err := r.StillListed(t.Context(), progress.Listed); err != nil || len(named) != 1 || named[0].Address != wrong.Recipient {
		t.Errorf("still listed %+v, %v", named, err)
	}
	if kept, err := replay.Resume(file, "next", replay.Request{}); err != nil || kept.Operation != "next" {
		t.Errorf("%+v, %v", kept, err)
	}
	if _, plan = w.reclassify(t, h); plan.Changed != 0 || len(plan.Listed) != 1 {
		t.Errorf("a second run would change something, or lists no more: %s", mustJSON(t, plan))
	}
}

// The events of a message may be pages apart, and analytics may store the correction of the
// first after the last was counted: the message never has the old one once more.
func TestReclassify_CountsAMessageOfSeveralPagesAsItIsToday(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, stop := w.analytics(t)
	h := w.history(t)
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	wrong := func(at time.Time) schemas.Event {
		raw := fmt.Sprintf(`{"event":"open","time":%d,"MessageID":19421777835146490,"email":"ana@example.com","ip":"203.0.113.9","agent":%q}`, at.Unix(), chrome)
		made, err := h.Maker.Letter(&schemas.DeadLetter{Provider: "mailjet", Source: "acme", ReceivedAt: at, Reason: "no_type", Bytes: []byte(raw)})
		if err != nil || len(made) != 1 {
			t.Fatal(made, err)
		}
		yes := true
		made[0].Machine, made[0].Classifier = &yes, "old"
		return made[0]
	}
	first, last := wrong(at), wrong(at.Add(50*time.Minute))
	w.publish(t, first, last)
	w.sql(t, `INSERT INTO event_log (id, type, time, received_at, provider, source, provider_event)
		SELECT generateUUIDv4(), 'opened', toDateTime64('2026-03-04 09:10:00', 3, 'UTC') + toIntervalSecond(intDiv(number, 3)), now64(3), 'mailjet', 'acme', 'open' FROM numbers(1500)`)
	w.wantSQL(t, "SELECT opens, opens_by_person FROM messages WHERE message_id = '"+first.MessageID+"'", "2\t0")
	stop()
	r, plan := w.reclassify(t, h)
	if plan.Changed != 2 {
		t.Fatalf("plan %s", mustJSON(t, plan))
	}
	if _, err := r.Run(t.Context(), replay.Progress{Operation: "op", Request: reclassified}, w.replayOptions(h, filepath.Join(t.TempDir(), "p.json"))); err != nil {
		t.Fatal(err)
	}
	w.analytics(t)
	w.wantSQL(t, "SELECT countIf(machine) FROM events", "0")
	w.wantSQL(t, "SELECT opens, opens_by_person, toUnixTimestamp(assumeNotNull(first_open_by_person)) FROM messages WHERE message_id = '"+first.MessageID+"'", fmt.Sprintf("2\t2\t%d", at.Unix()))
}

// wantMarked looks for the two headers by which alerting passes over a record.
func (w *world) wantMarked(t *testing.T, topic, operation string, records int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.brokers), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
	defer cancel()
	for seen := 0; seen < records; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("%d of %d marked records: %v", seen, records, err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			headers := map[string]string{}
			for _, h := range rec.Headers {
				headers[h.Key] = string(h.Value)
			}
			if headers[schemas.HeaderOrigin] == string(schemas.OriginReplay) && headers[schemas.HeaderReplay] == operation {
				seen++
			}
		})
	}
}

// A run that was killed goes on with the time it began with, names whom it found
// before, and writes no address to its file.
func TestReclassify_GoesOnWhereItWasKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, stop := w.analytics(t)
	h := w.history(t)
	const mails = 1200 // more than a page
	var events []schemas.Event
	for n := range mails {
		events = append(events, judged(n, ofSender))
	}
	w.publish(t, events...)
	w.produce(t, listing(t, events[3])...)
	w.wantSQL(t, "SELECT (SELECT count() FROM events), (SELECT count() FROM suppressions)", "1200\t1")
	stop() // what it had stored of the page that is cut would not be published once more
	request := reclassified
	request.UntilNow = true
	r, err := h.Replay(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "reclassify.json")
	opt := w.replayOptions(h, file)
	opt.Kafka = &stumbling{Publisher: h.Kafka, left: 1100}
	opt.Rate = 1000
	if _, err := r.Run(t.Context(), replay.Progress{Operation: "reclassify-1", Request: request}, opt); !errors.Is(err, errAway) {
		t.Fatalf("ended with %v", err)
	}
	later := request
	later.To = later.To.Add(time.Hour)
	progress, err := replay.Resume(file, "other", later)
	if err != nil || progress.Operation != "reclassify-1" || !progress.Request.To.Equal(request.To) || progress.Events != 1000 ||
		len(progress.Listed) != 1 || progress.Listed[0].Address != "" {
		t.Fatalf("%+v, %v", progress, err)
	}
	if progress, err = r.Run(t.Context(), progress, w.replayOptions(h, file)); err != nil || progress.Events != mails || progress.Published != mails {
		t.Fatalf("%+v, %v", progress, err)
	}
	w.analytics(t)
	w.wantSQL(t, "SELECT count(), countIf(cause = 'sender') FROM events", "1200\t1200")
	w.wantMarked(t, "email.bounced", "reclassify-1", mails)
}

// A mailbox that is full for days is listed although it is no fault for good: only where
// such a bounce is another one today is there a doubt.
func TestReclassify_LeavesSoftBouncesOnTheList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	full, wrong := judged(1, "452 4.2.2 mailbox full"), judged(2, ofSender)
	var recs []*kgo.Record
	for _, e := range []*schemas.Event{&full, &wrong} {
		e.Reason, e.Permanent, e.BounceType = schemas.MailboxFull, nil, schemas.Soft
		rec := listing(t, *e)[0]
		rec.Value = bytes.ReplaceAll(rec.Value, []byte(schemas.SuppressHardBounce), []byte(schemas.SuppressSoftBounce))
		recs = append(recs, rec)
	}
	w.publish(t, full, wrong)
	w.produce(t, recs...)
	w.wantSQL(t, "SELECT (SELECT count() FROM events), (SELECT count() FROM suppressions WHERE active AND reason = 'soft_bounce')", "2\t2")
	if _, plan := w.reclassify(t, h); len(plan.Listed) != 1 || plan.Listed[0].Event != wrong.ID {
		t.Errorf("listed %s", mustJSON(t, plan.Listed))
	}
}

// ledger says of everybody that they have to be forgotten.
type ledger struct{ fault error }

func (ledger) Covers([]byte, int64, int64) bool { return true }
func (ledger) HasLetter(string) bool            { return false }
func (l ledger) Fault() error                   { return l.fault }

// nobodyErased says of nobody that they have to be forgotten.
type nobodyErased struct{}

func (nobodyErased) Covers([]byte, int64, int64) bool { return false }
func (nobodyErased) HasLetter(string) bool            { return false }
func (nobodyErased) Fault() error                     { return nil }

// anybody makes events of the dead letters of all people.
func anybody(h *pipeline.History) deadletters.Source {
	return deadletters.Source{Maker: h.Maker, Erased: nobodyErased{}}
}

// A dead letter of a person who was forgotten stays open, and none is redriven while it
// is unknown who was.
func TestRedrive_WritesNobodyWhoWasForgotten(t *testing.T) {
	t.Parallel()
	w := newDesk(t)
	w.analytics(t)
	h := w.history(t)
	w.lettersOf(t, 2)
	for _, known := range []ledger{{}, {errAway}} {
		opt := deadletters.Options{Operation: "op-1", Kafka: h.Kafka, Prefix: h.Prefix, Rate: deadletters.RateMax}
		got, err := h.Letters.Redrive(t.Context(), deadletters.Filter{}, deadletters.Source{Maker: h.Maker, Erased: known}, opt)
		if got.Passed != 0 || !errors.Is(err, known.fault) || err == nil && got.Faults["erased"] != 2 {
			t.Errorf("%+v, %v, want %v", got, err, known.fault)
		}
	}
	if n := w.published(t); n != 0 {
		t.Errorf("%d records were published", n)
	}
}

// A person who was forgotten while the tables still have them is not written to Kafka
// once more, and nobody is while it is unknown who was.
func TestReplay_WritesNobodyWhoWasForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	w.publish(t, judged(1, ofSender))
	w.wantSQL(t, "SELECT count() FROM events", "1")
	for _, known := range []ledger{{}, {errAway}} {
		for _, request := range []replay.Request{stretch, reclassified} {
			r, err := replay.New(t.Context(), request, replay.Deps{Store: h.Store, Maker: h.Maker, Erased: known})
			if err != nil {
				t.Fatal(err)
			}
			progress, err := r.Run(t.Context(), replay.Progress{}, w.replayOptions(h, filepath.Join(t.TempDir(), "replay.json")))
			if progress.Published != 0 || !errors.Is(err, known.fault) {
				t.Errorf("published %d, %v, want %v", progress.Published, err, known.fault)
			}
		}
	}
}

// An open that is a machine's today is no open by a person in what is counted by
// message, and nothing else of the message changes.
func TestReclassify_CorrectsWhatIsCountedByMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	var events []schemas.Event
	for n := range 5 {
		at := time.Date(2026, 3, 4, 9, 0, n, 0, time.UTC)
		delivered, open, click := eventAt(n, schemas.Delivered, at), eventAt(n, schemas.Opened, at.Add(time.Minute)), eventAt(n, schemas.Clicked, at.Add(25*time.Hour))
		open.UserAgent, open.Raw = "Firefox", nil
		if n < 3 {
			open.UserAgent = "Mimecast Link Protection"
		}
		for _, e := range []*schemas.Event{&delivered, &open, &click} {
			e.Tags, e.Metadata, e.Subject, e.SendingIP = []string{"a", "b"}, map[string]string{"k": "v"}, "s", "192.0.2.1"
			events = append(events, *e)
		}
	}
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM events", "15")
	state := func() string {
		return w.sql(t, "SELECT * EXCEPT (first_open_by_person, opens_by_person) FROM messages ORDER BY ALL") +
			w.sql(t, "SELECT * EXCEPT first_open_by_person FROM campaign_messages ORDER BY ALL")
	}
	const byPeople = "SELECT countIf(isNotNull(first_open_by_person)), sum(opens_by_person), (SELECT countIf(isNotNull(first_open_by_person)) FROM campaign_messages) FROM messages"
	w.wantSQL(t, byPeople, "5\t5\t5")
	w.stored(t)
	before := state()
	r, plan := w.reclassify(t, h)
	if plan.Changed != 3 {
		t.Fatalf("plan %s", mustJSON(t, plan))
	}
	if _, err := r.Run(t.Context(), replay.Progress{Request: reclassified}, w.replayOptions(h, filepath.Join(t.TempDir(), "p.json"))); err != nil {
		t.Fatal(err)
	}
	w.wantSQL(t, "SELECT countIf(machine) FROM events", "3")
	w.wantSQL(t, byPeople, "2\t2\t2")
	w.wantSQL(t, "SELECT sum(opens) FROM messages", "5")
	w.stored(t)
	if after := state(); after != before {
		t.Errorf("messages were\n%s\nare\n%s", before, after)
	}
}

// Whatever is filled from events has to follow when an event of before is another one
// today: a new one has its statement beside these.
func TestReplay_KnowsAllThatIsFilledFromEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	known := map[string]string{
		"messages_fill": "retract", "campaign_state_fill": "retract", "day_state_fill": "retract", "person_log_fill": "drop", "receipt_log_fill": "drop", "hour_rows_fill": "touch",
	}
	for _, view := range strings.Fields(w.sql(t, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'MaterializedView' AND as_select LIKE '%event_log%'")) {
		if known[view] == "" {
			t.Errorf("%s is filled from event_log: say in services/replay what becomes of its rows when an event is another one today", view)
		}
	}
}
