//go:build sql

package analyticstest

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// line is a release line of ClickHouse beside the embedded one.
type line struct {
	version string // of ClickHouse and of the package chdb-core
	sha256  string // of the wheel
}

// lines are the one that compose.yaml pins and the newest there is.
func lines() []line {
	return []line{
		{"26.3.0", "2b91a47a69db1185908f51aebdb32d1258cf7c0646e7dc6be3d2922cb694e3ad"},
		{"26.9.0", "707e2ec3fe0f7953bac97942eaeb7a1ed1d66b1e56ecef3f0aa2130f61f6e735"},
	}
}

const (
	wheelFetchMax = 10 * time.Minute
	lineRunMax    = 5 * time.Minute
)

// TestLines_AnswerAlike runs all migrations, every query of the service and of the
// documents, and all views on other lines of ClickHouse, and compares with the
// embedded engine. The dashboards ask Prometheus only.
func TestLines_AnswerAlike(t *testing.T) {
	w := newWorld(t)
	seed := seedStatements()
	for _, statement := range seed {
		w.sql(t, statement)
	}
	queries := lineQueries(t)
	want := make([]string, len(queries))
	for i, q := range queries {
		want[i] = w.sql(t, q+" FORMAT TSVRaw")
	}
	for _, l := range lines() {
		t.Run(l.version, func(t *testing.T) {
			before := append([]string{"CREATE DATABASE line ENGINE = Atomic", "USE line"}, migrationStatements(t)...)
			before = append(before, seed...)
			before = append(before, serviceQueries(t)...)
			answers := l.run(t, append(append(before, "SELECT version()"), queries...))
			if got := answers[len(before)]; !strings.HasPrefix(got, l.version[:4]) {
				t.Errorf("this is ClickHouse %s", got)
			}
			for i, got := range answers[len(before)+1:] {
				if diff := cmp.Diff(want[i], got); diff != "" {
					t.Errorf("%s\n(-embedded engine +this line)\n%s", queries[i], diff)
				}
			}
		})
	}
}

// TestLines_AreThoseOfCompose holds the first line to the image of compose.yaml.
func TestLines_AreThoseOfCompose(t *testing.T) {
	text, err := os.ReadFile("../../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`clickhouse/clickhouse-server:(\d+\.\d+)`).FindSubmatch(text)
	if m == nil || string(m[1]) != lines()[0].version[:4] {
		t.Errorf("compose.yaml pins %q, the test runs %s", m, lines()[0].version)
	}
}

// seedStatements fills the tables so that every view has rows.
func seedStatements() []string {
	statements := strings.Split(strings.ReplaceAll(manySQL, "60000", "6000"), ";\n")
	return append(statements,
		"INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient, recipient_hash, mailbox_provider, reason, cause, smtp_reply) SELECT reinterpretAsUUID(MD5('x' || toString(number))), ['blocked', 'bounced'][number % 2 + 1], toDateTime64('2026-11-20 10:00:00', 3, 'UTC'), now64(3), 'mailjet', 'acme', 'm' || toString(number), 'bo@example.com', 'h', 'google', 'reputation', 'sender', '550' FROM numbers(10)",
		"INSERT INTO suppression_log (recipient_hash, version, address, updated_at, `entries.scope`, `entries.reason`, `entries.added_at`, `entries.removed_at`, `entries.expires_at`, `entries.since`, `entries.evidence`, `entries.provider`, `entries.source`, `entries.note`, `entries.removed_by`, `entries.removed_note`) SELECT 'h', 1, 'ana@example.com', '2026-11-20 10:00:00', ['account'], ['complaint'], ['2026-11-20 10:00:00'], [NULL], [NULL], [NULL], ['e'], ['mailjet'], ['acme'], [''], [''], ['']",
		"INSERT INTO dead_letter_log (id, time, service, reason) SELECT 'd', '2026-11-20 10:00:00', 'ingress', 'malformed' FROM numbers(2)",
	)
}

// lineQueries are those of the guide and the cookbook, and all views and columns.
func lineQueries(t *testing.T) []string {
	queries := []string{"SELECT table, name, type, comment FROM system.columns WHERE database = currentDatabase() AND table IN ('" + strings.Join(contractViews(), "', '") + "') ORDER BY table, position"}
	for _, q := range guideQuery.FindAllStringSubmatch(readGuide(t), -1) {
		queries = append(queries, strings.TrimSpace(q[1]))
	}
	for _, q := range guideQuery.FindAllStringSubmatch(readFile(t, cookbookPath), -1) {
		queries = append(queries, strings.TrimSpace(q[1]))
	}
	for _, view := range contractViews() {
		if view == "engagement" { // which depends on the clock
			queries = append(queries, "SELECT count(), sum(sent_since_last_act) FROM engagement")
			continue
		}
		columns := "*"
		if view == "events" || view == "person_messages" { // whose time of receipt is that of the run
			columns = "* EXCEPT (received_at)"
		}
		queries = append(queries, "SELECT count(), sum(cityHash64(toString(tuple("+columns+")))) FROM "+view)
	}
	return queries
}

// serviceQueries are the SELECTs of the service, with something for parameters.
// Their answers depend on the clock: here they only have to be understood.
func serviceQueries(t *testing.T) []string {
	var queries []string
	for _, text := range sqlTexts(t, "query/*.sql") {
		if strings.Contains(text, "schema_migrations") { // a table of the migrator, not of a migration
			continue
		}
		query, isSelect := askable(text)
		if !isSelect {
			query = "EXPLAIN AST " + query
		}
		queries = append(queries, query)
	}
	return queries
}

var commentLine = regexp.MustCompile(`(?m)^--.*$`)

func migrationStatements(t *testing.T) []string {
	var statements []string
	for _, text := range sqlTexts(t, "schema/*.sql") {
		text = strings.NewReplacer("{{on_cluster}}", "", "{{replicated}}", "").Replace(text)
		for _, statement := range strings.SplitAfter(text, ";\n") {
			if statement = strings.TrimSpace(commentLine.ReplaceAllString(statement, "")); statement != "" {
				statements = append(statements, statement)
			}
		}
	}
	return statements
}

func sqlTexts(t *testing.T, pattern string) []string {
	t.Helper()
	dir := os.DirFS(sqlDir)
	files, err := fs.Glob(dir, pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files: %v", pattern, len(files), err)
	}
	var texts []string
	for _, file := range files {
		text, err := fs.ReadFile(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// run runs statements on the line and returns their answers; each has to succeed.
func (l line) run(t *testing.T, statements []string) []string {
	t.Helper()
	input, err := json.Marshal(statements)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lineRunMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", "testdata/line.py", filepath.Join(t.TempDir(), "data"))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+l.fetch(t), "TZ=UTC")
	cmd.Stdin = bytes.NewReader(input)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run ClickHouse %s: %v\n%s", l.version, err, stderr.Bytes())
	}
	var pairs [][2]string
	if err := json.Unmarshal(out, &pairs); err != nil || len(pairs) != len(statements) {
		t.Fatalf("%d answers to %d statements: %v", len(pairs), len(statements), err)
	}
	answers := make([]string, len(pairs))
	for i, p := range pairs {
		if p[1] != "" {
			t.Fatalf("%s\n%s", statements[i], p[1])
		}
		answers[i] = strings.TrimSuffix(p[0], "\n")
	}
	return answers
}

// fetch returns the folder of the unpacked package, which is fetched once into the
// user's cache with the user's own pip.
func (l line) fetch(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(cache, "mailstream", "engine")
	dir := filepath.Join(home, "chdb-core-"+l.version)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	work, err := os.MkdirTemp(home, "fetch-line-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(work)
	ctx, cancel := context.WithTimeout(t.Context(), wheelFetchMax)
	defer cancel()
	pip := exec.CommandContext(ctx, "python3", "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--only-binary", ":all:", "--dest", work, "chdb-core=="+l.version)
	if out, err := pip.CombinedOutput(); err != nil {
		t.Fatalf("fetch chdb-core %s: %v\n%s", l.version, err, out)
	}
	wheels, err := filepath.Glob(filepath.Join(work, "*.whl"))
	if err != nil || len(wheels) != 1 {
		t.Fatalf("%d wheels: %v", len(wheels), err)
	}
	if err := l.unpack(wheels[0], filepath.Join(work, "unpacked")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(work, "unpacked"), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unpack checks the digest of the wheel and writes its files below dir.
func (l line) unpack(wheel, dir string) error {
	file, err := os.Open(wheel)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != l.sha256 {
		return fmt.Errorf("wheel of chdb-core %s has SHA-256 %s, want %s", l.version, got, l.sha256)
	}
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer archive.Close()
	return os.CopyFS(dir, archive)
}
