package analyticstest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/replay"
)

const judgesOften = `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, judge_interval: 1s, seal_interval: 1s, seal_rest: 2s}`

// scanned is a message that was delivered and clicked at once.
func scanned(n int, at time.Time) []schemas.Event {
	click := eventAt(n, schemas.Clicked, at.Add(time.Second))
	click.UserAgent, click.Raw = chrome, nil
	return []schemas.Event{eventAt(n, schemas.Delivered, at), click}
}

// An hour that cannot be judged keeps none waiting that is older.
func TestJudge_AnHourThatFailsKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, judgesOften)
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	w.sql(t, "ALTER TABLE event_log ADD CONSTRAINT broken CHECK judged = 0 OR time < '2026-03-04 12:00:00'")
	w.publish(t, append(scanned(1, at), scanned(2, at.Add(4*time.Hour))...)...)
	w.analytics(t)
	w.wantSQL(t, "SELECT formatDateTime(time, '%H:%i'), machine_reason FROM events WHERE machine", "09:00\ttoo_soon")
	w.sql(t, "ALTER TABLE event_log DROP CONSTRAINT broken")
	w.wantSQL(t, "SELECT count() FROM events WHERE machine", "2")
}

// What is judged reaches over the end of an hour: the first links of a burst are in one,
// the last in the next, which came later.
func TestJudge_ReachesIntoTheHourAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, judgesOften)
	w.analytics(t)
	at := time.Date(2026, 3, 4, 9, 59, 59, 500_000_000, time.UTC)
	link := func(after time.Duration, url string) schemas.Event {
		e := eventAt(1, schemas.Clicked, at.Add(after))
		e.UserAgent, e.URL, e.Raw = chrome, url, nil
		return e
	}
	w.publish(t, link(0, "https://example.com/1"), link(100*time.Millisecond, "https://example.com/2"))
	w.wantSQL(t, "SELECT count() > 0, (SELECT count() FROM events) FROM hour_judgements", "1\t2") // it may be judged once for each
	w.publish(t, link(700*time.Millisecond, "https://example.com/3"))
	w.wantSQL(t, "SELECT countIf(machine_reason = 'burst') FROM events", "3")
}

// turnOf notes that another process does work until a time in SQL.
func (w *world) turnOf(t *testing.T, work, until string) {
	t.Helper()
	w.sql(t, "INSERT INTO turns (work, holder, until, noted_at) SELECT '"+work+"', 'other', "+until+", now64(9, 'UTC')")
}

// While stored events are corrected none is judged, and the other way round, so that
// neither writes what it read before the other replaced it.
func TestJudge_AndACorrectionTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, judgesOften)
	h := w.history(t)
	w.turnOf(t, "correcting", "now() + 3600")
	wrong := eventAt(3, schemas.Opened, time.Date(2026, 3, 4, 11, 0, 0, 0, time.UTC))
	wrong.UserAgent, wrong.Raw = "Mimecast Link Protection", nil
	w.publish(t, append(scanned(1, wrong.Time.Add(-time.Hour)), wrong)...)
	_, stop := w.analytics(t)
	// It looks, sees the other, and gives its turn back.
	w.wantSQL(t, "SELECT count() > 1, countIf(until > now()) FROM turns FINAL WHERE work = 'judging'", "1\t0")
	w.wantSQL(t, "SELECT count(), (SELECT count() FROM hour_judgements), (SELECT countIf(machine) FROM events)", "1\t0\t0")
	w.turnOf(t, "correcting", "now()")
	w.wantSQL(t, "SELECT countIf(machine_reason = 'too_soon') FROM events", "1")
	stop()

	w.turnOf(t, "judging", "now() + 3600")
	r, plan := w.reclassify(t, h)
	if plan.Changed != 1 {
		t.Fatalf("plan %s", mustJSON(t, plan))
	}
	file := filepath.Join(t.TempDir(), "p.json")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if p, err := r.Run(ctx, replay.Progress{Request: reclassified}, w.replayOptions(h, file)); !errors.Is(err, context.DeadlineExceeded) || p.Published != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	w.wantSQL(t, "SELECT countIf(until > now()) FROM turns FINAL WHERE work = 'correcting'", "0")
	w.turnOf(t, "judging", "now()")
	if p, err := r.Run(t.Context(), replay.Progress{Request: reclassified}, w.replayOptions(h, file)); err != nil || p.Published != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	w.wantSQL(t, "SELECT countIf(until > now()) FROM turns FINAL WHERE work = 'correcting'", "0")
}
