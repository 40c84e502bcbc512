package analyticstest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/replay"
	"github.com/mailstream/mailstream/services/servicetest"
)

// rerun replays stretch and returns the plan of before.
func (w *world) rerun(t *testing.T, h *pipeline.History, request replay.Request) (*replay.Plan, replay.Progress) {
	t.Helper()
	r, err := h.Replay(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := r.Scan(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	progress, err := r.Run(t.Context(), replay.Progress{Operation: "op", Request: request}, w.replayOptions(h, filepath.Join(t.TempDir(), "replay.json")))
	if err != nil {
		t.Fatal(err)
	}
	return plan, progress
}

// asOld is the event of bounceOf(n) as an old parser made it, and that of today.
func asOld(t *testing.T, h *pipeline.History, n int) (was, is schemas.Event) {
	t.Helper()
	at := time.Unix(1772615730+int64(n), 0).UTC()
	was = schemas.Event{Type: schemas.Bounced, Time: at, ReceivedAt: at, Provider: "mailjet", Source: "acme", ProviderEvent: "bounce", Raw: json.RawMessage(bounceOf(n))}
	if n == 0 { // of another type
		was.ID, was.Type = idAsBlocked, schemas.Blocked
		is, err := h.Maker.Event(&was)
		if err != nil {
			t.Fatal(err)
		}
		was.MessageID, was.Recipient, was.RecipientHash = is.MessageID, is.Recipient, is.RecipientHash
		return was, is
	}
	letter := schemas.DeadLetter{Provider: "mailjet", Source: "acme", ReceivedAt: at, Reason: "no_type", Bytes: was.Raw}
	made, err := h.Maker.Letter(&letter)
	if err != nil || len(made) != 1 {
		t.Fatal(made, err)
	}
	was = made[0]
	was.Reason, was.Cause, was.Permanent, was.Classifier = schemas.Policy, schemas.CauseSender, nil, "old"
	return was, made[0]
}

// A topic keeps the records of before, also those of events that were corrected since: a
// second replay compares with what is stored, and changes nothing.
func TestReplay_FindsNothingMoreInTheTopicsOnceItIsCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	var events []schemas.Event
	for n := range 20 {
		was, _ := asOld(t, h, n)
		events = append(events, was)
	}
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM events", "20")
	request := stretch
	request.ChangedOnly = true
	w.settled(t, h, request)
	plan, progress := w.rerun(t, h, request)
	if plan.Ranges[0].Store != "kafka" || plan.Events != 20 || plan.Changed != 20 || progress.Published != 20 {
		t.Fatalf("%s, %+v", mustJSON(t, plan), progress)
	}
	w.wantSQL(t, "SELECT count(), countIf(type = 'bounced' AND reason = 'invalid_recipient') FROM events", "20\t20")
	w.settled(t, h, request)
	plan, progress = w.rerun(t, h, request)
	if plan.Ranges[0].Store != "kafka" || plan.Events != 40 || plan.Same != 40 || plan.Changed != 0 || progress.Published != 0 {
		t.Errorf("a second replay: %s, %+v", mustJSON(t, plan), progress)
	}
	w.wantSQL(t, "SELECT outcome, isNotNull(blocked) FROM messages WHERE message_id = '19421777835146490'", "bounced\t0")
	w.agree(t, "after both")

	// One that is corrected in the tables alone is another one there, whatever its record says.
	w.sql(t, "INSERT INTO event_log SELECT * REPLACE ('likely' AS confidence, 'spamhaus-zen' AS blocklist) FROM event_log FINAL ORDER BY time DESC LIMIT 1")
	if plan, progress = w.rerun(t, h, request); plan.Changed != 2 || progress.Published < 1 { // both of its records
		t.Errorf("another confidence: %s, %+v", mustJSON(t, plan), progress)
	}
	w.wantSQL(t, "SELECT countIf(blocklist = '' AND confidence = 'certain') FROM events", "20")
}

// settled waits until analytics has committed what it stored.
func (w *world) settled(t *testing.T, h *pipeline.History, request replay.Request) {
	t.Helper()
	var left int64
	servicetest.EventuallyOr(t, func() bool {
		r, err := h.Replay(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := r.Scan(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		left = plan.Unstored
		return left == 0
	}, func() string { return fmt.Sprintf("%d records are not stored", left) })
}

// An event that analytics has not stored yet is left for the next run: published now
// with another type, it would count as both.
func TestReplay_LeavesWhatIsNotStoredYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, stop := w.analytics(t)
	h := w.history(t)
	first, _ := asOld(t, h, 1)
	w.publish(t, first)
	w.wantSQL(t, "SELECT count() FROM events", "1")
	w.settled(t, h, stretch)
	stop()
	late, _ := asOld(t, h, 0)
	w.publish(t, late)
	plan, progress := w.rerun(t, h, stretch)
	if plan.Events != 1 || plan.Unstored != 1 || progress.Published != 1 || progress.Unstored != 1 {
		t.Fatalf("%s, %+v", mustJSON(t, plan), progress)
	}
	w.analytics(t)
	w.wantSQL(t, "SELECT arraySort(groupArray(toString(type))) FROM events", "['blocked','bounced']")
	w.settled(t, h, stretch)
	if _, progress = w.rerun(t, h, stretch); progress.Unstored != 0 {
		t.Errorf("%+v", progress)
	}
	w.wantSQL(t, "SELECT arraySort(groupArray(toString(type))) FROM events", "['bounced','bounced']")
	w.agree(t, "after both")
}

// What messages knows of events that have expired is not taken from it; those that were
// taken out by a run that was killed are counted from all their events.
func TestReplay_KeepsWhatMessagesKnowOfExpiredEvents(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, before string
		want         string // outcome, whether processed, blocked, opens
		expired      int64
	}{
		{"all is there", "SELECT 1", "bounced\t1\t0\t1", 0},
		{"killed between", "DELETE FROM messages_state WHERE message_id = '19421777835146490'", "bounced\t1\t0\t1", 0},
		{"the first expired", "DELETE FROM event_log WHERE type = 'processed'", "bounced\t1\t1\t1", 1},
		{"the last expired", "DELETE FROM event_log WHERE type = 'opened'", "bounced\t1\t1\t1", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.analytics(t)
			h := w.history(t)
			was, _ := asOld(t, h, 0)
			sent, open := was, was
			sent.ID, sent.Type, sent.Time, sent.Raw = "019cb813-5668-8003-8000-000000000001", schemas.Processed, was.Time.Add(-30*time.Hour), nil
			open.ID, open.Type, open.Time, open.Raw = "019cb813-5668-8003-8000-000000000002", schemas.Opened, was.Time.Add(30*time.Hour), nil
			w.publish(t, was, sent, open)
			w.wantSQL(t, "SELECT outcome, isNotNull(processed), isNotNull(blocked), opens FROM messages", "blocked\t1\t1\t1")
			w.settled(t, h, stretch)
			w.sql(t, tc.before)
			if _, progress := w.rerun(t, h, stretch); progress.Expired != tc.expired || progress.Published != 1 {
				t.Errorf("%+v", progress)
			}
			w.wantSQL(t, "SELECT count() FROM events WHERE type = 'bounced'", "1")
			w.wantSQL(t, "SELECT outcome, isNotNull(processed), isNotNull(blocked), opens FROM messages", tc.want)
		})
	}
}
