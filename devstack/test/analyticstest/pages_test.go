package analyticstest

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// pagesDir has the queries of the console's pages, a file each.
const pagesDir = "../../../services/console/internal/history/sql"

// pageParameter is one of a query, such as {from:DateTime64(3, 'UTC')}.
var pageParameter = regexp.MustCompile(`\{(\w+):([^{}]+)\}`)

// pageQuery is a query with the values that a page gives it, the smallest that people look
// at, in a table of 28 days.
type pageQuery struct {
	values map[string]string
	// days of event_log that it may read, beside the counts of past hours.
	days int
}

// pageQueries are all of pagesDir. A page that is opened by many reads the counts; what
// reads events reads the days it shows, and no more.
func pageQueries() map[string]pageQuery {
	const person, message, seals = "PERSON", "MESSAGE", "SEALS"
	hour := map[string]string{"from": "2026-10-31 09:00:00.000", "to": "2026-10-31 10:00:00.000", "domain": "gmail.com"}
	month := map[string]string{"from": "2026-10-05 00:00:00.000", "to": "2026-11-02 00:00:00.000"}
	day := map[string]string{"from": "2026-10-31 00:00:00.000", "to": "2026-11-01 00:00:00.000", "source": "acme"}
	with := func(base map[string]string, pairs ...string) map[string]string {
		all := map[string]string{}
		for name, value := range base {
			all[name] = value
		}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = pairs[i+1]
		}
		return all
	}
	return map[string]pageQuery{
		"counts":              {month, 0},
		"series":              {with(month, "step", "3600", "before", "2026-09-07 00:00:00.000"), 0},
		"breakdown":           {with(month, "by", "domain"), 0},
		"sources":             {map[string]string{"since": "2026-10-31 00:00:00.000", "hours": "[]"}, 3},
		"hours":               {map[string]string{"from": "2026-10-05 00:00:00.000"}, 0},
		"hours_sealed":        {with(day, "seals", seals), 0},
		"hours_open":          {with(day, "hours", `[\'2026-10-31 09:00:00\']`), 1},
		"arrivals":            {day, 1},
		"breakdown_by":        {with(month, "by", "campaign"), 0},
		"breakdown_events":    {with(day, "by", "campaign", "domain", "gmail.com"), 1},
		"minutes":             {hour, 1},
		"replaced":            {with(hour, "window", "15"), 2},
		"replies":             {hour, 1},
		"incident_events":     {hour, 1},
		"changed":             {hour, 2},
		"receipts":            {map[string]string{"sources": "SOURCES", "types": "TYPES", "times": "TIMES", "ids": "IDS"}, 1},
		"person_events":       {map[string]string{"hash": person}, 1},
		"message_events":      {map[string]string{"message": message}, 2},
		"traits":              {map[string]string{"sources": `[\'acme\']`, "types": `[\'delivered\']`, "hours": `[\'2026-10-31 09:00:00\']`, "ids": "IDS"}, 1},
		"person_suppressions": {map[string]string{"hash": person, "hashes": `[\'` + person + `\']`}, 0},
		"suppression_totals":  {nil, 0},
		"audit":               {month, 0},
		"incidents":           {with(month, "id", ""), 0},
		"dead_letters":        {nil, 0},
	}
}

// pageSQL returns the query of a page with the values of its parameters. Pages show 500 rows,
// and a provider has a word of its own for blocks.
func pageSQL(t *testing.T, name string, values map[string]string) string {
	t.Helper()
	return pageParameter.ReplaceAllStringFunc(readFile(t, filepath.Join(pagesDir, name+".sql")), func(p string) string {
		m := pageParameter.FindStringSubmatch(p)
		value, given := values[m[1]]
		if usual := map[string]string{"limit": "500", "literal": `[\'mailjet\']`}; !given {
			value = usual[m[1]]
		}
		return fmt.Sprintf("CAST('%s', '%s')", value, strings.ReplaceAll(m[2], "'", `\'`))
	})
}

// TestPages_ReadWhatTheyShow asks every query of the console and bounds the rows read, so
// that a page that reads all events fails.
func TestPages_ReadWhatTheyShow(t *testing.T) {
	t.Parallel()
	w := cookbookWorld(t)
	all := cookbookRows(t, w)
	counts, err := strconv.Atoi(w.sql(t, "SELECT (SELECT count() FROM rates_1h_sealed) + (SELECT count() FROM rates_1h_by_sealed WHERE dimension = 'campaign') + 3 * (SELECT count() FROM hour_rows) + 3 * (SELECT count() FROM hour_seals)"))
	if err != nil {
		t.Fatal(err)
	}
	list := func(column string) string { // of the same events
		return strings.ReplaceAll(w.sql(t, "SELECT groupArray("+column+") FROM (SELECT * FROM event_log WHERE source = 'acme' AND type = 'delivered' AND toStartOfHour(time) = '2026-10-31 09:00:00' ORDER BY time, id LIMIT 20)"), "'", `\'`)
	}
	known := strings.NewReplacer("PERSON", w.sql(t, "SELECT recipient_hash FROM event_log ORDER BY time LIMIT 1"), "MESSAGE", w.sql(t, "SELECT message_id FROM event_log ORDER BY time LIMIT 1"),
		"IDS", list("toString(id)"), "SOURCES", list("source"), "TYPES", list("type"), "TIMES", list("toUnixTimestamp64Milli(time)"),
		"SEALS", w.sql(t, "SELECT groupArray(seal) FROM hour_seals FINAL WHERE toDate(hour) = '2026-10-31'"))
	queries := pageQueries()
	files, err := filepath.Glob(pagesDir + "/*.sql")
	if err != nil || len(files) != len(queries) {
		t.Fatalf("%d queries of pages, %d are bounded here: %v", len(files), len(queries), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".sql")
		q, ok := queries[name]
		if !ok {
			t.Errorf("%s is not bounded", name)
			continue
		}
		_, read := w.readRows(t, known.Replace(pageSQL(t, name, q.values)))
		// A day is some part of the table; what decides which blocks to read counts, too.
		if most := q.days*all/28*3/2 + 2*counts + 1_000; read > most {
			t.Errorf("%s reads %d rows of %d, more than the %d of %d days", name, read, all, most, q.days)
		} else {
			t.Logf("%s reads %d rows of %d, at most %d", name, read, all, most)
		}
	}
}
