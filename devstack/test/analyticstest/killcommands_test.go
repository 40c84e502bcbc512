package analyticstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/replay"
)

// program is the binary, built once for all tests that kill it.
var program built

// built is a binary in a folder of its own.
type built struct {
	mu  sync.Mutex
	dir string // "" before the first use
}

// path returns that of the binary.
func (b *built) path(t *testing.T) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "mailstream-program-")
		if err != nil {
			t.Fatal(err)
		}
		b.dir = dir
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "mailstream"), ".")
		cmd.Dir = "../../../services/cmd/mailstream"
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, text)
		}
	}
	return filepath.Join(b.dir, "mailstream")
}

// remove ends the use of it.
func (b *built) remove() error { return os.RemoveAll(b.dir) }

// killable runs the binary as its own process, and asks ClickHouse through a cutter that
// kills the process at each statement of a kind once.
type killable struct {
	*cutter
	path, config string

	mu  sync.Mutex
	now *exec.Cmd
}

// asDesk is the pepper of history and newDesk.
const asDesk = `privacy: {pepper: 0123456789abcdef}`

// newKillable makes one that works on w, whose pepper has to be among extra.
func (w *world) newKillable(t *testing.T, cuts string, extra ...string) *killable {
	t.Helper()
	k := &killable{path: program.path(t), config: filepath.Join(t.TempDir(), "mailstream.yaml")}
	var through string
	k.cutter, through = newCutter(t, w.engine, regexp.MustCompile(cuts))
	k.kill = func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		_ = k.now.Process.Kill() // SIGKILL; it runs, since it has just asked
	}
	text := append([]string{
		fmt.Sprintf("kafka: {brokers: [%q], instance_id: here, topics: {partitions: 4}}", w.brokers),
		fmt.Sprintf("clickhouse: {url: %q, database: %q}", through, w.database),
		fmt.Sprintf("state: {dir: %q}", t.TempDir()),
		`ingress: {sources: [{name: acme, provider: mailjet, auth: {basic: {username: u, password: p}}}]}`,
	}, extra...)
	if err := os.WriteFile(k.config, []byte(strings.Join(text, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// run runs a command until it ends, or is killed.
func (k *killable) run(ctx context.Context, args ...string) (out, said string, err error) {
	cmd := exec.CommandContext(ctx, k.path, append(args, "--config", k.config)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	k.mu.Lock()
	k.now = cmd
	err = cmd.Start()
	k.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	return stdout.String(), stderr.String(), err
}

// untilDone gives a command again and again until it ends by itself, and returns what it
// printed then. Each run that does not has to be killed at another statement.
func (k *killable) untilDone(t *testing.T, args ...string) (out string, kills int) {
	t.Helper()
	for ; ; kills++ {
		before := k.cuttings()
		out, said, err := k.run(t.Context(), args...)
		if err == nil {
			return out, kills
		}
		if k.cuttings() == before { // of two statements at once, both may be cut
			t.Fatalf("%q after %d kills: %v\n%s", args, kills, err, said)
		}
	}
}

// bySignal is the exit code of a process that a signal ended.
const bySignal = -1

const acrossMarch = "--from=2026-03-04T00:00:00Z"

// TestKill_ReplayAndReclassifyEndAsIfNobodyHadKilledThem kills both commands at what they
// write to ClickHouse, and where they look for entries of the list, when Kafka has a page
// and the position is that of before.
func TestKill_ReplayAndReclassifyEndAsIfNobodyHadKilledThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1s, seal_rest: 2s}`)
	w.analytics(t)
	h := w.history(t)
	const mails = 20
	events := oldEvents(t, h, mails)
	machine := eventAt(mails, schemas.Opened, events[1].Time)
	machine.UserAgent, machine.Raw = "Mimecast Link Protection", nil
	w.publish(t, append(events, machine, judged(mails+1, ofSender))...)
	w.wantSQL(t, "SELECT count(), (SELECT count() FROM sealed_hours) FROM events", fmt.Sprintf("%d\t2", mails+3))
	request := stretch
	request.ChangedOnly = true
	w.settled(t, h, request)

	k := w.newKillable(t, `INSERT INTO (day_state|hour_rows)|DELETE FROM (messages_state|event_log)`, asDesk)
	out, kills := k.untilDone(t, "replay", acrossMarch, "--to=2026-03-05T00:00:00Z", "--changed-only", "--type=blocked", "--json")
	operation := w.wantOperation(t, out, "events.replay")
	w.wantMarked(t, "email.bounced", operation, 1)
	w.wantSQL(t, "SELECT countIf(type = 'blocked') FROM events", "0")
	clear(k.cut)
	k.cuts = regexp.MustCompile(`INSERT INTO turns|AND evidence IN`)
	out, more := k.untilDone(t, "reclassify", "--since=2026-03-04T00:00:00Z", "--until=2026-03-05T00:00:00Z", "--json")
	w.wantOperation(t, out, "events.reclassify")
	if t.Logf("%d and %d kills", kills, more); kills < 4 || more < 2 {
		t.Error("hardly anything was killed: the test looks for other statements")
	}
	w.wantSQL(t, "SELECT count(), uniqExact(id), countIf(type = 'bounced' AND reason = 'invalid_recipient'), countIf(machine) FROM events",
		fmt.Sprintf("%d\t%[1]d\t%d\t1", mails+3, mails))
	w.wantSQL(t, "SELECT count(), countIf(outcome = 'bounced' AND isNull(blocked)), countIf(isNotNull(first_open_by_person)) FROM messages", fmt.Sprintf("%d\t%d\t1", mails+2, mails+1))
	w.wantSQL(t, "SELECT count(), countIf(type = 'bounced') FROM person_messages", fmt.Sprintf("%d\t%d", mails+3, mails+1))
	w.agree(t, "before the hour is sealed once more")
	w.wantSQL(t, "SELECT count() FROM sealed_hours", "2")
	w.agree(t, "after it")
}

// wantOperation looks for the operation that out has to the end of a command: it is done,
// and the audit names it once a run.
func (w *world) wantOperation(t *testing.T, out, action string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var done replay.Progress
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &done); err != nil || !done.Done {
		t.Fatalf("%s ended with %s, %v", action, out, err)
	}
	w.wantSQL(t, "SELECT uniqExact(object) FROM audit_log WHERE action = '"+action+"' AND object = '"+done.Operation+"'", "1")
	return done.Operation
}

// TestKill_RedrivingLettersGoesOn kills `replay --dead-letters` when Kafka has the events.
// Another one is kept out until the one that was killed counts as cut.
func TestKill_RedrivingLettersGoesOn(t *testing.T) {
	t.Parallel()
	const n = 20
	w := newDesk(t)
	svc, _ := w.analytics(t)
	w.lettersOf(t, n)
	k := w.newKillable(t, `FROM dead_letter`, asDesk)
	args := []string{"replay", acrossMarch, "--to=2026-03-05T00:00:00Z", "--dead-letters", "--rate=500"}
	var said string
	for len(k.cut) == 0 || !strings.Contains(said, "counts as cut") { // the first ones are of the plan
		if _, text, err := k.run(t.Context(), args...); err == nil {
			t.Fatal("nothing was killed once an operation ran")
		} else {
			said = text
		}
	}
	var list struct{ Operations []schemas.Operation }
	letters(t, svc, "GET /operations", "", &list)
	if len(list.Operations) != 1 || list.Operations[0].State != schemas.OperationRunning || !strings.Contains(said, list.Operations[0].ID) {
		t.Fatalf("operations %+v, and the command says %s", list.Operations, said)
	}
	// A minute goes by: what is known of it is older.
	op := list.Operations[0]
	op.UpdatedAt = op.UpdatedAt.Add(-2 * time.Minute)
	w.produce(t, &kgo.Record{Topic: "email.operations", Key: []byte(op.ID)}, &kgo.Record{Topic: "email.operations", Key: []byte(op.ID), Value: mustJSON(t, op)})
	if op = ends(t, svc, op.ID); op.State != schemas.OperationCut {
		t.Errorf("the one that was killed: %+v", op)
	}
	k.cuts = regexp.MustCompile(`^$`)
	if _, said, err := k.run(t.Context(), args...); err != nil {
		t.Fatal(err, said)
	}
	w.wantSQL(t, "SELECT count(), uniqExact(id) FROM events", fmt.Sprintf("%d\t%d", n, n))
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE state = 'open'", "0")
}

// TestKill_ForgetAndExportEndAsIfNobodyHadKilledThem kills `forget` before its erasure is
// written and after, `subject-export` within the file, and analytics itself, as a
// process, where it stores, gathers, judges and erases.
func TestKill_ForgetAndExportEndAsIfNobodyHadKilledThem(t *testing.T) {
	t.Parallel()
	w, hash := forgetWorld(t)
	const pepper = `privacy: {pepper: 0123456789abcdef0123456789abcdef}`
	service := w.newKillable(t, `INSERT INTO (event_log|day_state|hour_judgements|erasure_log) |ALTER TABLE (event_log|person_log)`,
		`analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, erase_interval: 1s, judge_interval: 1s}`, pepper)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // a supervisor
		defer close(ended)
		for ctx.Err() == nil {
			_, said, err := service.run(ctx, "analytics")
			if exit, ok := errors.AsType[*exec.ExitError](err); ctx.Err() == nil && !(ok && exit.ExitCode() == bySignal) {
				t.Errorf("analytics ended with %v\n%s", err, said)
				return
			}
		}
	}()
	defer func() { stop(); <-ended }()
	const people, gone = 8, 3
	w.settle(t, hash, people)
	w.lateOpens(t, people)
	w.wantSQL(t, "SELECT count(), (SELECT count() FROM day_gathers) > 0, (SELECT count() FROM hour_judgements) > 0 FROM events", fmt.Sprintf("%d\t1\t1", 5*people))
	before := w.sql(t, "SELECT * FROM rates_1h ORDER BY ALL")

	k := w.newKillable(t, `\bFROM (messages|dead_letters)\b`, pepper)
	dir := t.TempDir()
	file := filepath.Join(dir, "ana.zip")
	_, exports := k.untilDone(t, "subject-export", "--address="+resident(people-1), "--out="+file)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "ana.zip" {
		t.Errorf("left behind: %v, %v", left, err)
	}
	var list strings.Builder
	for n := range gone {
		fmt.Fprintln(&list, resident(n))
	}
	who := filepath.Join(t.TempDir(), "people.txt")
	if err := os.WriteFile(who, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	k.cuts = regexp.MustCompile(`\bFROM (dead_letters|erasure_log)\b`)
	clear(k.cut)
	out, forgets := k.untilDone(t, "forget", "--file="+who, "--reason=request 4711", "--json")
	var done struct {
		Earlier  []string   `json:"earlier_requests"`
		ErasedAt *time.Time `json:"erased_at"`
	}
	if err := json.Unmarshal([]byte(out), &done); err != nil || len(done.Earlier) != 1 || done.ErasedAt == nil {
		t.Errorf("forget ended with %s, %v", out, err)
	}
	if t.Logf("%d and %d kills, %d of analytics", exports, forgets, service.cuttings()); exports < 2 || forgets < 2 || service.cuttings() < 5 {
		t.Error("hardly anything was killed: the test looks for other statements")
	}
	w.wantSQL(t, "SELECT people, left, request FROM erasure_log FINAL", fmt.Sprintf("%d\t0\t%s", gone, done.Earlier[0]))
	w.wantSQL(t, "SELECT count(), uniqExact(id), countIf(recipient = '') FROM events", fmt.Sprintf("%d\t%[1]d\t%d", 5*people, 5*gone))
	w.wantSQL(t, "SELECT count(), (SELECT count() FROM person_messages) FROM messages", fmt.Sprintf("%d\t%d", people-gone, 5*(people-gone)))
	w.wantSQL(t, "SELECT count(), countIf(address = '') FROM suppressions", fmt.Sprintf("%d\t%d", people, gone))
	w.wantSQL(t, "SELECT count(), countIf(toDate(last_event) > toDate(first_event)) FROM messages_by_day", fmt.Sprintf("%d\t%[1]d", people))
	if after := w.sql(t, "SELECT * FROM rates_1h ORDER BY ALL"); after != before {
		t.Errorf("rates changed:\n%s\nwere\n%s", after, before)
	}
}
