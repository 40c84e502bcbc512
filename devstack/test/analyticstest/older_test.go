package analyticstest

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
)

// writeOlder makes a folder with the present version, before a migration that the
// folders of before say nothing about.
var writeOlder = flag.String("write-older", "", "write testdata/`NAME`.tar.gz and .json with the present version")

// olderDatabase has the name of the default, as a folder of a deployment.
const olderDatabase = "mailstream"

// olderFolders are kept of older versions: that of the first one, and of the last before
// analytics.keep, with judgements and weights of engagement.
func olderFolders() []string { return []string{"older", "schema24"} }

func olderFolder(name string) string { return "testdata/" + name + ".tar.gz" }
func olderTruth(name string) string  { return "testdata/" + name + ".json" }

// truth is what a view had when the folder was written: its columns of then, how
// many rows, and a hash of all of them that does not depend on their order.
type truth struct {
	View    string `json:"view"`
	Columns string `json:"columns"`
	Answer  string `json:"answer"`
}

// TestMigrate_KeepsEveryRowOfAnOlderVersion starts on a folder that an older version
// wrote, with events that arrived twice, sealed hours, suppressions, alerts and dead
// letters, migrates it and finds in each view what it had.
func TestMigrate_KeepsEveryRowOfAnOlderVersion(t *testing.T) {
	if *writeOlder != "" {
		writeOlderFolder(t, *writeOlder)
	}
	for _, name := range olderFolders() {
		t.Run(name, func(t *testing.T) { keepsEveryRow(t, name) })
	}
}

func keepsEveryRow(t *testing.T, name string) {
	t.Helper()
	own := newOwnEngineAt(t, func(dir string) { unpack(t, olderFolder(name), dir) })
	w := &world{engine: own.now, database: olderDatabase}
	w.startBroker(t)
	w.migrateWithoutRoom(t)
	w.wantTruths(t, name)
}

// wantTruths looks for what a folder had, and for what migrations made of it.
func (w *world) wantTruths(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(olderTruth(name))
	if err != nil {
		t.Fatal(err)
	}
	var truths []truth
	if err := json.Unmarshal(text, &truths); err != nil {
		t.Fatal(err)
	}
	for _, want := range truths {
		if got := w.sql(t, hashSQL(want.View, want.Columns)); got != want.Answer || got == "0\t0" {
			t.Errorf("%s has %q, had %q", want.View, got, want.Answer)
		}
	}
	w.agree(t, "after the migration")
	backfilled(t, w)
}

// backfilled checks what migrations made of the rows that were there before them.
func backfilled(t *testing.T, w *world) {
	t.Helper()
	for query, want := range map[string]string{
		"SELECT count(), uniqExact(id) FROM person_messages": "360\t360",
		"SELECT groupBitXor(cityHash64(id, type, source, recipient_hash, message_id, time)) = (SELECT groupBitXor(cityHash64(id, type, source, recipient_hash, message_id, time)) FROM events) FROM person_messages": "1",
		"SELECT sum(opens), sum(opens_by_person), sum(clicks), countIf(outcome = 'blocked') FROM messages":                                                                                                           "96\t48\t24\t12",
		"SELECT uniqExact(event), uniqExact(source, type, time) = (SELECT uniqExact(source, type, time) FROM events) FROM receipt_log":                                                                               "360\t1",
		"SELECT count(), countIf(first_open IS NOT NULL) FROM campaign_messages":                                                                                                                                     "80\t32",
	} {
		if got := w.sql(t, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	w.sameByDay(t, "after the migration")
}

func hashSQL(view, columns string) string {
	return fmt.Sprintf("SELECT count(), sum(cityHash64(toString(tuple(%s)))) FROM %s", columns, view)
}

func writeOlderFolder(t *testing.T, name string) {
	t.Helper()
	own := newOwnEngine(t)
	w := &world{engine: own.now, database: olderDatabase}
	w.startBroker(t)
	w.cfg = w.config(t, own.now.URL(), `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1s, seal_rest: 2s}`)
	if err := pipeline.ApplyTopics(t.Context(), w.cfg, logger(t)); err != nil {
		t.Fatal(err)
	}
	if err := pipeline.MigrateTables(t.Context(), w.cfg, logger(t)); err != nil {
		t.Fatal(err)
	}
	_, stop := w.analytics(t)
	events := olderEvents()
	w.publish(t, events...)
	w.publish(t, events[:100]...) // a provider repeats
	olderStates(t, w)
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", fmt.Sprint(len(events)+100))
	w.wantSQL(t, "SELECT count() = (SELECT uniqExact(hour) FROM hour_rows) AND count() > 0 FROM sealed_hours", "1")
	w.wantSQL(t, "SELECT (SELECT count() FROM suppressions), (SELECT count() FROM alerts), (SELECT count() FROM dead_letters)", "1\t1\t2")
	stop()
	var truths []truth
	for _, view := range contractViews() {
		if view == "engagement" || view == "audit_log" { // scores are of the moment, and nobody looked
			continue
		}
		columns := w.sql(t, "SELECT arrayStringConcat(groupArray('`' || name || '`'), ', ') FROM (SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '"+view+"' ORDER BY position)")
		truths = append(truths, truth{view, columns, w.sql(t, hashSQL(view, columns))})
	}
	own.cancel()
	own.ended <- <-own.ended // for the cleanup, which waits for it too
	pack(t, own.cfg.DataDir, olderFolder(name))
	text, err := json.MarshalIndent(truths, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(olderTruth(name), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// olderEvents are some hundred events of nine days: messages that were delivered,
// opened and clicked by people and machines, and some that were not delivered.
func olderEvents() []schemas.Event {
	yes := true
	var events []schemas.Event
	for n := range 120 {
		at := base().AddDate(0, 0, -n%9).Add(time.Duration(n) * 7 * time.Minute)
		add := func(typ schemas.Type, after time.Duration) *schemas.Event {
			events = append(events, eventAt(n, typ, at.Add(after)))
			e := &events[len(events)-1]
			e.ReceivedAt = time.Now().UTC()
			e.Campaign = []string{"spring", "summer", ""}[n%3]
			return e
		}
		add(schemas.Processed, 0)
		switch {
		case n%10 == 9:
			e := add(schemas.Blocked, time.Second)
			e.Reason, e.Cause, e.SMTPReply = schemas.Reputation, schemas.CauseSender, "550 5.7.1 blocked"
			continue
		case n%10 == 8:
			e := add(schemas.Bounced, time.Second)
			e.Reason, e.Cause, e.BounceType, e.Permanent = schemas.InvalidRecipient, schemas.CauseRecipient, schemas.Hard, &yes
			continue
		}
		add(schemas.Delivered, 2*time.Second)
		if n%2 == 0 {
			add(schemas.Opened, 3*time.Second).Machine = &yes
			add(schemas.Opened, time.Minute)
		}
		if n%4 == 0 {
			add(schemas.Clicked, 2*time.Minute).URL = "https://example.com/o"
		}
	}
	return events
}

func olderStates(t *testing.T, w *world) {
	t.Helper()
	w.produce(t,
		&kgo.Record{Topic: "email.suppressions", Key: []byte("aa"), Value: mustJSON(t, schemas.Suppression{
			Hash: "aa", Address: "a@example.com", UpdatedAt: base(),
			Entries: []schemas.SuppressionEntry{{Scope: schemas.ScopeAccount, Reason: schemas.SuppressHardBounce, AddedAt: base(), Since: base()}},
		})},
		&kgo.Record{Topic: "email.alerts", Key: []byte("f1"), Value: mustJSON(t, schemas.Alert{
			Fingerprint: "f1", Version: 1, Rule: "block_rate", Incident: "i1", Labels: map[string]string{"source": "acme"},
			State: schemas.AlertFiring, Value: 0.75, Threshold: 0.6, Window: "15m0s", Since: base(), UpdatedAt: time.Now().UTC(),
		})},
		&kgo.Record{Topic: "email.dead-letter", Value: mustJSON(t, schemas.DeadLetter{
			ID: "d1", Time: base(), Service: "ingress", Reason: "not_json", Provider: "mailjet", Source: "acme", Bytes: []byte("\x00{\xff"),
		})},
		&kgo.Record{Topic: "email.bounced", Key: []byte("k"), Value: []byte(`{"id":`)},
	)
}

// pack writes what dir holds to a file, without the engine's own logs.
func pack(t *testing.T, dir, file string) {
	t.Helper()
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(zip)
	if err := archive.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{archive, zip, out} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func unpack(t *testing.T, file, dir string) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	zip, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(zip)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || !fs.ValidPath(strings.TrimSuffix(h.Name, "/")) {
			t.Fatalf("%s: %v", h.Name, err)
		}
		to := filepath.Join(dir, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(to, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, to)
		default:
			var body []byte
			if body, err = io.ReadAll(archive); err == nil {
				err = os.WriteFile(to, body, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
