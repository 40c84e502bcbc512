package analyticstest

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// The part of the year that has the mail of the cookbook, and minutes in which a
// hundred messages of it went out.
const (
	grafanaFrom   = "toDateTime('2026-10-05 00:00:00', 'UTC')"
	grafanaTo     = "toDateTime('2026-11-05 00:00:00', 'UTC')"
	grafanaMinute = "toDateTime('2026-10-06 09:20:00', 'UTC')"
	grafanaNext   = "toDateTime('2026-10-06 09:25:00', 'UTC')"
)

type grafanaTarget struct {
	RawSQL    string `json:"rawSql"`
	QueryType string `json:"queryType"`
	Format    int    `json:"format"` // of the plugin: 0 is a series of times, 1 a table
}

type grafanaPanel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ H, W, X, Y int }
	Targets     []grafanaTarget `json:"targets"`
}

// grafanaSQL is a query as the plugin grafana-clickhouse-datasource sends it, for these
// sources and this time.
func grafanaSQL(text, sources, from, to string) string {
	text = strings.NewReplacer("$__fromTime", from, "$__toTime", to, "${source:singlequote}", sources).Replace(text)
	return regexp.MustCompile(`\$__timeInterval\((\w+)\)`).ReplaceAllString(text, "toStartOfInterval(toDateTime($1), INTERVAL 3600 second)")
}

// TestGrafana_DeliverabilityPanelsAnswer asks what every panel asks, of the mail of the
// cookbook; breakdowns of the same mail have the same sum.
func TestGrafana_DeliverabilityPanelsAnswer(t *testing.T) {
	t.Parallel()
	w := cookbookWorld(t)
	var dashboard struct {
		UID        string `json:"uid"`
		Templating struct {
			List []struct {
				Name  string          `json:"name"`
				Query json.RawMessage `json:"query"`
			} `json:"list"`
		} `json:"templating"`
		Panels []grafanaPanel `json:"panels"`
	}
	if err := json.Unmarshal([]byte(readFile(t, "../../../deploy/grafana/deliverability.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var choice string
	for _, v := range dashboard.Templating.List {
		if v.Name == "source" {
			if err := json.Unmarshal(v.Query, &choice); err != nil {
				t.Fatal(err)
			}
		}
	}
	names := strings.Fields(w.sql(t, strings.Replace(choice, "now() - INTERVAL 90 DAY", grafanaFrom, 1)))
	if len(names) < 2 {
		t.Fatalf("the sources to choose from are %v", names)
	}
	sources := "'" + strings.Join(names, "','") + "'"
	tried := w.sql(t, "SELECT sum(events) FROM rates_1h WHERE type IN ('delivered', 'bounced', 'blocked') AND hour >= "+grafanaFrom+" AND hour < "+grafanaTo)
	ids, breakdowns := map[int]bool{}, 0
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.Description == "" || len(p.Targets) != 1 {
			t.Errorf("panel %q has the id of another, hangs over, says nothing or has %d queries", p.Title, len(p.Targets))
			continue
		}
		ids[p.ID] = true
		query := p.Targets[0]
		if series := p.Type == "timeseries"; (query.Format == 0) != series || (query.QueryType == "timeseries") != series {
			t.Errorf("panel %q is a %s and asks for format %d", p.Title, p.Type, query.Format)
		}
		sent := grafanaSQL(query.RawSQL, sources, grafanaFrom, grafanaTo)
		if strings.Contains(sent, "$") {
			t.Errorf("panel %q has a macro that the test does not know: %s", p.Title, sent)
			continue
		}
		if got := w.sql(t, sent); got == "" {
			t.Errorf("panel %q shows nothing of the mail of the cookbook", p.Title)
		}
		if strings.HasPrefix(p.Title, "By ") {
			breakdowns++
			if got := w.sql(t, "SELECT sum(tried) FROM ("+sent+")"); got != tried {
				t.Errorf("panel %q has %s messages that were tried, want %s", p.Title, got, tried)
			}
		}
		// Counts of hours and quarters show what came within one of them.
		if got := w.sql(t, grafanaSQL(query.RawSQL, sources, grafanaMinute, grafanaNext)); got == "" && strings.Contains(query.RawSQL, "FROM rates_") {
			t.Errorf("panel %q shows nothing of some minutes in which mail went out", p.Title)
		}
		// Nothing is of a source that nobody chose; the list is of all.
		if got := w.sql(t, grafanaSQL(query.RawSQL, "'none'", grafanaFrom, grafanaTo)); got != "" && p.Title != "Suppressed" {
			t.Errorf("panel %q of no source shows %s", p.Title, got)
		}
	}
	if breakdowns != 4 || len(ids) < 12 {
		t.Errorf("%d breakdowns of %d panels", breakdowns, len(ids))
	}
}
