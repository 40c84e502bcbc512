// Package tables is what ClickHouse has of people, and how it is taken out: rows
// that are counted stay and lose what leads to the person, all others are deleted.
//
// Every statement may be repeated: what is taken out already is not found a second
// time. Views hide a person as soon as ClickHouse has the statement, since they
// apply what is not on disk yet; Count looks at what the parts really hold.
package tables

import (
	"context"
	"embed"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql
var files embed.FS

//go:embed sql/unfinished.sql
var unfinishedSQL string

//go:embed sql/masked.sql
var maskedSQL string

//go:embed sql/present.sql
var presentSQL string

// peopleMax bounds the people of one statement. A hash has 32 digits, and with them the statement stays
// far below the megabyte that a server takes for an address of a request.
const peopleMax = 1000

// People are those of one request.
type People struct {
	// Hashes are their recipient hashes.
	Hashes []string
	// Since is up to when they were forgotten before, for Count alone; zero counts all.
	Since time.Time
	// Until is up to when they are forgotten.
	Until time.Time
	// Letters are the ids of dead letters that hold data of theirs.
	Letters []string
}

// Tables are those that hold people. Make it with Find.
type Tables struct {
	client *clickhouse.Client
	config clickhouse.Config
	names  []string
}

// Find returns the tables that hold people, of those that the database has.
func Find(ctx context.Context, client *clickhouse.Client, cfg clickhouse.Config) (*Tables, error) {
	entries, err := files.ReadDir("sql/erase")
	if err != nil {
		return nil, fmt.Errorf("list tables with people: %w", err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, strings.TrimSuffix(e.Name(), ".sql"))
	}
	present, err := byTable(ctx, client, presentSQL, clickhouse.Arg("tables", clickhouse.Words(all)))
	if err != nil {
		return nil, fmt.Errorf("find tables with people: %w", err)
	}
	t := &Tables{client: client, config: cfg}
	for _, name := range all {
		if present[name] > 0 {
			t.names = append(t.names, name)
		}
	}
	return t, nil
}

// Names returns the tables, in a fixed order.
func (t *Tables) Names() []string { return t.names }

// Count returns how many rows of each table still lead to the people, on disk.
func (t *Tables) Count(ctx context.Context, p People) (map[string]uint64, error) {
	counts := map[string]uint64{}
	for _, name := range t.names {
		for some := range p.parts() {
			var rows []struct {
				Rows uint64 `ch:"rows"`
			}
			if err := t.client.Select(ctx, &rows, text("count", name), some...); err != nil {
				return nil, fmt.Errorf("count rows of people in %s: %w", name, err)
			}
			for _, r := range rows {
				counts[name] += r.Rows
			}
		}
	}
	return counts, nil
}

// Erase has ClickHouse take the people out of a table. It returns when ClickHouse
// has the statement; what it does takes as long as the parts take to be rewritten.
func (t *Tables) Erase(ctx context.Context, name string, p People) error {
	for some := range p.parts() {
		if err := t.client.Exec(ctx, t.config.Expand(text("erase", name)), some...); err != nil {
			return fmt.Errorf("take people out of %s: %w", name, err)
		}
	}
	return nil
}

// Unfinished returns how many statements of each table are not on disk yet.
func (t *Tables) Unfinished(ctx context.Context) (map[string]uint64, error) {
	unfinished, err := byTable(ctx, t.client, unfinishedSQL)
	if err != nil {
		return nil, fmt.Errorf("look for unfinished changes: %w", err)
	}
	return unfinished, nil
}

// Masked returns in how many parts of each table rows are deleted and still on disk:
// no statement finds them, neither one that looks nor one that erases.
func (t *Tables) Masked(ctx context.Context) (map[string]uint64, error) {
	masked, err := byTable(ctx, t.client, maskedSQL, clickhouse.Arg("tables", clickhouse.Words(t.names)))
	if err != nil {
		return nil, fmt.Errorf("look for deleted rows: %w", err)
	}
	return masked, nil
}

// Unmask has ClickHouse take the deleted rows of a table off the disk.
func (t *Tables) Unmask(ctx context.Context, name string) error {
	if err := t.client.Exec(ctx, t.config.Expand(text("unmask", name))); err != nil {
		return fmt.Errorf("take deleted rows out of %s: %w", name, err)
	}
	return nil
}

// beforeAll is before every time that a column holds.
const beforeAll = -1

// parts yields the arguments of as many statements as the people need.
func (p People) parts() func(yield func([]any) bool) {
	return func(yield func([]any) bool) {
		for i := 0; i == 0 || i < len(p.Hashes) || i < len(p.Letters); i += peopleMax {
			args := []any{
				clickhouse.Arg("hashes", clickhouse.Words(part(p.Hashes, i))), clickhouse.Arg("letters", clickhouse.Words(part(p.Letters, i))),
				clickhouse.Arg("since", strconv.FormatInt(max(p.Since.UnixMilli(), beforeAll), 10)),
				clickhouse.Arg("until", strconv.FormatInt(p.Until.UnixMilli(), 10)),
			}
			if !yield(args) {
				return
			}
		}
	}
}

func part(all []string, from int) []string {
	from = min(from, len(all))
	return all[from:min(from+peopleMax, len(all))]
}

func text(folder, name string) string {
	sql, err := files.ReadFile(path.Join("sql", folder, name+".sql"))
	if err != nil { // a test reads all of them
		panic("read embedded SQL: " + err.Error())
	}
	return string(sql)
}

func byTable(ctx context.Context, client *clickhouse.Client, query string, args ...any) (map[string]uint64, error) {
	var rows []struct {
		Table string `ch:"table"`
		Rows  uint64 `ch:"rows"`
	}
	if err := client.Select(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for _, r := range rows {
		out[r.Table] = r.Rows
	}
	return out, nil
}
