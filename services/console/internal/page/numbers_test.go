package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
)

// TestPlot_DrawsTheNumbersOfItsTable has values at the lines of the scale: each is drawn at
// the height of its line, as far along as its time.
func TestPlot_DrawsTheNumbersOfItsTable(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	p := Plot{Percent: true, Columns: []string{"rate"}}
	ticks := Plot{Rows: []PlotRow{{Values: []*float64{new(1.0)}}}}.Ticks()
	for i := range ticks {
		p.Rows = append(p.Rows, PlotRow{At: at.Add(time.Duration(i*i) * time.Hour), Values: []*float64{new(float64(i) / float64(len(ticks)-1))}})
	}
	p.Rows = append(p.Rows, PlotRow{At: at.Add(20 * time.Hour), Values: []*float64{nil}})
	dots := p.Lines()[0].Dots
	if len(dots) != len(ticks) {
		t.Fatalf("%d dots for %d values", len(dots), len(ticks))
	}
	var points []string
	for i, dot := range dots {
		if want := plotLeft + (plotWidth-plotLeft)*float64(i*i)/20; dot.Y != ticks[i].At || dot.X != want {
			t.Errorf("value %d is drawn at %v, want %v, %v", i, dot, want, ticks[i].At)
		}
		points = append(points, fmt.Sprintf("%.1f,%.1f", dot.X, dot.Y))
	}
	if got := p.Lines()[0].Points; got != strings.Join(points, " ") {
		t.Errorf("the line is %s, the dots are %v", got, points)
	}
	if limit := (Plot{Rows: p.Rows, Threshold: new(.5)}); limit.Limit() != limit.y(.5) || limit.Limit() <= limit.y(1) {
		t.Errorf("the threshold is at %v", limit.Limit())
	}
}

// TestSpark_DrawsItsCounts has the largest count at the top, and none at the bottom.
func TestSpark_DrawsItsCounts(t *testing.T) {
	t.Parallel()
	if got, want := (Spark{0, 5, 10, 2}).Points(), "0.0,26.0 40.0,14.0 80.0,2.0 120.0,21.2"; got != want {
		t.Errorf("the line is %s, want %s", got, want)
	}
	if got, want := (Spark{0, 0}).Points(), "0.0,26.0 120.0,26.0"; got != want {
		t.Errorf("the line of nothing is %s, want %s", got, want)
	}
}

// TestRates_AreOfWhatTheySay has each rate over its own whole, grey below fifty.
func TestRates_AreOfWhatTheySay(t *testing.T) {
	t.Parallel()
	o := outcomes{history.Outcome{Delivered: 70, Bounced: 20, Blocked: 10, Deferred: 25, Complained: 7}}
	for name, want := range map[string]Rate{"delivered": {70, 100}, "bounced": {20, 100}, "blocked": {10, 100}, "deferred": {25, 125}, "complained": {7, 70}} {
		if got := o.rate(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if !(Rate{1, 49}).Few() || (Rate{1, 50}).Few() {
		t.Error("few is not below 50")
	}
	if got := (Rate{1, 10}).Interval(); got != "2 to 40\u00a0%" { // Wilson, 95 %
		t.Errorf("1 of 10 is within %s", got)
	}
	for _, r := range []Rate{{5, 2}, {1, 0}} { // complaints about mail of before
		if got := r.Interval(); got != "" {
			t.Errorf("%v is within %s", r, got)
		}
	}
	if !worse("complained", Rate{60, 50}, .01) {
		t.Error("60 complaints of 50 delivered are not worse than one of a hundred")
	}
	if (balance{peer.Balance{Received: 5, Published: 3, Rejected: 1}}).Even() || !(balance{peer.Balance{Received: 5, Published: 3, DeadLettered: 1, Rejected: 1}}).Even() {
		t.Error("a balance is even although an item is missing, or is not although none is")
	}
}

// TestOverview_ComparesWithTheMedianOfTheWeek has a day beside seven days, one of which had
// next to no mail.
func TestOverview_ComparesWithTheMedianOfTheWeek(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 9, 12, 30, 0, 0, time.UTC)
	counts := func(blocked ...uint64) (list []history.Count) {
		for back, n := range blocked { // of 100, today first
			hour := now.Add(-time.Duration(back)*day - time.Hour).Truncate(time.Hour)
			list = append(list, history.Count{Hour: hour, Type: "blocked", Events: n}, history.Count{Hour: hour, Type: "delivered", Events: 100 - n})
		}
		return list
	}
	for name, tc := range map[string]struct {
		blocked []uint64
		median  float64
		worse   bool
	}{
		"as ever":          {[]uint64{4, 1, 2, 3, 4, 5, 6, 7}, .04, false},
		"worse":            {[]uint64{9, 1, 2, 3, 4, 5, 6, 7}, .04, true},
		"a little worse":   {[]uint64{6, 1, 2, 3, 4, 5, 6, 7}, .04, false}, // not half of it on top
		"next to nothing":  {[]uint64{1, 0, 0, 0, 0, 0, 0, 0}, 0, false},   // no more than a hundredth
		"the eighth day":   {[]uint64{9, 4, 4, 4, 4, 4, 4, 4, 90}, .04, true},
		"better, the same": {[]uint64{0, 9, 9, 9, 9, 9, 9, 9}, .09, false},
	} {
		list := tiles(append(counts(tc.blocked...), history.Count{Hour: now.Add(-2*day - 2*time.Hour).Truncate(time.Hour), Type: "opened", Events: 99}), now)
		blocked := list[2]
		if blocked.Name != "blocked" || blocked.Today != (Rate{tc.blocked[0], 100}) || blocked.Median == nil || *blocked.Median != tc.median || blocked.Worse != tc.worse {
			t.Errorf("%s: %+v, want %v, worse %t", name, blocked, tc.median, tc.worse)
		}
	}
	for complained, want := range map[uint64]bool{4: false, 7: true} { // of 600, two are usual
		var list []history.Count
		for back := range 8 {
			hour, n := now.Add(-time.Duration(back)*day-time.Hour).Truncate(time.Hour), uint64(2)
			if back == 0 {
				n = complained
			}
			list = append(list, history.Count{Hour: hour, Type: "complained", Events: n}, history.Count{Hour: hour, Type: "delivered", Events: 600})
		}
		if got := tiles(list, now)[3]; got.Worse != want || got.Today != (Rate{complained, 600}) {
			t.Errorf("%d complaints: %+v, want worse %t", complained, got, want)
		}
	}
	if few := tiles([]history.Count{{Hour: now.Add(-time.Hour), Type: "blocked", Events: 49}, {Hour: now.Add(-25 * time.Hour), Type: "delivered", Events: 500}}, now)[2]; few.Worse {
		t.Error("49 messages are called worse than usual")
	}
	if even := tiles(counts(4, 1, 2, 4, 9), now)[2]; even.Median == nil || *even.Median != .03 {
		t.Errorf("the median of 1, 2, 4 and 9 of 100 is %v", even.Median)
	}
	if ahead := tiles([]history.Count{{Hour: now.Add(time.Hour).Truncate(time.Hour), Type: "blocked", Events: 70}}, now)[2]; ahead.Today.Of != 0 {
		t.Errorf("%d messages of the hour to come are of today", ahead.Today.Of)
	}
	if first := tiles(counts(4), now)[2]; first.Median != nil {
		t.Errorf("the first day is beside a median of %v", *first.Median)
	}
}

// TestOverview_HasTheSourcesToLookAtFirst sorts silent ones before those that send, and of
// these the largest first; those that never sent are last.
func TestOverview_HasTheSourcesToLookAtFirst(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 9, 12, 30, 0, 0, time.UTC)
	s := &Site{Options: Options{World: World{Sources: []Source{{"never-b", "ses"}, {"never-a", "ses"}, {"quiet", "ses"}, {"small", "ses"}, {"large", "ses"}}}}}
	hour := now.Truncate(time.Hour)
	rows := s.rowsOf([]history.Count{{Hour: hour, Source: "small", Type: "delivered", Events: 5}, {Hour: hour, Source: "large", Type: "delivered", Events: 7}, {Hour: hour.Add(-23 * time.Hour), Source: "quiet", Type: "delivered", Events: 9}, {Hour: hour.Add(-24 * time.Hour), Source: "quiet", Type: "delivered", Events: 90}},
		[]history.Seen{{Source: "small", ReceivedAt: now.Add(-time.Minute)}, {Source: "large", ReceivedAt: now.Add(-59 * time.Minute)}, {Source: "quiet", ReceivedAt: now.Add(-61 * time.Minute)}}, now)
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprint(r.Name, " ", r.State, " ", r.Day.Sum()))
	}
	if want := "quiet quiet 9, large receiving 7, small receiving 5, never-a never 0, never-b never 0"; strings.Join(got, ", ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, ", "), want)
	}
	if v := rows[0].Day; v[0] != 9 || rows[1].Day[23] != 7 {
		t.Errorf("hours of quiet are %v, of large %v", v, rows[1].Day)
	}
}

// TestDeliverability_HasThePeriodBeforeInItsPlace draws a rate beside that of the same
// moment of the period before, each over its own whole.
func TestDeliverability_HasThePeriodBeforeInItsPlace(t *testing.T) {
	t.Parallel()
	to := time.Date(2026, 3, 4, 9, 30, 0, 0, time.UTC)
	d := deliverabilityData{Range: "24h", Show: "complained", Ranges: []string{"24h"}, From: lastHours(day, to).From, To: to}
	at := to.Add(-3 * time.Hour).Truncate(time.Hour)
	d.draw([]history.Outcome{{At: at, Delivered: 50, Bounced: 50, Complained: 5}}, []history.Outcome{{At: at.Add(-day), Delivered: 10, Complained: 3}}, nil)
	seen := 0
	for _, row := range d.Plot.Rows {
		now, before := row.Values[0], row.Values[1]
		if !row.At.Equal(at) {
			if now != nil || before != nil || row.N != 0 {
				t.Errorf("%s has %v, %v of %d", row.At, now, before, row.N)
			}
			continue
		}
		seen++
		if now == nil || *now != .1 || before == nil || *before != .3 || row.N != 50 {
			t.Errorf("%s has %v, %v of %d", row.At, now, before, row.N)
		}
	}
	if seen != 1 || len(d.Plot.Rows) != 24 {
		t.Errorf("%d of %d rows are of that hour", seen, len(d.Plot.Rows))
	}
}

// TestPages_MeanTheSameBy24Hours counts an event an hour for two days, and some of the hour
// to come: the tiles and rows of the overview, the plot of a source, the types of it and
// the page of deliverability are of the same 24 hours, wherever in its hour the moment is.
func TestPages_MeanTheSameBy24Hours(t *testing.T) {
	t.Parallel()
	for _, minute := range []time.Duration{0, time.Second, 30 * time.Minute, time.Hour - 1} {
		now := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC).Add(minute)
		running := now.Truncate(time.Hour)
		span := lastHours(day, now)
		var counts []history.Count
		var inside uint64
		for back := -1; back < 48; back++ { // each hour has its own number
			n, hour := uint64(1000+back), running.Add(-time.Duration(back)*time.Hour)
			counts = append(counts, history.Count{Hour: hour, Source: "shop", Type: "delivered", Events: n})
			if !hour.Before(span.From) && hour.Before(span.To) {
				inside += n
			}
		}
		s := &Site{}
		row := s.rowsOf(counts, nil, now)[0]
		drawn := uint64(0)
		for _, r := range byHour(counts, "shop", now).Rows {
			drawn += r.N
		}
		d := deliverabilityData{Now: now, Range: "24h", Show: "delivered", Ranges: []string{"24h"}, From: span.From, To: now}
		if got := d.counted(); got != span {
			t.Errorf("%s after the hour: deliverability counts %v, want %v", minute, got, span)
		}
		if tile := tiles(counts, now)[0].Today.Of; span.To.Sub(span.From) != day || tile != inside || row.Day.Sum() != inside || row.Outcomes.Delivered != inside || drawn != inside {
			t.Errorf("%s after the hour: the tile has %d, the row %d and %d, the plot %d, the hours %d", minute, tile, row.Day.Sum(), row.Outcomes.Delivered, drawn, inside)
		}
	}
}

// TestDeliverability_CountsWholeHours has ranges that begin and end inside an hour: what is
// counted, and so the period before, is of the hours they touch.
func TestDeliverability_CountsWholeHours(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"from=2026-03-04T10:50:00Z&to=2026-03-04T11:10:00Z":               "10:00 to 12:00",
		"from=2026-03-04T10:00:00Z&to=2026-03-04T11:00:00Z":               "10:00 to 11:00",
		"from=2026-03-04T10:15:00Z&to=2026-03-04T10:16:00Z":               "10:00 to 11:00",
		"from=2026-03-04T16:15:00%2B05:30&to=2026-03-04T16:45:00%2B05:30": "10:00 to 12:00",
		"range=24h": "13:00 to 12:30",
	} {
		d := deliverabilityData{Now: time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC)}
		if err := d.read(&visit{Request: httptest.NewRequest(http.MethodGet, "/deliverability?"+query, nil)}); err != nil {
			t.Fatal(err)
		}
		if got := d.From.Format("15:04") + " to " + d.To.Format("15:04"); got != want {
			t.Errorf("%s is %s, want %s", query, got, want)
		}
		if c := d.counted(); !c.From.Equal(d.From) || c.To.Before(d.To) || c.To.Sub(d.To) >= time.Hour || c.To.Sub(c.From)%time.Hour != 0 {
			t.Errorf("%s counts %v", query, c)
		}
	}
}

// TestDeliverability_HasAnNBesideTheRateBefore has few before: it is grey, too.
func TestDeliverability_HasAnNBesideTheRateBefore(t *testing.T) {
	t.Parallel()
	for before, want := range map[Rate]string{{3, 4}: `before <small class="few">75.0`, {60, 80}: `before <small>75.0`, {}: `before –`} {
		d := deliverabilityData{Show: "blocked", Totals: []total{{"blocked", Rate{1, 100}, before}}}
		page := shown(t, "deliverability", frame{Data: d, User: auth.User{Role: auth.Viewer}})
		if !strings.Contains(page, want) || before.Of > 0 && !strings.Contains(page, fmt.Sprintf("n %d</small>", before.Of)) {
			t.Errorf("the page with %v has no %s with its n", before, want)
		}
	}
}

// TestRate_OfMoreThanAllHasNoInterval writes a rate above one, as of complaints about mail of
// before.
func TestRate_OfMoreThanAllHasNoInterval(t *testing.T) {
	t.Parallel()
	d := deliverabilityData{Shows: []string{"complained"}, Rows: []breakdown{{Value: "google", Rates: map[string]Rate{"complained": {5, 2}}}}}
	page := shown(t, "deliverability", frame{Data: d, User: auth.User{Role: auth.Viewer}})
	if strings.Contains(page, "NaN") || !strings.Contains(page, "<small>n 2</small>") {
		t.Error("the page has an interval for 5 of 2, or no n")
	}
}

// TestRules_SayThatThereAreMoreReadings has more alerts than a table shows.
func TestRules_SayThatThereAreMoreReadings(t *testing.T) {
	t.Parallel()
	for _, n := range []int{readingsShown, readingsShown + 1} {
		var alerts []string
		for range n {
			alerts = append(alerts, `{"incident":"inc-1","rule":"r","state":"`+string(schemas.AlertFiring)+`"}`)
		}
		d := newDesk(t)
		d.says = `{"alerts":[` + strings.Join(alerts, ",") + `]}`
		w := d.ask(httptest.NewRequest(http.MethodGet, "/rules", nil), "viewer")
		if got := strings.Contains(w.Body.String(), "The first 50; there are more."); got != (n > readingsShown) {
			t.Errorf("of %d readings the page says that there are more: %t", n, got)
		}
	}
}

// TestIncident_DrawsWholeWindowsOnly has the rate of a moment be that of all of its window,
// and that of a long window be as it was judged.
func TestIncident_DrawsWholeWindowsOnly(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	minutes := []history.Minute{{At: from, Came: 10, Blocked: 10}, {At: from.Add(10 * time.Minute), Came: 10, Delivered: 10}, {At: from.Add(15 * time.Minute), Came: 10, Delivered: 10, Blocked: -10}, {At: from.Add(18 * time.Minute)}, {At: from.Add(20 * time.Minute), Came: 30, Delivered: 20, Blocked: 10}}
	d := incidentData{From: from, Window: "15m", Incident: history.Incident{Rule: "block_spike", Metric: "block_rate"}}
	var got []string
	for _, row := range plotOf(&d, minutes, 15*time.Minute, nil).Rows {
		got = append(got, fmt.Sprintf("%s %.2f of %d", row.At.Format("15:04"), *row.Values[0], row.N))
	}
	if want := "09:15 0.00 of 20, 09:20 0.20 of 50"; strings.Join(got, ", ") != want {
		t.Errorf("the plot has %v, want %s", got, want)
	}
	d.Window = "7d"
	p := plotOf(&d, minutes, 7*day, []schemas.AlertReading{{At: from, Value: .3}})
	if len(p.Rows) != 1 || *p.Rows[0].Values[0] != .3 || !strings.Contains(p.Caption, "as it was judged") {
		t.Errorf("of a week the plot has %+v", p)
	}
}

// TestPlot_MarksTheRunningStep has an incident behind the last row, which is the beginning of
// a step that fills, one at a row, and one before all.
func TestPlot_MarksTheRunningStep(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	p := Plot{Rows: []PlotRow{{At: at}, {At: at.Add(time.Hour)}, {At: at.Add(2 * time.Hour)}}, Marks: []PlotMark{{At: at.Add(149 * time.Minute)}, {At: at.Add(time.Hour)}, {At: at.Add(-time.Minute)}}}
	var drawn []float64
	for _, flag := range p.Flags() {
		drawn = append(drawn, flag.At)
	}
	if want := []float64{plotWidth, (plotLeft + plotWidth) / 2}; !slices.Equal(drawn, want) {
		t.Errorf("marks are drawn at %v, want %v", drawn, want)
	}
}

// TestDeliverability_MarksWhatItsMailMayBeIn has incidents about the mail of a page, about
// other mail, and about something else that may be of it.
func TestDeliverability_MarksWhatItsMailMayBeIn(t *testing.T) {
	t.Parallel()
	f := history.Filter{Source: "shop", Domain: "web.de", MailboxProvider: "web.de"}
	for _, tc := range []struct {
		labels map[string]string
		want   bool
	}{
		{map[string]string{"source": "shop", "recipient_domain": "Web.de"}, true},
		{map[string]string{"source": "shop", "campaign": "spring sale"}, true},
		{nil, true},
		{map[string]string{"source": "letters", "recipient_domain": "web.de"}, false},
		{map[string]string{"source": "shop", "recipient_domain": "gmx.de"}, false},
		{map[string]string{"source": "shop", "mailbox_provider": "google"}, false},
	} {
		if got := concerns(tc.labels, f); got != tc.want {
			t.Errorf("an incident of %v is marked: %t, want %t", tc.labels, got, tc.want)
		}
		if !concerns(tc.labels, history.Filter{}) {
			t.Errorf("an incident of %v is not marked on the page of all mail", tc.labels)
		}
		d := deliverabilityData{Range: "24h", Show: "blocked", Ranges: []string{"24h"}, To: time.Unix(86400, 0), Filter: f}
		if d.draw(nil, nil, []history.Incident{{Labels: tc.labels}}); len(d.Plot.Marks) == 1 != tc.want {
			t.Errorf("an incident of %v has the marks %v", tc.labels, d.Plot.Marks)
		}
	}
}

// TestDeliverability_LeadsToTheMailOfAValue goes from a source to its mailbox providers, their
// domains and the campaigns there, with the time and the filters that there are.
func TestDeliverability_LeadsToTheMailOfAValue(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		d           deliverabilityData
		value, want string
	}{
		{deliverabilityData{By: "source", Show: "blocked", Range: "7d"}, "shop", "/deliverability?by=mailbox_provider&range=7d&show=blocked&source=shop"},
		{deliverabilityData{By: "mailbox_provider", Show: "bounced", Range: "24h", Filter: history.Filter{Source: "a&b"}}, "google", "/deliverability?by=domain&mailbox_provider=google&range=24h&show=bounced&source=a%26b"},
		{deliverabilityData{By: "domain", Show: "blocked", Own: true, From: at, To: at.Add(time.Hour)}, "web.de", "/deliverability?by=campaign&domain=web.de&from=2026-03-04T09%3A00%3A00Z&show=blocked&to=2026-03-04T10%3A00%3A00Z"},
		{deliverabilityData{By: "domain", Range: "7d"}, "", ""},
		{deliverabilityData{By: "source", Range: "7d"}, "a…@example.com", ""},
		{deliverabilityData{By: "campaign", Range: "7d"}, "spring sale", ""},
	} {
		if got := tc.d.Narrow(tc.value); got != tc.want {
			t.Errorf("%s %q leads to %s, want %s", tc.d.By, tc.value, got, tc.want)
		}
		tc.d.Rows = []breakdown{{Value: tc.value}}
		page := shown(t, "deliverability", frame{Data: tc.d, User: auth.User{Role: auth.Viewer}})
		if has := strings.Contains(page, `<th scope="row"><a href="`); has != (tc.want != "") {
			t.Errorf("%s %q has a link: %t", tc.d.By, tc.value, has)
		}
	}
	for name, want := range map[string]string{"sending_ip": "sending IP", "ip_pool": "IP pool", "mailbox_provider": "mailbox provider"} {
		if got := words(name); got != want {
			t.Errorf("%s is %q to people", name, got)
		}
	}
}

// TestRules_SayHowTheyAreTried has a back-test, which counts otherwise than the service, and
// the page before one.
func TestRules_SayHowTheyAreTried(t *testing.T) {
	t.Parallel()
	for _, trials := range [][]Trial{nil, {{Rule: "block_spike", Fired: 1, Missed: 1}}} {
		d := rulesData{Can: true, Tried: trials != nil, Trials: trials}
		page := shown(t, "rules", frame{Data: d, User: auth.User{Role: auth.Operator}})
		if got := strings.Contains(page, "counts as both") && strings.Contains(page, "--exact"); got != d.Tried {
			t.Errorf("with %v the page says how messages are counted: %t", trials, got)
		}
	}
}

// TestRules_CountWhatTheirMetricCounts has rules about messages and about events.
func TestRules_CountWhatTheirMetricCounts(t *testing.T) {
	t.Parallel()
	for metric, want := range map[string]string{"block_rate": "20 messages", "complaint_rate": "20 messages", "silence": "20 events", "lag": "20 events", "unknown_share": "20 events"} {
		d := rulesData{Rules: []ruleRow{{Rule: Rule{Name: "a", Metric: metric, MinVolume: 20}}}}
		if page := shown(t, "rules", frame{Data: d, User: auth.User{Role: auth.Viewer}}); !strings.Contains(page, `<td class="n">`+want+`</td>`) {
			t.Errorf("%s is judged from something else than %s on", metric, want)
		}
	}
}
