package analyticstest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/subject"
)

// The addresses of those who are forgotten begin with mark, which is in nothing else,
// so that one search finds all of them: a file is read once and not once a person.
const (
	mark     = "qzgonejxwv"
	rosterOf = 100 // people who are forgotten
)

func marked(n int) string { return fmt.Sprintf("%s%03d@example.com", mark, n) }

// needles are the forms in which mark may be in a file.
func needles() (all [][]byte) {
	add := func(text string) { all = append(all, []byte(text)) }
	for _, word := range []string{mark, strings.ToUpper(mark)} {
		add(word)
		add(base64.StdEncoding.EncodeToString([]byte(word))[:12])         // of whole groups
		add(base64.StdEncoding.EncodeToString([]byte("xx" + word))[3:15]) // what is before it takes part of a group
		add(base64.StdEncoding.EncodeToString([]byte("x" + word))[2:14])
		for _, form := range []string{"%%%02X", "%%%02x", "=%02X", `\u%04x`, "&#%d;", "%02x"} {
			encoded := ""
			for _, b := range []byte(word) {
				encoded += fmt.Sprintf(form, b)
			}
			add(encoded)
		}
	}
	return all
}

// search returns which of the forms are in files below dir, and where. Files of
// ClickHouse are also read decompressed. A file that goes away meanwhile is none.
func search(t testing.TB, dir string) (found []string) {
	t.Helper()
	forms := needles()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !entry.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		unpacked := decompressed(text)
		for _, form := range forms {
			if bytes.Contains(text, form) || bytes.Contains(unpacked, form) {
				found = append(found, fmt.Sprintf("%s in %s", form, path))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// decompressed returns what the blocks of a file of a ClickHouse column hold, nothing
// where it is none. Blocks of numbers in codecs that the client does not know are left
// out.
func decompressed(file []byte) []byte {
	const head, checksum = 25, 16 // bytes before a block, and of them the checksum
	var out []byte
	for len(file) > head {
		size := int64(binary.LittleEndian.Uint32(file[checksum+1:]))
		if size < head-checksum || checksum+size > int64(len(file)) {
			return out
		}
		block := file[:checksum+size]
		file = file[checksum+size:]
		if text, err := io.ReadAll(compress.NewReader(bytes.NewReader(block))); err == nil || errors.Is(err, io.EOF) {
			out = append(out, text...)
		}
	}
	return out
}

// onDisk is a world whose files can be read: its broker compresses nothing and expires
// when it is asked to.
type onDisk struct {
	*world
	cluster *kfake.Cluster
	segment string // folder of the broker
	tables  string // folder of the engine
}

func newOnDisk(t testing.TB) *onDisk {
	t.Helper()
	d := &onDisk{world: &world{engine: enginetest.Start(t), database: enginetest.Database(t)}, segment: filepath.Join(t.TempDir(), "kafka")}
	var err error
	if d.cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(d.segment)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.cluster.Close)
	d.brokers = d.cluster.ListenAddrs()[0]
	if d.client, err = kgo.NewClient(kgo.SeedBrokers(d.brokers), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.ProducerBatchCompression(kgo.NoCompression())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.client.Close)
	d.prepare(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 50ms, erase_interval: 1s}`, `privacy: {pepper: 0123456789abcdef0123456789abcdef}`)
	path := d.sql(t, "SELECT data_paths[1] FROM system.tables WHERE database = currentDatabase() AND name = 'event_log'")
	d.tables, _, _ = strings.Cut(path, "/store/")
	for _, table := range d.mergeTrees(t) {
		d.sql(t, "ALTER TABLE "+table+" MODIFY SETTING old_parts_lifetime = 1") // 8 minutes by default
	}
	return d
}

// clean waits until the engine has deleted the parts that it reads no more. Of a table that
// is idle it looks for them after minutes; to drop a partition, if only one that is not
// there, has it look at once.
func (d *onDisk) clean(t testing.TB) {
	t.Helper()
	const old = "SELECT groupArray(concat(table, ' ', name, ': ', removal_state)) FROM system.parts WHERE database = currentDatabase() AND NOT active"
	servicetest.EventuallyOr(t, func() bool {
		for _, table := range d.mergeTrees(t) {
			d.sql(t, "ALTER TABLE "+table+" DROP PARTITION ID '19700101'")
		}
		return d.sql(t, old) == "[]"
	}, func() string { return "parts that are not deleted: " + d.sql(t, old) })
}

// mergeTrees are the tables that have parts.
func (d *onDisk) mergeTrees(t testing.TB) []string {
	t.Helper()
	return strings.Fields(d.sql(t, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"))
}

// fill stores as many events of others beside those who are forgotten.
func (d *onDisk) fill(t testing.TB, events int) {
	t.Helper()
	const chunk = 50_000 // of one insert, for the memory of a query
	for from := 0; from < events; from += chunk {
		d.sql(t, fmt.Sprintf(`INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient, recipient_domain, recipient_hash, campaign, raw)
			SELECT generateUUIDv4(), ['delivered', 'opened', 'bounced'][number %% 3 + 1], toDateTime64('2026-11-18 00:00:00', 3, 'UTC') + toIntervalMillisecond(number * 200), now64(3), 'mailjet', 'acme',
				toString(number), concat('kept', toString(number), '@example.com'), 'example.com', lower(hex(sipHash128(number))), 'spring', concat('{"email":"kept', toString(number), '@example.com"}')
			FROM numbers(%d, %d)`, from, min(chunk, events-from)))
	}
}

// expire has the broker do what its configuration promises, at once.
func (d *onDisk) expire(t testing.TB) {
	t.Helper()
	admin := kadm.NewClient(d.client)
	configs, err := admin.DescribeTopicConfigs(t.Context(), strings.Fields("email.delivered email.opened email.clicked email.bounced email.dead-letter")...)
	if err != nil {
		t.Fatal(err)
	}
	var expiring []string
	for _, topic := range configs {
		for _, c := range topic.Configs {
			days := map[bool]int64{true: 30, false: 14}[topic.Name == "email.dead-letter"]
			if c.Key == "retention.ms" && c.MaybeValue() != fmt.Sprint(days*(24*time.Hour).Milliseconds()) {
				t.Errorf("%s is kept %s ms, want %d days", topic.Name, c.MaybeValue(), days)
			}
		}
		expiring = append(expiring, topic.Name)
	}
	short := "1"
	if _, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "retention.ms", Value: &short}}, expiring...); err != nil {
		t.Fatal(err)
	}
	d.cluster.ApplyRetention()
	d.cluster.Compact()
}

// forgotten is how long it took to forget, to find that all are forgotten, and, for
// comparison, to read every column of the events.
type forgotten struct{ first, second, scan time.Duration }

// forgetOnDisk forgets people among many events, and looks into every file.
func forgetOnDisk(t testing.TB, events int) (took forgotten) {
	d := newOnDisk(t)
	hash := hasher(t, d.cfg)
	d.fill(t, events)
	_, stop := d.analytics(t)
	d.settleAs(t, hash, rosterOf, marked)
	d.wantSQL(t, "SELECT (SELECT count() FROM event_log), (SELECT count() FROM suppressions), (SELECT count() FROM dead_letters)", fmt.Sprintf("%d\t%d\t%d", events+4*rosterOf, rosterOf, rosterOf))
	d.stored(t)
	d.sql(t, "DELETE FROM event_log WHERE recipient_hash = '"+hash(marked(7))+"' AND type = 'opened'") // as a replay does
	d.sql(t, "OPTIMIZE TABLE event_log PARTITION 20261118")
	before := d.rates(t)
	if found := search(t, d.tables); len(found) < 4 {
		t.Fatalf("the search finds too little before: %q", found)
	}
	if found := search(t, d.segment); len(found) < 4 {
		t.Fatalf("the search finds too little before: %q", found)
	}
	var addresses []string
	for n := range rosterOf {
		addresses = append(addresses, marked(n))
	}
	began := time.Now()
	d.sql(t, "SELECT * FROM event_log FORMAT Null")
	took.scan = time.Since(began)
	began = time.Now()
	done := d.forget(t, subject.Forget{Addresses: addresses, Reason: "request 4711", Wait: forgetPatience})
	took.first = time.Since(began)
	if done.HiddenAt == nil || done.HiddenAt.Sub(began) > servicetest.Patience || done.Left != 0 {
		t.Errorf("the outcome is %+v", done)
	}
	if after := d.rates(t); after != before {
		t.Error("the rates changed")
	}
	stop()
	d.cfg.Kafka.GroupPrefix = "second-" // all of it once more
	_, stop = d.analytics(t)
	d.wantSQL(t, "SELECT sum(rows) FROM hour_rows", fmt.Sprint(events+2*4*rosterOf))
	began = time.Now()
	if twice := d.forget(t, subject.Forget{Addresses: addresses}); twice.Request != "" || twice.Before != rosterOf {
		t.Errorf("a second run did something: %+v", twice)
	}
	took.second = time.Since(began)
	stop()
	d.wantSQL(t, "SELECT count() FROM events", fmt.Sprint(events+4*rosterOf)) // the one that was deleted is back, without the person
	d.clean(t)
	if found := search(t, d.tables); len(found) > 0 {
		t.Errorf("left on disk: %q", found)
	}

	// The list keeps the hash; what it held before goes with the compaction.
	for n := range rosterOf {
		d.produce(t, &kgo.Record{Topic: "email.suppressions", Key: []byte(hash(marked(n))), Value: []byte(`{"hash":"` + hash(marked(n)) + `","updated_at":"2026-11-21T00:00:00.000Z","entries":[]}`)})
	}
	var last []*kgo.Record
	for n := range 50 { // compaction leaves the newest batch of a partition alone
		last = append(last, &kgo.Record{Topic: "email.suppressions", Key: fmt.Append(nil, n), Value: []byte("{}")})
	}
	d.produce(t, last...)
	d.expire(t)
	servicetest.EventuallyOr(t, func() bool { d.cluster.ApplyRetention(); return len(search(t, d.segment)) == 0 }, func() string {
		return fmt.Sprintf("left on disk: %q", search(t, d.segment))
	})
	return took
}

// forgetPatience bounds the rewriting of a million events on a busy machine.
const forgetPatience = 10 * time.Minute

// A hundred people are forgotten: no file of the engine has any form of their addresses,
// and none of the broker once its retention has passed; all rates are the same.
func TestForget_LeavesNoFileWithThePerson(t *testing.T) {
	t.Parallel()
	forgetOnDisk(t, 30_000)
}

// BenchmarkForget is the same among a million events; `make bench` runs it. A run has the
// filling and the searching of files in it, so the seconds that count are named.
func BenchmarkForget(b *testing.B) {
	for b.Loop() {
		took := forgetOnDisk(b, 1_000_000)
		b.ReportMetric(took.first.Seconds(), "s/forget")
		b.ReportMetric(took.second.Seconds(), "s/second-run")
		b.ReportMetric(took.scan.Seconds(), "s/scan")
	}
}
