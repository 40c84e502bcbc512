package analyticstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

const (
	// secret is the address of a person that is in every text that a provider sends, and
	// secretName what must not be read of it.
	secret, secretName = "ana.secret@list.example", "ana.secret"
	// secretHash is that person.
	secretHash = "0123456789abcdef0123456789abcdef"
	// The ids of two of their messages: one with the address in it, and one that only looks
	// like one.
	secretMessage, plainMessage = "verp+ana.secret=list.example@shop.test", "20130503182626.18666.16540@mg.shop.test"
	// letterText is in the bytes of every dead letter.
	letterText = "the bytes that came"
)

// mixed are the events of another source, and lateness is how late those of a type came.
var (
	mixed    = []schemas.Type{schemas.Delivered, schemas.Delivered, schemas.Bounced, schemas.Deferred, schemas.Delivered, schemas.Complained, schemas.Deferred, schemas.Opened, schemas.Delivered}
	lateness = map[schemas.Type]time.Duration{schemas.Delivered: 2 * time.Second, schemas.Deferred: 10 * time.Second}
)

// reading is a console that people of each role look at.
type reading struct {
	t       *testing.T
	watched *watched
	url     string
}

// watched is a way to ClickHouse on which queries are looked at.
type watched struct {
	*httptest.Server
	mu        sync.Mutex
	queries   int      // guarded by mu
	limitless []string // those that may take as long or read as much as they like, or write; guarded by mu
}

func watch(t *testing.T, engine string) *watched {
	t.Helper()
	to, err := url.Parse(engine)
	if err != nil {
		t.Fatal(err)
	}
	w, proxy := new(watched), httputil.NewSingleHostReverseProxy(to)
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(text))
		w.note(string(text), r.URL.Query())
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

// note looks at the settings of a query; the driver asks who the server is without any.
func (w *watched) note(text string, with url.Values) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queries++
	for _, setting := range []string{"max_execution_time", "max_rows_to_read", "max_result_rows", "max_memory_usage", "max_threads", "readonly"} {
		if n := with.Get(setting); (n == "" || n == "0") && !strings.Contains(text, "version()") {
			w.limitless = append(w.limitless, setting+" of "+text)
		}
	}
}

// ask sends a request of a role as a browser, or as a program, and returns the answer.
func (r reading) ask(role, accept, target string, form url.Values) (status int, text, to string) {
	r.t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+target, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+role+"-token-of-the-tests")
	req.Header.Set("Accept", accept)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header.Get("Location")
}

// page opens one that is there.
func (r reading) page(role, target string) string {
	r.t.Helper()
	status, text, _ := r.ask(role, "text/html", target, nil)
	if status != http.StatusOK {
		r.t.Fatalf("%s is answered %d to %s: %s", target, status, role, text)
	}
	return text
}

// crowded has more of everything than a page shows, and the address of one person in all
// texts of it.
func crowded(t *testing.T) (*world, reading) {
	t.Helper()
	w := newWorld(t)
	w.analytics(t)
	now, about := time.Now().UTC().Truncate(time.Second), "about "+secret
	var events []schemas.Event
	for n := range 501 {
		e := eventAt(n, schemas.Blocked, now.Add(-time.Duration(n+1)*time.Second))
		e.Recipient, e.RecipientHash, e.RecipientDomain, e.MailboxProvider = secret, secretHash, "list.example", fmt.Sprintf("provider-%02d", n%51)
		e.Campaign, e.Template, e.Subject, e.URL, e.UserAgent = fmt.Sprintf("%s, %02d", about, n%51), about, about, "https://shop.test/?e="+secret, about
		e.SMTPCode, e.SMTPReply, e.BlocklistURL = 500+n%11, "no "+about, "https://shop.test/?e=ana.secret%40list.example"
		events = append(events, e)
	}
	events[0].MessageID, events[1].MessageID = secretMessage, plainMessage
	for n, typ := range mixed {
		e := eventAt(1000+n, typ, now.Add(-time.Duration(n+1)*time.Minute))
		e.Source, e.RecipientHash, e.RecipientDomain = "other", strings.Repeat("b", 32), fmt.Sprintf("domain-%d.example", n%3)
		e.SendingIP, e.Campaign, e.ReceivedAt = fmt.Sprintf("192.0.2.%d", n%2), fmt.Sprint("other ", n%4), e.Time.Add(lateness[typ])
		events = append(events, e)
	}
	w.publish(t, events...)

	var recs []*kgo.Record
	produce := func(topic, key string, v any) {
		recs = append(recs, &kgo.Record{Topic: topic, Key: []byte(key), Value: mustJSON(t, v)})
	}
	for n := range 101 {
		produce("email.dead-letter", letterID(n), schemas.DeadLetter{ID: letterID(n), Time: now, ReceivedAt: now, Service: "ingress", Reason: fmt.Sprintf("reason_%d", n), Detail: about, Provider: "mailjet", Source: "acme", Bytes: []byte(letterText + " " + about)})
	}
	for n := range 201 {
		produce("email.audit", fmt.Sprint(n), schemas.Audit{ID: letterID(n), Time: now.Add(-time.Duration(n+1) * time.Second), By: "eve", Role: "admin", Action: "person.view", Object: secretHash})
	}
	alert := func(n int, since time.Duration, state schemas.AlertState) {
		a := schemas.Alert{Fingerprint: fmt.Sprint("f", n), Version: 1, Rule: "block_spike", Incident: fmt.Sprint("inc-", n), Labels: map[string]string{"recipient_domain": "list.example"}, State: state, Value: .5, Threshold: .1,
			Reasons: []schemas.ReasonCount{{Reason: schemas.Reputation, Count: 5, Sample: about}}, Window: "15m0s", Since: now.Add(-since), UpdatedAt: now}
		if state == schemas.AlertResolved {
			a.ResolvedAt, a.Ended = now, schemas.EndRecovered
			a.Labels = map[string]string{"campaign": about}
		}
		produce("email.alerts", a.Fingerprint, a)
	}
	alert(0, 5*time.Minute, schemas.AlertFiring)
	alert(1, 5*24*time.Hour, schemas.AlertFiring)
	for n := range 1001 {
		alert(2+n, time.Hour+time.Duration(n)*time.Second, schemas.AlertResolved)
	}
	var entries []schemas.SuppressionEntry
	for n := range 101 {
		entries = append(entries, schemas.SuppressionEntry{Scope: fmt.Sprint("list:", n), Reason: schemas.SuppressManual, AddedAt: now, Since: now, Note: about, RemovedNote: about})
	}
	produce("email.suppressions", secretHash, schemas.Suppression{Hash: secretHash, Address: secret, Entries: entries, UpdatedAt: now})
	w.produce(t, recs...)
	w.wantSQL(t, "SELECT (SELECT count() FROM events), (SELECT count() FROM dead_letters), (SELECT count() FROM alerts), (SELECT count() FROM audit_log), (SELECT count() FROM suppressions)", fmt.Sprintf("%d\t101\t1003\t201\t101", 501+len(mixed)))
	var tokens []string
	for _, role := range []string{"viewer", "support", "operator", "admin"} {
		tokens = append(tokens, fmt.Sprintf("{name: %s, role: %s, token: %s-token-of-the-tests}", role, role, role))
	}
	watched := watch(t, w.engine.URL())
	return w, reading{t, watched, w.consoleOver(t, watched.URL, "", "auth: {tokens: ["+strings.Join(tokens, ", ")+"]}")}
}

// TestConsole_HidesPeopleAndSaysWhatIsCut looks at a crowded console as each role.
func TestConsole_HidesPeopleAndSaysWhatIsCut(t *testing.T) {
	t.Parallel()
	w, r := crowded(t)
	person, message := "/people/"+secretHash, "/messages/acme/"+plainMessage
	forViewers := []string{"/", "/sources/acme", "/deliverability?by=campaign", "/deliverability?by=campaign&format=csv", "/deliverability?by=domain", "/incidents", "/incidents/inc-0", "/incidents/inc-5", "/dead-letters", "/dead-letters?source=acme", "/suppressions", "/rules"}
	hidden := map[string][]string{"viewer": forViewers, "support": append(slices.Clone(forViewers), person, message)}
	for role, targets := range hidden {
		for _, target := range targets {
			for _, accept := range []string{"text/html", "application/json"} {
				status, text, _ := r.ask(role, accept, target, nil)
				if status != http.StatusOK || strings.Contains(text, secretName) {
					t.Errorf("%s is answered %d to %s as %s, with the address: %t", target, status, role, accept, strings.Contains(text, secretName))
				}
			}
		}
	}
	for _, target := range []string{person, message} {
		if text := r.page("operator", target); !strings.Contains(text, secret) {
			t.Errorf("%s does not show an operator the address", target)
		}
	}
	r.showsLettersByRole()
	r.saysWhatIsCut(person)
	r.hasTheLatestFirst(person)
	r.countsWhatSQLCounts(w)
	r.findsWithoutAnAddressInThePath()
	r.watched.mu.Lock()
	if r.watched.queries < 50 || len(r.watched.limitless) > 0 {
		t.Errorf("of %d queries %d settings are missing: %.500q", r.watched.queries, len(r.watched.limitless), r.watched.limitless)
	}
	r.watched.mu.Unlock()
	// Who looked at a person is written down, each time and with no address.
	w.wantSQL(t, "SELECT by, role, action, object, count() FROM audit_log WHERE by IN ('support', 'operator') AND action LIKE '%.view' GROUP BY ALL ORDER BY ALL",
		fmt.Sprintf("operator\toperator\tdead_letters.view\tacme\t1\noperator\toperator\tmessage.view\tacme/2•••@mg.shop.test\t1\noperator\toperator\tperson.view\t%[1]s\t2\nsupport\tsupport\tmessage.view\tacme/2•••@mg.shop.test\t2\nsupport\tsupport\tperson.view\t%[1]s\t4", secretHash))
	w.wantSQL(t, "SELECT countIf(position(toString(tuple(*)), '"+secretName+"') > 0) FROM audit_log", "0")
}

// showsLettersByRole has a sample be for support, and the address in it for operators.
func (r reading) showsLettersByRole() {
	r.t.Helper()
	for role, want := range map[string][2]bool{"viewer": {false, false}, "support": {true, false}, "operator": {true, true}} {
		text := r.page(role, "/dead-letters?source=acme")
		if got := [2]bool{strings.Contains(text, letterText), strings.Contains(text, secretName)}; got != want {
			r.t.Errorf("%s sees a sample of dead letters, and its address: %v, want %v", role, got, want)
		}
	}
}

// saysWhatIsCut has each page say that there is more, and those that show all say nothing.
func (r reading) saysWhatIsCut(person string) {
	r.t.Helper()
	for target, says := range map[string][]string{
		person:                                   {"The latest 500 events; there are more.", "The first 100; there are more."},
		"/deliverability?by=campaign":            {"The first 50 by volume; there are more."},
		"/deliverability?by=mailbox_provider":    {"The first 50 by volume; there are more."},
		"/deliverability?by=campaign&format=csv": {"cut: these are the first 50 by volume, there are more"},
		"/incidents?range=24h":                   {"The latest 1,000; there are more."},
		"/incidents/inc-0":                       {"The 20 highest; there are more.", "The latest 50; there are more.", "The 10 most frequent; there are more."},
		"/incidents/inc-1":                       {"It lasts longer than two days"},
		"/dead-letters":                          {"The 100 most frequent kinds; there are more."},
		"/":                                      {"<small>at least</small>"},
		"/audit":                                 {"The latest 200; there are more."},
		"/people/" + strings.Repeat("c", 32):     nil,
		"/deliverability?by=source":              nil,
		"/audit?action=message.view":             nil,
		"/sources/other":                         nil,
	} {
		text := r.page("admin", target)
		for _, want := range says {
			if !strings.Contains(text, want) {
				r.t.Errorf("%s does not say %q", target, want)
			}
		}
		if says == nil && strings.Contains(text, "there are more") {
			r.t.Errorf("%s shows all, and says that there are more", target)
		}
	}
}

// countsWhatSQLCounts compares each breakdown, and how the events of a source came in, with
// queries of their own over the events.
func (r reading) countsWhatSQLCounts(w *world) {
	r.t.Helper()
	type rate struct {
		Part uint64
		Of   uint64 `json:"n"`
	}
	var page struct {
		Data struct {
			Rows []struct {
				Value string
				N     uint64
				Rates map[string]rate
			}
			Arrivals []struct {
				Type   string
				Events uint64
				Share  rate
				P50    float64 `json:"late_p50_seconds"`
				P99    float64 `json:"late_p99_seconds"`
			}
		}
	}
	read := func(target string) {
		r.t.Helper()
		_, text, _ := r.ask("viewer", "application/json", target, nil)
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			r.t.Fatal(err)
		}
	}
	for by, column := range map[string]string{"source": "source", "mailbox_provider": "mailbox_provider", "domain": "recipient_domain", "campaign": "campaign", "sending_ip": "sending_ip"} {
		read("/deliverability?by=" + by)
		var got []string
		for _, row := range page.Data.Rows {
			got = append(got, fmt.Sprint(row.Value, " ", row.N, " ", []rate{row.Rates["delivered"], row.Rates["bounced"], row.Rates["blocked"], row.Rates["complained"], row.Rates["deferred"]}))
		}
		want := w.sql(r.t, `WITH countIf(type = 'delivered') AS d, countIf(type = 'bounced') AS bo, countIf(type = 'blocked') AS bl, countIf(type = 'complained') AS c, countIf(type = 'deferred') AS f, d + bo + bl AS n
			SELECT concat(replaceOne(toString(`+column+`), '`+secret+`', 'a•••@list.example'), ' ', toString(n), ' [', arrayStringConcat(arrayMap(p -> concat('{', toString(p.1), ' ', toString(p.2), '}'), [(d, n), (bo, n), (bl, n), (c, d), (f, n + f)]), ' '), ']') FROM events
			WHERE type IN ('delivered', 'bounced', 'blocked', 'complained', 'deferred') GROUP BY `+column+` ORDER BY n DESC, toString(`+column+`) LIMIT 50`)
		if text := strings.Join(got, "\n"); text != want {
			r.t.Errorf("by %s the page says\n%s\nSQL says\n%s", by, text, want)
		}
	}
	read("/sources/other")
	var got []string
	for _, a := range page.Data.Arrivals {
		got = append(got, fmt.Sprint(a.Type, " ", a.Events, " of ", a.Share.Of, " ", a.P50, " ", a.P99))
	}
	if want := "delivered 4 of 9 2 2, deferred 2 of 9 10 10, bounced 1 of 9 0 0, complained 1 of 9 0 0, opened 1 of 9 0 0"; strings.Join(got, ", ") != want {
		r.t.Errorf("the source has %s\nwant %s", strings.Join(got, ", "), want)
	}
}

// hasTheLatestFirst looks at the order of lists.
func (r reading) hasTheLatestFirst(person string) {
	r.t.Helper()
	type list []struct {
		Time  time.Time
		Since time.Time
		At    time.Time
		N     uint64
	}
	var page struct {
		Data struct{ Events, Over, Entries, Rows list }
	}
	for _, target := range []string{person, "/incidents", "/audit", "/deliverability?by=campaign"} {
		_, text, _ := r.ask("admin", "application/json", target, nil)
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			r.t.Fatal(err)
		}
	}
	if d := page.Data; len(d.Events) != 500 || len(d.Over) < 990 || len(d.Entries) != 200 || len(d.Rows) != 50 {
		r.t.Errorf("there are %d events, %d incidents, %d entries and %d rows", len(d.Events), len(d.Over), len(d.Entries), len(d.Rows))
	}
	for name, l := range map[string]list{"events": page.Data.Events, "incidents": page.Data.Over, "entries": page.Data.Entries, "rows": page.Data.Rows} {
		for i := 1; i < len(l); i++ {
			if l[i].Time.After(l[i-1].Time) || l[i].Since.After(l[i-1].Since) || l[i].At.After(l[i-1].At) || l[i].N > l[i-1].N {
				r.t.Errorf("of the %s number %d is out of order", name, i)
				break
			}
		}
	}
}

// findsWithoutAnAddressInThePath searches a person and messages.
func (r reading) findsWithoutAnAddressInThePath() {
	r.t.Helper()
	for query, want := range map[string]string{secretMessage: "/people/" + secretHash, plainMessage: "/messages/acme/" + plainMessage} {
		if status, _, to := r.ask("support", "text/html", "/search", url.Values{"q": {query}}); status != http.StatusSeeOther || to != want {
			r.t.Errorf("%s is found at %s with %d, want %s", query, to, status, want)
		}
	}
	if status, _, to := r.ask("support", "text/html", "/search", url.Values{"q": {secret}}); status != http.StatusSeeOther || !strings.HasPrefix(to, "/people/") || strings.Contains(to, "secret") {
		r.t.Errorf("the person is found at %s with %d", to, status)
	}
	for _, accept := range []string{"text/html", "application/json"} {
		if status, text, _ := r.ask("support", accept, "/search", url.Values{"q": {"nobody"}}); status != http.StatusBadRequest || !strings.Contains(text, "not an address") {
			r.t.Errorf("what is nothing is answered %d %s", status, text)
		}
	}
	// No page that support opens leads to an address.
	for _, target := range []string{"/people/" + secretHash, "/incidents/inc-0"} {
		for _, role := range []string{"support", "operator"} {
			for _, link := range strings.Split(r.page(role, target), `href="`)[1:] {
				if link, _, _ = strings.Cut(link, `"`); strings.Contains(link, secretName) || strings.Contains(link, "%E2%80%A2") {
					r.t.Errorf("%s leads %s to %s", target, role, link)
				}
			}
		}
	}
	if text := r.page("support", "/people/"+secretHash); !strings.Contains(text, `href="/messages/acme/`+plainMessage+`"`) {
		r.t.Error("support does not get to the message whose id only looks like an address")
	}
}
