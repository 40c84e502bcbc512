package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

//go:embed sql
var sqlFiles embed.FS

//go:embed sql/query/retention.sql
var retentionSQL string

//go:embed sql/query/schema_version.sql
var schemaVersionSQL string

const day = 24 * time.Hour

// Retention is how long rows are kept, each at least a day and in whole days.
// It takes effect with `mailstream migrate`.
type Retention struct {
	// Events from their receipt. Default 400d. Range [1d, 7300d].
	Events time.Duration `yaml:"events"`
	// Raw is how long events have raw, from their receipt: it holds what no column has
	// of a person. analytics empties it once a day, without `mailstream migrate`.
	// Default 30d. Range [1d, 7300d].
	Raw time.Duration `yaml:"raw"`
	// Messages from the receipt of their latest event. Default 400d.
	// Range [1d, 7300d].
	Messages time.Duration `yaml:"messages"`
	// Alerts from their latest change. Default 400d. Range [1d, 7300d].
	Alerts time.Duration `yaml:"alerts"`
	// DeadLetters from when they were stored. Default 90d. Range [1d, 7300d].
	DeadLetters time.Duration `yaml:"dead_letters"`
	// Audit entries from when they were written. Default 400d. Range [1d, 7300d].
	Audit time.Duration `yaml:"audit"`
}

// retentionMax bounds every retention; ClickHouse's DateTime ends in 2106.
const retentionMax = 20 * 365 * day

// DefaultRetention returns what the migrations themselves set.
func DefaultRetention() Retention {
	return Retention{Events: 400 * day, Raw: 30 * day, Messages: 400 * day, Alerts: 400 * day, DeadLetters: 90 * day, Audit: 400 * day}
}

// Validate reports every fault to p.
func (r Retention) Validate(p *config.Problems) {
	for _, f := range append(r.fields(), retentionField{name: "raw", value: r.Raw}) {
		p.Check(f.value >= day && f.value <= retentionMax && f.value%day == 0, f.name,
			"%s is not in whole days from 1d to %s", config.FormatDuration(f.value), config.FormatDuration(retentionMax))
	}
}

type retentionField struct {
	name   string
	value  time.Duration
	tables []string // whose rows are kept as long
}

func (r Retention) fields() []retentionField {
	return []retentionField{
		{"events", r.Events, []string{"event_log", "person_log", "receipt_log"}},
		{"messages", r.Messages, []string{"messages_state", "campaign_state", "day_state"}},
		{"alerts", r.Alerts, []string{"alert_log"}},
		{"dead_letters", r.DeadLetters, []string{"dead_letter_log"}},
		{"audit", r.Audit, []string{"audit_records"}},
	}
}

// Lasting is what of the configuration is kept in the database.
type Lasting struct {
	Retention  Retention
	Engagement Engagement
}

// Migrate brings the database to the schema of this program and writes what it keeps
// of the configuration. It may be repeated, and run twice at once.
func Migrate(ctx context.Context, ch clickhouse.Config, keeps Lasting, log *zap.Logger) error {
	files, err := fs.Sub(sqlFiles, "sql/schema")
	if err != nil {
		return fmt.Errorf("open migrations: %w", err)
	}
	if err := clickhouse.Migrate(ctx, ch, files, log); err != nil {
		return err
	}
	client, err := clickhouse.Open(ch, log, telemetry.NewRegistry())
	if err != nil {
		return err
	}
	defer client.Close() // nothing is buffered in it
	if err := setEngagement(ctx, client, keeps.Engagement); err != nil {
		return err
	}
	return setRetention(ctx, client, ch, keeps.Retention, log)
}

// setRetention changes the tables whose retention is another: a change makes
// the server look at every part.
func setRetention(ctx context.Context, client *clickhouse.Client, ch clickhouse.Config, r Retention, log *zap.Logger) error {
	var tables []struct {
		Name  string `ch:"name"`
		Query string `ch:"create_table_query"`
	}
	if err := client.Select(ctx, &tables, retentionSQL); err != nil {
		return fmt.Errorf("read retention: %w", err)
	}
	for _, t := range tables {
		i := slices.IndexFunc(r.fields(), func(f retentionField) bool { return slices.Contains(f.tables, t.Name) })
		want := int(r.fields()[i].value / day)
		if daysKept(t.Query) == want {
			continue
		}
		text, err := fs.ReadFile(sqlFiles, path.Join("sql/retention", t.Name+".sql"))
		if err != nil {
			return fmt.Errorf("open retention of %s: %w", t.Name, err)
		}
		statement := ch.Expand(strings.ReplaceAll(string(text), "{{days}}", strconv.Itoa(want)))
		if err := client.Exec(ctx, statement); err != nil {
			return fmt.Errorf("set retention of %s: %w", t.Name, err)
		}
		log.Info("retention changed", telemetry.Name(t.Name))
	}
	return nil
}

var tableTTL = regexp.MustCompile(`\bTTL \S+ \+ toIntervalDay\((\d+)\)`)

// daysKept reads the retention out of a table's definition, -1 when there is
// none of ours.
func daysKept(query string) int {
	m := tableTTL.FindStringSubmatch(query)
	if m == nil {
		return -1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return -1
	}
	return n
}

// CheckSchema returns nil when the database has every migration this program
// knows, else clickhouse.ErrNoSchema or why it is unknown.
func CheckSchema(ctx context.Context, client *clickhouse.Client) error {
	entries, err := fs.ReadDir(sqlFiles, "sql/schema")
	if err != nil {
		return fmt.Errorf("open migrations: %w", err)
	}
	var rows []struct {
		Version uint32 `ch:"version"`
	}
	if err := client.Select(ctx, &rows, schemaVersionSQL); err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	have := map[string]bool{}
	for _, row := range rows {
		have[fmt.Sprintf("%04d", row.Version)] = true
	}
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "_")
		if !have[number] {
			return fmt.Errorf("check schema: migration %s is not applied: %w", e.Name(), clickhouse.ErrNoSchema)
		}
	}
	return nil
}
