package deploytest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/services/pipeline"
)

// The rules' own test asks that every alert has a section; here every section is
// an alert's, and leads on to where more is written.
func TestRunbook_SectionsAreAlertsAndLeadOn(t *testing.T) {
	t.Parallel()
	text, rules := readFile(t, "docs/runbook.md"), readFile(t, "deploy/prometheus/rules.yml")
	headings := anchors(readFile(t, "docs/operations.md"))
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)\n(.+)$`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(rules, "- alert: "+m[1]+"\n") {
			t.Errorf("%s is no alert", m[1])
		}
		link := regexp.MustCompile(`operations\.md#([a-z0-9-]+)`).FindStringSubmatch(m[2])
		if link == nil || !slices.Contains(headings, link[1]) {
			t.Errorf("%s leads to %v, which is no heading of operations.md", m[1], link)
		}
		severity := regexp.MustCompile(`- alert: ` + m[1] + `\n[\s\S]*?severity: (\w+)`).FindStringSubmatch(rules)
		if severity == nil || !strings.HasPrefix(m[2], "*"+severity[1]+"*") {
			t.Errorf("%s: the rule's severity is %v, the section begins %.10s", m[1], severity, m[2])
		}
	}
}

// The queries of the runbook are for the middle of the night: they run as they
// stand.
func TestRunbook_QueriesRun(t *testing.T) {
	t.Parallel()
	e := enginetest.Start(t)
	database := enginetest.Database(t)
	cfg := pipeline.Default()
	cfg.ClickHouse.URL, cfg.ClickHouse.Database = e.URL(), database
	if err := pipeline.MigrateTables(t.Context(), cfg, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	queries := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(readFile(t, "docs/runbook.md"), -1)
	if len(queries) < 3 {
		t.Fatalf("%d queries", len(queries))
	}
	for _, m := range queries {
		enginetest.Exec(t, e, strings.ReplaceAll(m[1], "FROM events", "FROM "+database+".events"))
	}
}
