//go:build browser

package browsertest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// canBeUsed has axe look at the page, and wants that it does not scroll sideways on a
// telephone, or where the text is twice as large.
func (b *tab) canBeUsed(source, what string) {
	b.t.Helper()
	for _, f := range findings(b, source) {
		for _, n := range f.Nodes {
			b.t.Errorf("%s: %s (%s): %s: %.300s", what, f.Help, f.Impact, n.FailureSummary, n.HTML)
		}
	}
	for _, look := range []struct {
		width int64
		text  string
	}{{320, "100%"}, {640, "200%"}} {
		b.size(look.width)
		if wide := eval[string](b, fmt.Sprintf(`(document.documentElement.style.fontSize = %q, %s)`, look.text, wider)); wide != "" {
			b.t.Errorf("%s at %d px with text of %s scrolls sideways: %s", what, look.width, look.text, wide)
		}
	}
	eval[string](b, `document.documentElement.style.fontSize = ""`)
	b.size(1440)
}

// TestStates_CanBeUsedByEverybody looks at pages in the states that only come after a form,
// or while everything is away.
func TestStates_CanBeUsedByEverybody(t *testing.T) {
	t.Parallel()
	w, source := shop(t), axe(t)
	away := "http://127.0.0.1:1"
	url := w.console(t, "MAILSTREAM_CLICKHOUSE_URL="+away, "MAILSTREAM_CONSOLE_SUPPRESSION_URL="+away, "MAILSTREAM_CONSOLE_ALERTING_URL="+away, "MAILSTREAM_CONSOLE_ANALYTICS_URL="+away, "MAILSTREAM_CONSOLE_INGRESS_METRICS_URL="+away+"/metrics")
	b := open(t, url)
	for _, path := range w.everyPage(t) {
		b.load(chromedp.Navigate(url + path))
		if b.status != http.StatusOK && b.status != http.StatusNotFound && b.status != http.StatusServiceUnavailable {
			t.Errorf("%s is answered %d while everything is away", path, b.status)
		}
		b.canBeUsed(source, path+" while everything is away")
	}
	// An answer to a form is a page of its own.
	b = open(t, w.url()).visit("/suppressions", 200)
	b.fill(`form[action="/suppressions/check"] input[name=address]`, longAddress).press(`form[action="/suppressions/check"] button`, 200)
	b.canBeUsed(source, "an address that was looked up")
	file := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(file, []byte("address\nno address\n<script>\n"+longAddress+"\n@\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.SetUploadFiles(chromedp.CSS(`form[action="/suppressions/import"] input[type=file]`), []string{file}))
	b.press(`form[action="/suppressions/import"] button`, 200).wants("were refused")
	b.canBeUsed(source, "a file with lines that were refused")
	b.visit("/search", 200).fill("#q", "nobody").press(".big-search button", http.StatusBadRequest)
	b.canBeUsed(source, "a search for nothing")
	b = open(t, w.guarded(t)).visit("/login", 200).fill("input[name=name]", "vera").fill("input[name=password]", "wrong").press("form button", http.StatusUnauthorized)
	b.canBeUsed(source, "a wrong password")
	b.signIn("vera").visit("/search", http.StatusForbidden)
	b.canBeUsed(source, "a page of another role")
	b = open(t, b.base).signIn("ada").visit("/rules", 200).press(`form[action="/rules/backtest"] button`, 200) // each console tries once at a time
	b.canBeUsed(source, "rules that were tried")
}

// TestKeyboard_ReachesEverything goes through the pages with the most forms by the key Tab.
func TestKeyboard_ReachesEverything(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url())
	const stops = `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']")].filter(e => e.checkVisibility() && (!e.closest("details:not([open])") || e.tagName == "SUMMARY"))`
	for _, path := range []string{"/suppressions", w.incident(t, domainShow), "/deliverability", "/search", "/audit"} {
		b.visit(path, 200)
		n := eval[int](b, `(window.stops = new Set(`+stops+`)).size`)
		eval[bool](b, `document.activeElement.blur() ?? true`)
		for range n + 2 {
			b.keys("\t")
			if hidden := eval[string](b, `(() => { const e = document.activeElement; window.stops.delete(e); return e !== document.body && getComputedStyle(e).outlineStyle == "none" ? e.outerHTML : "" })()`); hidden != "" {
				t.Errorf("%s does not show that this has the focus: %.200s", path, hidden)
			}
		}
		for _, missed := range eval[[]string](b, `[...window.stops].map(e => e.outerHTML.slice(0, 150))`) {
			t.Errorf("%s: Tab does not reach %s", path, missed)
		}
	}
	// A low window, as one at 400 %, shows the end of the menu, too.
	b.do(chromedp.EmulateViewport(1280, 240))
	if below := eval[bool](b, `(() => { const me = document.querySelector(".me"); me.scrollIntoView(); return me.getBoundingClientRect().top >= innerHeight })()`); below {
		t.Error("the end of the menu cannot be scrolled into a low window")
	}
}

// TestColours_OfTheViewerKeepWhatIsSaid looks at pages in forced colours and as they are
// printed: what is good, of concern and bad is still there, and on paper no form is, and each
// time with its zone.
func TestColours_OfTheViewerKeepWhatIsSaid(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).visit("/", 200)
	media := func(kind string, features ...*emulation.MediaFeature) {
		t.Helper()
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: kind, Features: features})
		b.check(err)
	}
	// What tells states apart without colour: the words beside the dots, and the dots' shapes.
	const dots = `[...new Set([...document.querySelectorAll(".state .dot")].map(d => { const s = getComputedStyle(d); return [s.borderRadius, s.transform, s.backgroundColor == "rgba(0, 0, 0, 0)"].join() }))]`
	if shapes := eval[[]string](b, dots); len(shapes) < 3 {
		t.Errorf("states have the shapes %q", shapes)
	}
	media("", &emulation.MediaFeature{Name: "forced-colors", Value: "active"})
	if shapes := eval[[]string](b, dots); len(shapes) < 3 {
		t.Errorf("in forced colours states have the shapes %q", shapes)
	}
	const same = `[...document.querySelectorAll(".spark polyline, .line, .limit")].filter(e => { const s = getComputedStyle(e).stroke, p = getComputedStyle(document.body).backgroundColor; return s === p || s === "none" }).length`
	for _, path := range []string{"/", w.incident(t, domainShow)} {
		b.visit(path, 200)
		if n := eval[int](b, same); n > 0 {
			t.Errorf("in forced colours %d lines of %s have the colour of the page", n, path)
		}
	}
	media("print")
	for _, path := range []string{"/", w.incident(t, domainShow), "/suppressions", "/dead-letters"} {
		b.visit(path, 200)
		if shown := eval[[]string](b, `[...document.querySelectorAll("form, nav, button")].filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 100))`); len(shown) > 0 {
			t.Errorf("on paper %s has %q", path, shown)
		}
		if n := eval[int](b, `[...document.querySelectorAll("main time")].filter(t => !/(GMT|UTC)/.test(t.innerText)).length`); n > 0 {
			t.Errorf("on paper %d times of %s are of no zone", n, path)
		}
	}
}

// TestScript_IsNotNeededForAnyChange makes every change without any, each as its form has
// it, and sees what came of it.
func TestScript_IsNotNeededForAnyChange(t *testing.T) {
	t.Parallel()
	w := nothing(t)
	w.spike(t, domainAck)
	w.wantSQL(t, "SELECT count() FROM alerts WHERE state = 'firing'", "1")
	w.letters(t, lettersUseful, 3, func(int) string { return `{"of":"no use"}` })
	b := open(t, w.guarded(t)).noScript().signIn("ada")

	b.visit("/suppressions", 200).fill(`form[action="/suppressions/add"] input[name=address]`, "plain@list.example").fill(`form[action="/suppressions/add"] input[name=note]`, "by hand")
	b.press(`form[action="/suppressions/add"] button`, 200).wants("The address is on the list")
	w.suppressed(t, "plain@list.example", true)
	b.visit("/suppressions", 200).fill(`form[action="/suppressions/check"] input[name=address]`, "plain@list.example").press(`form[action="/suppressions/check"] button`, 200).wants("is suppressed", "by hand (ada)")
	b.fill(`form[action="/suppressions/lift"] input[name=note]`, "no script").press(`form[action="/suppressions/lift"] button`, 200).wants("lifted")
	w.suppressed(t, "plain@list.example", false)
	file := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(file, []byte("address\nfiled@list.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	upload := `form[action="/suppressions/import"] `
	b.do(chromedp.SetUploadFiles(chromedp.CSS(upload+"input[type=file]"), []string{file}), chromedp.Click(chromedp.CSS(upload+"input[type=checkbox]")))
	b.press(upload+"button", 200).wants("Imported", "1 line is fine")
	w.suppressed(t, "filed@list.example", true)

	path := w.incident(t, domainAck)
	b.visit(path, 200).fill(`form[action$="/ack"] input`, "I look").press(`form[action$="/ack"] button`, 200).wants("You have acknowledged the incident", "I look")
	b.fill(`form[action$="/notes"] input`, "they were asked").press(`form[action$="/notes"] button`, 200).wants("Your note was added", "they were asked")
	b.fill(`form[action$="/silence"] input`, "a warm-up").press(`form[action$="/silence"] button`, 200).wants("The silence holds", "Silenced by ada")
	b.visit("/incidents", 200).press(`form[action^="/silences/"] button`, 200).wants("The silence has ended")
	b.visit("/rules", 200).press(`form[action="/rules/backtest"] button`, 200).wants("really fired")

	b.visit("/dead-letters", 200).press(of("redrive", lettersUseful)+`button[value="true"]`, 200).wants("What would come of it", "3 would stay")
	b.visit("/dead-letters", 200).fill(of("discard", lettersUseful)+"input[name=note]", "a test").press(of("discard", lettersUseful)+"button", 200)
	w.wantSQL(t, "SELECT DISTINCT state, note FROM dead_letters WHERE source = 'shop'", "discarded\ta test")
	b.visit("/dead-letters", 200).wants("3 of 3")
	// Somebody has them no longer: the form of a page that was open meanwhile says so.
	if status, _ := w.call(t, b.base+"/dead-letters/redrive", "service=ingress&reason="+lettersUseful, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("ada", "correct horse battery")
	}); status != http.StatusNotFound {
		t.Errorf("a redrive of what is gone is answered %d", status)
	}
	// Each change is written down once, with who made it.
	got := w.sql(t, "SELECT action FROM audit_log WHERE by = 'ada' AND action NOT LIKE '%.view' AND action NOT IN ('suppression.list', 'suppression.check') ORDER BY action")
	want := []string{"dead_letters.discard", "incident.ack", "incident.notes", "silence.add", "silence.end", "suppression.add", "suppression.import", "suppression.lift"}
	if !slices.Equal(got, want) {
		t.Errorf("the audit has %q, want %q", got, want)
	}
	b.press(".me button", 200).wants("Sign in")
}
