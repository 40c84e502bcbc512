package analyticstest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// withheld are columns that hold an address, or may.
func withheld() []string {
	return []string{"recipient", "raw", "ip", "smtp_reply", "url", "metadata", "subject", "address", "bytes", "note"}
}

// withheldViews are those of which the user analyst has no column: a list of addresses
// with notes, and who looked at whom.
func withheldViews() []string { return []string{"suppressions", "audit_log"} }

var (
	analystUser = regexp.MustCompile(`(?s)<analyst>\s*<password.*?</analyst>`)
	grantForm   = regexp.MustCompile(`GRANT SELECT(?:\(([^)]+)\))? ON mailstream\.(\w+)<`)
)

// The user analyst may read each column of a table that has a grant, but for those that
// are withheld, and of each view something: a column that is new is granted here or not.
func TestAnalyst_ReadsEveryColumnThatHoldsNoAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := analystUser.FindString(readFile(t, "../../../deploy/clickhouse/users.d/mailstream.xml"))
	var tables []string
	for _, grant := range grantForm.FindAllStringSubmatch(user, -1) {
		tables = append(tables, grant[2])
		all := strings.Fields(w.sql(t, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '"+grant[2]+"' ORDER BY position"))
		want := slices.DeleteFunc(slices.Clone(all), func(c string) bool { return slices.Contains(withheld(), c) })
		got := strings.Split(grant[1], ", ")
		if grant[1] == "" {
			got = all
		}
		if !slices.Equal(got, want) || len(all) == 0 && grant[2] != "rates_1h_by" { // which has a parameter, so no columns that are listed
			t.Errorf("%s: the grant is of\n%s\nwant\n%s", grant[2], got, want)
		}
	}
	for _, view := range contractViews() {
		if slices.Contains(tables, view) == slices.Contains(withheldViews(), view) {
			t.Errorf("view %s: granted %t", view, slices.Contains(tables, view))
		}
	}
}

// A question of the cookbook says when the user analyst cannot ask it.
func TestCookbook_SaysWhatAnalystsCannotAsk(t *testing.T) {
	t.Parallel()
	uses := regexp.MustCompile(`\b(` + strings.Join(slices.Concat(withheld(), withheldViews(), []string{"message_story", "suppressed_for"}), "|") + `)\b`)
	for _, r := range recipe.FindAllStringSubmatch(readFile(t, cookbookPath), -1) {
		word := uses.FindString(r[2])
		if says := strings.Contains(r[0], "Not for the user `analyst`"); says != (word != "") {
			t.Errorf("question %s uses %q; the document says so: %t", r[1], word, says)
		}
	}
}
