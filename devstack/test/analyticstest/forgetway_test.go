package analyticstest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/subject"
)

// A dead letter that Kafka has and ClickHouse not yet is forgotten, too: of who was never
// forgotten, and of who was, and has nothing else that is new.
func TestForget_FindsDeadLettersOnTheirWay(t *testing.T) {
	t.Parallel()
	w, hash := forgetWorld(t)
	_, stop := w.analytics(t)
	w.settle(t, hash, 2)
	w.forget(t, subject.Forget{Addresses: []string{resident(0)}})
	stop()

	letter := func(key, id, address string) {
		t.Helper()
		w.produce(t, &kgo.Record{Topic: "email.dead-letter", Key: []byte(key), Value: mustJSON(t, schemas.DeadLetter{
			ID: id, Time: time.Now().UTC(), Service: "ingress", Reason: "undecodable", Bytes: []byte("email=" + address),
		})})
	}
	for n := range 2 {
		letter(fmt.Sprint(n), fmt.Sprintf("late-%d", n), resident(n))
	}
	done, err := pipeline.Forget(t.Context(), w.cfg, subject.Forget{Addresses: []string{resident(0), resident(1)}, Wait: time.Millisecond}, logger(t))
	if !errors.Is(err, subject.ErrUnfinished) || done.Request == "" || done.Before != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	_, stop = w.analytics(t)
	defer stop()
	for n := range 2 { // in the same partitions, so they are stored later
		letter(fmt.Sprint(n), fmt.Sprintf("another-%d", n), resident(5))
	}
	servicetest.Eventually(t, "the letters after them", func() bool {
		return w.sql(t, "SELECT count() FROM dead_letters WHERE id LIKE 'another-%'") == "2"
	})
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE id NOT LIKE 'another-%'", "0")
}

// Of two requests for one person at the same moment the later one counts, and the first ends
// with what it did.
func TestForget_EndsWithTheRequestThatCameLater(t *testing.T) {
	t.Parallel()
	w, hash := forgetWorld(t)
	_, stop := w.analytics(t)
	w.settle(t, hash, 1)
	stop()
	type outcome struct {
		done subject.Forgotten
		err  error
	}
	ended := make(chan outcome, 1)
	go func() {
		done, err := pipeline.Forget(t.Context(), w.cfg, subject.Forget{Addresses: []string{resident(0)}, Wait: servicetest.Patience}, logger(t))
		ended <- outcome{done, err}
	}()
	w.erasureOf(t, hash(resident(0)))
	at := time.Now().UTC().Add(time.Second).Truncate(time.Millisecond)
	w.produce(t, &kgo.Record{Topic: "email.erasures", Key: []byte(hash(resident(0))), Value: mustJSON(t, schemas.Erasure{Hash: hash(resident(0)), ErasedAt: at, Request: "the-other"})})
	_, stop = w.analytics(t)
	defer stop()
	if got := <-ended; got.err != nil || got.done.Request != "the-other" || got.done.ErasedAt == nil {
		t.Errorf("%+v, %v", got.done, got.err)
	}
}

// erasureOf waits until Kafka has an erasure of the person.
func (w *world) erasureOf(t *testing.T, hash string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers), kgo.ConsumeTopics("email.erasures"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	servicetest.Eventually(t, "the erasure", func() bool {
		found := false
		client.PollRecords(t.Context(), 100).EachRecord(func(r *kgo.Record) { found = found || string(r.Key) == hash })
		return found
	})
}

// A crowd is judged by all of its people: who is forgotten leaves the others where they were,
// when the hour is judged once more, too.
func TestForget_LeavesACrowdJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, judgesOften[:len(judgesOften)-1]+", erase_interval: 1s}", `privacy: {pepper: 0123456789abcdef0123456789abcdef}`)
	hash := hasher(t, w.cfg)
	w.analytics(t)
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	var events []schemas.Event
	event := func(n int, typ schemas.Type, after time.Duration, url string) {
		e := eventAt(n, typ, at.Add(after))
		e.ID = fmt.Sprintf("0193486f-5a00-8abc-9def-%012x", len(events))
		e.Recipient, e.RecipientHash, e.URL, e.IP, e.UserAgent, e.Raw = resident(n), hash(resident(n)), url, fmt.Sprintf("2001:db8:7:%x::1", n), chrome, nil
		events = append(events, e)
	}
	const people = 5
	for n := range people {
		event(n, schemas.Delivered, 0, "")
		event(n, schemas.Clicked, 12*time.Second, "https://example.com/1")
		event(n, schemas.Clicked, 15*time.Second, "https://example.com/2")
	}
	w.publish(t, events...)
	const judged = "SELECT countIf(machine_reason = 'crowd'), (SELECT sum(events) FROM rates_1h WHERE machine) FROM events"
	w.wantSQL(t, judged, "10\t10")
	w.forget(t, subject.Forget{Addresses: []string{resident(0)}})
	w.wantSQL(t, judged, "10\t10")
	event(people, schemas.Clicked, 30*time.Minute, "https://example.com/1")
	w.publish(t, events[len(events)-1])
	w.wantSQL(t, "SELECT max(rows) >= (SELECT sum(rows) FROM hour_rows), (SELECT sum(rows) > 25 FROM hour_rows) FROM hour_judgements FINAL", "1\t1")
	w.wantSQL(t, judged, "10\t10")
}

// What was judged of the acts of a person stays when the person is forgotten, and when
// what is forgotten is read from the first offset or repeated by the provider.
func TestForget_KeepsWhatWasJudgedThroughRepeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, judgesOften[:len(judgesOften)-1]+", erase_interval: 1s}", `privacy: {pepper: 0123456789abcdef0123456789abcdef}`)
	hash := hasher(t, w.cfg)
	_, stop := w.analytics(t)
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	var events []schemas.Event
	const people = 4
	for n := range people {
		for i, after := range []time.Duration{0, time.Second, 3 * time.Second, time.Hour, 2 * time.Hour} { // the last two are of a person
			e := eventAt(n, []schemas.Type{schemas.Delivered, schemas.Opened, schemas.Clicked, schemas.Opened, schemas.Clicked}[i], at.Add(after))
			e.ID = fmt.Sprintf("0193486f-5a00-8abc-9def-%012x", len(events))
			e.Recipient, e.RecipientHash, e.IP, e.UserAgent, e.Raw = resident(n), hash(resident(n)), "192.0.2.1", chrome, nil
			events = append(events, e)
		}
	}
	w.publish(t, events...)
	const judged = "SELECT countIf(machine_reason = 'too_soon'), countIf(machine) FROM events"
	w.wantSQL(t, judged, fmt.Sprintf("%d\t%d", 2*people, 2*people))
	w.wantSQL(t, "SELECT sum(events) FROM rates_1h WHERE machine", fmt.Sprint(2*people)) // their counts follow
	before := w.machineRates(t)
	w.forget(t, subject.Forget{Addresses: []string{resident(0), resident(1)}})
	rows := 0
	same := func(more int) { // once there are so many more rows
		t.Helper()
		servicetest.Eventually(t, "more rows", func() bool {
			now, err := strconv.Atoi(w.sql(t, "SELECT sum(rows) FROM hour_rows"))
			if err != nil {
				t.Fatal(err)
			}
			enough := now >= rows+more
			if enough {
				rows = now
			}
			return enough
		})
		w.wantSQL(t, judged, fmt.Sprintf("%d\t%d", 2*people, 2*people))
		w.wantSQL(t, "SELECT countIf(machine_before IS NULL AND judged != 0 AND machine_reason = 'too_soon'), count() FROM event_log FINAL WHERE recipient_hash = ''", "4\t10")
		var after string
		servicetest.EventuallyOr(t, func() bool { after = w.machineRates(t); return after == before }, func() string {
			return fmt.Sprintf("rates changed:\n%s\nwere\n%s", after, before)
		})
		for _, table := range strings.Fields(w.sql(t, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name NOT LIKE 'audit%'")) {
			stored := w.sql(t, "SELECT formatRow('JSONEachRow', *) FROM "+table)
			for n := range 2 {
				if subject.NewFinder(resident(n)).In([]byte(stored)) || strings.Contains(stored, hash(resident(n))) {
					t.Errorf("%s is back in %s", resident(n), table)
				}
			}
		}
	}
	same(len(events) + 2*people)
	for _, group := range []string{"second-", "third-"} {
		stop()
		w.cfg.Kafka.GroupPrefix = group
		_, stop = w.analytics(t)
		// Those who are not forgotten are judged once more, each of their two acts in a new row.
		same(len(events) + 2*(people-2))
		w.sql(t, "OPTIMIZE TABLE event_log FINAL")
	}
	repeats := slices.Clone(events[:10]) // of who is forgotten
	for i := range repeats {
		repeats[i].ReceivedAt = time.Now().UTC()
	}
	w.publish(t, repeats...)
	same(len(repeats))
	stop()
}

// machineRates is every count that says what machines did.
func (w *world) machineRates(t testing.TB) string {
	t.Helper()
	return w.rates(t) + w.sql(t, "SELECT * FROM rates_15m ORDER BY ALL") + w.sql(t, "SELECT * FROM rates_1h_by(dimension = 'campaign') ORDER BY ALL")
}
