package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/internal/audit"
)

// memory is a topic of controls without a broker.
type memory struct {
	set     *controls.Set
	err     error // of every write
	caught  chan struct{}
	written int
	entries []audit.Entry
	noteErr error
}

func (m *memory) Publish(_ context.Context, recs ...*kgo.Record) error {
	if m.err == nil {
		m.written += len(recs)
		m.set.Apply(recs)
	}
	return m.err
}

// Note keeps an entry of the audit.
func (m *memory) Note(_ context.Context, e audit.Entry) error {
	m.entries = append(m.entries, e)
	return m.noteErr
}

func (m *memory) Wait(context.Context, int32, int64) error { return nil }
func (m *memory) CaughtUp() <-chan struct{}                { return m.caught }

var apiNow = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// newAPI returns the API of a book with one incident that fires, and of no broker.
func newAPI(tb testing.TB) (*http.ServeMux, *memory) {
	tb.Helper()
	b := book.New()
	rec, err := book.Record("alerts", &schemas.Alert{
		Fingerprint: "f", Version: 1, Rule: "block_spike", Incident: "inc-0000000001", State: schemas.AlertFiring, Since: apiNow.Add(-time.Hour),
		Labels: map[string]string{"source": "acme", "recipient_domain": "a.test"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	b.Apply([]*kgo.Record{rec})
	m := &memory{set: controls.NewSet(nil), caught: make(chan struct{})}
	close(m.caught)
	mux := http.NewServeMux()
	store := &controls.Store{Set: m.set, Topic: "controls", Publisher: m, Log: m}
	api{book: b, controls: store, now: func() time.Time { return apiNow }, trail: m, log: zap.NewNop()}.routes(mux)
	return mux, m
}

func call(mux http.Handler, method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w
}

const goodSilence = `{"matchers":[{"label":"source","op":"=","value":"acme"}],"until":"2026-11-02T14:00:00Z","by":"ana","comment":"moved"}`

func TestAPI_SaysWhatIsWrongWithARequest(t *testing.T) {
	t.Parallel()
	mux, m := newAPI(t)
	const incident = "/v1/incidents/inc-0000000001"
	for _, tt := range []struct {
		method, target, body string
		status               int
		says                 string // a part of the answer
	}{
		{"POST", "/v1/silences?dry_run=true", goodSilence, 200, `{"would_have_hit":1}`},
		{"POST", "/v1/silences?dry_run=yes", goodSilence, 400, `\"dry_run\" must be true or false`},
		{"POST", "/v1/silences?force=true", goodSilence, 400, `unknown parameter \"force\"`},
		{"POST", "/v1/silences", `{"forever":true}`, 400, `unknown field \"forever\"`},
		{"POST", "/v1/silences", `{"matchers":[{"label":"source","op":"=","value":"a","isRegex":false}]}`, 400, `field \"matchers\" has an unknown member \"isRegex\"`},
		{"POST", "/v1/silences", `{"matchers":[{"label":7,"regex":true},{"label":"source","op":"=","value":"a"},5],"until":"soon","on":1}`, 400,
			`field \"matchers\" [0] has a member \"label\" that is not a string; [0] has an unknown member \"regex\": want label, op, value; [2] must have objects with \"label\", \"op\" and \"value\"; field \"until\" is not a time`},
		{"POST", "/v1/silences", `{"matchers":[{"label":"source","op":"=","value":7}]}`, 400, `field \"matchers\" has a member \"value\" that is not a string`},
		{"POST", "/v1/silences", `{"matchers":["source=a"]}`, 400, `field \"matchers\" must have objects`},
		{"POST", "/v1/silences", `{"matchers":[null]}`, 400, `field \"matchers\" must have objects`},
		{"POST", "/v1/silences", `{"matchers":{}}`, 400, `field \"matchers\" has the wrong type`},
		{"POST", "/v1/silences", `{"until":"tomorrow"}`, 400, `field \"until\" is not a time`},
		{"POST", "/v1/silences", `{"by":7}`, 400, `field \"by\" has the wrong type`},
		{"POST", "/v1/silences", `{}`, 400, `matchers: 0 of them, want 1 to 16; until: is missing: a silence must end, at most 30d after it begins; by: is missing; comment: is missing`},
		{"POST", "/v1/silences", `[]`, 400, `not a JSON object`},
		{"POST", "/v1/silences", ``, 400, `ends before`},
		{"POST", "/v1/silences", `{"comment":"` + strings.Repeat("c", bodyMax) + `"}`, 413, "limit is 16384 bytes"},
		{"PUT", "/v1/silences", goodSilence, 405, "allowed: GET, POST"},
		{"GET", "/v1/silences?state=expired", "", 400, "pending, active or over"},
		{"GET", "/v1/silences?state=", "", 400, "pending, active or over"},
		{"GET", "/v1/silences?id=x", "", 400, `unknown parameter \"id\"`},
		{"DELETE", "/v1/silences/sil-0000000000", "", 404, "no silence of this id"},
		{"GET", "/v1/silences/sil-0000000000", "", 405, "allowed: DELETE"},
		{"GET", "/v1/incidents/inc-0000000000", "", 404, "no incident of this id"},
		{"GET", incident + "?steps=all", "", 400, `unknown parameter \"steps\"`},
		{"DELETE", incident, "", 405, "allowed: GET"},
		{"POST", incident + "/ack", `{"note":"x"}`, 400, "by: is missing"},
		{"POST", incident + "/ack", `{"by":"ana","until":"x"}`, 400, `unknown field \"until\"`},
		{"POST", incident + "/ack?by=ana", `{"by":"ana"}`, 400, `unknown parameter \"by\"`},
		{"POST", incident + "/ack", `{"by":"` + strings.Repeat("b", 101) + `"}`, 400, "by: 101 bytes, at most 100"},
		{"POST", "/v1/incidents/inc-0000000000/ack", `{"by":"ana"}`, 404, "no incident"},
		{"POST", incident + "/notes", `{"by":"ana"}`, 400, "note: is missing"},
		{"POST", incident + "/notes", `{"by":"ana","note":"` + strings.Repeat("n", 1001) + `"}`, 400, "note: 1001 bytes, at most 1000"},
		{"GET", "/v1/alerts?since=2026-11-02", "", 400, `\"since\" is not a time`},
		{"GET", "/v1/alerts?severity=page", "", 400, "info, warning or critical"},
		{"GET", "/v1/alerts?severity=page&state=open,shut&since=monday&rule=", "", 400, `rule: is empty: leave it out for all; state: \"open\" must be pending, firing, recovering or resolved; severity: \"page\" must`},
		{"GET", "/v1/alerts?severity=page&state=open,shut&since=monday&rule=", "", 400, `severity: \"page\" must be info, warning or critical; since: \"monday\" of \"since\" is not a time`},
		{"GET", "/v1/alerts?until=2026-11-01T00:00:00Z&since=2026-11-02T00:00:00Z", "", 400, `\"until\" is before`},
	} {
		w := call(mux, tt.method, tt.target, tt.body)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s %s %.80s: %d %s, want %d with %s", tt.method, tt.target, tt.body, w.Code, w.Body, tt.status, tt.says)
		}
	}
	if m.written != 0 {
		t.Errorf("%d records were written", m.written)
	}
}

func TestAPI_SelectsByTimeAndSeverity(t *testing.T) {
	t.Parallel()
	mux, _ := newAPI(t) // the incident began at 11:00 and lasts
	for query, want := range map[string]int{
		"since=2026-11-02T15:00:00Z": 1, "until=2026-11-02T11:00:00Z": 0, "until=2026-11-02T11:00:01Z": 1,
		"since=2026-11-02T10:00:00Z&until=2026-11-02T12:30:00%2B01:00": 1, "severity=critical": 1, "severity=info,warning": 0,
	} {
		var got answer
		w := call(mux, "GET", "/v1/alerts?"+query, "")
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Total != want {
			t.Errorf("%s: %d %s, want %d", query, w.Code, w.Body, want)
		}
	}
}

func TestAPI_ShowsWhatWasJustSaid(t *testing.T) {
	t.Parallel()
	mux, m := newAPI(t)
	call(mux, "POST", "/v1/silences", goodSilence)
	call(mux, "POST", "/v1/incidents/inc-0000000001/ack", `{"by":"ana"}`)
	var got answer
	if err := json.Unmarshal(call(mux, "GET", "/v1/alerts", "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	a, id := got.Alerts[0], m.set.Silences()[0].ID
	if !slices.Equal(a.SilencedBy, []string{id}) || a.Acknowledged == nil || a.Acknowledged.By != "ana" {
		t.Errorf("silenced by %v, acknowledged %+v", a.SilencedBy, a.Acknowledged)
	}
	call(mux, "DELETE", "/v1/silences/"+id, "")
	got = answer{}
	if err := json.Unmarshal(call(mux, "GET", "/v1/alerts", "").Body.Bytes(), &got); err != nil || len(got.Alerts[0].SilencedBy) != 0 {
		t.Errorf("after its end: silenced by %v, %v", got.Alerts[0].SilencedBy, err)
	}
}

func TestAPI_WaitsForKafka(t *testing.T) {
	t.Parallel()
	mux, m := newAPI(t)
	m.err = errors.New("no broker answers")
	for target, body := range map[string]string{
		"/v1/silences": goodSilence, "/v1/incidents/inc-0000000001/ack": `{"by":"ana"}`, "/v1/incidents/inc-0000000001/notes": `{"by":"ana","note":"x"}`,
	} {
		if w := call(mux, "POST", target, body); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s without a broker: %d %s", target, w.Code, w.Body)
		}
	}
	m.caught = make(chan struct{})
	for method, target := range map[string]string{"GET": "/v1/silences", "DELETE": "/v1/silences/sil-0000000001", "POST": "/v1/silences"} {
		if w := call(mux, method, target, goodSilence); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s %s before the topic is read: %d %s", method, target, w.Code, w.Body)
		}
	}
	if w := call(mux, "GET", "/v1/incidents/inc-0000000001", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("an incident before the topic is read: %d", w.Code)
	}
}

func TestAPI_BoundsWhatItKeeps(t *testing.T) {
	t.Parallel()
	mux, _ := newAPI(t)
	for range silencesMax {
		if w := call(mux, "POST", "/v1/silences", goodSilence); w.Code != http.StatusCreated {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if w := call(mux, "POST", "/v1/silences", goodSilence); w.Code != http.StatusConflict {
		t.Errorf("one silence too many: %d %s", w.Code, w.Body)
	}
	for range notesMax {
		call(mux, "POST", "/v1/incidents/inc-0000000001/notes", `{"by":"ana","note":"x"}`)
	}
	if w := call(mux, "POST", "/v1/incidents/inc-0000000001/notes", `{"by":"ana","note":"x"}`); w.Code != http.StatusConflict {
		t.Errorf("one note too many: %d %s", w.Code, w.Body)
	}
	for i := range acksMax + 3 {
		call(mux, "POST", "/v1/incidents/inc-0000000001/ack", fmt.Sprintf(`{"by":"ana%d"}`, i))
	}
	var got incidentAnswer
	if err := json.Unmarshal(call(mux, "GET", "/v1/incidents/inc-0000000001", "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Acks) != acksMax || got.Alert.Acknowledged == nil || got.Alert.Acknowledged.By != fmt.Sprintf("ana%d", acksMax+2) || len(got.Notes) != notesMax {
		t.Errorf("%d acknowledgements, the last by %+v, %d notes", len(got.Acks), got.Alert.Acknowledged, len(got.Notes))
	}
}

func FuzzSilenceBody(f *testing.F) {
	f.Add([]byte(goodSilence))
	f.Add([]byte(`{"matchers":[{"label":"source","op":"=~","value":"("}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		mux, m := newAPI(t)
		w := call(mux, "POST", "/v1/silences", string(body))
		if w.Code >= 500 || (w.Code == http.StatusCreated) != (m.written == 1) {
			t.Errorf("%d with %d records: %s", w.Code, m.written, w.Body)
		}
		for _, s := range m.set.Silences() {
			if s.By == "" || s.Until.Sub(s.Since) > 30*24*time.Hour || len(s.Matchers) == 0 {
				t.Errorf("taken: %+v", s)
			}
		}
	})
}

// ask calls the API of an instance, such as "GET /v1/alerts", and reads its answer
// into answer.
func (r *rig) ask(in *instance, call, body string, answer any) int {
	r.t.Helper()
	method, target, _ := strings.Cut(call, " ")
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+in.Addr()+target, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if answer != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(text, answer); err != nil {
			r.t.Fatalf("%s %s: %s: %v", method, target, text, err)
		}
	}
	return resp.StatusCode
}

// silence hides label=value for two hours and returns the id.
func (r *rig) silence(in *instance, label, value string) string {
	r.t.Helper()
	var added silenceAnswer
	body := fmt.Sprintf(`{"matchers":[{"label":%q,"op":"=","value":%q}],"until":%q,"by":"ana","comment":"known"}`, label, value, r.clock.Now().Add(2*time.Hour).Format(time.RFC3339))
	if status := r.ask(in, "POST /v1/silences", body, &added); status != http.StatusCreated || added.ID == "" {
		r.t.Fatalf("silence: %d %+v", status, added)
	}
	return added.ID
}

func TestSilences_HoldAtEveryInstanceAndOutlivesAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, b := r.start(), r.start()
		id := r.silence(a, "source", "acme")
		var list silencesAnswer
		waitFor(t, "the silence at the other instance", func() bool {
			return r.ask(b, "GET /v1/silences?state=active", "", &list) == http.StatusOK && len(list.Silences) == 1 && list.Silences[0].ID == id
		})
		r.send(blocked(30, "a.test"), blocked(30, "b.test"), blocked(30, "c.test"))
		waitFor(t, "alerts", func() bool { return len(r.alerts(b, "?state=firing")) == 3 })
		for _, alert := range r.alerts(a, "?state=firing") {
			if !slices.Equal(alert.SilencedBy, []string{id}) {
				t.Errorf("silenced by %v", alert.SilencedBy)
			}
		}
		r.slack.wantQuiet(t, 0)
		waitFor(t, "the metric", func() bool {
			return a.metric(t, "mailstream_alerting_alerts_silenced")+b.metric(t, "mailstream_alerting_alerts_silenced") == 3
		})
		b.stop() // a takes over
		r.slack.wantQuiet(t, 0)
		a.stop()
		c := r.start()
		r.slack.wantQuiet(t, 0)
		if status := r.ask(c, "DELETE /v1/silences/"+id+"?by=ben", "", nil); status != http.StatusNoContent {
			t.Fatalf("end the silence: %d", status)
		}
		r.slack.want(t, 3) // what it hid still fires
		r.slack.wantQuiet(t, 3)
		if status := r.ask(c, "GET /v1/silences", "", &list); status != http.StatusOK || list.Silences[0].State != silenceOver || list.Silences[0].RemovedBy != "ben" {
			t.Errorf("%d %+v", status, list)
		}
	})
}

func TestSilences_EndByItselfAndWhatFiresIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start(func(c *Config) { c.Rules[0].Window = time.Hour })
		body := fmt.Sprintf(`{"matchers":[{"label":"recipient_domain","op":"=~","value":"a[.]test"}],"until":%q,"by":"ana","comment":"known"}`, r.clock.Now().Add(10*time.Minute).Format(time.RFC3339))
		if status := r.ask(in, "POST /v1/silences", body, nil); status != http.StatusCreated {
			t.Fatalf("silence: %d", status)
		}
		r.send(blocked(30, "a.test"))
		waitFor(t, "alert", func() bool { return len(r.alerts(in, "?state=firing")) == 1 })
		r.slack.wantQuiet(t, 0)
		r.clock.Advance(11 * time.Minute)
		posts := r.slack.want(t, 1)
		if !strings.Contains(posts[0].text, "a.test") {
			t.Errorf("notified: %s", posts[0].text)
		}
		r.slack.wantQuiet(t, 1)
	})
}

func TestIncident_ItsTimelineOutlivesItsRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		r.send(blocked(30, "a.test"))
		r.slack.want(t, 1)
		incident := r.alerts(in, "?state=firing")[0].Incident
		path := "/v1/incidents/" + incident
		if status := r.ask(in, "POST "+path+"/ack", `{"by":"ana","note":"asked the postmaster"}`, nil); status != http.StatusOK {
			t.Fatalf("acknowledge: %d", status)
		}
		if status := r.ask(in, "POST "+path+"/notes", `{"by":"ben","note":"the address is off the list"}`, nil); status != http.StatusCreated {
			t.Fatalf("note: %d", status)
		}
		if ack := r.alerts(in, "")[0].Acknowledged; ack == nil || ack.By != "ana" {
			t.Errorf("shown at once: %+v", ack)
		}
		r.send(delivered(300, "a.test"))
		waitFor(t, "recovery", func() bool { return len(r.alerts(in, "?state=recovering")) == 1 })
		r.clock.Advance(6 * time.Minute)
		r.slack.want(t, 2)
		waitFor(t, "mark of the last message", func() bool {
			a := r.alerts(in, "?state=resolved")
			return len(a) == 1 && !slices.ContainsFunc(a[0].Notify, schemas.Notification.Owed)
		})
		r.clock.Advance(time.Hour)
		r.send(blocked(30, "a.test")) // the next incident takes the record
		r.slack.want(t, 3)
		in.stop()
		in = r.start()
		var got incidentAnswer
		if status := r.ask(in, "GET "+path, "", &got); status != http.StatusOK {
			t.Fatalf("the first incident: %d", status)
		}
		var kinds []string
		for _, e := range got.Timeline {
			kinds = append(kinds, strings.TrimSpace(e.Kind+" "+string(e.State)+e.By+strings.TrimSpace(e.Receiver+" "+e.Detail+" "+e.Answer)))
		}
		for _, want := range []string{
			"state firing", "message slack firing delivered", "acknowledged anaasked the postmaster", "note benthe address is off the list",
			"state recovering", "state resolvedrecovered", "message slack resolved delivered", "reading",
		} {
			if !slices.Contains(kinds, want) {
				t.Errorf("no %q in %q", want, kinds)
			}
		}
		if got.Alert.State != schemas.AlertResolved || got.Alert.Incident != incident {
			t.Errorf("record: %s %s", got.Alert.Incident, got.Alert.State)
		}
		var dry silenceAnswer
		body := fmt.Sprintf(`{"matchers":[{"label":"recipient_domain","op":"=","value":"a.test"}],"until":%q,"by":"ana","comment":"x"}`, r.clock.Now().Add(time.Hour).Format(time.RFC3339))
		if status := r.ask(in, "POST /v1/silences?"+url.Values{"dry_run": {"true"}}.Encode(), body, &dry); status != http.StatusOK || dry.WouldHaveHit != 2 || dry.ID != "" {
			t.Errorf("preview: %d %+v, want both incidents", status, dry)
		}
	})
}

// TestSilences_HoldWhatIsOwedAlready lets a receiver be away when the incident begins,
// and a silence begin before it is back; the service dies at another point each time.
func TestSilences_HoldWhatIsOwedAlready(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		dies string // before the silence, during or after it; "": never
		ends bool   // the incident ends under the silence
		want int    // messages once the silence is over
	}{
		{name: "still open", want: 1},
		{name: "still open, dies before the silence", dies: "before", want: 1},
		{name: "still open, dies during the silence", dies: "during", want: 1},
		{name: "still open, dies at its end", dies: "after", want: 1},
		{name: "over", ends: true},
		{name: "over, dies before the silence", dies: "before", ends: true},
		{name: "over, dies during the silence", dies: "during", ends: true},
		{name: "over, dies at the end of the silence", dies: "after", ends: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.slack.setFault(func(_ int, w http.ResponseWriter) bool {
					w.WriteHeader(http.StatusServiceUnavailable)
					return true
				})
				in := r.start(func(c *Config) { c.Rules[0].Window = time.Hour })
				die := func(when string) {
					if tt.dies == when {
						in.stop()
						in = r.start(func(c *Config) { c.Rules[0].Window = time.Hour })
					}
				}
				r.send(blocked(30, "a.test"))
				waitFor(t, "a message that is owed and was tried", func() bool {
					a := r.alerts(in, "?state=firing")
					return len(a) == 1 && len(a[0].Notify) == 1 && a[0].Notify[0].Attempts > 0
				})
				die("before")
				body := fmt.Sprintf(`{"matchers":[{"label":"recipient_domain","op":"=","value":"a.test"}],"until":%q,"by":"ana","comment":"known"}`, r.clock.Now().Add(30*time.Minute).Format(time.RFC3339))
				if status := r.ask(in, "POST /v1/silences", body, nil); status != http.StatusCreated {
					t.Fatalf("silence: %d", status)
				}
				waitFor(t, "an empty queue", func() bool { return in.metric(t, "mailstream_alerting_notifications_waiting") == 0 })
				r.slack.setFault(nil)
				die("during")
				r.slack.wantQuiet(t, 0)
				if tt.ends {
					r.clock.Advance(time.Minute)
					r.send(delivered(300, "a.test"))
					waitFor(t, "recovery", func() bool { return len(r.alerts(in, "?state=recovering")) == 1 })
					r.clock.Advance(6 * time.Minute)
					waitFor(t, "the end", func() bool { return len(r.alerts(in, "?state=resolved")) == 1 })
					if n := r.alerts(in, "")[0].Notify; len(n) != 1 || n[0].Failed != "silenced" {
						t.Errorf("messages of what ended under the silence: %+v", n)
					}
				}
				r.clock.Advance(31 * time.Minute)
				die("after")
				r.slack.want(t, tt.want)
				r.slack.wantQuiet(t, tt.want)
			})
		})
	}
}

// TestAPI_NotesWhoSaysWhat has each change written to the audit first.
func TestAPI_NotesWhoSaysWhat(t *testing.T) {
	t.Parallel()
	mux, m := newAPI(t)
	m.noteErr = audit.ErrAway
	const ack = "/v1/incidents/inc-0000000001/ack"
	if w := call(mux, http.MethodPost, ack, `{"by":"ana"}`); w.Code != http.StatusServiceUnavailable || m.written > 0 {
		t.Errorf("without the audit: %d %s, %d written", w.Code, w.Body, m.written)
	}
	m.noteErr, m.entries = nil, nil
	call(mux, http.MethodPost, ack, `{"by":"ana","note":"mine"}`)
	call(mux, http.MethodPost, "/v1/incidents/inc-0000000001/notes", `{"by":"ana","note":"asked them"}`)
	call(mux, http.MethodPost, "/v1/silences", goodSilence)
	if len(m.entries) != 3 {
		t.Fatalf("noted %+v", m.entries)
	}
	call(mux, http.MethodDelete, "/v1/silences/"+m.entries[2].Object+"?by=bob", "")
	r := httptest.NewRequest(http.MethodPost, ack, strings.NewReader(`{"by":"console"}`))
	audit.SayFor(r, "José", "operator")
	mux.ServeHTTP(httptest.NewRecorder(), r)
	want := []audit.Entry{
		{By: "ana", Role: "api", Action: "incident.ack", Object: "inc-0000000001", Note: "mine"},
		{By: "ana", Role: "api", Action: "incident.notes", Object: "inc-0000000001", Note: "asked them"},
		{By: "ana", Role: "api", Action: "silence.add", Object: m.entries[2].Object, Note: "moved"},
		{By: "bob", Role: "api", Action: "silence.end", Object: m.entries[2].Object},
		{By: "José", Role: "operator", Action: "incident.ack", Object: "inc-0000000001"},
	}
	if !slices.Equal(m.entries, want) {
		t.Errorf("noted %+v, want %+v", m.entries, want)
	}
}
