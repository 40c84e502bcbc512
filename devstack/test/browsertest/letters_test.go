//go:build browser

package browsertest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/servicetest"
)

// The kinds of dead letters of these tests, all of the source shop.
const (
	lettersGood   = "no_type"            // the present parser reads them, but two
	lettersUseful = "no_identity"        // to be discarded
	lettersMany   = "not_an_object"      // more than are worked on in half a minute
	lettersOld    = 100 * 24 * time.Hour // further back than any page looks
)

// letters writes n dead letters of one kind, as the ingress would have given them up.
func (w *world) letters(t *testing.T, reason string, n int, bytes func(i int) string) {
	t.Helper()
	at := w.now.Add(-lettersOld).Format("2006-01-02 15:04:05")
	var rows strings.Builder
	for i := range n {
		fmt.Fprintln(&rows, encode(t, map[string]any{
			"id": fmt.Sprintf("%08x%024x", len(reason), i), "time": at, "received_at": at, "service": "ingress", "reason": reason, "detail": "the item could not be read",
			"provider": "sendgrid", "source": "shop", "bytes": bytes(i),
		}))
	}
	status, text := w.call(t, w.stack.ClickHouse()+"/?database=mailstream&query=INSERT+INTO+dead_letter_log+FORMAT+JSONEachRow", rows.String(), func(*http.Request) {})
	if status != http.StatusOK {
		t.Fatalf("insert answered %d: %s", status, text)
	}
}

// of is the selector of the form of one kind.
func of(action, reason string) string {
	return fmt.Sprintf(`form[action="/dead-letters/%s"]:has(input[value="%s"]):has(input[value="shop"]) `, action, reason)
}

// follows waits until the page, which is not loaded anew, shows a text.
func (b *tab) follows(selector, text string) *tab {
	b.t.Helper()
	shown := ""
	servicetest.EventuallyOr(b.t, func() bool {
		shown = eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
		return strings.Contains(shown, text)
	},
		func() string { return fmt.Sprintf("no %q at %s: %s", text, b.where(), shown) })
	return b
}

// TestDeadLetters_AreWorkedOn has each role do what is its: look at the plan, redrive to
// the end while the page follows, discard with a note, stop. One operation runs at a time.
func TestDeadLetters_AreWorkedOn(t *testing.T) {
	t.Parallel()
	w := shop(t)
	old := w.now.Add(-lettersOld)
	w.letters(t, lettersGood, 150, func(i int) string {
		if i < 2 {
			return `{"nothing":"to be read"}`
		}
		return sendgrid(t, 1_000_000+i, old, fmt.Sprintf("again-%d@letters.example", i))
	})
	w.letters(t, lettersUseful, 5, func(int) string { return `{"of":"no use"}` })
	w.letters(t, lettersMany, 3_000, func(i int) string { return sendgrid(t, 2_000_000+i, old, fmt.Sprintf("many-%d@letters.example", i)) })
	url := w.guarded(t)

	// Support looks and cannot touch.
	b := open(t, url).signIn("sam").visit("/dead-letters", 200).wants("150 × no type").lacks("/dead-letters/redrive", "/dead-letters/discard")
	b.forbids("/dead-letters/redrive", "service=ingress&reason="+lettersGood)
	b.forbids("/dead-letters/operations/any/stop", "")

	// An operator sees what would come of it, and has it done.
	b = open(t, url).signIn("olga").visit("/dead-letters", 200).lacks("/dead-letters/discard")
	b.forbids("/dead-letters/discard", "service=ingress&note=x&reason="+lettersGood)
	b.press(of("redrive", lettersGood)+`button[value="true"]`, 200).wants("What would come of it", "Of 150 dead letters", "148 would become 148 events", "2 would stay", "Nothing was changed")
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE reason = '"+lettersGood+"' AND source = 'shop' AND state = 'open'", "150")
	b.press(of("redrive", lettersGood)+`button[value="false"]`, 200).wants("on their way through the pipeline", "150")
	b.follows("#operations tbody tr:first-child", "done").wants("150 of 150", "olga")
	if eval[bool](b, `(() => { let asked = false; const real = window.fetch; window.fetch = (...a) => { asked = true; return real(...a) }; document.querySelector("#live").dispatchEvent(new CustomEvent("every")); window.fetch = real; return asked })()`) {
		t.Error("the page follows an operation that is over")
	}
	w.wantSQL(t, "SELECT state, count() FROM dead_letters WHERE reason = '"+lettersGood+"' AND source = 'shop' GROUP BY state ORDER BY state", "open\t2", "redriven\t148")
	w.wantSQL(t, "SELECT count() FROM events WHERE recipient LIKE 'again-%@letters.example' AND origin = 'replay'", "148")
	b.visit("/dead-letters", 200).wants("2 × no type")

	// A long one is stopped by somebody else; until then no other begins.
	b.press(of("redrive", lettersMany)+`button[value="false"]`, 200)
	b.press(of("redrive", lettersGood)+`button[value="false"]`, http.StatusConflict).wants("another operation runs")
	ada := open(t, url).signIn("ada").visit("/dead-letters", 200).wants("running")
	ada.press(`form[action$="/stop"] button`, 200).wants("The operation stops")
	ada.follows("#operations tbody tr:first-child", "stopped").wants("stopped by ada")

	// An admin closes what is of no use, and says why.
	ada.visit("/dead-letters", 200).fill(of("discard", lettersUseful)+"input[name=note]", "a test of the provider").press(of("discard", lettersUseful)+"button", 200)
	ada.follows("#operations tbody tr:first-child", "done").wants("5 of 5", "a test of the provider")
	w.wantSQL(t, "SELECT DISTINCT state, note FROM dead_letters WHERE reason = '"+lettersUseful+"' AND source = 'shop'", "discarded\ta test of the provider")

	// Each of it is in the audit once, with the person.
	w.wantSQL(t, "SELECT DISTINCT by, object, note LIKE '% with addresses' FROM audit_log WHERE action = 'dead_letters.view' AND by IN ('sam', 'olga')", "olga\t\t1")
	w.wantSQL(t, "SELECT by, role, action, count() FROM audit_log WHERE action LIKE 'dead\\_letters%' AND action != 'dead_letters.view' GROUP BY by, role, action ORDER BY by, action",
		"ada\tadmin\tdead_letters.discard\t1", "ada\tadmin\tdead_letters.stop\t1", "olga\toperator\tdead_letters.redrive\t2")
}

// forbids sends a form that the page does not offer.
func (b *tab) forbids(path, body string) {
	b.t.Helper()
	got := eval[int](b, fmt.Sprintf(`fetch(%q, {method: "POST", headers: {"content-type": "application/x-www-form-urlencoded"}, body: %q}).then(r => r.status)`, path, body))
	if got != http.StatusForbidden {
		b.t.Errorf("%s is answered %d", path, got)
	}
}
