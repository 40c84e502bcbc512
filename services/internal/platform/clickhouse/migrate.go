package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	_ "embed"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

//go:embed sql/migrate/database.sql
var createDatabaseSQL string

//go:embed sql/migrate/database_exists.sql
var databaseExistsSQL string

//go:embed sql/migrate/table.sql
var createTableSQL string

//go:embed sql/migrate/list.sql
var listSQL string

//go:embed sql/migrate/record.sql
var recordSQL string

// migration is one numbered file.
type migration struct {
	version    int
	name       string
	checksum   string // of the file's text, before variables are filled in
	statements []string
}

// Migrate makes the database if it is missing and applies the files
// NNNN_name.sql of dir that are not recorded in schema_migrations yet, in order
// of their numbers. It may be repeated and may run twice at once: statements
// must be harmless to repeat (IF NOT EXISTS), because a file is recorded after
// its last statement. A recorded file whose text has changed is an error before
// anything is done. Files the program does not know are another, newer
// program's and left alone.
//
// In a file, statements end with a semicolon at the end of a line, {{on_cluster}}
// becomes ON CLUSTER name and {{replicated}} becomes Replicated when a cluster is
// configured, both nothing otherwise.
func Migrate(ctx context.Context, cfg Config, dir fs.FS, log *zap.Logger) error {
	files, err := readMigrations(dir)
	if err != nil {
		return err
	}
	if err := createDatabase(ctx, cfg, log); err != nil {
		return err
	}
	c, err := Open(cfg, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer c.Close() // nothing is buffered in it
	if err := c.Exec(ctx, cfg.Expand(createTableSQL)); err != nil {
		return fmt.Errorf("create table schema_migrations: %w", err)
	}
	applied, err := c.applied(ctx)
	if err != nil {
		return err
	}
	if err := unchanged(files, applied); err != nil {
		return err
	}
	for _, m := range files {
		if _, done := applied[m.version]; done {
			continue
		}
		if err := c.apply(ctx, m); err != nil {
			return err
		}
		log.Info("migration applied", telemetry.Name(m.name))
	}
	return nil
}

// Expand fills the variables that Migrate documents into a statement, and
// {{database}}.
func (c Config) Expand(sql string) string {
	onCluster, replicated := "", ""
	if c.Cluster != "" {
		onCluster, replicated = "ON CLUSTER "+c.Cluster, "Replicated"
	}
	return strings.NewReplacer(
		"{{on_cluster}}", onCluster,
		"{{replicated}}", replicated,
		"{{database}}", c.Database,
	).Replace(sql)
}

// createDatabase goes through the server's default database, since a connection
// to a missing one fails.
func createDatabase(ctx context.Context, cfg Config, log *zap.Logger) error {
	nowhere := cfg
	nowhere.Database = ""
	c, err := Open(nowhere, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer c.Close() // nothing is buffered in it
	var found []struct {
		Name string `ch:"name"`
	}
	if err := c.Select(ctx, &found, databaseExistsSQL, Arg("database", cfg.Database)); err != nil {
		return fmt.Errorf("look for database %q: %w", cfg.Database, err)
	}
	if len(found) > 0 && cfg.Cluster == "" {
		return nil // so that a user who may not create databases can migrate one
	}
	if err := c.Exec(ctx, cfg.Expand(createDatabaseSQL)); err != nil {
		return fmt.Errorf("create database %q: %w", cfg.Database, err)
	}
	return nil
}

func (c *Client) applied(ctx context.Context) (map[int]string, error) {
	var rows []struct {
		Version  uint32 `ch:"version"`
		Checksum string `ch:"checksum"`
	}
	if err := c.Select(ctx, &rows, listSQL); err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	applied := make(map[int]string, len(rows))
	for _, row := range rows {
		applied[int(row.Version)] = row.Checksum
	}
	return applied, nil
}

func unchanged(files []migration, applied map[int]string) error {
	for _, m := range files {
		if sum, done := applied[m.version]; done && sum != m.checksum {
			return fate.Wrap(fate.Halt, fmt.Errorf("migration %s was applied with another text (checksum %.12s, now %.12s): add a new file instead of changing one",
				m.name, sum, m.checksum))
		}
	}
	return nil
}

func (c *Client) apply(ctx context.Context, m migration) error {
	for i, statement := range m.statements {
		if err := c.Exec(ctx, c.cfg.Expand(statement)); err != nil {
			return fmt.Errorf("apply migration %s, statement %d of %d: %w", m.name, i+1, len(m.statements), err)
		}
	}
	err := c.Exec(ctx, recordSQL, Arg("version", strconv.Itoa(m.version)), Arg("name", m.name), Arg("checksum", m.checksum))
	if err != nil {
		return fmt.Errorf("record migration %s: %w", m.name, err)
	}
	return nil
}

var migrationName = regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.sql$`)

// readMigrations returns the files of dir by number.
func readMigrations(dir fs.FS) ([]migration, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var files []migration
	for _, e := range entries {
		parts := migrationName.FindStringSubmatch(e.Name())
		if parts == nil {
			return nil, fmt.Errorf("migration %q is not named NNNN_name.sql", e.Name())
		}
		text, err := fs.ReadFile(dir, e.Name())
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		version, err := strconv.Atoi(parts[1])
		if err != nil {
			return nil, fmt.Errorf("read number of migration %q: %w", e.Name(), err)
		}
		sum := sha256.Sum256(text)
		files = append(files, migration{
			version: version, name: e.Name(), checksum: hex.EncodeToString(sum[:]), statements: splitStatements(string(text)),
		})
	}
	slices.SortFunc(files, func(a, b migration) int { return a.version - b.version })
	for i := 1; i < len(files); i++ {
		if files[i].version == files[i-1].version {
			return nil, fmt.Errorf("migrations %s and %s have the same number", files[i-1].name, files[i].name)
		}
	}
	return files, nil
}

// splitStatements cuts text after each line that ends with a semicolon, and
// drops pieces that are nothing but comments.
func splitStatements(text string) []string {
	var statements []string
	var lines []string
	code := false // the piece has more than comments
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		code = code || (trimmed != "" && !strings.HasPrefix(trimmed, "--"))
		if body, ok := strings.CutSuffix(trimmed, ";"); ok && !strings.HasPrefix(trimmed, "--") {
			statements = append(statements, strings.Join(append(lines, body), ""))
			lines, code = nil, false
			continue
		}
		lines = append(lines, line)
	}
	if code {
		statements = append(statements, strings.Join(lines, ""))
	}
	return statements
}
