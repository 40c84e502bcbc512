package analyticstest

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/servicetest"
)

// tally is what pages say of some mail.
type tally struct{ delivered, bounced, blocked uint64 }

func (n tally) String() string { return fmt.Sprintf("%d/%d/%d", n.delivered, n.bounced, n.blocked) }

func (n *tally) add(e *schemas.Event) {
	switch {
	case e.Type == schemas.Delivered:
		n.delivered++
	case isBlock(e):
		n.blocked++
	default:
		n.bounced++
	}
}

// isBlock is what docs/rules calls a block.
func isBlock(e *schemas.Event) bool {
	own := map[string]bool{"mailjet": true, "sendgrid": true, "postmark": true, "generic": true}
	return e.Type == schemas.Blocked || e.Type == schemas.Bounced && (e.Cause == schemas.CauseSender || e.Cause == schemas.CauseContent) && !own[e.Provider]
}

// refusals are events of each provider, type and cause, a different number of each, of the
// hours from the start.
func refusals(start time.Time) (events []schemas.Event) {
	providers := []string{"ses", "brevo", "mailgun", "sendgrid", "mailjet", "postmark"}
	causes := []schemas.Cause{schemas.CauseSender, schemas.CauseContent, schemas.CauseRecipient, schemas.CauseProvider, schemas.CauseNetwork, schemas.CauseOther}
	for p, provider := range providers {
		for c, cause := range causes {
			for k, kind := range []schemas.Type{schemas.Delivered, schemas.Bounced, schemas.Blocked} {
				for i := range 1 + (p+2*c+3*k)%5 {
					n := len(events)
					e := eventAt(n, kind, start.Add(time.Duration(n%20)*time.Hour+time.Duration(n)*time.Second))
					e.Provider, e.Source, e.MailboxProvider = provider, "account-"+provider, []string{"google", "gmx"}[i%2]
					e.RecipientDomain, e.Campaign, e.SendingIP = []string{"gmail.com", "gmx.de", "web.de"}[n%3], []string{"spring", "autumn"}[n%2], fmt.Sprint("192.0.2.", n%4)
					if kind != schemas.Delivered {
						e.Cause = cause
					}
					events = append(events, e)
				}
			}
		}
	}
	return events
}

// tallies counts events by a value, the way that pages show it.
func tallies(events []schemas.Event, of func(*schemas.Event) string, take func(*schemas.Event) bool) string {
	sums := map[string]*tally{}
	for i := range events {
		if e := &events[i]; take(e) {
			if sums[of(e)] == nil {
				sums[of(e)] = &tally{}
			}
			sums[of(e)].add(e)
		}
	}
	var b strings.Builder
	for _, value := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&b, "%s %s, ", value, sums[value])
	}
	return b.String()
}

// pageText asks a page for a form of it.
func pageText(t testing.TB, address, accept string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s is answered %d, %v: %.500s", address, resp.StatusCode, err, body)
	}
	return string(body)
}

// pageJSON asks for the twin of a page.
func pageJSON(t testing.TB, address string, into any) {
	t.Helper()
	text := pageText(t, address, "application/json")
	if err := json.Unmarshal([]byte(text), &struct{ Data any }{into}); err != nil {
		t.Fatalf("%s: %v: %.500s", address, err, text)
	}
}

// saidBy are the tallies of the page of deliverability, by its twin and by its CSV, which
// have to agree, with what its tiles and its plot have in all.
func saidBy(t *testing.T, console string, query url.Values) string {
	t.Helper()
	type part struct{ Part uint64 }
	var page struct {
		Totals []struct {
			Name string
			Now  part
		}
		Rows []struct {
			Value string
			Rates struct{ Delivered, Bounced, Blocked part }
		}
	}
	pageJSON(t, console+"/deliverability?"+query.Encode(), &page)
	lines := map[string]tally{}
	var all, tiles tally
	for _, r := range page.Rows {
		one := tally{r.Rates.Delivered.Part, r.Rates.Bounced.Part, r.Rates.Blocked.Part}
		lines[r.Value] = one
		all = tally{all.delivered + one.delivered, all.bounced + one.bounced, all.blocked + one.blocked}
	}
	if len(page.Totals) > 2 {
		tiles = tally{page.Totals[0].Now.Part, page.Totals[1].Now.Part, page.Totals[2].Now.Part}
	}
	query.Set("format", "csv")
	table, err := csv.NewReader(strings.NewReader(pageText(t, console+"/deliverability?"+query.Encode(), "text/csv"))).ReadAll()
	if err != nil || len(table) == 0 {
		t.Fatal(table, err)
	}
	var b strings.Builder
	for _, row := range table[1:] {
		line := lines[row[0]]
		if got := []string{row[2], row[4], row[6]}; !slices.Equal(got, []string{fmt.Sprint(line.delivered), fmt.Sprint(line.bounced), fmt.Sprint(line.blocked)}) {
			return fmt.Sprintf("%s: the CSV has %v, the twin %v", row[0], got, line)
		}
	}
	for _, value := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&b, "%s %s, ", value, lines[value])
	}
	if tiles != all {
		fmt.Fprintf(&b, "in all %s, on the tiles %s", all, tiles)
	}
	return b.String()
}

// TestConsole_CountsBlocksAsAlertingDoes has bounces that are blocks to alerting: every page
// counts them as blocks, of hours that fill and of hours counted for good, by every value and
// filter, from the counts and from the events.
func TestConsole_CountsBlocksAsAlertingDoes(t *testing.T) {
	t.Parallel()
	const sealsNone, sealsAll = `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1h}`, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1s, seal_rest: 2s}`
	w := newWorld(t, sealsNone)
	_, stop := w.analytics(t)
	console := w.console(t)
	now := time.Now().UTC().Truncate(time.Hour)
	events := refusals(now.Add(-21 * time.Hour))
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM events", strconv.Itoa(len(events)))
	by := map[string]func(*schemas.Event) string{
		"source": func(e *schemas.Event) string { return e.Source }, "mailbox_provider": func(e *schemas.Event) string { return e.MailboxProvider },
		"domain": func(e *schemas.Event) string { return e.RecipientDomain }, "campaign": func(e *schemas.Event) string { return e.Campaign }, "sending_ip": func(e *schemas.Event) string { return e.SendingIP },
	}
	filters := []url.Values{{}, {"source": {"account-ses"}}, {"domain": {"gmx.de"}}, {"mailbox_provider": {"google"}, "source": {"account-sendgrid"}}, {"domain": {"web.de"}, "source": {"account-brevo"}}}
	// The second range begins before what the console keeps counts of.
	ranges := []url.Values{{"range": {"24h"}}, {"from": {now.Add(-300 * 24 * time.Hour).Format(time.RFC3339)}, "to": {now.Add(time.Hour).Format(time.RFC3339)}}}
	agree := func(when string) {
		t.Helper()
		for dimension, of := range by {
			for _, filter := range filters {
				take := func(e *schemas.Event) bool {
					for name, value := range filter {
						if by[name](e) != value[0] {
							return false
						}
					}
					return true
				}
				want := tallies(events, of, take)
				for _, span := range ranges {
					query := url.Values{"by": {dimension}}
					maps.Copy(query, filter)
					maps.Copy(query, span)
					var got string
					servicetest.EventuallyOr(t, func() bool { got = saidBy(t, console, maps.Clone(query)); return got == want }, func() string {
						return fmt.Sprintf("%s, %s: the page says\n%s\nof what is\n%s", when, query.Encode(), got, want)
					})
				}
			}
		}
		w.blocksElsewhere(t, w.console(t), events) // which keeps no answer of before
	}
	instead := func(config string) {
		t.Helper()
		stop()
		w.cfg = w.config(t, w.engine.URL(), config)
		_, stop = w.analytics(t)
	}
	const open = "SELECT uniqExact(hour) - (SELECT count() FROM sealed_hours) FROM hour_rows"
	agree("of many hours that fill")
	w.wantSQL(t, open, "20")
	instead(sealsAll)
	w.wantSQL(t, open, "0")
	agree("at rest")
	instead(sealsNone)
	var more []schemas.Event
	for n := 0; n < len(events); n += 20 { // all of one hour
		e := events[n]
		other := eventAt(10_000+n, e.Type, e.Time)
		e.ID, e.MessageID = other.ID, other.MessageID
		more = append(more, e)
	}
	w.publish(t, more...)
	events = append(events, more...)
	w.wantSQL(t, open, "1")
	agree("of one that fills again")
}

// blocksElsewhere compares the overview, the pages of sources and the timelines.
func (w *world) blocksElsewhere(t *testing.T, console string, events []schemas.Event) {
	t.Helper()
	sources, bounces, people, all := map[string]tally{}, map[string]uint64{}, map[string][]string{}, tally{}
	for i := range events {
		e := &events[i]
		n := sources[e.Source]
		n.add(e)
		all.add(e)
		sources[e.Source] = n
		if e.Type == schemas.Bounced && isBlock(e) {
			bounces[e.Source]++
			people[e.RecipientHash] = append(people[e.RecipientHash], e.ID)
		}
	}
	var overview struct {
		Rates []struct {
			Name  string
			Today struct{ Part uint64 }
		}
		Sources []struct {
			Name     string
			Outcomes struct{ Delivered, Bounced, Blocked uint64 }
		}
	}
	pageJSON(t, console+"/", &overview)
	if r := overview.Rates; len(r) < 3 || (tally{r[0].Today.Part, r[1].Today.Part, r[2].Today.Part}) != all {
		t.Errorf("the tiles of the overview are %v, want %s", r, all)
	}
	for _, s := range overview.Sources {
		if got := (tally{s.Outcomes.Delivered, s.Outcomes.Bounced, s.Outcomes.Blocked}); got != sources[s.Name] {
			t.Errorf("the overview has %s of %s, want %s", got, s.Name, sources[s.Name])
		}
		var page struct {
			Blocks uint64 `json:"bounces_counted_as_blocks"`
		}
		pageJSON(t, console+"/sources/"+s.Name, &page)
		if page.Blocks != bounces[s.Name] {
			t.Errorf("%s has %d bounces that count as blocks, want %d", s.Name, page.Blocks, bounces[s.Name])
		}
	}
	if len(overview.Sources) != len(sources) {
		t.Errorf("the overview has %d sources of %d", len(overview.Sources), len(sources))
	}
	for hash, want := range people {
		var page struct {
			Events []struct {
				ID     string
				Blocks bool `json:"counts_as_block"`
			}
		}
		pageJSON(t, console+"/people/"+hash, &page)
		var got []string
		for _, e := range page.Events {
			if e.Blocks {
				got = append(got, e.ID)
			}
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("the timeline of %s calls %v blocks, want %v", hash, got, want)
		}
	}
}
