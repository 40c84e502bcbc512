package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// shownForm is a form as a browser reads it.
type shownForm struct {
	values map[string]string // of its fields; of a box only where it is ticked
	wrong  string            // the name of the field that is said to be wrong
	why    string            // what is said of it
	focus  string            // the name of the field that has the focus
}

// readPage reads the forms of a page by their addresses, those that are refused before others,
// and what it says of an error.
func readPage(t *testing.T, page string) (forms map[string]shownForm, said string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	forms, texts, ids := map[string]shownForm{}, map[string]string{}, map[string]int{}
	for n := range root.Descendants() {
		if id := attr(n, "id"); n.Type == html.ElementNode && id != "" {
			texts[id] = textOf(n)
			if ids[id]++; ids[id] > 1 {
				t.Errorf("the id %s is there twice", id)
			}
		}
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && (attr(n, "id") == "refused" || forms[attr(n, "action")].values == nil) {
			forms[attr(n, "action")] = readForm(n, texts)
		}
	}
	return forms, texts["error"]
}

func readForm(form *html.Node, texts map[string]string) shownForm {
	f := shownForm{values: map[string]string{}}
	for n := range form.Descendants() {
		name := attr(n, "name")
		if n.Data == "option" {
			name = attr(n.Parent, "name")
		}
		switch {
		case n.Type != html.ElementNode || name == "" || n.Data == "select":
		case n.Data == "option" && !has(n, "selected"), attr(n, "type") == "checkbox" && !has(n, "checked"):
		case n.Data == "option" && !has(n, "value"):
			f.values[name] = textOf(n)
		default:
			f.values[name] = attr(n, "value")
		}
		if attr(n, "aria-invalid") == "true" {
			f.wrong, f.why = name, texts[attr(n, "aria-describedby")]
		}
		if has(n, "autofocus") {
			f.focus = name
		}
	}
	return f
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func textOf(n *html.Node) string {
	text := ""
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			text += d.Data
		}
	}
	return text
}

// heldAnswers has a complaint and another entry of an address, and an incident.
const heldAnswers = `{"alert":{"incident":"inc-1","rule":"block_spike","state":"firing"},"alerts":[],"silences":[],"suppressions":[],"operations":[],
	"suppressed":[{"address":"ana@list.example","reason":"complaint","entries":[{"reason":"complaint","scope":"account"},{"reason":"manual","scope":"stream:news"}]}]}`

// refusals are a form of each route that takes text, sent with something wrong in it, and how
// it comes back.
func refusals(t *testing.T) map[string]struct {
	r      *http.Request
	action string // of the form that comes back
	wrong  string // its field
	keeps  map[string]string
} {
	t.Helper()
	long := strings.Repeat("x", textBytesMax+1)
	return map[string]struct {
		r      *http.Request
		action string
		wrong  string
		keeps  map[string]string
	}{
		"POST /search":                 {form("/search", "q", "neither\x01"), "/search", "q", map[string]string{"q": "neither\x01"}},
		"POST /suppressions/check":     {form("/suppressions/check", "address", "ana at home"), "/suppressions/check", "address", map[string]string{"address": "ana at home"}},
		"POST /suppressions/add":       {form("/suppressions/add", "address", "*@com", "note", "why not", "scope", "stream:news", "expires", "tomorrow"), "/suppressions/add", "address", map[string]string{"address": "*@com", "note": "why not", "scope": "stream:news", "expires": "tomorrow"}},
		"POST /suppressions/lift":      {form("/suppressions/lift", "address", "ana@list.example", "note", " ", "consent", "yes", "only", "manual stream:news"), "/suppressions/lift", "note", map[string]string{"address": "ana@list.example", "note": " ", "consent": "yes", "only": "manual stream:news"}},
		"POST /suppressions/import":    {upload(t, "dear all", "dry_run", "true"), "/suppressions/import", "file", map[string]string{"dry_run": "true"}},
		"POST /incidents/{id}/ack":     {form("/incidents/inc-1/ack", "note", long), "/incidents/inc-1/ack", "note", map[string]string{"note": long}},
		"POST /incidents/{id}/notes":   {form("/incidents/inc-1/notes", "note", long), "/incidents/inc-1/notes", "note", map[string]string{"note": long}},
		"POST /incidents/{id}/silence": {form("/incidents/inc-1/silence", "for", "24h", "comment", long), "/incidents/inc-1/silence", "comment", map[string]string{"for": "24h", "comment": long}},
		"POST /dead-letters/redrive":   {form("/dead-letters/redrive", "service", "ingress", "reason", "no_type", "note", long), "", "", nil}, // its page has no group without ClickHouse
		"POST /dead-letters/discard":   {form("/dead-letters/discard", "service", "ingress", "reason", "no_type", "note", long), "", "", nil},
		"GET /deliverability": {httptest.NewRequest(http.MethodGet, "/deliverability?range=7d&by=domain&show=deferred&source=gone&domain=ana%40list.example&mailbox_provider=google", nil), "/deliverability", "domain",
			map[string]string{"range": "7d", "by": "domain", "show": "deferred", "source": "gone", "domain": "ana@list.example", "mailbox_provider": "google"}},
	}
}

// TestForms_ComeBackFilledIn sends each form with something wrong in it: the same form is
// there with what was typed, the field that is wrong says so and has the focus, and nothing
// is changed. Where the page has no such form, the page of the error has the text.
func TestForms_ComeBackFilledIn(t *testing.T) {
	t.Parallel()
	cases := refusals(t)
	for pattern, r := range newDesk(t).routes {
		if _, tried := cases[pattern]; !tried && len(r.takes) > 0 {
			t.Errorf("nobody has tried what comes back of %s", pattern)
		}
	}
	for pattern, tc := range cases {
		d := newDesk(t)
		d.says = heldAnswers
		w := d.ask(tc.r, "admin")
		forms, said := readPage(t, w.Body.String())
		if w.Code != http.StatusBadRequest || len(d.changed()) > 0 || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Location") != "" {
			t.Errorf("%s is answered %d with %v, changed %v", pattern, w.Code, w.Header(), d.changed())
		}
		if tc.action == "" {
			if !strings.Contains(w.Body.String(), "What you typed") || !strings.Contains(w.Body.String(), strings.Repeat("x", textBytesMax+1)) {
				t.Errorf("%s loses what was typed: %s", pattern, w.Body)
			}
			continue
		}
		got := forms[tc.action]
		for name, want := range tc.keeps {
			if got.values[name] != want {
				t.Errorf("%s: %s has %.40q, want %.40q", pattern, name, got.values[name], want)
			}
		}
		if got.wrong != tc.wrong || got.focus != tc.wrong || got.why == "" || !strings.Contains(said, "What now?") || !strings.Contains(w.Body.String(), `href="#`+tc.wrong+`"`) {
			t.Errorf("%s: wrong is %q, want %q, because %q, the focus at %q, and the page says %q", pattern, got.wrong, tc.wrong, got.why, got.focus, said)
		}
	}
}

// TestForms_KeepABoxAsItWas sends a file without the box that makes it a dry run, and one that
// is too large to be read: a form that was read has its box as it was, another one the safe way.
func TestForms_KeepABoxAsItWas(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		r    *http.Request
		dry  string
		page bool
	}{
		"without the box": {upload(t, "dear all"), "", true},
		"with the box":    {upload(t, "dear all", "dry_run", "true"), "true", true},
		"too large":       {upload(t, "address\n"+strings.Repeat("a@list.example\n", 1<<20)), "", false},
	} {
		w := newDesk(t).ask(tc.r, "admin")
		forms, said := readPage(t, w.Body.String())
		f, shown := forms["/suppressions/import"]
		if shown != tc.page || f.values["dry_run"] != tc.dry || tc.page && !strings.Contains(said, "choose it again") {
			t.Errorf("%s: %d, the form is there %t with %q: %s", name, w.Code, shown, f.values["dry_run"], said)
		}
	}
	fresh, _ := readPage(t, newDesk(t).ask(httptest.NewRequest(http.MethodGet, "/suppressions", nil), "admin").Body.String())
	if fresh["/suppressions/import"].values["dry_run"] != "true" {
		t.Error("a new form has no tick in its box")
	}
}

// TestForms_TakeNoTextForMarkup types what would end a field or a page, turn its direction, or
// is long, in every field: it comes back as it was, and as text alone.
func TestForms_TakeNoTextForMarkup(t *testing.T) {
	t.Parallel()
	d, cases := newDesk(t), refusals(t)
	d.says = heldAnswers
	for name, text := range map[string]string{
		"markup": `"><script>alert(1)</script><b x='`, "quotes": "'\"`&quot;&#39;", "bidi": "\u202egpj.exe\u2066", "NUL": "a\x00b", "100 kB": strings.Repeat("<", 100_000), "template": `{{.User}}{{template "content"}}`,
		"event": `" onfocus=alert(1) autofocus x="`, "address": "javascript:alert(1)", "lines": "a\r\nb", "emoji": "👩‍👩‍👧 ﷽", "no text": "\ufffd\ufeff",
	} {
		for pattern, tc := range cases {
			fields, query := d.routes[pattern].takes, url.Values{}
			if method, _, _ := strings.Cut(pattern, " "); method == http.MethodGet {
				fields = []string{"range", "by", "show", "source", "mailbox_provider", "domain"}
			}
			for _, field := range fields {
				query.Set(field, text)
			}
			if pattern == "POST /suppressions/import" {
				continue // it has no text
			}
			if tc.keeps["address"] == "ana@list.example" { // that of the form, which is hidden
				query.Set("address", tc.keeps["address"])
			}
			r := httptest.NewRequest(http.MethodPost, tc.r.URL.Path, strings.NewReader(query.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if tc.r.Method == http.MethodGet {
				r = httptest.NewRequest(http.MethodGet, tc.r.URL.Path+"?"+query.Encode(), nil)
			}
			w := d.ask(r, "admin")
			page := w.Body.String()
			if w.Code < 400 && pattern != "POST /search" && !strings.HasSuffix(pattern, "/ack") && !strings.HasSuffix(pattern, "/notes") {
				t.Errorf("%s, %s: %d", pattern, name, w.Code)
			}
			if strings.Contains(page, "<script>alert") || strings.Contains(page, "onfocus=alert(1) autofocus x=\"\"") || strings.ContainsRune(page, 0) || w.Code == http.StatusInternalServerError {
				t.Errorf("%s, %s: it is markup, with %d: %.2000s", pattern, name, w.Code, page)
			}
			if w.Code < 400 || tc.action == "" {
				continue
			}
			forms, _ := readPage(t, page)
			want := strings.ReplaceAll(text, "\x00", "\ufffd")
			for field := range tc.keeps {
				got, chosen := forms[tc.action].values[field], slices.Contains([]string{"only", "consent", "for", "range", "by", "show"}, field)
				if got != want && !chosen && query.Get(field) == text && strings.ReplaceAll(got, "\n", "\r\n") != want { // a browser sends its lines so
					t.Errorf("%s, %s: %s came back as %.60q", pattern, name, field, got)
				}
			}
		}
	}
}

// TestForms_GiveNoBookBack types more than a page fills in: the page says so, and has the rest.
func TestForms_GiveNoBookBack(t *testing.T) {
	t.Parallel()
	w := newDesk(t).ask(form("/suppressions/add", "address", "a@list.example", "note", strings.Repeat("x", typedBytesMax)), "admin")
	forms, said := readPage(t, w.Body.String())
	if f := forms["/suppressions/add"]; w.Code != http.StatusBadRequest || f.values["note"] != "" || f.values["address"] != "a@list.example" || !strings.Contains(said, "too long to be filled in") {
		t.Errorf("%d, the form has %.200v, the page says %s", w.Code, f, said)
	}
}

// TestForms_GiveBackOnlyWhatWasTyped has the services know an address that support may not
// see: what comes back is the text of the request alone.
func TestForms_GiveBackOnlyWhatWasTyped(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.says, d.refuses = answers(t), "POST /v1/suppressions/check"
	w := d.ask(form("/suppressions/check", "address", "own.words@list.example"), "support")
	forms, _ := readPage(t, w.Body.String())
	if text := w.Body.String(); w.Code != http.StatusBadRequest || forms["/suppressions/check"].values["address"] != "own.words@list.example" || spokenForm.MatchString(text) {
		t.Errorf("%d: %s", w.Code, text)
	}
	if w = d.ask(httptest.NewRequest(http.MethodGet, "/suppressions", nil), "support"); strings.Contains(w.Body.String(), "own.words") {
		t.Error("the next page has what was typed")
	}
}

// TestForms_AreInNoLogAndNoAddress looks at what is kept of each form that is refused, and of
// one whose service is away.
func TestForms_AreInNoLogAndNoAddress(t *testing.T) {
	t.Parallel()
	lines := 0
	for pattern, tc := range refusals(t) {
		for _, answer := range []int{0, http.StatusServiceUnavailable} {
			d := newDesk(t)
			d.says, d.answer = heldAnswers, answer
			r := tc.r
			if r.Method == http.MethodPost {
				sent := url.Values{}
				for name, text := range tc.keeps {
					sent.Set(name, text)
				}
				r = body(tc.r.URL.Path, "application/x-www-form-urlencoded", sent.Encode())
			}
			kept := fmt.Sprint(d.ask(r, "admin").Header())
			for _, line := range d.logs.All() {
				kept += fmt.Sprint(line.Message, line.ContextMap())
				lines++
			}
			for _, text := range []string{"ana@", "ana at home", "neither", "why not", "*@com", "xxxx", "%40list"} {
				if strings.Contains(kept, text) {
					t.Errorf("%s: the log and the headers have %q: %s", pattern, text, kept)
				}
			}
		}
	}
	if lines == 0 {
		t.Error("nothing was logged")
	}
}

// TestForms_OfAServiceThatIsAwayAreNotLost has the services be away: the form is there with the
// message in focus, or the page of the error has what was typed.
func TestForms_OfAServiceThatIsAwayAreNotLost(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.answer = http.StatusServiceUnavailable
	w := d.ask(form("/suppressions/add", "address", "a@list.example", "note", "an hour of words"), "operator")
	forms, said := readPage(t, w.Body.String())
	if f := forms["/suppressions/add"]; w.Code != http.StatusServiceUnavailable || f.values["note"] != "an hour of words" || f.wrong != "" || !strings.Contains(said, "A service is away") {
		t.Errorf("%d, the form is %v, the page says %s", w.Code, f, said)
	}
	for _, r := range []*http.Request{form("/incidents/inc-1/notes", "note", "an hour of words"), form("/suppressions/lift", "address", "a@list.example", "note", "an hour of words")} {
		if w = d.ask(r, "operator"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "What you typed") || !strings.Contains(w.Body.String(), "an hour of words") {
			t.Errorf("%s: %d %s", r.URL, w.Code, w.Body)
		}
	}
}

// TestForms_SayWhichFieldAServiceRefused has a service name a field of a form, each in its way.
func TestForms_SayWhichFieldAServiceRefused(t *testing.T) {
	t.Parallel()
	add, lift, silence := "/suppressions/add", "/suppressions/lift", "/incidents/inc-1/silence"
	for _, tc := range []struct {
		r     *http.Request
		call  string
		says  string
		wrong string
	}{
		{form(add, "address", "ana@list.example", "expires", "x"), "PUT /v1/suppressions", `"detail":"field \"expires\" is not a time of RFC 3339, like 2026-01-02T15:04:05Z"`, "expires"},
		{form(add, "address", "ana@list.example", "expires", "x"), "PUT /v1/suppressions", `"detail":"expires is not in the future"`, "expires"},
		{form(add, "address", "ana@list.example", "expires", "x"), "PUT /v1/suppressions", `"detail":"scope must be \"account\""`, "scope"},
		{form(add, "address", "ana@list.example", "expires", "x"), "PUT /v1/suppressions", `"detail":"scope \"list:\" has no name after the colon"`, "scope"},
		{form(add, "address", "ana@list.example", "expires", "x"), "PUT /v1/suppressions", `"detail":"scope name is 300 bytes long, the limit is 256"`, "scope"},
		{form(add, "address", "ana@list.example", "expires", "x"), "PUT /v1/suppressions", `"detail":"note has control characters"`, "note"},
		{form(add, "address", "ana@list.example", "expires", "x"), "PUT /v1/suppressions", `"detail":"address is a pattern of everybody"`, "address"},
		{form(add, "address", "ana@list.example", "expires", "x"), "PUT /v1/suppressions", `"detail":"reason must be one of [manual]"`, ""},
		{form(add, "address", "ana@list.example", "expires", "x"), "PUT /v1/suppressions", `"detail":"the record of the address would become too large"`, ""},
		{form(lift, "address", "ana@list.example", "note", "x"), "POST /v1/suppressions/remove", `"title":"consent_required","detail":"the address complained"`, "consent"},
		{form(silence, "for", "1h", "comment", "x"), "POST /v1/silences", `"detail":"comment: is missing"`, "comment"},
		{form(silence, "for", "1h", "comment", "x"), "POST /v1/silences", `"detail":"until: 2026 is more than 30d after its beginning"`, "for"},
		{form("/incidents/inc-1/notes", "note", "x"), "POST /v1/incidents/inc-1/notes", `"detail":"note: 1002 bytes, at most 1000"`, "note"},
	} {
		d := newDesk(t)
		d.says, d.refuses, d.refusal = heldAnswers, tc.call, "{"+tc.says+"}"
		w := d.ask(tc.r, "operator")
		forms, said := readPage(t, w.Body.String())
		f := forms[tc.r.URL.Path]
		if w.Code != http.StatusBadRequest || f.wrong != tc.wrong || (f.why == "") != (tc.wrong == "") || !strings.Contains(said, "The service says") {
			t.Errorf("%s: %d, wrong is %q, want %q, because %q: %s", tc.says, w.Code, f.wrong, tc.wrong, f.why, said)
		}
	}
	if field := fieldNamed(&peer.Refused{Detail: "reason must be one of [manual]"}, []string{"note"}); field != "" {
		t.Errorf("a form without it is said to have the field %q", field)
	}
}

// TestForms_OfDeadLettersAreToldApart refuses one of two forms that differ in hidden fields.
func TestForms_OfDeadLettersAreToldApart(t *testing.T) {
	t.Parallel()
	templates, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{templates: templates}
	group := func(reason string) history.Letters {
		return history.Letters{Service: "ingress", Reason: reason, Count: 1}
	}
	r := &refused{fault: badInput("no", "now").of("note"), path: "/dead-letters/discard", typed: url.Values{"service": {"ingress"}, "reason": {"no_type"}, "note": {"of no use"}}}
	text, ok := s.fill("deadletters", frame{User: auth.User{Name: "ada", Role: auth.Admin}, Refused: r, Data: lettersData{Now: time.Now(), Can: true, Known: true, Groups: []history.Letters{group("other"), group("no_type"), group("no_type"), group("third")}}})
	page := string(text)
	if before, after, found := strings.Cut(page, `value="of no use"`); !ok || !r.placed || !found || strings.Contains(after, `value="of no use"`) || strings.Count(page, "aria-invalid") != 1 ||
		!strings.Contains(before[strings.LastIndex(before, "<form"):], `name="reason" value="no_type"`) {
		t.Errorf("placed %t: %s", r.placed, page)
	}
}

// TestForms_WithoutTheFieldThatIsWrongSayItAbove has a program send a field that its form has
// not, and text that is none: no link leads nowhere, the message has the focus, the page is text.
func TestForms_WithoutTheFieldThatIsWrongSayItAbove(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.says = strings.Replace(heldAnswers, `,{"reason":"manual","scope":"stream:news"}`, "", 1)
	for action, r := range map[string]*http.Request{
		"/suppressions/lift":  form("/suppressions/lift", "address", "ana@list.example", "note", "kept", "only", "boredom account"),
		"/suppressions/check": form("/suppressions/check", "address", "kept", "x", "\xff"),
		"/suppressions/add":   form("/suppressions/add", "address", "a@list.example", "note", "kept", "scope", "\xff", "a", "y"),
	} {
		w := d.ask(r, "operator")
		page := w.Body.String()
		forms, said := readPage(t, page)
		if kept := forms[action].values["note"] + forms[action].values["address"]; w.Code != http.StatusBadRequest || said == "" || !strings.Contains(kept, "kept") || strings.Contains(page, "To the field") || !strings.Contains(page, `role="alert" tabindex="-1" autofocus`) || !utf8.ValidString(page) {
			t.Errorf("%s: %d, the form has %q: %s", action, w.Code, kept, page)
		}
	}
}

// TestForms_AreProblemsToPrograms has the twin name the field.
func TestForms_AreProblemsToPrograms(t *testing.T) {
	t.Parallel()
	for pattern, tc := range refusals(t) {
		d := newDesk(t)
		d.says = heldAnswers
		tc.r.Header.Set("Accept", "application/json")
		var problem struct{ Field, Detail string }
		w := d.ask(tc.r, "admin")
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || tc.action != "" && problem.Field != tc.wrong || strings.Contains(w.Body.String(), strings.Repeat("x", textBytesMax)) {
			t.Errorf("%s: %v, field %q, want %q", pattern, err, problem.Field, tc.wrong)
		}
	}
}

// TestForms_OfASessionThatIsOverAreNotLost sends forms as nobody: a person reads their own text
// once more, nothing is done, and a form of a field that is none is not read out.
func TestForms_OfASessionThatIsOverAreNotLost(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, cookie := range []string{"", "__Host-mailstream-console=AAAA"} {
		r := form("/incidents/inc-1/notes", "note", "<b>an hour of words</b>")
		r.Header.Set("Cookie", cookie)
		if w := d.ask(r, ""); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "&lt;b&gt;an hour of words") || !strings.Contains(w.Body.String(), `href="/login?next=%2fincidents%2finc-1"`) {
			t.Errorf("%q: %d %s", cookie, w.Code, w.Body)
		}
	}
	for name, r := range map[string]*http.Request{
		"another field": form("/incidents/inc-1/notes", "note", "an hour of words", "x", "y"),
		"the query":     form("/incidents/inc-1/notes?x=y", "note", "an hour of words"),
		"a book":        form("/incidents/inc-1/notes", "note", "an hour of words"+strings.Repeat("x", formBytesMax)),
		"a wrong token": func() *http.Request {
			r := form("/incidents/inc-1/notes", "note", "an hour of words")
			r.Header.Set("Authorization", "Bearer of-somebody-else")
			return r
		}(),
	} {
		if w := d.ask(r, ""); w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "an hour of words") {
			t.Errorf("%s: %d %.2000s", name, w.Code, w.Body)
		}
	}
	if d.mu.Lock(); len(d.calls)+len(d.notes) > 0 {
		t.Errorf("asked %v, noted %v", d.calls, d.notes)
	}
	d.mu.Unlock()
}

// TestLogin_KeepsTheNameAlone signs in with a wrong password.
func TestLogin_KeepsTheNameAlone(t *testing.T) {
	t.Parallel()
	d := newDeskWith(t, func(c *auth.Config) { c.Users = config.Literal("ana:viewer:" + hashOfHorse) })
	w := d.ask(form("/login", "name", `"ana"`, "password", "wrong horse"), "")
	forms, _ := readPage(t, w.Body.String())
	f := forms["/login"]
	if w.Code != http.StatusUnauthorized || f.values["name"] != `"ana"` || f.values["password"] != "" || strings.Contains(w.Body.String(), "wrong horse") || f.focus != "password" || f.why == "" {
		t.Errorf("%d, the form is %+v", w.Code, f)
	}
}

// TestForms_WithoutAFieldAreOnTheirPage refuses what has nothing to fill in.
func TestForms_WithoutAFieldAreOnTheirPage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ target, call, title string }{
		{"/silences/sil-1/end", "DELETE /v1/silences/sil-1", "Incidents"},
		{"/dead-letters/operations/op-1/stop", "POST /v1/dead-letters/operations/op-1/stop", "Dead letters"},
	} {
		d := newDesk(t)
		d.refuses = tc.call
		w := d.ask(form(tc.target), "operator")
		_, said := readPage(t, w.Body.String())
		if text := w.Body.String(); w.Code != http.StatusBadRequest || !strings.Contains(text, "<h1>"+tc.title) || said == "" {
			t.Errorf("%s: %d %s", tc.target, w.Code, text)
		}
	}
}
