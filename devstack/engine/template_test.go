package engine_test

import (
	"testing"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

func TestTemplate_CopiesTablesRowsAndViews(t *testing.T) {
	filled := 0
	template := enginetest.Template{Fill: func(tb testing.TB, db string) {
		filled++
		for _, statement := range []string{
			"CREATE TABLE " + db + ".numbers (n UInt64) ENGINE = MergeTree ORDER BY n",
			"INSERT INTO " + db + ".numbers VALUES (7)", // which the view below has not seen
			"CREATE TABLE " + db + ".totals (n UInt64) ENGINE = SummingMergeTree ORDER BY ()",
			"CREATE MATERIALIZED VIEW " + db + ".adds TO " + db + ".totals AS SELECT n FROM " + db + ".numbers",
			"CREATE VIEW " + db + ".inner AS SELECT sum(n) AS n FROM " + db + ".totals",
			"CREATE VIEW " + db + ".first AS SELECT n + 1 AS n FROM " + db + ".inner",
		} {
			enginetest.Exec(tb, enginetest.Start(tb), statement)
		}
	}}
	e := enginetest.Start(t)
	one, other := template.Copy(t), template.Copy(t)
	query(t, e.URL(), "INSERT INTO "+one+".numbers VALUES (3)")
	for db, want := range map[string]string{one: "2\t4", other: "1\t1"} {
		if got := query(t, e.URL(), "SELECT (SELECT count() FROM "+db+".numbers), (SELECT n FROM "+db+".first)"); got != want {
			t.Errorf("%s has %q rows and total, want %q", db, got, want)
		}
	}
	if filled != 1 {
		t.Errorf("filled %d times, want once", filled)
	}
}
