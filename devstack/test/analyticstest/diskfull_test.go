package analyticstest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/replay"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/subject"
)

// A disk is full in three ways here, none of which needs rights on the machine. ClickHouse
// reserves the room of a part before it writes one, so that a file system without a free
// byte gives the same error 243, NOT_ENOUGH_SPACE, as these do:
//
//   - engine.Config.DiskFull: all of the disk has to stay free; merges and mutations wait
//   - min_free_disk_bytes_to_perform_insert of one table, while the others have room
//   - the same for one statement, by a proxy before the engine
const (
	noRoom     = "NOT_ENOUGH_SPACE"
	minFreeSet = "min_free_disk_bytes_to_perform_insert"
	noDiskHas  = "1000000000000000000" // bytes
)

// disk restarts the engine on a disk that is full, or that has room again.
func (e *ownEngine) disk(t *testing.T, full bool) {
	t.Helper()
	e.kill(t)
	e.cfg.DiskFull = full
	e.start(t)
}

// withoutRoom are the messages of warnings whose error says that there is no room.
func withoutRoom(log *observer.ObservedLogs) map[string]bool {
	found := map[string]bool{}
	for _, entry := range log.All() {
		for _, field := range entry.Context {
			if err, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType && strings.Contains(err.Error(), noRoom) {
				found[entry.Message] = true
			}
		}
	}
	return found
}

// committed is how many records analytics has committed, in all.
func (w *world) committed(t testing.TB) (n int64) {
	t.Helper()
	offsets, err := kadm.NewClient(w.client).FetchOffsets(t.Context(), w.cfg.Kafka.Group("analytics"))
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // before the first commit
		t.Fatal(err)
	}
	offsets.Each(func(o kadm.OffsetResponse) { n += max(o.At, 0) })
	return n
}

// readyz returns what the service says of itself.
func readyz(t *testing.T, svc pipeline.Service) string {
	t.Helper()
	resp, err := http.Get("http://" + svc.Addr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(text))
}

// TestDiskFull_AnalyticsWaitsSaysSoAndGoesOn fills ClickHouse's disk while analytics has
// everything to do: to store, to gather, to judge, to seal, and to forget people. It says
// so and commits nothing; who has to be forgotten is hidden all the same. Once there is
// room, all is as if nothing had happened.
func TestDiskFull_AnalyticsWaitsSaysSoAndGoesOn(t *testing.T) {
	t.Parallel()
	own := newOwnEngine(t)
	w := &world{engine: own.now, database: "full"}
	w.startBroker(t)
	w.prepare(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, erase_interval: 1s, judge_interval: 1s, seal_interval: 1s, seal_rest: 2s}`,
		`privacy: {pepper: 0123456789abcdef0123456789abcdef}`)
	const people, gone = 8, 3
	hash := hasher(t, w.cfg)
	eager := w.cfg.Analytics
	w.cfg.Analytics.JudgeInterval, w.cfg.Analytics.SealInterval = time.Hour, time.Hour
	_, stop := w.quietAnalytics(t)
	w.settle(t, hash, people)
	w.lateOpens(t, people)
	w.wantSQL(t, "SELECT count() FROM messages WHERE opens > 1", fmt.Sprint(people))
	stop()
	before := w.committed(t)

	own.disk(t, true)
	w.engine, w.cfg.Analytics = own.now, eager
	core, log := observer.New(zapcore.WarnLevel)
	svc, err := pipeline.New(w.cfg, pipeline.Analytics, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	stop = stopper(t, servicetest.Start(t, svc))
	defer stop()
	var addresses []string
	for n := range gone {
		addresses = append(addresses, resident(n))
	}
	// It says that it goes on: without room there is no note of how far it is.
	_, err = pipeline.Forget(t.Context(), w.cfg, subject.Forget{Addresses: addresses, Reason: "request 4711", Wait: time.Second}, zap.NewNop())
	if !errors.Is(err, subject.ErrUnfinished) {
		t.Errorf("to forget without room: %v", err)
	}
	w.publish(t, eventAt(1, schemas.Delivered, base()), eventAt(2, schemas.Delivered, base()))
	for _, said := range []string{
		"batch was not handled and will be tried again", "messages of several days are gathered later", "opens and clicks are judged later",
		"sealing put off", "people are not forgotten yet",
	} {
		servicetest.EventuallyOr(t, func() bool { return withoutRoom(log)[said] }, func() string { return fmt.Sprintf("no %q for want of room", said) })
	}
	servicetest.EventuallyOr(t, func() bool {
		text := readyz(t, svc)
		return strings.HasPrefix(text, "503") && strings.Contains(text, noRoom)
	}, func() string { return readyz(t, svc) })
	w.wantSQL(t, "SELECT count(), (SELECT count() FROM messages), (SELECT count() FROM person_messages) FROM events WHERE recipient != ''",
		fmt.Sprintf("%d\t%d\t%d", 5*(people-gone), people-gone, 5*(people-gone)))
	if after := w.committed(t); after != before {
		t.Errorf("%d records were committed and not stored", after-before)
	}

	own.disk(t, false)
	w.engine = own.now
	if again := w.forget(t, subject.Forget{Addresses: addresses}); again.Before != gone || len(again.Earlier) != 1 || again.ErasedAt == nil || again.Left != 0 {
		t.Errorf("the same command, which waits for the one of before: %+v", again)
	}
	w.wantSQL(t, "SELECT count(), uniqExact(id), countIf(source = 'acme' AND recipient = '') FROM events", fmt.Sprintf("%[1]d\t%[1]d\t%d", 5*people+2, 5*gone))
	w.wantSQL(t, "SELECT people, left FROM erasure_log FINAL", fmt.Sprintf("%d\t0", gone))
	w.wantSQL(t, "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done", "0")
	w.wantSQL(t, "SELECT count() = (SELECT uniqExact(toStartOfHour(time)) FROM events) FROM sealed_hours", "1")
	w.agree(t, "after there was room again")
	w.wantSQL(t, "SELECT count(), countIf(toDate(last_event) > toDate(first_event)) FROM messages_by_day", fmt.Sprintf("%d\t%d", people+2, people)) // gathered
	servicetest.EventuallyOr(t, func() bool { return strings.HasPrefix(readyz(t, svc), "200") }, func() string { return readyz(t, svc) })
}

// lateOpens publishes an open of each message of settle, on a later day.
func (w *world) lateOpens(t *testing.T, people int) {
	t.Helper()
	var events []schemas.Event
	for n := range people {
		row := strings.Split(w.sql(t, fmt.Sprintf("SELECT recipient, recipient_hash FROM events WHERE message_id = 'm-%d' LIMIT 1", n)), "\t")
		at := time.Date(2026, 11, 24, 10, n, 0, 0, time.UTC)
		events = append(events, schemas.Event{
			ID: fmt.Sprintf("0193486f-5a00-8abc-9def-%06x%06x", n, 9), Type: schemas.Opened, Time: at, ReceivedAt: at, Provider: "mailjet", Source: "acme",
			MessageID: fmt.Sprintf("m-%d", n), Recipient: row[0], RecipientDomain: "example.com", RecipientHash: row[1], Campaign: "spring",
		})
	}
	w.publish(t, events...)
}

// answers are what all views say of events.
func (w *world) answers(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, view := range []string{
		"events", "messages", "messages_by_day", "campaign_messages", "person_messages", "engagement", "rates_1m", "rates_15m", "rates_1h",
	} {
		columns := "*"
		switch view {
		case "events", "person_messages":
			columns = "id, type, time, source, message_id, recipient_hash, machine, origin"
		case "engagement":
			columns = "* EXCEPT (score, because)" // which the present moment is part of
		}
		fmt.Fprintf(&all, "%s:\n%s\n", view, w.sql(t, "SELECT "+columns+" FROM "+view+" ORDER BY ALL"))
	}
	return all.String()
}

// TestDiskFull_HalfAnInsertIsRepeatedWhole has the disk of one table after another run
// full, so that an insert reaches event_log and not all that is filled from it. The end is
// that of a stack that nothing disturbed.
func TestDiskFull_HalfAnInsertIsRepeatedWhole(t *testing.T) {
	t.Parallel()
	disturbed, calm := newWorld(t), newWorld(t)
	disturbed.quietAnalytics(t)
	n := 0
	for _, table := range []string{"person_log", "receipt_log", "hour_rows", "day_state"} {
		disturbed.sql(t, "SYSTEM STOP MERGES "+table) // which would leave fewer rows, too
		var events []schemas.Event
		for range 4 {
			n++
			at := base().Add(time.Duration(n) * time.Hour)
			events = append(events, eventAt(n, schemas.Delivered, at), eventAt(n, schemas.Opened, at.Add(30*time.Hour)), eventAt(n-n%2, schemas.Clicked, at.Add(40*time.Hour)))
		}
		calm.publish(t, events...)
		disturbed.sql(t, "ALTER TABLE "+table+" MODIFY SETTING "+minFreeSet+" = "+noDiskHas)
		before := disturbed.sql(t, "SELECT count() FROM "+table)
		disturbed.publish(t, events...)
		disturbed.wantSQL(t, "SELECT count() FROM events", fmt.Sprint(3*n))
		if got := disturbed.sql(t, "SELECT count() FROM "+table); got != before {
			t.Errorf("%s has %s rows, had %s: no insert was cut in half", table, got, before)
		}
		disturbed.sql(t, "ALTER TABLE "+table+" RESET SETTING "+minFreeSet)
		servicetest.Eventually(t, "all is committed", func() bool { return disturbed.committed(t) == int64(3*n) })
	}
	calm.analytics(t)
	servicetest.Eventually(t, "all is committed", func() bool { return calm.committed(t) == int64(3*n) })
	calm.gather(t)
	disturbed.gather(t)
	if got, want := disturbed.answers(t), calm.answers(t); got != want {
		t.Errorf("views say\n%s\nwant\n%s", got, want)
	}
}

// fullOnce stands before an engine and lets it find no room for an insert that it has not
// seen before.
type fullOnce struct {
	forward http.Handler
	refuses *regexp.Regexp // which statements

	mu   sync.Mutex
	seen map[string]bool // statements
}

// newFullOnce returns the address of one before w.
func newFullOnce(t *testing.T, w *world, refuses *regexp.Regexp) (*fullOnce, string) {
	t.Helper()
	to, err := url.Parse(w.engine.URL())
	if err != nil {
		t.Fatal(err)
	}
	f := &fullOnce{forward: httputil.NewSingleHostReverseProxy(to), refuses: refuses, seen: map[string]bool{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server.URL
}

func (f *fullOnce) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // who asked went away
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	statement := string(body)
	f.mu.Lock()
	if f.refuses.MatchString(statement) && !f.seen[statement] {
		f.seen[statement] = true
		r.URL.RawQuery += "&" + minFreeSet + "=" + noDiskHas
	}
	f.mu.Unlock()
	f.forward.ServeHTTP(w, r)
}

// migrateWithoutRoom migrates w, with no room for any backfill at first, nor for the note
// that a migration is done. Each run says which migration it was.
func (w *world) migrateWithoutRoom(t *testing.T) {
	t.Helper()
	full, through := newFullOnce(t, w, regexp.MustCompile(backfill.String()+`|INSERT INTO schema_migrations`))
	w.cfg = w.config(t, through)
	for before := 0; ; before = len(full.seen) {
		err := pipeline.MigrateTables(t.Context(), w.cfg, zap.NewNop())
		if err == nil {
			break
		}
		// A backfill that finds no rows needs no room.
		if len(full.seen) == before || !strings.Contains(err.Error(), noRoom) || !regexp.MustCompile(`(apply|record) migration \d{4}_`).MatchString(err.Error()) {
			t.Fatalf("refused %d times: %v", len(full.seen), err)
		}
	}
	if len(full.seen) < 2 {
		t.Errorf("%d statements were refused: the test looks for another form", len(full.seen))
	}
}

// TestDiskFull_ReplayGoesOn has no room for anything that a replay writes to ClickHouse,
// one statement after the other. Each run says so, and the next one goes on.
func TestDiskFull_ReplayGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	full, through := newFullOnce(t, w, regexp.MustCompile(`INSERT INTO`))
	h := w.historyAt(t, through)
	w.publish(t, oldEvents(t, h, 20)...)
	w.wantSQL(t, "SELECT count() FROM events", "21")
	request := stretch
	request.ChangedOnly = true
	w.settled(t, h, request)
	file := filepath.Join(t.TempDir(), "replay.json")
	for refused := 1; ; refused++ {
		progress, err := replay.Resume(file, fmt.Sprint("op-", refused), request)
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.Replay(t.Context(), progress.Request)
		if err != nil {
			t.Fatal(err)
		}
		if progress, err = r.Run(t.Context(), progress, w.replayOptions(h, file)); err == nil {
			if !progress.Done || progress.Operation != "op-1" {
				t.Errorf("%+v", progress)
			}
			break
		}
		if len(full.seen) != refused || !strings.Contains(err.Error(), noRoom) {
			t.Fatalf("refused %d times, run %d: %v", len(full.seen), refused, err)
		}
	}
	if len(full.seen) < 5 {
		t.Errorf("%d statements were refused: the test looks for another form", len(full.seen))
	}
	w.wantSQL(t, "SELECT count(), countIf(type = 'bounced' AND reason = 'invalid_recipient') FROM events", "21\t20")
	w.wantSQL(t, "SELECT count(), countIf(outcome = 'bounced' AND isNull(blocked)), sum(opens) FROM messages", "20\t20\t1")
	w.wantSQL(t, "SELECT count(), countIf(type = 'bounced') FROM person_messages", "21\t20")
	w.agree(t, "after the replay")
}

// oldEvents are those of asOld, and a later open of the first message, which stays.
func oldEvents(t *testing.T, h *pipeline.History, n int) (events []schemas.Event) {
	t.Helper()
	for i := range n {
		was, _ := asOld(t, h, i)
		was.Campaign = "spring"
		events = append(events, was)
	}
	open := events[0]
	open.ID, open.Type, open.Time, open.Raw = "019cb813-5668-8003-8000-000000000001", schemas.Opened, open.Time.Add(30*time.Hour), nil
	return append(events, open)
}
