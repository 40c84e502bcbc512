package page

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
)

// TestOverview_NamesASilentSourceWhenItUsuallySends has sources that fell silent, each with a
// habit of its own.
func TestOverview_NamesASilentSourceWhenItUsuallySends(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, 3, 9, 12, 30, 0, 0, time.UTC)
	always := func(time.Time) bool { return true }
	office := func(at time.Time) bool {
		return at.Hour() >= 7 && at.Hour() < 18 && at.Weekday() != time.Saturday && at.Weekday() != time.Sunday
	}
	daily := func(at time.Time) bool { return at.Hour() == 6 }
	seldom := func(at time.Time) bool { return at.Weekday() == time.Wednesday && at.Hour() == 9 }
	mixed := func(at time.Time) bool { return at.Hour() == 15 || at.Hour() == 11 && at.Weekday() == time.Monday }
	for name, tc := range map[string]struct {
		sends func(time.Time) bool
		now   time.Time
		gap   time.Duration // until when it sent
		first time.Duration // since when it sends; 0: longer than is read
		want  string
	}{
		"always, now not":                {always, monday, 2 * time.Hour, 0, "No event from shop for 2 h"},
		"always, not for days":           {always, monday, 74 * time.Hour, 0, "No event from shop for 3 d"},
		"always, not for most of a week": {always, monday, 6*day + 3*time.Hour, 0, "No event from shop for 6 d"},
		"by day, at night":               {office, monday.Add(-34 * time.Hour), 0, 0, ""},
		"by day, before it begins":       {office, monday.Add(-6 * time.Hour), 0, 0, ""},
		"by day, at noon":                {office, monday, 5 * time.Hour, 0, "No event from shop for 5 h"},
		"by day, silent since Friday":    {office, monday.Add(-4 * time.Hour), 8 * time.Hour, 0, "No event from shop for 2 d"},
		"on weekdays, on Sunday":         {office, monday.Add(-day), 0, 0, ""},
		"on weekdays, not on Thursday":   {office, monday.Add(-4 * day), 8 * time.Hour, 0, "No event from shop for 19 h"},
		"in the morning, at noon":        {daily, monday, 0, 0, ""},
		"in the morning, not today":      {daily, monday, 12 * time.Hour, 0, "No event from shop for 30 h"},
		"on Wednesdays":                  {seldom, monday, 0, 0, ""},
		"in this hour on Mondays alone":  {mixed, monday, 12 * time.Hour, 0, ""},
		"a test, two days ago":           {always, monday, 50 * time.Hour, 60 * time.Hour, ""},
		"since a day, now not":           {always, monday, 2 * time.Hour, 30 * time.Hour, "No event from shop for 2 h"},
		"since this morning, now not":    {always, monday, 2 * time.Hour, 6 * time.Hour, "No event from shop for 2 h"},
	} {
		s := &Site{Options: Options{World: World{Sources: []Source{{"shop", "sendgrid"}}}}}
		var counts []history.Count
		for hour := monday.AddDate(0, 0, -9).Truncate(time.Hour); !hour.After(tc.now); hour = hour.Add(time.Hour) {
			if back := tc.now.Sub(hour); tc.sends(hour) && back >= tc.gap && back < 8*day && (tc.first == 0 || back <= tc.first) {
				counts = append(counts, history.Count{Hour: hour, Source: "shop", Type: "delivered", Events: 1})
			}
		}
		d := overviewData{Now: tc.now, Sources: s.rowsOf(counts, nil, tc.now)}
		d.judge(false)
		got := ""
		if len(d.Look) > 0 {
			got = d.Look[0].Text
		}
		if row := d.Sources[0]; got != tc.want || row.State != "quiet" || row.Last.IsZero() || d.Well != (tc.want == "") {
			t.Errorf("%s: %q, want %q; %s since %s", name, got, tc.want, row.State, row.Last)
		}
	}
}

// TestOverview_NamesTheSourceWhosePasswordIsWrong has sources that were refused: one that
// sends is left in peace.
func TestOverview_NamesTheSourceWhosePasswordIsWrong(t *testing.T) {
	t.Parallel()
	refusals := []peer.Refusal{{Status: 401, Cause: "wrong_credentials", Count: 1200}, {Status: 413, Cause: "too_large", Count: 3}}
	postmark := []peer.Refusal{{Status: 503, Cause: "missing_credentials", Count: 2}, {Status: 401, Cause: "foreign_address", Count: 3}}
	for _, tc := range []struct {
		state    string
		refusals []peer.Refusal
		text     string
		value    string
	}{
		{"never", refusals[:1], "No event from shop in 8 days", "1,200 requests refused for wrong credentials"},
		{"never", refusals, "No event from shop in 8 days", "1,203 requests refused, 1,200 for wrong credentials"},
		{"never", refusals[1:], "No event from shop in 8 days", "3 requests refused"},
		{"never", postmark[:1], "No event from shop in 8 days", "2 requests refused for wrong credentials"},
		{"never", postmark[1:], "No event from shop in 8 days", "3 requests refused"},
		{"never", postmark, "No event from shop in 8 days", "5 requests refused, 2 for wrong credentials"},
		{"never", nil, "", ""},
		{"receiving", refusals, "", ""},
	} {
		d := overviewData{Known: true, Sources: []sourceRow{{Source: Source{Name: "shop"}, State: tc.state, Balance: &balance{peer.Balance{Refusals: tc.refusals}}}}}
		d.judge(false)
		var got look
		if len(d.Look) > 0 {
			got = d.Look[0]
		}
		if got.Text != tc.text || got.Value != tc.value || d.Well != (tc.text == "") {
			t.Errorf("%s with %v: %+v, want %q %q", tc.state, tc.refusals, got, tc.text, tc.value)
		}
		page := shown(t, "overview", frame{Data: d, User: auth.User{Role: auth.Admin}})
		if has := strings.Contains(page, "requests refused"); has != (tc.refusals != nil) {
			t.Errorf("%s with %v: the page says so: %t", tc.state, tc.refusals, has)
		}
		if fresh := strings.Contains(page, "No event yet"); fresh != (tc.state == "never" && tc.refusals == nil) || fresh && strings.Contains(page, "All is well") {
			t.Errorf("%s with %v: no event yet is said: %t", tc.state, tc.refusals, fresh)
		}
	}
}

// TestSource_SaysToCheckThePasswordWhereItIsWrong has what proves a request be missing or
// wrong, whatever the provider is answered, and other refusals.
func TestSource_SaysToCheckThePasswordWhereItIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		refusal peer.Refusal
		want    bool
	}{
		{peer.Refusal{Status: 401, Cause: "wrong_credentials"}, true},
		{peer.Refusal{Status: 503, Cause: "wrong_signature"}, true},
		{peer.Refusal{Status: 401, Cause: "foreign_address"}, false},
		{peer.Refusal{Status: 401, Cause: "old_timestamp"}, false},
		{peer.Refusal{Status: 503, Cause: "malformed"}, false},
	} {
		d := sourceData{sourceRow: sourceRow{State: "quiet", Balance: &balance{peer.Balance{Refusals: []peer.Refusal{tc.refusal}}}}}
		page := shown(t, "source", frame{Data: d, User: auth.User{Role: auth.Admin}})
		if got := strings.Contains(page, "check username, password or key"); got != tc.want {
			t.Errorf("%+v: the page says to check the password: %t", tc.refusal, got)
		}
	}
}

// shown is a page as it is written.
func shown(t *testing.T, name string, f frame) string {
	t.Helper()
	pages, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := pages[name].ExecuteTemplate(&out, "base", f); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestPages_ClaimNothingThatIsNotKnown reads the pages while every part is away: what is
// empty then is not known, and never said to be none.
func TestPages_ClaimNothingThatIsNotKnown(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.answer = http.StatusServiceUnavailable
	claims, tags := regexp.MustCompile(`(?i)\b(no|none|nothing|never|all is well|is empty)\b[^|]*|\|0\|`), regexp.MustCompile(`<[^>]*>`)
	// What is said whatever the parts would answer.
	fair := []string{"no rule is configured", "none has an address"}
	for _, path := range []string{"/", "/sources/shop", "/deliverability", "/incidents", "/suppressions", "/dead-letters", "/rules", "/audit"} {
		w := d.ask(httptest.NewRequest(http.MethodGet, path, nil), "admin")
		_, text, found := strings.Cut(w.Body.String(), "</div>\n<div") // behind the notices
		if !found {
			_, text, found = strings.Cut(w.Body.String(), "What follows is what is still known.")
		}
		if w.Code != http.StatusOK || !found {
			t.Fatalf("%s answers %d without a notice: %s", path, w.Code, w.Body)
		}
		for _, claim := range claims.FindAllString(tags.ReplaceAllString(text, "|"), -1) {
			if !slices.ContainsFunc(fair, func(one string) bool { return strings.HasPrefix(strings.ToLower(claim), one) }) {
				t.Errorf("%s says %q", path, claim)
			}
		}
	}
}
