package analyticstest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
)

// contractViews are the names that analysts, dashboards and checks rely on.
func contractViews() []string {
	return []string{"events", "person_messages", "messages", "campaign_messages", "messages_by_day", "engagement", "rates_1m", "rates_15m", "rates_1h", "suppressions", "alerts", "dead_letters", "audit_log"}
}

// TestWorlds_HaveWhatMigrationsMake holds the copies that the tests of this package have to
// a database whose tables are those of the migrations themselves.
func TestWorlds_HaveWhatMigrationsMake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fresh := enginetest.Database(t)
	cfg := w.cfg
	cfg.ClickHouse.Database = fresh
	if err := pipeline.MigrateTables(t.Context(), cfg, logger(t)); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"SELECT name, create_table_query, comment, total_rows FROM system.tables WHERE database = '{}' ORDER BY ALL",
		"SELECT table, position, name, type, default_kind, default_expression, comment, compression_codec FROM system.columns WHERE database = '{}' ORDER BY ALL",
		"SELECT table, name, type_full, expr, granularity FROM system.data_skipping_indices WHERE database = '{}' ORDER BY ALL",
		"SELECT database || '.' || name, arraySort(dependencies_table) FROM system.tables WHERE database = '{}' ORDER BY ALL",
		"SELECT version, name, checksum FROM {}.schema_migrations FINAL ORDER BY ALL",
		"SELECT * FROM {}.engagement_weights FINAL ORDER BY ALL",
	} {
		ask := func(database string) string {
			return strings.ReplaceAll(w.sql(t, strings.ReplaceAll(query, "{}", database)), database, "{}")
		}
		if got, want := ask(w.database), ask(fresh); got != want || got == "" {
			t.Errorf("%s\n got %s\nwant %s", query, got, want)
		}
	}
}

func TestMigrate_MayBeRepeatedAndRunTwiceAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.sql(t, "SELECT groupArray(name) FROM (SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name)")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := pipeline.MigrateTables(t.Context(), w.cfg, logger(t)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if after := w.sql(t, "SELECT groupArray(name) FROM (SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name)"); after != before {
		t.Errorf("tables were %s, are %s", before, after)
	}
	if got := w.sql(t, "SELECT count() > 5, count() = uniqExact(version) FROM schema_migrations FINAL"); got != "true\ttrue" && got != "1\t1" {
		t.Errorf("recorded migrations: %s", got)
	}
}

func TestMigrate_TwoAtOnceOnAnEmptyServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.cfg
	cfg.ClickHouse.Database += "_fresh"
	t.Cleanup(func() { w.sql(t, "DROP DATABASE IF EXISTS "+cfg.ClickHouse.Database) })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := pipeline.MigrateTables(t.Context(), cfg, logger(t)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := w.sql(t, "SELECT count() FROM "+cfg.ClickHouse.Database+".events"); got != "0" {
		t.Errorf("events: %s", got)
	}
}

func TestMigrate_RefusesAChangedFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sql(t, "INSERT INTO schema_migrations SELECT 3, '0003_messages.sql', 'another', now64(3)")
	err := pipeline.MigrateTables(t.Context(), w.cfg, logger(t))
	if err == nil || !strings.Contains(err.Error(), "0003_messages.sql was applied with another text") {
		t.Errorf("got %v", err)
	}
}

func TestMigrate_SetsTheRetentionOnceItChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ttl := func() string {
		return w.sql(t, "SELECT extractAll(create_table_query, 'TTL [^\\n]+?toIntervalDay\\((\\d+)\\)')[1] FROM system.tables WHERE database = currentDatabase() AND name IN ('event_log', 'dead_letter_log') ORDER BY name")
	}
	if got := ttl(); got != "90\n400" {
		t.Errorf("retention is %q", got)
	}
	mutations := w.sql(t, "SELECT count() FROM system.mutations WHERE database = currentDatabase()")
	w.cfg = w.config(t, w.engine.URL(), "analytics: {retention: {events: 720h}}")
	for range 2 {
		if err := pipeline.MigrateTables(t.Context(), w.cfg, logger(t)); err != nil {
			t.Fatal(err)
		}
		if got := ttl(); got != "90\n30" {
			t.Errorf("retention is %q", got)
		}
	}
	if after := w.sql(t, "SELECT count() - "+mutations+" <= 3 FROM system.mutations WHERE database = currentDatabase()"); after != "1" && after != "true" {
		t.Error("an unchanged retention was set again")
	}
}

func TestViews_DescribeThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, view := range contractViews() {
		if bare := w.sql(t, "SELECT groupArray(name) FROM system.columns WHERE database = currentDatabase() AND table = '"+view+"' AND comment = ''"); bare != "[]" {
			t.Errorf("columns of %s without a comment: %s", view, bare)
		}
	}
}

func TestEvents_HasTheFieldsOfAnEventAsColumns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.sql(t, "SELECT arrayStringConcat(groupArray(name), ',') FROM (SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'events' ORDER BY position)")
	if want := strings.Join(append(jsonFields[schemas.Event](), "origin", "machine_reason", "weight"), ","); got != want { // no fields: a header, and what analytics adds
		t.Errorf("columns\n%s\nfields\n%s", got, want)
	}
}

// sqlDir holds the statements of the analytics service.
const sqlDir = "../../../services/analytics/internal/store/sql"

var parameter = regexp.MustCompile(`\{(\w+):([^}]+)\}`)

// selecting is where a query, or that of an INSERT, begins.
var selecting = regexp.MustCompile(`(?m)^WITH$|SELECT`)

// askable is a statement with something for its parameters; of an INSERT its SELECT, which
// is what there is to understand.
func askable(text string) (query string, isSelect bool) {
	query = parameter.ReplaceAllStringFunc(strings.ReplaceAll(text, "{{on_cluster}}", ""), func(p string) string {
		switch typ := parameter.FindStringSubmatch(p)[2]; {
		case strings.HasPrefix(typ, "DateTime"):
			return "toDateTime('2026-11-20 10:00:00', 'UTC')"
		case strings.HasPrefix(typ, "Array"):
			return "CAST([], '" + strings.ReplaceAll(typ, "'", "''") + "')"
		}
		return "1"
	})
	if at := selecting.FindStringIndex(query); at != nil {
		return query[at[0]:], true
	}
	return query, false
}

// TestQueries_AreUnderstood explains every query the service has.
func TestQueries_AreUnderstood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	queries, err := fs.Glob(os.DirFS(sqlDir), "query/*.sql")
	if err != nil || len(queries) == 0 {
		t.Fatalf("%d queries: %v", len(queries), err)
	}
	for _, file := range queries {
		text, err := fs.ReadFile(os.DirFS(sqlDir), file)
		if err != nil {
			t.Fatal(err)
		}
		query, isSelect := askable(string(text))
		explained := "EXPLAIN AST " + query // of an ALTER there are only the words
		if isSelect {
			explained = "EXPLAIN " + query
		}
		if _, err := w.ask(explained); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestEvents_QueriesReadOnlyWhatTheyNeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	const days = 10
	var events []schemas.Event
	for n := range days {
		events = append(events, eventAt(n, schemas.Delivered, base().AddDate(0, 0, -n)))
	}
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM events", fmt.Sprint(days))
	w.wantSQL(t, "SELECT uniqExact(hour) FROM hour_rows", fmt.Sprint(days)) // of which rates_1h learns them
	for _, tt := range []struct {
		name, query string
		parts       string
	}{
		{"one day of events", "SELECT count() FROM events WHERE time >= '2026-11-20 00:00:00'", "1/10"},
		{"one hour of rates_1m", "SELECT sum(events) FROM rates_1m WHERE minute >= '2026-11-20 10:00:00' AND minute < '2026-11-20 11:00:00'", "1/10"},
		{"one day of rates_1h", "SELECT sum(events) FROM rates_1h WHERE hour >= '2026-11-20 00:00:00'", "1/10"},
		{"one message", "SELECT count() FROM events WHERE message_id = '19421777835146493'", "Skip"},
		{"one person", "SELECT count() FROM events WHERE recipient_hash = '00000000000000000000000000000003'", "Skip"},
		{"one address", "SELECT count() FROM events WHERE recipient = '0003@example.com'", "Skip"},
		{"one id", "SELECT count() FROM events WHERE id = '" + events[3].ID + "'", "Skip"},
	} {
		plan := w.sql(t, "EXPLAIN indexes = 1 "+tt.query)
		if !strings.Contains(plan, tt.parts) {
			t.Errorf("%s: no %q in the plan\n%s", tt.name, tt.parts, plan)
		}
	}
}

// A server answers 200 to a body without rows: this is why a block is encoded
// whole before it is sent.
func TestServer_TakesAnEmptyBodyForNoRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if status := w.insertNative(t, "INSERT INTO hour_seals FORMAT Native", nil); status != 200 {
		t.Logf("status %d: the server refuses an empty body now", status)
	}
	if got := w.sql(t, "SELECT count() FROM hour_seals"); got != "0" {
		t.Errorf("%s rows", got)
	}
}

// The engine has no cluster, but its parser knows the statements for one.
func TestMigrations_ForAClusterAreUnderstood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, pattern := range []string{"schema/*.sql", "retention/*.sql"} {
		files, err := fs.Glob(os.DirFS(sqlDir), pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files: %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := fs.ReadFile(os.DirFS(sqlDir), file)
			if err != nil {
				t.Fatal(err)
			}
			expanded := strings.NewReplacer("{{on_cluster}}", "ON CLUSTER main", "{{replicated}}", "Replicated", "{{days}}", "30").Replace(string(text))
			for _, statement := range strings.SplitAfter(expanded, ";\n") {
				statement = regexp.MustCompile(`(?m)^--.*$`).ReplaceAllString(statement, "")
				if strings.TrimSpace(statement) == "" {
					continue
				}
				if got, err := w.ask("EXPLAIN AST " + statement); err != nil {
					t.Errorf("%s: %v\n%.300s", file, err, statement)
				} else if strings.Contains(statement, "ON CLUSTER") != (strings.Contains(statement, "CREATE") || strings.Contains(statement, "ALTER")) || got == "" {
					t.Errorf("%s: a statement without ON CLUSTER:\n%.300s", file, statement)
				}
			}
		}
	}
}

// A replicated table refuses to delete or change rows by the answer to a query: its
// replicas could get different ones. One server alone takes it, so no other test sees it.
func TestDeletes_GoByValue(t *testing.T) {
	t.Parallel()
	changes, comment := regexp.MustCompile(`(?i)^\s*(DELETE FROM|ALTER TABLE\s[^;]*\b(DELETE|UPDATE)\b)`), regexp.MustCompile(`(?m)^--.*$`)
	found := 0
	err := filepath.WalkDir("../../../services", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".sql" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, statement := range strings.Split(comment.ReplaceAllString(string(text), ""), ";") {
			if !changes.MatchString(statement) {
				continue
			}
			found++
			if strings.Contains(strings.ToUpper(statement), "SELECT") || !strings.Contains(statement, "{{on_cluster}}") {
				t.Errorf("%s: no cluster takes %s", path, statement)
			}
		}
		return err
	})
	if err != nil || found < 8 {
		t.Fatalf("%d statements, %v", found, err)
	}
}

// The views carry a setting of their own, which a user without the right to
// change settings must be able to run.
func TestReader_AsksEveryViewAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	w.publish(t, eventAt(1, schemas.Delivered, base()))
	w.wantSQL(t, "SELECT count() FROM events", "1")
	for _, readonly := range []string{"1", "2"} {
		for _, view := range append(contractViews(), "suppressed_for(recipient = 'ana@example.com', stream = '', list = '', source = '', transactional = 0)") {
			if _, err := w.askAs("reader", "SELECT * FROM "+view, readonly); err != nil {
				t.Errorf("readonly=%s: %s: %v", readonly, view, err)
			}
		}
	}
	for _, statement := range []string{"INSERT INTO event_log (type) SELECT 'x'", "DROP TABLE event_log", "TRUNCATE TABLE hour_seals", "ALTER TABLE event_log DELETE WHERE 1"} {
		if _, err := w.askAs("reader", statement, ""); err == nil {
			t.Errorf("the reader may run %s", statement)
		}
	}
	w.wantSQL(t, "SELECT count() FROM events", "1")
}
