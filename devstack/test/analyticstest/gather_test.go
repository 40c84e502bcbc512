package analyticstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/replay"
	"github.com/mailstream/mailstream/services/servicetest"
)

// storedAt has rows of day_state bear a time of their storing, in Unix seconds.
func (w *world) storedAt(t *testing.T, at int) {
	t.Helper()
	fill := w.sql(t, "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = 'day_state_fill' FORMAT TSVRaw")
	before, _, found := strings.Cut(fill, "weights,")
	_, after, also := strings.Cut(fill, "AS stored")
	if !found || !also {
		t.Fatalf("day_state_fill is %s", fill)
	}
	w.sql(t, fmt.Sprintf("ALTER TABLE day_state_fill MODIFY QUERY %s weights, toDateTime(%d, 'UTC') AS stored%s", before, at, after))
}

// told is an event of one of some messages, each of which goes to a person of its own.
type told struct {
	message  int
	typ      string
	day      int
	provider string // of the mailbox
	judged   int    // when it was judged to be of a machine; 0: it was not
}

func (w *world) store(t *testing.T, events ...told) {
	t.Helper()
	rows := make([]string, len(events))
	for i, e := range events {
		rows[i] = fmt.Sprintf("(reinterpretAsUUID(MD5('%d %s %d')), '%s', toDateTime64('2026-11-01 10:00:00', 3, 'UTC') + toIntervalDay(%d), now64(3), 'mailjet', 'acme', 'm%d', 'p%d', '%s', %t, %d)",
			e.message, e.typ, e.day, e.typ, e.day, e.message, e.message, e.provider, e.judged > 0, e.judged)
	}
	w.sql(t, "INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient_hash, mailbox_provider, machine, judged) VALUES "+strings.Join(rows, ", "))
}

// An event may make another day the first one while a look is between its two statements:
// the second one marks what the first one has added to no row. The next look adds it,
// also when parts have merged since.
func TestGather_AddsWhatAnEarlierEventLeftBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.storedAt(t, 100)
	w.store(t, told{1, "delivered", 2, "google", 0}, told{2, "delivered", 2, "google", 0})
	w.gatherStep(t, 0, 0)
	w.gatherStep(t, 0, 2)
	w.storedAt(t, 110)
	w.store(t, told{1, "processed", 1, "google", 0}, told{2, "opened", 2, "microsoft", 0})
	w.gatherStep(t, 0, 1)
	w.gatherStep(t, 0, 3)
	w.sql(t, "OPTIMIZE TABLE day_state FINAL")
	for step := range gatherSteps {
		w.gatherStep(t, 105, step)
	}
	w.sameByDay(t, "after the next look")
}

// TestGather_MayStopAndOverlap lets looks begin, run beside each other, end and be left at
// any statement, while events of several days, repeats, other mailbox providers and
// judgements come in any order, some stored late, and parts merge. A whole look at the end
// leaves what messages has.
func TestGather_MayStopAndOverlap(t *testing.T) {
	t.Parallel()
	const (
		steps   = 160
		overlap = 4 // seconds that an insert takes at most
	)
	w := newWorld(t)
	for seed := range uint64(2) {
		dice := rand.New(rand.NewPCG(seed, 12))
		w.sql(t, "TRUNCATE TABLE day_state")
		w.sql(t, "TRUNCATE TABLE messages_state")
		clock, noted := 1_000, 0
		type look struct{ since, until, step int }
		looks := []look{}
		for range steps {
			switch what := dice.IntN(10); {
			case what < 4:
				clock++
				w.storedAt(t, clock-dice.IntN(overlap))
				var events []told
				for range 1 + dice.IntN(3) {
					typ := []string{"processed", "delivered", "opened", "clicked"}[dice.IntN(4)]
					judged := 0
					if typ == "opened" || typ == "clicked" {
						judged = max(0, dice.IntN(3)-1) * clock
					}
					events = append(events, told{dice.IntN(8), typ, dice.IntN(4), []string{"google", "", "google", "microsoft"}[dice.IntN(4)], judged})
				}
				w.store(t, events...)
			case what < 5 && len(looks) < 3:
				looks = append(looks, look{max(0, noted-overlap), clock, 0})
			case what == 5:
				w.sql(t, "OPTIMIZE TABLE day_state FINAL")
			case len(looks) > 0:
				at := dice.IntN(len(looks))
				if l := &looks[at]; l.step < gatherSteps {
					w.gatherStep(t, l.since, l.step)
					l.step++
				} else {
					noted = max(noted, l.until)
				}
				if looks[at].step == gatherSteps || dice.IntN(6) == 0 { // it is killed
					if looks[at].step == gatherSteps {
						noted = max(noted, looks[at].until)
					}
					looks = append(looks[:at], looks[at+1:]...)
				}
			}
		}
		for step := range gatherSteps {
			w.gatherStep(t, max(0, noted-overlap), step)
		}
		w.sameByDay(t, fmt.Sprintf("seed %d", seed))
		if late := w.sql(t, "SELECT count() > 5 FROM day_state WHERE late"); late != "1" || noted == 0 {
			t.Errorf("seed %d: few rows are late, or no look ended: the test proves nothing", seed)
		}
	}
}

// While stored events are corrected no messages are gathered, and the other way round: what
// was read before the correction would be added to what is counted anew.
func TestGather_AndACorrectionTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, judgesOften)
	h := w.history(t)
	w.turnOf(t, "correcting", "now() + 3600")
	at := time.Date(2026, 3, 4, 11, 0, 0, 0, time.UTC)
	wrong := eventAt(1, schemas.Opened, at.AddDate(0, 0, 1))
	wrong.UserAgent, wrong.Raw = "Mimecast Link Protection", nil
	w.publish(t, eventAt(1, schemas.Delivered, at), wrong)
	_, stop := w.analytics(t)
	w.wantSQL(t, "SELECT count() > 1, countIf(until > now()) FROM turns FINAL WHERE work = 'gathering'", "1\t0")
	w.wantSQL(t, "SELECT count(), (SELECT count() FROM day_gathers) FROM messages_by_day", "2\t0")
	w.turnOf(t, "correcting", "now()")
	w.wantSQL(t, "SELECT count(), (SELECT count() > 0 FROM day_gathers) FROM messages_by_day", "1\t1")
	stop() // which may leave a turn to end by itself
	w.sql(t, "INSERT INTO turns SELECT work, holder, now64(3, 'UTC'), now64(9, 'UTC') FROM turns FINAL WHERE until > now()")

	w.turnOf(t, "gathering", "now() + 3600")
	request := replay.Request{From: at, To: at.AddDate(0, 0, 2), Verdicts: true}
	r, err := h.Replay(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "p.json")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if p, err := r.Run(ctx, replay.Progress{Request: request}, w.replayOptions(h, file)); !errors.Is(err, context.DeadlineExceeded) || p.Published != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	w.turnOf(t, "gathering", "now()")
	if p, err := r.Run(t.Context(), replay.Progress{Request: request}, w.replayOptions(h, file)); err != nil || p.Published != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
}

// What is judged later to be of a machine is no act of a person by day, on whichever days
// the message has events.
func TestMessagesByDay_FollowsAJudgement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, judgesOften)
	w.analytics(t)
	midnight := time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	person := eventAt(1, schemas.Clicked, midnight.Add(26*time.Hour))
	person.UserAgent, person.Raw = chrome, nil
	w.publish(t, append(append(scanned(1, midnight.Add(-500*time.Millisecond)), scanned(2, midnight)...), person)...) // delivered on one day, clicked on the next
	w.wantSQL(t, "SELECT countIf(machine_reason = 'too_soon') FROM events", "2")
	w.wantSQL(t, "SELECT first_event, first_click, first_click_by_person FROM messages_by_day ORDER BY ALL",
		"2026-03-04 23:59:59.500\t2026-03-05 00:00:00.500\t2026-03-06 02:00:00.000\n2026-03-05 00:00:00.000\t2026-03-05 00:00:01.000\t\\N")
	w.sameByDay(t, "judged")
}

// An event that is of another message today leaves the one and joins the other.
func TestMessagesByDay_FollowsAnEventToAnotherMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	was, _ := asOld(t, h, 0)
	right := was.MessageID
	was.MessageID = "mistaken"
	of := func(message string, typ schemas.Type, days int) schemas.Event {
		e := eventAt(1, typ, was.Time.AddDate(0, 0, days))
		e.MessageID, e.Recipient, e.RecipientHash, e.Raw = message, was.Recipient, was.RecipientHash, nil
		return e
	}
	w.publish(t, was, of("mistaken", schemas.Processed, -1), of("mistaken", schemas.Opened, 1), of(right, schemas.Deferred, 2))
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", "4")
	w.gather(t)
	const both = "SELECT first_event, last_event, isNotNull(processed), isNotNull(deferred), isNotNull(first_open), outcome FROM messages_by_day ORDER BY ALL"
	w.wantSQL(t, both, "2026-03-03 09:15:30.000\t2026-03-05 09:15:30.000\t1\t0\t1\tblocked\n2026-03-06 09:15:30.000\t2026-03-06 09:15:30.000\t0\t1\t0\t")
	request := stretch
	request.ChangedOnly = true
	w.settled(t, h, request)
	w.rerun(t, h, request)
	servicetest.Eventually(t, "both messages", func() bool {
		w.gather(t)
		return w.sql(t, both) == "2026-03-03 09:15:30.000\t2026-03-05 09:15:30.000\t1\t0\t1\t\n2026-03-04 09:15:30.000\t2026-03-06 09:15:30.000\t0\t1\t0\tbounced"
	})
	w.sameByDay(t, "after a replay")
}
