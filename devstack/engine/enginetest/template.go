package enginetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	_ "embed"
)

//go:embed sql/tables.sql
var tablesSQL string

// placeholder stands for the name of a database, and is part of no other word.
const placeholder = "name_of_the_copy"

// Template is a database that tests have copies of: its tables, their rows and its
// views. Each copy costs the statements that make what is there at the end, however
// many migrations led to it.
type Template struct {
	// Fill makes what the database holds, in one that is there and empty; not nil. It
	// runs once in a process, unless it fails.
	Fill func(tb testing.TB, database string)

	mu     sync.Mutex
	copies []string // statements that make one, with placeholder for its name; nil until it is filled
}

// Copy makes a database like the template and returns its name. It is dropped when tb
// ends. It fails tb when the template cannot be filled or copied.
func (m *Template) Copy(tb testing.TB) string {
	tb.Helper()
	name := Database(tb)
	for _, statement := range m.filled(tb) {
		Exec(tb, Start(tb), strings.ReplaceAll(statement, placeholder, name))
	}
	return name
}

// filled returns the statements that make a copy.
func (m *Template) filled(tb testing.TB) []string {
	tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.copies != nil {
		return m.copies
	}
	name := fmt.Sprintf("template_%d_of_%d", databases.Add(1), os.Getpid())
	Exec(tb, Start(tb), "CREATE DATABASE "+name+" ENGINE = Atomic")
	m.Fill(tb, name)
	copies, err := copying(tb, name)
	if err != nil {
		tb.Fatalf("read template: %v", err)
	}
	m.copies = copies
	return copies
}

// table is one of a database, or a view.
type table struct {
	Name  string `json:"name"`
	Query string `json:"create_table_query"`
	Rows  int    `json:"total_rows"`
}

// copying returns the statements that make a copy of the database: tables, then their
// rows, before there are views that would see them, then each view after those it reads.
func copying(tb testing.TB, database string) ([]string, error) {
	tb.Helper()
	var statements, rows []string
	views := map[string]string{}
	for line := range strings.Lines(Exec(tb, Start(tb), strings.ReplaceAll(tablesSQL, "{{database}}", database))) {
		var t table
		if err := json.Unmarshal([]byte(line), &t); err != nil {
			return nil, fmt.Errorf("table %q: %w", line, err)
		}
		t.Query = strings.ReplaceAll(t.Query, database, placeholder)
		if !strings.HasPrefix(t.Query, "CREATE TABLE ") {
			views[placeholder+"."+t.Name] = t.Query
			continue
		}
		statements = append(statements, t.Query)
		if t.Rows > 0 {
			rows = append(rows, fmt.Sprintf("INSERT INTO %s.%s SELECT * FROM %s.%[2]s", placeholder, t.Name, database))
		}
	}
	ordered, err := inOrder(views)
	return slices.Concat(statements, rows, ordered), err
}

// identifiers are the names in a definition, each with its database's.
var identifiers = regexp.MustCompile(`\w+\.\w+`)

// inOrder returns the definitions of views, by name with the database's, each after
// those of the views that it names.
func inOrder(views map[string]string) (ordered []string, err error) {
	left := maps.Clone(views)
	for len(left) > 0 {
		before := len(left)
		for _, name := range slices.Sorted(maps.Keys(left)) {
			needs := func(other string) bool { _, missing := left[other]; return missing && other != name }
			if !slices.ContainsFunc(identifiers.FindAllString(left[name], -1), needs) {
				ordered = append(ordered, left[name])
				delete(left, name)
			}
		}
		if len(left) == before {
			return nil, fmt.Errorf("views that need each other: %q", slices.Sorted(maps.Keys(left)))
		}
	}
	return ordered, nil
}
