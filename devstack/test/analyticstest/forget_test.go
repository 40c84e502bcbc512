package analyticstest

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/subject"
)

// forget runs `forget` on w.
func (w *world) forget(t testing.TB, f subject.Forget) subject.Forgotten {
	t.Helper()
	if f.Wait == 0 {
		f.Wait = servicetest.Patience
	}
	done, err := pipeline.Forget(t.Context(), w.cfg, f, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// resident is a person with every kind of record.
func resident(n int) string { return fmt.Sprintf("resident.%d@example.com", n) }

// settle fills w with what n people leave: events of every type that matters, a row
// on the list, and dead letters in several encodings.
func (w *world) settle(t testing.TB, hash func(string) string, people int) {
	t.Helper()
	w.settleAs(t, hash, people, resident)
	servicetest.Eventually(t, "all rows", func() bool {
		got, err := w.ask("SELECT (SELECT count() FROM events), (SELECT count() FROM suppressions), (SELECT count() FROM dead_letters)")
		return err == nil && got == fmt.Sprintf("%d\t%d\t%d", 4*people, people, people)
	})
	w.stored(t)
}

// settleAs publishes what settle does of people with these addresses.
func (w *world) settleAs(t testing.TB, hash func(string) string, people int, addressOf func(int) string) {
	t.Helper()
	var events []schemas.Event
	var recs []*kgo.Record
	for n := range people {
		address := addressOf(n)
		for i, typ := range []schemas.Type{schemas.Delivered, schemas.Opened, schemas.Clicked, schemas.Bounced} {
			at := time.Date(2026, 11, 18+n%3, 10+i, n%60, 0, 0, time.UTC)
			events = append(events, schemas.Event{
				ID: fmt.Sprintf("0193486f-5a00-8abc-9def-%06x%06x", n, i), Type: typ, Time: at, ReceivedAt: at.Add(time.Second),
				Provider: "mailjet", Source: "acme", MessageID: fmt.Sprintf("m-%d", n), Recipient: address, RecipientDomain: "example.com",
				RecipientHash: hash(address), ProviderEventID: "pe-" + address, Campaign: "spring", Tags: []string{"for-" + address},
				Metadata: map[string]string{"email": url.QueryEscape(address)}, URL: "https://example.com/?u=" + url.QueryEscape(address),
				IP: "192.0.2.1", UserAgent: "UA of " + address, Subject: "Hello " + address, SMTPReply: "550 <" + address + "> unknown",
				Raw: json.RawMessage(fmt.Sprintf(`{"email":%q,"b":%q}`, address, base64.StdEncoding.EncodeToString([]byte(address)))),
			})
		}
		list, err := json.Marshal(schemas.Suppression{Hash: hash(address), Address: address, UpdatedAt: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Entries: []schemas.SuppressionEntry{
			{Scope: schemas.ScopeAccount, Reason: schemas.SuppressManual, AddedAt: time.Date(2026, 11, 19, 0, 0, 0, 0, time.UTC), Note: address + " called"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, &kgo.Record{Topic: "email.suppressions", Key: []byte(hash(address)), Value: list})
		body := []string{address, url.QueryEscape(address), base64.StdEncoding.EncodeToString([]byte("to " + address)), strings.ToUpper(address)}[n%4]
		letter, err := json.Marshal(schemas.DeadLetter{ID: fmt.Sprintf("%032x", n), Time: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Service: "ingress", Reason: "undecodable",
			Bytes: []byte(fmt.Sprintf(`[{"e":%q,"cc":"other@example.org"},{"e":"neighbour@example.org"}]`, body))})
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, &kgo.Record{Topic: "email.dead-letter", Key: fmt.Appendf(nil, "%032x", n), Value: letter})
	}
	w.publish(t, events...)
	w.produce(t, recs...)
}

// rates is every count there is.
func (w *world) rates(t testing.TB) string {
	t.Helper()
	return w.sql(t, "SELECT * FROM rates_1h ORDER BY ALL") + w.sql(t, "SELECT * FROM rates_1m ORDER BY ALL")
}

// hasher gives the recipient hash of an address, as the services do.
func hasher(t testing.TB, cfg pipeline.Config) func(string) string {
	t.Helper()
	hash, err := pipeline.Hasher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func forgetWorld(t testing.TB) (w *world, hash func(string) string) {
	t.Helper()
	w = newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 50ms, erase_interval: 1s, seal_interval: 1s, seal_rest: 2s}`,
		`privacy: {pepper: 0123456789abcdef0123456789abcdef}`)
	return w, hasher(t, w.cfg)
}

func TestForget_LeavesNoTraceAndEveryRate(t *testing.T) {
	t.Parallel()
	w, hash := forgetWorld(t)
	_, stop := w.analytics(t)
	const people, gone = 40, 10
	w.settle(t, hash, people)
	servicetest.Eventually(t, "past hours are sealed", func() bool { return w.sql(t, "SELECT count() FROM sealed_hours") == "12" })
	before := w.rates(t)

	var addresses []string
	for n := range gone {
		addresses = append(addresses, strings.ToUpper(resident(n)))
	}
	plan := w.forget(t, subject.Forget{Addresses: addresses, DryRun: true})
	if plan.Rows["event_log"] < 4*gone || plan.Rows["dead_letter_log"] != gone || plan.Request != "" {
		t.Errorf("the plan is %+v", plan)
	}
	w.wantSQL(t, "SELECT count() FROM events WHERE recipient_hash = ''", "0")
	asked := time.Now()
	done := w.forget(t, subject.Forget{Addresses: addresses, Reason: "request 4711"})
	if done.ErasedAt == nil || done.Left != 0 || done.Before != 0 {
		t.Errorf("the outcome is %+v", done)
	}
	if at := done.HiddenAt; at.Before(asked.Truncate(time.Second)) || at.After(time.Now()) {
		t.Errorf("hidden at %s, want between %s, when it was asked for, and now", at, asked)
	}

	w.isForgotten(t, gone, people)
	if after := w.rates(t); after != before {
		t.Errorf("rates changed:\n%s\nwere\n%s", after, before)
	}
	w.wantSQL(t, "SELECT count() FROM sealed_hours", "12")
	w.wantSQL(t, "SELECT people, left, reason, rows['dead_letter_log'] FROM erasure_log FINAL", fmt.Sprintf("%d\t0\trequest 4711\t%d", gone, gone))
	if again := w.forget(t, subject.Forget{Addresses: addresses}); again.Before != gone || again.Request != "" {
		t.Errorf("a second run did something: %+v", again)
	}

	// A blanked row is the same, whether it was blanked before or after it was stored.
	const blank = "SELECT * EXCEPT (kafka_topic, kafka_partition, kafka_offset, received_at) FROM event_log FINAL WHERE recipient_hash = '' ORDER BY id"
	mutated := w.sql(t, blank)
	stop()
	w.cfg.Kafka.GroupPrefix = "second-" // all of it once more
	_, stop = w.analytics(t)
	defer stop()
	servicetest.Eventually(t, "all is read again", func() bool {
		return w.sql(t, "SELECT sum(rows) FROM hour_rows") == fmt.Sprint(8*people)
	})
	w.isForgotten(t, gone, people)
	w.wantSQL(t, blank, mutated)
	w.wantSQL(t, "SELECT sum(events) FROM rates_1h", fmt.Sprint(4*people))

	// What happens later is a new relation.
	now := time.Now().UTC()
	w.publish(t, schemas.Event{ID: "0193486f-5a00-8abc-9def-ffffffffffff", Type: schemas.Opened, Time: now, ReceivedAt: now, Provider: "mailjet", Source: "acme", MessageID: "new", Recipient: resident(0), RecipientHash: hash(resident(0))})
	servicetest.Eventually(t, "the new relation", func() bool {
		return w.sql(t, "SELECT count() FROM events WHERE recipient_hash = '"+hash(resident(0))+"'") == "1"
	})
	if again := w.forget(t, subject.Forget{Addresses: addresses}); again.Before != gone-1 || again.Request == "" {
		t.Errorf("the new relation was not forgotten: %+v", again)
	}
}

// isForgotten looks for the first gone of people in every table.
func (w *world) isForgotten(t testing.TB, gone, people int) {
	t.Helper()
	w.wantSQL(t, "SELECT count() FROM events", fmt.Sprint(4*people))
	w.wantSQL(t, "SELECT count() FROM messages", fmt.Sprint(people-gone))
	w.wantSQL(t, "SELECT count(), countIf(recipient_hash = '') FROM engagement", fmt.Sprintf("%d\t0", people-gone))
	w.wantSQL(t, "SELECT count(), countIf(address = ''), countIf(note = '') FROM suppressions", fmt.Sprintf("%d\t%d\t%d", people, gone, gone))
	for _, table := range strings.Fields(w.sql(t, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'")) {
		rows := w.sql(t, "SELECT formatRow('JSONEachRow', *) FROM "+table)
		for n := range gone {
			if found := subject.NewFinder(resident(n)); found.In([]byte(rows)) {
				t.Fatalf("%s is left in %s", resident(n), table)
			}
		}
		if table == "event_log" && !subject.NewFinder(resident(gone)).In([]byte(rows)) {
			t.Error("somebody else was forgotten, too")
		}
	}
}

func TestForget_RefusesWhatItCannotKeep(t *testing.T) {
	t.Parallel()
	w, _ := forgetWorld(t)
	for _, f := range []struct {
		subject.Forget
		want error
	}{
		{subject.Forget{Addresses: []string{"ana@example.com", "nobody"}}, subject.ErrAddress},
		{subject.Forget{Addresses: []string{"*@example.com"}}, subject.ErrAddress},
		{subject.Forget{Addresses: []string{"ana@example.com"}, Reason: "ana@example.com asked"}, subject.ErrReason},
	} {
		_, err := pipeline.Forget(t.Context(), w.cfg, f.Forget, zap.NewNop())
		if !errors.Is(err, f.want) || strings.Contains(err.Error(), "ana@") || strings.Contains(err.Error(), "nobody") {
			t.Errorf("%+v: %v, want %v without the address", f.Forget, err, f.want)
		}
	}
}

func TestExport_HoldsThePersonAndNobodyElse(t *testing.T) {
	t.Parallel()
	w, hash := forgetWorld(t)
	_, stop := w.analytics(t)
	defer stop()
	w.settle(t, hash, 4)
	for n := range 4 {
		w.pastOf(t, hash(resident(n)), resident(n), resident((n+1)%4))
	}
	w.wantSQL(t, "SELECT countIf(isNotNull(removed_at)), (SELECT count() FROM audit_log) FROM suppressions", "4\t4")
	for n := range 4 {
		var out bytes.Buffer
		done, err := pipeline.Export(t.Context(), w.cfg, resident(n), &out, logger(t))
		if err != nil {
			t.Fatal(err)
		}
		rows := map[string]int{}
		for _, p := range done.Parts {
			rows[p.Name] = p.Rows
		}
		if rows["events"] != 4 || rows["messages"] != 1 || rows["engagement"] != 1 || rows["suppressions"] != 1 ||
			rows["dead_letters"] != 1 || rows["suppression_history"] != 5 || rows["audit"] != 1 {
			t.Errorf("%s: %v", resident(n), rows)
		}
		archive, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]string{
				"suppression_history.jsonl": `"note":"` + resident(n) + ` called, not (another address)"`, "audit.jsonl": `"action":"person.view"`,
				"index.html": "the second time",
			}[f.Name]; !strings.Contains(string(text), want) || strings.Contains(string(text), "colleague") {
				t.Errorf("%s lacks %s, or names who looked:\n%s", f.Name, want, text)
			}
			if f.Name != "alerts.jsonl" && f.Name != "audit.jsonl" && f.Name != "engagement.jsonl" && !subject.NewFinder(resident(n)).In(text) {
				t.Errorf("%s lacks the person:\n%s", f.Name, text)
			}
			for _, other := range []string{"other@example.org", "neighbour@example.org", resident((n + 1) % 4)} {
				if subject.NewFinder(other).In(text) {
					t.Errorf("%s of %s holds %s", f.Name, resident(n), other)
				}
			}
		}
	}
}

// TestExport_SaysThatTheDiskIsFull: a zip that was cut off must not pass for a whole one.
func TestExport_SaysThatTheDiskIsFull(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	w, hash := forgetWorld(t)
	w.analytics(t)
	w.settle(t, hash, 1)
	if _, err := pipeline.Export(t.Context(), w.cfg, resident(0), full, logger(t)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("an export to a full disk: %v", err)
	}
}

// pastOf has the person added to the list twice and lifted twice, and looked at.
func (w *world) pastOf(t *testing.T, hash, address, another string) {
	t.Helper()
	at := func(day int) time.Time { return time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC) }
	w.produce(t, &kgo.Record{Topic: "email.suppressions", Key: []byte(hash), Value: mustJSON(t, schemas.Suppression{
		Hash: hash, Address: address, UpdatedAt: at(21),
		Entries: []schemas.SuppressionEntry{{
			Scope: schemas.ScopeAccount, Reason: schemas.SuppressManual, AddedAt: at(19), Note: address + " called, not " + another, RemovedAt: at(20), RemovedNote: "the second time",
			Past: []schemas.SuppressionStep{{At: at(3), Note: "once"}, {At: at(4), Lift: true}},
		}},
		SoftBounces: []schemas.SoftBounce{{At: at(2), Reason: schemas.MailboxFull, Message: "m", Evidence: "e"}},
	})}, &kgo.Record{Topic: "email.audit", Key: []byte("a" + hash), Value: mustJSON(t, schemas.Audit{
		ID: "a" + hash, Time: at(20), By: "colleague", Role: "support", Action: "person.view", Object: hash, Note: "request of " + another,
	})})
}
