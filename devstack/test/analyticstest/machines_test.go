package analyticstest

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/replay"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
	iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
	proxy  = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
)

// act is an open, or a click when it has a link, so long after the delivery.
type act struct {
	after     time.Duration
	link      int // 0: an open
	ip, agent string
}

// player is somebody, or something, who gets messages.
type player struct {
	name    string
	machine bool
	acts    func(n int) []act // with the n-th message
}

// players are scanners as they are seen to behave behind the big mail gateways, and
// people at their most hasty.
func players() []player {
	links := func(count int, from, step time.Duration, ip string) []act {
		var acts []act
		for i := range count {
			acts = append(acts, act{from + time.Duration(i)*step, i + 1, ip, chrome})
		}
		return acts
	}
	return []player{
		{"Barracuda", true, func(n int) []act { // all links at once, from a browser's agent
			return links(12, 3*time.Second, 80*time.Millisecond, "209.222.82."+strconv.Itoa(n+1))
		}},
		{"Mimecast", true, func(n int) []act { // a link after the other
			return links(4, 12*time.Second, 3*time.Second, "205.139.110."+strconv.Itoa(n+1))
		}},
		{"Proofpoint", true, func(int) []act { // before it lets the message in
			return []act{{-2 * time.Second, 0, "67.231.152.9", chrome}, {-time.Second, 1, "67.231.152.9", chrome}}
		}},
		{"Safe Links", true, func(n int) []act { // asks from many addresses, half a minute later
			return append(links(5, 40*time.Second, 100*time.Millisecond, fmt.Sprintf("40.94.%d.7", n)), act{41 * time.Second, 0, fmt.Sprintf("40.94.%d.7", n), chrome})
		}},
		{"Safe Links, one link", true, func(n int) []act { // what nothing gives away
			return []act{{50 * time.Second, 1, fmt.Sprintf("40.94.%d.8", 100+n), chrome}}
		}},
		{"Apple MPP", true, func(n int) []act {
			return []act{{time.Duration(2+n) * time.Minute, 0, fmt.Sprintf("17.58.%d.4", n), "Mozilla/5.0"}}
		}},
		{"Google prefetch", true, func(int) []act { return []act{{time.Second, 0, "66.249.84.7", proxy}} }},
		{"a script", true, func(n int) []act { return []act{{20 * time.Second, 1, fmt.Sprintf("198.18.%d.9", n), "curl/8.5.0"}} }},
		{"no agent", true, func(n int) []act { return []act{{25 * time.Second, 1, fmt.Sprintf("198.19.%d.9", n), ""}} }},
		{"scanner by IPv6", true, func(n int) []act { // one /48
			return links(4, 12*time.Second, 3*time.Second, fmt.Sprintf("2001:db8:7:%x::1", n))
		}},
		{"scanner, told in whole seconds", true, func(n int) []act {
			return links(12, 20*time.Second, 80*time.Millisecond, fmt.Sprintf("198.51.%d.9", n))
		}},
		{"preview, then a person", true, func(n int) []act {
			return []act{{-3 * time.Second, 0, "67.231.153.9", chrome}, {-2 * time.Second, 1, "67.231.153.9", chrome}, {-time.Second, 2, "67.231.153.9", chrome}}
		}},

		{"reader", false, func(n int) []act {
			return []act{{time.Duration(n+1) * time.Minute, 0, fmt.Sprintf("203.0.%d.5", n), iphone}, {time.Duration(n+1)*time.Minute + 9*time.Second, 1, fmt.Sprintf("203.0.%d.5", n), iphone}}
		}},
		{"reader by Google's proxy", false, func(n int) []act {
			return []act{{time.Duration(7+n) * time.Minute, 0, "66.249.84.8", proxy}, {time.Duration(8+n) * time.Minute, 1, fmt.Sprintf("203.1.%d.5", n), chrome}}
		}},
		{"reader of a notification", false, func(n int) []act {
			return []act{{4 * time.Second, 0, fmt.Sprintf("203.2.%d.5", n), iphone}, {11 * time.Second, 1, fmt.Sprintf("203.2.%d.5", n), iphone}}
		}},
		{"clicks twice", false, func(n int) []act {
			ip := fmt.Sprintf("203.3.%d.5", n)
			return []act{{time.Hour, 0, ip, chrome}, {time.Hour + 5*time.Second, 1, ip, chrome}, {time.Hour + 5300*time.Millisecond, 1, ip, chrome}, {time.Hour + 6*time.Second, 2, ip, chrome}}
		}},
		{"opens tabs", false, func(n int) []act {
			return links(4, time.Hour, 1500*time.Millisecond, fmt.Sprintf("203.4.%d.5", n))
		}},
		{"an office after a meeting", false, func(n int) []act { // one address for all
			return []act{{10*time.Minute + time.Duration(n)*300*time.Millisecond, 1, "203.5.1.5", chrome}}
		}},
		{"a company as the mail arrives", false, func(n int) []act {
			return []act{{15*time.Second + time.Duration(n)*300*time.Millisecond, 1, "203.6.1.5", chrome}}
		}},
		{"addresses as ::ffff:", false, func(n int) []act {
			return links(2, 20*time.Second, 5*time.Second, fmt.Sprintf("::ffff:203.7.%d.5", n))
		}},
		{"a digest in tabs", false, func(n int) []act {
			return links(10, time.Hour, 700*time.Millisecond, fmt.Sprintf("203.8.%d.5", n))
		}},
		{"a digest in tabs, told in whole seconds", false, func(n int) []act {
			return links(10, time.Hour, 1200*time.Millisecond, fmt.Sprintf("203.9.%d.5", n))
		}},
		{"reader, clocks apart", false, func(n int) []act { // the delivery's is three minutes ahead
			at, ip := time.Duration(n-6)*20*time.Second, fmt.Sprintf("203.10.%d.5", n)
			return []act{{at - 5*time.Second, 0, ip, iphone}, {at, 1, ip, iphone}}
		}},
		{"reader, agents of opens alone", false, func(n int) []act {
			ip := fmt.Sprintf("203.11.%d.5", n)
			return []act{{time.Hour, 0, ip, iphone}, {time.Hour + 10*time.Second, 1, ip, ""}}
		}},
	}
}

// afterwards are the acts of a person with a message that a machine had before.
func afterwards(player string, n int) []act {
	if player != "preview, then a person" {
		return nil
	}
	ip := fmt.Sprintf("203.12.%d.5", n)
	return []act{{time.Minute, 0, ip, iphone}, {time.Minute + 10*time.Second, 1, ip, iphone}}
}

// sources are those of players whose provider tells less than that of the others.
var sources = map[string]string{
	"scanner, told in whole seconds":          "seconds",
	"a digest in tabs, told in whole seconds": "seconds",
	"reader, clocks apart":                    "apart",
	"reader, agents of opens alone":           "agents",
}

// messagesOfAPlayer is how many messages each gets.
const messagesOfAPlayer = 12

// played is one act and who did it.
type played struct {
	event   schemas.Event
	player  string
	machine bool
}

// play has every player get its messages and do what it does.
func play() (acts []played, all []schemas.Event) {
	n := 0
	for p, who := range players() {
		for i := range messagesOfAPlayer {
			n++
			sent := base().Add(time.Duration(p)*20*time.Minute + time.Duration(i)*200*time.Millisecond)
			message := func(typ schemas.Type, at time.Time, link int) schemas.Event {
				e := eventAt(n, typ, at)
				e.ID = fmt.Sprintf("%s-%04x%08x", e.ID[:23], len(all), n)
				e.RecipientHash = fmt.Sprintf("%032x", n)
				if source := sources[who.name]; source != "" {
					e.Source = source
				}
				if e.Source == "seconds" {
					e.Time = e.Time.Truncate(time.Second)
				}
				if link > 0 {
					e.URL = fmt.Sprintf("https://example.com/%d", link)
				}
				return e
			}
			all = append(all, message(schemas.Processed, sent.Add(-2*time.Second), 0), message(schemas.Delivered, sent, 0))
			own := who.acts(i)
			for k, a := range append(own, afterwards(who.name, i)...) {
				e := message(schemas.Opened, sent.Add(a.after), 0)
				if a.link > 0 {
					e = message(schemas.Clicked, sent.Add(a.after), a.link)
				}
				e.IP, e.UserAgent = a.ip, a.agent
				acts, all = append(acts, played{e, who.name, who.machine && k < len(own)}), append(all, e)
			}
		}
	}
	return acts, all
}

// TestMachines_AreFoundAfterTheFact plays scanners and people, and holds precision and
// recall to what the document says.
func TestMachines_AreFoundAfterTheFact(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, judge_interval: 1s, seal_interval: 1s, seal_rest: 2s}`)
	w.analytics(t)
	acts, all := play()
	shuffle(all, 5)
	w.publish(t, all...)
	servicetest.Eventually(t, "all hours are judged and at rest", func() bool {
		return w.sql(t, "SELECT count() > 0 AND (SELECT count() FROM events) = "+strconv.Itoa(len(all))+` AND uniqExact(hour) = countIf(rows = own + before + after) FROM
			(SELECT hour, sum(rows) AS own FROM hour_rows GROUP BY hour) AS h
			LEFT JOIN (SELECT hour + 3600 AS hour, sum(rows) AS before FROM hour_rows GROUP BY hour) AS b USING (hour)
			LEFT JOIN (SELECT hour - 3600 AS hour, sum(rows) AS after FROM hour_rows GROUP BY hour) AS a USING (hour)
			LEFT JOIN (SELECT hour, rows FROM hour_judgements FINAL) AS j USING (hour)`) == "1"
	})
	found := map[string]string{}
	for line := range strings.Lines(w.sql(t, "SELECT id, machine_reason FROM events WHERE machine") + "\n") {
		id, reason, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		found[id] = reason
	}
	var right, wrong, missed int
	byPlayer := map[string]map[string]int{}
	for _, a := range acts {
		reason, is := found[a.event.ID]
		switch {
		case is && a.machine:
			right++
		case is:
			wrong++
		case a.machine:
			missed++
		}
		if byPlayer[a.player] == nil {
			byPlayer[a.player] = map[string]int{}
		}
		byPlayer[a.player][reason]++
	}
	precision, recall := 100*float64(right)/float64(right+wrong), 100*float64(right)/float64(right+missed)
	stated := fmt.Sprintf("of %d acts, %d of machines: precision %.1f %%, recall %.1f %%", len(acts), right+missed, precision, recall)
	if !strings.Contains(readGuide(t), stated) {
		t.Errorf("the guide does not say %q; by player and reason: %v", stated, byPlayer)
	}
	for _, who := range players() {
		by, all := byPlayer[who.name], 0
		for _, n := range by {
			all += n
		}
		if line := fmt.Sprintf("| %s | %d | %d |", who.name, all, all-by[""]); !strings.Contains(readGuide(t), line) {
			t.Errorf("the guide does not say %q", line)
		}
	}
	w.followJudgements(t, acts, found)
}

// followJudgements checks that everything that knows of people follows.
func (w *world) followJudgements(t *testing.T, acts []played, found map[string]string) {
	t.Helper()
	clicks, opens := 0, 0
	people := map[string]bool{} // messages with a click of a person
	for _, a := range acts {
		if _, machine := found[a.event.ID]; machine {
			continue
		}
		if a.event.Type == schemas.Clicked {
			clicks++
			people[a.event.MessageID] = true
		} else {
			opens++
		}
	}
	for _, query := range []string{
		"SELECT sum(clicks_by_person), sum(opens_by_person) FROM messages",
		"SELECT sumIf(events, type = 'clicked'), sumIf(events, type = 'opened') FROM rates_1h WHERE NOT machine",
		"SELECT countIf(type = 'clicked'), countIf(type = 'opened') FROM person_messages WHERE NOT ifNull(machine, false)",
	} {
		w.wantSQL(t, query, fmt.Sprintf("%d\t%d", clicks, opens))
	}
	w.wantSQL(t, "SELECT countIf(first_click_by_person IS NOT NULL) FROM messages", strconv.Itoa(len(people)))
	w.wantSQL(t, "SELECT countIf(first_click_by_person IS NOT NULL) FROM campaign_messages", strconv.Itoa(len(people)))
	w.wantSQL(t, "SELECT sum(events) FROM rates_1h", w.sql(t, "SELECT count() FROM events"))

	// A repeat of the provider knows nothing of it, and is judged once more; a
	// judgement of withdrawn rules goes.
	first := acts[0].event
	w.publish(t, first)
	w.wantSQL(t, "SELECT machine, machine_reason FROM events WHERE id = '"+first.ID+"'", "true\t"+found[first.ID])
	last := acts[len(acts)-1].event
	w.sql(t, "INSERT INTO event_log SELECT * REPLACE (true AS machine, 'old' AS machine_reason, 1 AS judged) FROM event_log WHERE id = '"+last.ID+"'")
	w.wantSQL(t, "SELECT machine, machine_reason FROM events WHERE id = '"+last.ID+"'", "\\N\t")
	w.wantSQL(t, "SELECT clicks_by_person FROM messages WHERE message_id = '"+last.MessageID+"'", "1")
}

// What analytics judged is no change for a reclassification, which compares what
// provider and user agent say, and what is counted anew by message keeps it.
func TestReclassify_LeavesJudgementsAfterTheFact(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, judge_interval: 1s}`)
	w.analytics(t)
	h := w.history(t)
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	no := false
	event := func(typ schemas.Type, after time.Duration, agent string) schemas.Event {
		e := eventAt(1, typ, at.Add(after))
		e.UserAgent, e.Raw = agent, nil
		return e
	}
	click, early := event(schemas.Clicked, 3*time.Second, chrome), event(schemas.Opened, time.Second, "Mimecast Link Protection")
	early.Machine = &no // as the provider says
	wrong, person := event(schemas.Opened, 30*time.Minute, "Mimecast Link Protection"), event(schemas.Opened, 40*time.Minute, iphone)
	w.publish(t, event(schemas.Delivered, 0, ""), click, early, wrong, person)
	w.wantSQL(t, "SELECT count(), countIf(machine_reason = 'too_soon') FROM events", "5\t2")
	const people = "SELECT opens, opens_by_person, formatDateTime(first_open_by_person, '%H:%i'), clicks_by_person, first_click_by_person, (SELECT formatDateTime(first_open_by_person, '%H:%i') FROM campaign_messages) FROM messages"
	w.wantSQL(t, people, "3\t2\t09:30\t0\t\\N\t09:30")

	r, plan := w.reclassify(t, h)
	if plan.Changed != 1 || len(plan.Changes) != 1 || plan.Changes[0].IDs[0] != wrong.ID {
		t.Fatalf("plan %s", mustJSON(t, plan))
	}
	if _, err := r.Run(t.Context(), replay.Progress{Request: reclassified}, w.replayOptions(h, filepath.Join(t.TempDir(), "p.json"))); err != nil {
		t.Fatal(err)
	}
	w.wantSQL(t, people, "3\t1\t09:40\t0\t\\N\t09:40")
	// One more judgement of the message does not bring back or lose the others.
	w.publish(t, event(schemas.Opened, 50*time.Minute, "curl/8.5.0"))
	w.wantSQL(t, "SELECT countIf(machine), countIf(machine_reason != '') FROM events", "4\t3")
	w.wantSQL(t, people, "4\t1\t09:40\t0\t\\N\t09:40")

	// Without the judgement it is what the provider said.
	w.sql(t, "INSERT INTO event_log SELECT * REPLACE (toDateTime64('2026-03-04 12:00:00', 3, 'UTC') AS time) FROM event_log FINAL WHERE id = '"+early.ID+"'")
	w.wantSQL(t, "SELECT machine, machine_reason FROM events WHERE time >= '2026-03-04 12:00:00'", "false\t")
}

// What was judged after the fact is no change of the record in the topic, which knows
// nothing of it: a replay would publish each scanner's click once more.
func TestReplay_LeavesJudgementsAfterTheFact(t *testing.T) {
	t.Parallel()
	w := newWorld(t, judgesOften)
	w.analytics(t)
	h := w.history(t)
	letter := schemas.DeadLetter{
		Provider: "mailjet", Source: "acme", ReceivedAt: time.Unix(1772615760, 0), Reason: "no_type",
		Bytes: []byte(`[{"event":"sent","time":1772615730,"MessageID":19421777835146490,"email":"ana@example.com"},
			{"event":"click","time":1772615733,"MessageID":19421777835146490,"email":"ana@example.com","url":"https://example.com/1","ip":"192.0.2.7","agent":"` + chrome + `"}]`),
	}
	events, err := h.Maker.Letter(&letter)
	if err != nil || len(events) != 2 {
		t.Fatal(events, err)
	}
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count(), countIf(machine_reason = 'too_soon') FROM events", "2\t1")
	request := stretch
	request.ChangedOnly = true
	w.settled(t, h, request)
	if plan, progress := w.rerun(t, h, request); plan.Ranges[0].Store != "kafka" || plan.Same != 2 || plan.Changed != 0 || progress.Published != 0 {
		t.Errorf("%s, %+v", mustJSON(t, plan), progress)
	}
}
