//go:build browser

package browsertest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// sent is a form that is sent by keyboard with something wrong in it, and how it comes back.
type sent struct {
	name   string
	page   string
	before func(*tab)        // what leads to the form
	form   string            // its selector
	fields [][2]string       // what is typed, by the names of the fields, in their order
	wrong  string            // the field that has the focus then
	says   string            // of it
	keeps  map[string]string // what is chosen
}

// sentWrong are the forms of all pages.
func (w *world) sentWrong(t *testing.T) []sent {
	t.Helper()
	long := strings.Repeat("語", 400) // 400 characters, which a field takes, of 1,200 bytes
	incident := w.incident(t, domainAck)
	look := func(b *tab) {
		b.fill(`form[action="/suppressions/check"] input[name=address]`, gone).press(`form[action="/suppressions/check"]:has(h2) button`, 200)
	}
	return []sent{
		{"search", "/search", nil, `form[action="/search"]`, [][2]string{{"q", "nobody \"at\" <home>"}}, "q", "This is not an address", nil},
		{"check", "/suppressions", nil, `form[action="/suppressions/check"]:has(h2)`, [][2]string{{"address", "ana at home"}}, "address", "This is not an address", nil},
		{"add", "/suppressions", nil, `form[action="/suppressions/add"]`, [][2]string{{"address", "new@list.example"}, {"note", "why \"not\""}, {"scope", "stream:news"}, {"expires", "yesterday"}}, "expires", "The service says", nil},
		{"add for nobody", "/suppressions", nil, `form[action="/suppressions/add"]`, [][2]string{{"address", "new@list.example"}, {"scope", "boredom"}}, "scope", "The service says", nil},
		{"lift", "/suppressions", look, `form[action="/suppressions/lift"]`, [][2]string{{"note", " "}}, "note", "A lift needs a note", nil},
		{"acknowledge", incident, nil, `form[action$="/ack"]`, [][2]string{{"note", long}}, "note", "longer than 1,000 bytes", nil},
		{"note", incident, nil, `form[action$="/notes"]`, [][2]string{{"note", long}}, "note", "longer than 1,000 bytes", nil},
		{"silence", incident, func(b *tab) {
			b.do(chromedp.SetValue(chromedp.CSS(`form[action$="/silence"] select`), "24h"))
		}, `form[action$="/silence"]`, [][2]string{{"comment", long}}, "comment", "longer than 1,000 bytes", map[string]string{"for": "24h"}},
		{"discard", "/dead-letters", nil, of("discard", lettersUseful), [][2]string{{"note", "ask ana@list.example"}}, "note", "has an @", nil},
	}
}

// TestForms_ComeBackToTheKeyboard sends every form by keyboard with something wrong in it, on a
// telephone and on a screen, on the first also without JavaScript: what was typed is there, the focus is
// on the field that is wrong and shows what is, what it is can be read beside it, axe finds
// nothing, and nothing scrolls sideways. With PICTURES it writes what it looked at there.
func TestForms_ComeBackToTheKeyboard(t *testing.T) {
	t.Parallel()
	w, source := nothing(t), axe(t)
	w.spike(t, domainAck)
	w.wantSQL(t, "SELECT count() FROM alerts WHERE state = 'firing'", "1")
	w.letters(t, lettersUseful, 3, func(int) string { return `{"of":"no use"}` })
	w.letters(t, lettersGood, 3, func(int) string { return `{"of":"no use"}` })
	if status, text := w.call(t, w.stack.URL(pipeline.Suppression)+"/v1/suppressions", `{"address":"`+gone+`","reason":"manual"}`, func(r *http.Request) {
		r.Method = http.MethodPut
		r.Header.Set("Authorization", "Bearer dev")
	}); status != http.StatusOK {
		t.Fatalf("add answered %d %s", status, text)
	}
	w.suppressed(t, gone, true)
	t.Run("messages", w.oddMessages)
	for _, width := range []int64{320, 1440} {
		w.comeBack(t, open(t, w.url()).size(width), width, func(b *tab, what string) { b.canBeUsed(source, what) })
	}
	w.comeBack(t, open(t, w.url()).size(320).noScript(), 320, func(*tab, string) {}) // axe is a script
}

// comeBack sends every form in the tab b of a width, and has each that comes back looked at.
func (w *world) comeBack(t *testing.T, b *tab, width int64, look func(b *tab, what string)) {
	t.Helper()
	for _, s := range w.sentWrong(t) {
		what := fmt.Sprintf("%s at %d px", s.name, width)
		b.visit(s.page, 200)
		if s.before != nil {
			s.before(b)
		}
		for _, field := range s.fields {
			at := s.form + " input[name=" + field[0] + "]"
			b.tabTo(at).do(chromedp.SendKeys(chromedp.CSS(at), field[1]))
		}
		b.enter().comesBack(what, s)
		if wide := eval[string](b, wider); wide != "" {
			t.Errorf("%s scrolls sideways: %s", what, wide)
		}
		b.picture(fmt.Sprintf("form-%s-%d", strings.ReplaceAll(s.name, " ", "-"), width))
		look(b, what)
		b.size(width)
	}
}

// comesBack wants the form of s as it was sent.
func (b *tab) comesBack(what string, s sent) {
	b.t.Helper()
	if b.status != http.StatusBadRequest {
		b.t.Errorf("%s is answered %d: %.500s", what, b.status, b.text("main"))
		return
	}
	// A browser moves the focus once it has drawn the page.
	got := ""
	servicetest.EventuallyOr(b.t, func() bool {
		got = eval[string](b, `document.activeElement.name ?? document.activeElement.tagName`)
		return got == s.wrong
	}, func() string { return fmt.Sprintf("%s: the focus is at %q, want %q", what, got, s.wrong) })
	for _, field := range s.fields {
		if got := eval[string](b, fmt.Sprintf(`document.querySelector(%q).value`, "#refused [name="+field[0]+"]")); got != field[1] {
			b.t.Errorf("%s: %s has %q", what, field[0], got)
		}
	}
	for name, want := range s.keeps {
		if got := eval[string](b, fmt.Sprintf(`document.querySelector(%q).value`, "#refused [name="+name+"]")); got != want {
			b.t.Errorf("%s: %s has %q, want %q", what, name, got, want)
		}
	}
	const read = `(() => {
		const field = document.activeElement, why = document.getElementById(field.getAttribute("aria-describedby")), box = e => e?.getBoundingClientRect();
		const inView = r => r && r.top >= 0 && r.bottom <= innerHeight;
		return [why?.innerText ?? "", field.getAttribute("aria-invalid"), inView(box(field)) && inView(box(why)) ? "in view" : "out of view", Math.min(Math.abs(box(why)?.top - box(field)?.bottom), Math.abs(box(field)?.top - box(why)?.bottom)) < 60 ? "beside it" : "elsewhere"].join("|") })()`
	if got := eval[string](b, read); !strings.Contains(got, s.says) || !strings.HasSuffix(got, "|true|in view|beside it") {
		b.t.Errorf("%s: it reads %q", what, got)
	}
	b.wants("What now?")
}

// picture writes the window to the folder of pictures, where there is one.
func (b *tab) picture(name string) {
	b.t.Helper()
	folder := os.Getenv("PICTURES")
	if folder == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), ask(b, chromedp.CaptureScreenshot()), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// TestForms_OfFilesAndOfPeopleComeBack has what cannot be filled in again say so: a file, and a
// password; and a filter that an address was typed in is not sent.
func TestForms_OfFilesAndOfPeopleComeBack(t *testing.T) {
	t.Parallel()
	w := shop(t)
	file := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(file, []byte("dear all,\nplease stop"), 0o600); err != nil {
		t.Fatal(err)
	}
	upload := `form[action="/suppressions/import"] `
	b := open(t, w.url()).size(320).visit("/suppressions", 200)
	b.do(chromedp.SetUploadFiles(chromedp.CSS(upload+"input[type=file]"), []string{file}), chromedp.Click(chromedp.CSS(upload+"input[type=checkbox]")))
	b.press(upload+"button", http.StatusBadRequest).wants("not a CSV file of addresses", "A browser keeps no file: choose it again")
	if got := eval[bool](b, `document.querySelector("#refused input[type=checkbox]").checked`); got {
		t.Error("the box that was not ticked is")
	}
	b.picture("form-import-320")

	b.visit("/deliverability", 200).tabTo("input[name=domain]").keys(ana + "\r")
	if at := b.where(); at != w.url()+"/deliverability" || eval[bool](b, `document.querySelector("input[name=domain]").checkValidity()`) {
		t.Errorf("an address as a domain leads to %s", at)
	}
	b.picture("form-deliverability-320")
	b.visit("/deliverability?range=7d&domain="+ana, http.StatusBadRequest).wants("Nothing was counted", "does not belong in the address").lacks("<figure")
	if got := eval[string](b, `document.querySelector("input[aria-invalid]").value + " " + document.querySelector("select[name=range]").value`); got != ana+" 7d" {
		t.Errorf("the filter has %q", got)
	}

	b = open(t, w.guarded(t)).visit("/login", 200).fill("input[name=name]", "vera").fill("input[name=password]", "wrong").press("form button", http.StatusUnauthorized)
	if got := eval[string](b, `[document.querySelector("[autofocus]").name, document.querySelector("input[name=password]").value, document.querySelector("input[name=name]").value].join("|")`); got != "password||vera" {
		t.Errorf("the form to sign in has %q", got)
	}
	// A session that ends while somebody writes.
	b = open(t, b.base).signIn("ada").visit(w.incident(t, domainShow), 200)
	b.fill(`form[action$="/notes"] input`, "an hour of words")
	b.do(chromedp.Evaluate[chromedp.Void](`fetch("/logout", {method: "POST"}).then(() => undefined)`, chromedp.EvalAwaitPromise))
	b.press(`form[action$="/notes"] button`, http.StatusUnauthorized).wants("Sign in first", "What you typed", "an hour of words")
	b.picture("form-session-1440")
}

// oddIDs are ids of messages that a path does not take as they are.
func oddIDs() []string { return []string{".", "..", "~..", "a/../b", "/", "?x#y", "50%2F", likeHash} }

// likeHash is an id as Mandrill makes them, which looks like a recipient hash.
const likeHash = "0123456789abcdef0123456789abcdef"

// oddMessages goes from people to messages whose ids are dots and slashes.
func (w *world) oddMessages(t *testing.T) {
	for i, id := range oddIDs() {
		w.post(t, "surveys", encode(t, map[string]any{
			"event": "delivered", "email": fmt.Sprintf("odd-%d@list.example", i), "id": 90300 + i, "message-id": id, "date": w.now.Format(time.DateTime),
			"ts_event": w.now.Unix(), "ts": w.now.Unix(), "ts_epoch": w.now.UnixMilli(), "reason": "sent",
		}))
	}
	w.wantSQL(t, "SELECT count() FROM events WHERE source = 'surveys'", fmt.Sprint(len(oddIDs())))
	b := open(t, w.url())
	for i, id := range oddIDs() {
		b.visit("/search", 200).fill("#q", fmt.Sprintf("odd-%d@list.example", i)).press(".big-search button", 200)
		b.press(`.timeline a[href^="/messages/"]`, 200).wants("delivered")
		if got := b.text(".head code"); got != id {
			t.Errorf("the message %q has the page of %q at %s", id, got, b.where())
		}
	}
	for _, id := range []string{"..", "/", likeHash} {
		b.visit("/search", 200).fill("#q", id).press(".big-search button", 200).wants("Message", "delivered")
		if got := b.text(".head code"); got != id {
			t.Errorf("the search for %q leads to %s", id, b.where())
		}
	}
}
