//go:build browser

package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/mailstream/mailstream/devstack/test/consoletest"
	"github.com/mailstream/mailstream/services/pipeline"
)

// people are one of each role; the password of all is "correct horse battery".
const people = "vera:viewer:" + consoletest.PasswordHash + "\nsam:support:" + consoletest.PasswordHash + "\nolga:operator:" + consoletest.PasswordHash + "\nada:admin:" + consoletest.PasswordHash + "\n"

// signIn goes through the form.
func (b *tab) signIn(name string) *tab {
	b.t.Helper()
	b.visit("/login", 200).fill("input[name=name]", name).fill("input[name=password]", "correct horse battery").press("form button", 200)
	return b
}

func (w *world) guarded(t *testing.T) string {
	t.Helper()
	return w.console(t, "MAILSTREAM_CONSOLE_AUTH_USERS="+people)
}

// TestRoles_ReachWhatIsTheirs has each role see its pages and none of the others.
func TestRoles_ReachWhatIsTheirs(t *testing.T) {
	t.Parallel()
	w := shop(t)
	url := w.guarded(t)
	person := "/people/" + w.sql(t, "SELECT any(recipient_hash) FROM events WHERE recipient = '"+ana+"'")[0]

	b := open(t, url).visit("/incidents", 200)
	if b.where() != url+"/login?next=%2Fincidents" {
		t.Errorf("who is not signed in is at %s", b.where())
	}
	b.fill("input[name=name]", "vera").fill("input[name=password]", "wrong horse battery").press("form button", http.StatusUnauthorized).wants("do not belong together")
	b.fill("input[name=password]", "correct horse battery").press("form button", 200).wants("Incidents")
	b.visit("/search", http.StatusForbidden).wants("Your role does not reach here", "support")
	b.visit(person, http.StatusForbidden).lacks(ana)
	b.visit(w.incident(t, domainShow), 200).wants("Latest refusals").lacks("/silence", "/ack", `href="/messages/`)
	b.visit("/dead-letters", 200).lacks("letters.example")
	b.visit("/suppressions", 200).lacks("added@", "/suppressions/add", gone)
	b.press(".me button", 200).visit("/", 200).wants("Sign in")

	b = open(t, url).signIn("sam").visit(person, 200).wants("a•••@story.example", "Timeline").lacks(ana)
	b.visit("/dead-letters", 200).unfold().wants("s•••@letters.example").lacks("someone@letters.example")
	b.visit("/suppressions", 200).fill(`form[action="/suppressions/check"] input[name=address]`, ana).press(`form[action="/suppressions/check"] button`, 200)
	b.wants("a•••@story.example is suppressed").lacks("/suppressions/lift", ana)
	// The browser sends a form that the page does not offer.
	if got := eval[int](b, `fetch("/suppressions/add", {method: "POST", headers: {"content-type": "application/x-www-form-urlencoded"}, body: "address=x%40list.example"}).then(r => r.status)`); got != http.StatusForbidden {
		t.Errorf("a form of an operator is answered %d to support", got)
	}
	b = open(t, url).signIn("olga").visit(person, 200).wants(ana)
	b.visit("/suppressions", 200).lacks("/suppressions/import")
	open(t, url).signIn("ada").visit("/suppressions", 200).wants("Import")
	// Who looked is on a page, for admins only.
	open(t, url).signIn("olga").visit("/audit", http.StatusForbidden)
	ada := open(t, url).signIn("ada")
	ada.visit(person, 200).press(`.head a[href^="/audit"]`, 200).wants("person.view", "sam", "olga").lacks(ana)
	if others := eval[int](ada, `[...document.querySelectorAll("#audit tbody a")].filter(a => !location.search.includes(a.getAttribute("href").slice(8))).length`); others > 0 {
		t.Errorf("%d entries are about other people", others)
	}
	// Whole addresses leave an entry with how many, masked ones none.
	w.wantSQL(t, "SELECT DISTINCT by, object, match(note, '^[0-9]+ address') FROM audit_log WHERE action = 'suppression.list' AND by IN ('sam', 'ada')", "ada\t\t1")
	w.wantSQL(t, "SELECT DISTINCT by, length(object), note FROM audit_log WHERE action = 'suppression.check' AND by = 'sam'", "sam\t32\t")
}

// TestSession_StaysInTheBrowser looks at the cookie of a person who signed in.
func TestSession_StaysInTheBrowser(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.guarded(t)).signIn("ada")
	if got := eval[string](b, "document.cookie"); got != "" {
		t.Errorf("scripts see the cookie %q", got)
	}
	got, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{})
	b.check(err)
	if len(got.Cookies) != 1 || !strings.HasPrefix(got.Cookies[0].Name, "__Host-") || !got.Cookies[0].Secure || !got.Cookies[0].HTTPOnly {
		t.Errorf("the cookies are %+v", got.Cookies)
	}
}

// TestOtherSites_CanDoNothing has a page of another site send forms and frame ours.
func TestOtherSites_CanDoNothing(t *testing.T) {
	t.Parallel()
	w := shop(t)
	target := w.url()
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<main>evil<form method="post" action="%s/suppressions/add"><input name="address" value="crossed@list.example"><button>win</button></form><iframe src="%s/"></iframe></main>`, target, target)
	}))
	defer evil.Close()
	b := open(t, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1))
	b.visit("/", 200)
	if got := eval[string](b, `new Promise(done => setTimeout(() => { try { done(document.querySelector("iframe").contentDocument ? "same" : "refused") } catch { done("refused") } }, 0))`); got != "refused" {
		t.Errorf("our page in a frame is %q", got)
	}
	b.press("form button", http.StatusForbidden).wants("This form came from another site", "nothing was changed")
	w.suppressed(t, "crossed@list.example", false)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(b.faults, func(fault string) bool { return strings.Contains(fault, "frame") }) {
		t.Error("the browser framed our page")
	}
	for _, fault := range b.faults {
		if !strings.Contains(fault, "frame") {
			t.Errorf("the browser says: %s", fault)
		}
	}
	b.faults = nil // that the frame was refused is what is wanted
}

// TestScripts_OfProvidersAreText shows mail whose every field is a script.
func TestScripts_OfProvidersAreText(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url())
	person := "/people/" + w.sql(t, "SELECT any(recipient_hash) FROM events WHERE recipient = '"+mallory+"'")[0]
	for _, said := range []string{"ack", "notes"} { // by people, too
		status, text := w.call(t, w.stack.URL(pipeline.Alerting)+"/v1"+w.incident(t, domainHard)+"/"+said, encode(t, map[string]string{"by": script[:90], "note": script}), func(r *http.Request) { r.Header.Set("Authorization", "Bearer dev") })
		if status >= 300 {
			t.Fatalf("%s answered %d %s", said, status, text)
		}
	}
	paths := []string{"/incidents/" + oldScript, w.incident(t, domainHard), "/rules", "/audit", person, "/messages/newsletter/576460760234900001", "/deliverability?by=campaign", "/deliverability?by=domain", "/dead-letters", "/sources/newsletter", "/sources/shop", "/incidents", w.incident(t, domainShow), "/"}
	for _, row := range w.sql(t, "SELECT concat(source, '/', encodeURLComponent(message_id)) FROM messages WHERE recipient = '"+mallory+"'") {
		paths = append(paths, "/messages/"+row)
	}
	for _, path := range paths {
		b.visit(path, 200)
		if eval[bool](b, "'stolen' in window") {
			t.Fatalf("a script of a provider ran at %s", path)
		}
		if n := eval[int](b, `document.querySelectorAll("main script, main img, main [onerror], main [onmouseover], a[href^='javascript']").length`); n > 0 {
			t.Errorf("%d elements of a provider are in %s", n, path)
		}
	}
	b.visit(person, 200).wants("<script>window.stolen=1</script>")
}
