package page

import (
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/history"
)

// TestIncident_SaysWhatItsRuleMeasures has the page of an incident speak of what is judged.
func TestIncident_SaysWhatItsRuleMeasures(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	readings := []schemas.AlertReading{{At: at, Value: 0.2}, {At: at.Add(time.Minute), Value: 0.4}}
	minutes := []history.Minute{{At: at, Came: 10, Delivered: 6, Bounced: 3, Blocked: 1}}
	for name, tc := range map[string]struct {
		alert   schemas.Alert
		says    string
		beside  string
		caption string
		drawn   []float64
	}{
		"blocks": {
			schemas.Alert{Rule: "block_spike", Labels: map[string]string{"recipient_domain": "web.de"}, Value: .6, Peak: .7, Threshold: .5, Counts: schemas.AlertCounts{Delivered: 40, Blocked: 60}},
			"Block rate now 60.0 % (worst 70.0 %) against a threshold of 50.0 % over 15m: 60 blocked of 100.", "", "Block rate over 15m, minute by minute", []float64{.1},
		},
		"bounces": {
			schemas.Alert{Rule: "b", Metric: "bounce_rate", Value: .6, Peak: .7, Threshold: .5, Measure: &schemas.AlertMeasure{Numerator: 6, Denominator: 10, Usual: .01}},
			"Bounce rate now 60.0 % (worst 70.0 %) against a threshold of 50.0 % over 15m: 6 of 10 bounced, usually 1.0 %.", "", "Bounce rate over 15m, minute by minute", []float64{.3},
		},
		"complaints": {
			schemas.Alert{Rule: "complaint_warning", Metric: "complaint_rate", Value: .4, Peak: .4, Threshold: .001, Measure: &schemas.AlertMeasure{Numerator: 4, Denominator: 10}},
			"Complaint rate now 40.0 % (worst 40.0 %) against a threshold of 0.10 % over 15m: 4 of 10 complained of.", "about something else", "Complaint rate over 15m, as it was judged", []float64{.2, .4},
		},
		"a campaign": {
			schemas.Alert{Rule: "c", Metric: "block_rate", Labels: map[string]string{"campaign": "spring sale", "source": "shop"}, Value: .4, Peak: .4, Threshold: .1, Counts: schemas.AlertCounts{Delivered: 6, Blocked: 4}},
			"4 blocked of 10.", "", "Block rate over 15m, minute by minute", []float64{.1},
		},
		"silence": {
			schemas.Alert{Rule: "silence", Metric: "silence", Labels: map[string]string{"source": "shop"}, Value: 1, Peak: 1, Threshold: 1, Measure: &schemas.AlertMeasure{Numerator: 120, Denominator: 120}},
			"120 of 120 expected, none came.", "about something else", "Silence over 15m, as it was judged", []float64{.2, .4},
		},
		"a receiver": {
			schemas.Alert{Rule: schemas.RuleReceiver, Labels: map[string]string{schemas.LabelReceiver: "pager"}, Answer: "refused", Value: 1},
			"The receiver pager does not take messages: refused.", "about something else", "as it was judged", []float64{.2, .4},
		},
		"a rule that is gone": {
			schemas.Alert{Rule: "gone", Metric: "none", Value: .6, Peak: .7, Threshold: .1, Counts: schemas.AlertCounts{Delivered: 3, Bounced: 1, Blocked: 6}},
			"60.0 % at last (worst 70.0 %), a threshold of 10.0 % and a window of 15m, with 3 messages delivered, 1 bounced and 6 blocked in it: the first number is the share of what was blocked.",
			"may have counted otherwise", "as it was judged", []float64{.2, .4},
		},
		"a rule that is gone, of something else": {
			schemas.Alert{Rule: "gone", Metric: "none", Value: .5, Peak: .5, Threshold: .1, Counts: schemas.AlertCounts{Delivered: 5, Blocked: 5}},
			"with 5 messages delivered, 0 bounced and 5 blocked in it.", "may have counted otherwise", "as it was judged", []float64{.2, .4},
		},
		"a rule of some causes": {
			schemas.Alert{Rule: "some", Metric: "block_rate", Value: .5, Peak: .5, Threshold: .1, Counts: schemas.AlertCounts{Delivered: 5, Blocked: 5}},
			"5 blocked of 10.", "counts only cause not provider", "as it was judged", []float64{.2, .4},
		},
	} {
		a := tc.alert
		a.State = schemas.AlertFiring
		d := incidentData{Incident: incidentOf(&a), Measure: a.Measure, Answer: a.Answer, Window: "15m"}
		if a.Metric == "none" { // as ClickHouse has it
			d.Incident.Metric = ""
		}
		if a.Rule == "some" {
			d.counts = "cause not provider"
		}
		d.Rate = Rate{d.Incident.Blocked, d.Incident.Delivered + d.Incident.Bounced + d.Incident.Blocked}
		if got := strings.ReplaceAll(d.Says(), "\u00a0", " "); !strings.HasSuffix(got, tc.says) {
			t.Errorf("%s: %q, want %q", name, got, tc.says)
		}
		if got := d.Beside(); !strings.Contains(got, tc.beside) || (got == "") != (tc.beside == "") {
			t.Errorf("%s: beside %q, want %q", name, got, tc.beside)
		}
		p := plotOf(&d, minutes, 15*time.Minute, readings)
		if !strings.HasSuffix(p.Caption, tc.caption) || len(p.Rows) != len(tc.drawn) {
			t.Errorf("%s: %q with %d moments, want %q with %d", name, p.Caption, len(p.Rows), tc.caption, len(tc.drawn))
			continue
		}
		for i, want := range tc.drawn {
			if got := *p.Rows[i].Values[0]; got != want {
				t.Errorf("%s: moment %d is %v, want %v", name, i, got, want)
			}
		}
	}
}

// TestIncident_WithoutTrafficSaysSo has no rate of now where there is nothing to judge by.
func TestIncident_WithoutTrafficSaysSo(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	in := incidentOf(&schemas.Alert{Rule: "block_<b>_spike", State: schemas.AlertFiring, Peak: .783, NoTraffic: &schemas.AlertNoTraffic{Since: since}})
	d := incidentData{Incident: in, Window: "15m"}
	pages, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := pages["incident"].ExecuteTemplate(&out, "base", frame{Data: d}); err != nil {
		t.Fatal(err)
	}
	if err := pages["incidents"].ExecuteTemplate(&out, "base", frame{Data: incidentsData{Open: []history.Incident{in}}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"at worst 78.3\u00a0%", "no mail to judge by in the window now", "too little mail to judge by", `<td class="n"><span class="few">no traffic</span>`, "block_<wbr>&lt;b&gt;_<wbr>spike"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	in.State = "resolved"
	if in.Idle() {
		t.Error("what is over is idle")
	}
}

// TestOverview_NamesTheFirstIncidents keeps the glance short and says how each stands.
func TestOverview_NamesTheFirstIncidents(t *testing.T) {
	t.Parallel()
	var d overviewData
	for range lookIncidentsMax + 2 {
		d.Incidents = append(d.Incidents, history.Incident{ID: "1", Rule: "block_spike", State: "firing", Value: .72, AckedBy: "ana", Silenced: true})
	}
	d.judge(false)
	last := d.Look[len(d.Look)-1]
	if len(d.Look) != lookIncidentsMax+1 || last.Text != "2 more incidents" || last.Href != "/incidents" {
		t.Errorf("%+v", d.Look)
	}
	if got := strings.ReplaceAll(d.Look[0].Value, "\u00a0", " "); got != "72.0 %, acknowledged by ana, silenced" {
		t.Errorf("%q", got)
	}
}

// TestIncident_FoldsReadings has readings that follow each other be one line.
func TestIncident_FoldsReadings(t *testing.T) {
	t.Parallel()
	v := func(f float64) *float64 { return &f }
	reading := func(f float64) timelineEntry {
		return timelineEntry{AlertStep: schemas.AlertStep{Kind: "reading"}, Value: v(f)}
	}
	note := timelineEntry{AlertStep: schemas.AlertStep{Kind: "note"}}
	steps := incidentData{Timeline: []timelineEntry{reading(.5), reading(.7), note, reading(.6)}}.Steps()
	if len(steps) != 3 || steps[0].Readings != 2 || steps[0].Low != .5 || steps[0].High != .7 || steps[1].Kind != "note" || steps[2].Readings != 1 {
		t.Errorf("%+v", steps)
	}
}

// TestRules_HaveTheReadingToLookAt gives each rule the alert that is furthest on.
func TestRules_HaveTheReadingToLookAt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	rows := rowsOfRules([]Rule{{Name: "a"}, {Name: "b"}}, []history.Incident{
		{ID: "1", Rule: "a", State: "resolved", UpdatedAt: at.Add(time.Hour)}, {ID: "2", Rule: "a", State: "firing", UpdatedAt: at}, {ID: "3", Rule: "a", State: "firing", UpdatedAt: at.Add(time.Minute)},
	})
	if rows[0].Reading == nil || rows[0].Reading.ID != "3" || rows[0].Alerts != 3 || rows[1].Reading != nil {
		t.Errorf("%+v", rows)
	}
}

// TestSource_HasEachTypeBesideTheWeekBefore has a type that does not come any more be seen.
func TestSource_HasEachTypeBesideTheWeekBefore(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 9, 30, 0, 0, time.UTC)
	hour := func(back time.Duration, kind string, n uint64) history.Count {
		return history.Count{Hour: now.Truncate(time.Hour).Add(-back), Type: kind, Events: n}
	}
	got := arrivalsOf([]history.Arrival{{Type: "delivered", Events: 30}, {Type: "bounced", Events: 10}}, []history.Count{
		hour(7*day, "delivered", 20), hour(6*day, "delivered", 7), hour(7*day+time.Hour, "opened", 5), hour(8*day, "opened", 9),
	}, now)
	if len(got) != 3 || got[0].Before != 20 || got[0].Share != (Rate{30, 40}) || got[1].Before != 0 || got[2].Type != "opened" || got[2].Before != 5 || got[2].Events != 0 {
		t.Errorf("%+v", got)
	}
}
