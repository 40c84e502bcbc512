package analyticstest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/pipeline"
)

// aDayOfMail is one message a second to five domains, of which gmail.com refuses
// all between 06:00 and 06:40, and hotmail.com delivers first and refuses a minute
// later all between 12:00 and 12:30.
const aDayOfMail = `
INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient_hash, recipient_domain, mailbox_provider, cause)
SELECT
    toUUID(concat(leftPad(lower(hex(number)), 8, '0'), '-0000-8000-8000-', if(refusal, '000000000001', '000000000000'))),
    if(refusal OR domain = 'gmail.com' AND second BETWEEN 21600 AND 23999, 'blocked', 'delivered') AS type,
    toDateTime64('%[1]s 00:00:00', 3, 'UTC') + second + if(refusal, 60, 0) AS time, time + 2,
    'sendgrid', 'acme', toString(number), toString(number), domain,
    ['google', 'microsoft', 'yahoo', '', ''][number %% 5 + 1], if(type = 'blocked', 'sender', '')
FROM (
    SELECT number, number AS second, ['gmail.com', 'hotmail.com', 'yahoo.com', 'a.test', 'b.test'][number %% 5 + 1] AS domain,
        arrayJoin(if(domain = 'hotmail.com' AND second BETWEEN 43200 AND 44999, [false, true], [false])) AS refusal
    FROM numbers(86400)
)`

func TestBacktest_FindsTheIncidentsOfADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := time.Now().UTC().AddDate(0, 0, -3).Truncate(24 * time.Hour)
	w.sql(t, fmt.Sprintf(aDayOfMail, day.Format(time.DateOnly)))
	clock := func(hhmm string) time.Time {
		at, err := time.Parse("15:04", hhmm)
		if err != nil {
			t.Fatal(err)
		}
		return day.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute)
	}
	fired := func(incident, domain, since, until string) {
		w.sql(t, fmt.Sprintf(`INSERT INTO alert_log (fingerprint, incident, version, rule, labels, state, since, updated_at, resolved_at, peak)
			VALUES ('%[1]s', '%[1]s', 1, 'block_spike', map('source', 'acme', 'recipient_domain', '%[2]s'), 'resolved', %[3]d, %[4]d, %[4]d, 0.9)`,
			incident, domain, clock(since).UnixMilli(), clock(until).UnixMilli()))
	}
	fired("inc-gmail", "gmail.com", "06:20", "07:00")
	fired("inc-other", "b.test", "09:00", "09:30")

	rules, err := playback.ReadRules("rules", []byte("rules: [{name: block_spike}]"))
	if err != nil {
		t.Fatal(err)
	}
	play := func(exact bool) playback.Report {
		report, err := pipeline.PlayHistory(t.Context(), w.cfg, rules, playback.Options{From: day, To: day.Add(24 * time.Hour), Exact: exact}, logger(t))
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	type found struct {
		Where, Start, End, Then string
		Covered                 bool
	}
	list := func(r playback.Report) (out []found) {
		for _, in := range r.Incidents {
			f := found{Where: in.Labels["recipient_domain"] + in.Labels["mailbox_provider"], Start: in.Start.Format("15:04"), End: in.End.Format("15:04"), Covered: in.Covered}
			if in.Then != nil {
				f.Then = in.Then.Incident
			}
			out = append(out, f)
		}
		slices.SortFunc(out, func(a, b found) int { return strings.Compare(a.Start+a.Where, b.Start+b.Where) })
		return out
	}
	// 60 % of 15 minutes: nine minutes and a pane after it began. Under 40 % again nine minutes after
	// it ended, and five to be sure.
	gmail := []found{{Where: "gmail.com", Start: "06:09", End: "06:54", Then: "inc-gmail"}, {Where: "google", Start: "06:09", End: "06:54", Covered: true}}
	byMinute, exact := play(false), play(true)
	for i := range gmail { // by minute, it is seen at the minute's end
		if got := list(byMinute)[i]; got.Where != gmail[i].Where || got.Then != gmail[i].Then || got.Covered != gmail[i].Covered {
			t.Errorf("by minute: %v, want %v", got, gmail[i])
		}
	}
	if n := len(byMinute.Incidents); n != 2 { // delivered and blocked both count: 50 % at hotmail.com
		t.Errorf("by minute: %d incidents: %v", n, list(byMinute))
	}
	hotmail := []found{{Where: "hotmail.com", Start: "12:10", End: "12:44"}, {Where: "microsoft", Start: "12:10", End: "12:44", Covered: true}}
	if diff := cmp.Diff(append(gmail, hotmail...), list(exact)); diff != "" {
		t.Errorf("exact (-want +got):\n%s", diff)
	}
	want := playback.Summary{Rule: "block_spike", Incidents: 4, Covered: 2, PagesPerWeek: 14, Fired: 2, Both: 1, Missed: 1, New: 3}
	got := exact.Rules[0]
	if got.EarlierSeconds < 600 || got.EarlierSeconds > 660 {
		t.Errorf("%v seconds earlier than what fired at 06:20", got.EarlierSeconds)
	}
	got.EarlierSeconds, got.LongestSeconds = 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if exact.Messages != 86400+360-2 { // two are received after the day
		t.Errorf("%d events played", exact.Messages)
	}
}
