//go:build browser

package browsertest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/mailstream/mailstream/services/pipeline"
)

// TestSearch_LeadsToTheTimeline is the way of support: an address that a customer
// says, what became of the mail, one message of it.
func TestSearch_LeadsToTheTimeline(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).visit("/", 200).press(`nav a[href="/search"]`, 200)
	b.fill("#q", ana).press(".big-search button", 200)
	b.wants("Suppressed", "complaint", "Greylisted, try again in 5 minutes", "250 2.0.0 OK queued as 9F31C", "seen 2 times", "machine", "https://shop.example.com/orders/7781", "campaign order", "from 198.51.100.7", "template d-order", "pool transactional")
	b.lacks("451 4.7.1 451")
	if at := b.where(); at != w.url()+"/people/"+w.sql(t, "SELECT any(recipient_hash) FROM events WHERE recipient = '"+ana+"'")[0] {
		t.Errorf("the address of the page is %s", at)
	}
	b.press(`.timeline a[href^="/messages/"]`, 200).wants("Message", "story-1", ana)
}

// TestMessage_IsFoundByItsID goes from a message to its person.
func TestMessage_IsFoundByItsID(t *testing.T) {
	t.Parallel()
	b := open(t, shop(t).url()).visit("/search", 200).fill("#q", "story-1").press(".big-search button", 200)
	b.wants("Message", ana).press(`.head a[href^="/people/"]`, 200).wants(ana, "Timeline")
}

// TestSource_SaysWhatDrifts reads of a field that this version does not know.
func TestSource_SaysWhatDrifts(t *testing.T) {
	t.Parallel()
	b := open(t, shop(t).url()).visit("/sources/newsletter", 200)
	b.wants("brand_new", "unknown field", "First seen by any ingress", "counted since")
}

func TestSuppression_IsLiftedWithANote(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).visit("/suppressions", 200)
	b.fill(`form[action="/suppressions/check"] input[name=address]`, gone).press(`form[action="/suppressions/check"] button`, 200)
	b.wants(gone+" is suppressed", "hard bounce")
	b.fill(`form[action="/suppressions/lift"] input[name=note]`, "has a new mailbox").press(`form[action="/suppressions/lift"] button`, 200)
	b.wants("The suppression was lifted")
	w.suppressed(t, gone, false)
	w.wantSQL(t, "SELECT active, removed_note FROM suppressions WHERE address = '"+gone+"'", "false\thas a new mailbox (local)")
	b.fill(`form[action="/suppressions/check"] input[name=address]`, gone).press(`form[action="/suppressions/check"] button`, 200)
	b.wants(gone + " is not suppressed")
	// The same form once more, as a second tab sends it.
	if got := eval[int](b, `fetch("/suppressions/lift", {method: "POST", headers: {"content-type": "application/x-www-form-urlencoded"}, body: "note=again&address=`+gone+`"}).then(r => r.status)`); got != http.StatusNotFound {
		t.Errorf("a lift of what is not on the list is answered %d", got)
	}
	b.press(`#checked a[href^="/people/"]`, 200).wants("Not suppressed", "has a new mailbox", "nor against their domain")
}

func TestSuppression_IsAdded(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).visit("/suppressions", 200)
	b.fill(`form[action="/suppressions/add"] input[name=address]`, "added@list.example").fill(`form[action="/suppressions/add"] input[name=note]`, "asked by letter")
	b.press(`form[action="/suppressions/add"] button`, 200).wants("The address is on the list")
	w.suppressed(t, "added@list.example", true)
	w.wantSQL(t, "SELECT reason, note FROM suppressions WHERE address = 'added@list.example'", "manual\tasked by letter (local)")
}

// TestSuppression_FilesComeAndGo imports a file, at first only to see what would
// happen, and exports the list.
func TestSuppression_FilesComeAndGo(t *testing.T) {
	t.Parallel()
	w := shop(t)
	file := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(file, []byte("address,reason,note\nfile-one@list.example,manual,from the old system\nnot an address,manual,\nfile-two@list.example,unsubscribe,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	form := `form[action="/suppressions/import"]`
	b := open(t, w.url()).visit("/suppressions", 200)
	b.do(chromedp.SetUploadFiles(chromedp.CSS(form+" input[type=file]"), []string{file}))
	b.press(form+" button", 200).wants("Dry run: nothing was changed", "2 lines are fine", "1 was refused", "line 3")
	w.suppressed(t, "file-one@list.example", false)
	b.do(chromedp.SetUploadFiles(chromedp.CSS(form+" input[type=file]"), []string{file}), chromedp.Click(chromedp.CSS(form+" input[type=checkbox]")))
	b.press(form+" button", 200).wants("Imported", "2 lines are fine")
	w.suppressed(t, "file-one@list.example", true)
	w.suppressed(t, "file-two@list.example", true)
	// What is too large is a page, too, and not a connection that breaks.
	if err := os.WriteFile(file, []byte("address\n"+strings.Repeat("file-three@list.example\n", 1<<19)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.visit("/suppressions", 200).do(chromedp.SetUploadFiles(chromedp.CSS(form+" input[type=file]"), []string{file}))
	b.press(form+" button", http.StatusRequestEntityTooLarge).wants("too large for a page", "8 MiB", "nothing was changed")
	text := eval[string](b, `fetch("/suppressions/export").then(r => r.text())`)
	if !strings.Contains(text, "file-one@list.example") || !strings.HasPrefix(text, "address") {
		t.Errorf("the export is %.300s", text)
	}
}

func TestIncident_IsAcknowledged(t *testing.T) {
	t.Parallel()
	w := shop(t)
	path := w.incident(t, domainAck)
	b := open(t, w.url()).visit("/incidents", 200).press(fmt.Sprintf(`a[href="%s"]`, path), 200)
	b.wants(domainAck, "75.0 %", "reputation of its sender", "a week before", "spring sale")
	b.fill(`form[action$="/ack"] input`, "ana looks at it").press(`form[action$="/ack"] button`, 200)
	b.wants("You have acknowledged the incident", "Acknowledged by local", "ana looks at it")
	b.visit("/incidents", 200).wants("acknowledged by local")
}

func TestIncident_TakesANote(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).visit(w.incident(t, domainNote), 200)
	b.fill(`form[action$="/notes"] input`, "their postmaster was asked").press(`form[action$="/notes"] button`, 200)
	b.wants("Your note was added", "their postmaster was asked")
}

// TestIncident_IsSilencedAndHeardAgain makes a silence and ends it.
func TestIncident_IsSilencedAndHeardAgain(t *testing.T) {
	t.Parallel()
	w := shop(t)
	path := w.incident(t, domainHush)
	b := open(t, w.url()).visit(path, 200)
	b.fill(`form[action$="/silence"] input`, "a warm-up is under way").press(`form[action$="/silence"] button`, 200)
	b.wants("The silence holds", "Silenced by local", "a warm-up is under way")
	b.visit("/incidents", 200).wants("a warm-up is under way", "recipient_domain = "+domainHush)
	b.press(`form[action^="/silences/"] button`, 200).wants("The silence has ended", "No silence holds")
}

// TestIncident_ShowsTheMailOfItsGroup has an incident show its own mail only: its campaign,
// what alerting takes for a block, and of a rule that is gone what the record has.
func TestIncident_ShowsTheMailOfItsGroup(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).visit("/incidents/"+oldCampaign, 200).wants("Hard bounce rate", "campaign review", "lasted longer than two days")
	if others := eval[int](b, `[...document.querySelectorAll("#refusals bdi")].filter(e => ["order", "parcel"].includes(e.textContent)).length`); others > 0 || eval[int](b, `document.querySelectorAll("#refusals tbody tr").length`) == 0 {
		t.Errorf("%d refusals are of other campaigns", others)
	}
	b.visit("/incidents/"+oldGone, 200).wants("not configured any more", "75.0 % at last (worst 80.0 %)", "share of what was blocked", "a reply of the record", "sender (30 of the blocks)", "No refusal around it is known")
	b.visit(w.incident(t, domainHard), 200).wants("33 blocked of 44", "What usually helps", "75.0 %")
	lines := eval[[]line](b, written)
	if v := lines[len(lines)-1].Values[0]; v == nil || *v != .75 {
		t.Errorf("the plot ends at %s, want 0.75", number(v))
	}
	b.wants("counts as a block") // of the refusals, which the provider calls bounces
	b.visit("/sources/parcels", 200).wants("33 bounces because of the sender or the content count as blocked").press(`a[href^="/deliverability?show=blocked"]`, 200)
	b.wants("Blocked is what alerting counts as blocked", "75.0 %").visit("/deliverability?show=blocked&domain="+domainHard, 200)
	if blocked := eval[string](b, `document.querySelector(".tile.on .big").textContent`); blocked != "75.0\u00a0%" {
		t.Errorf("the page of deliverability says blocked %q beside an incident of 75 %%", blocked)
	}
}

// TestPerson_HasWhatHoldsForTheDomain has support read why somebody gets no mail whose
// domain is on the list, and whom to ask.
func TestPerson_HasWhatHoldsForTheDomain(t *testing.T) {
	t.Parallel()
	w := shop(t)
	person := func(address string) string {
		return "/people/" + w.sql(t, "SELECT any(recipient_hash) FROM events WHERE recipient = '"+address+"'")[0]
	}
	status, text := w.call(t, w.stack.URL(pipeline.Suppression)+"/v1/suppressions", `{"address":"*@`+domainHard+`","reason":"manual","note":"a pause"}`, func(r *http.Request) {
		r.Method = http.MethodPut
		r.Header.Set("Authorization", "Bearer dev")
	})
	if status >= 300 {
		t.Fatalf("add answered %d %s", status, text)
	}
	w.wantSQL(t, "SELECT active FROM suppressions WHERE address = '*@"+domainHard+"'", "true")
	b := open(t, w.guarded(t)).signIn("sam").visit(person("taker-3@"+domainHard), 200).wants("Suppressed", "*@"+domainHard, "for all mail", "a pause", "holds for everybody there")
	b.visit(person(ana), 200).wants("complaint, for all mail", "ask somebody with the role operator").lacks("/suppressions/lift")
}

// TestSuppression_OfADomainIsExplainedAndLifted has an operator pause a domain, read why its
// people get no mail, and lift it from the page of one of them; support reads and may not.
func TestSuppression_OfADomainIsExplainedAndLifted(t *testing.T) {
	t.Parallel()
	w := shop(t)
	const pattern, someone = "*@pause.example", "ana@pause.example"
	check := func(b *tab, text string) *tab {
		return b.fill(`form[action="/suppressions/check"] input[name=address]`, text).press(`.forms form[action="/suppressions/check"] button`, 200)
	}
	guarded := w.guarded(t)
	b := open(t, guarded).signIn("olga").visit("/suppressions", 200)
	b.fill(`form[action="/suppressions/add"] input[name=address]`, "*@Pause.example").fill(`form[action="/suppressions/add"] input[name=note]`, "their server moves")
	b.fill(`form[action="/suppressions/add"] input[name=scope]`, "stream:news").press(`form[action="/suppressions/add"] button`, 200).wants("The address is on the list")
	b.fill(`form[action="/suppressions/add"] input[name=address]`, pattern).fill(`form[action="/suppressions/add"] input[name=note]`, "their server moves")
	b.press(`form[action="/suppressions/add"] button`, 200)
	w.suppressed(t, someone, true)
	check(b, pattern).wants(pattern+" is suppressed", "holds for everybody there", "stream news", "their server moves (olga)")
	check(b, someone).wants(someone+" is suppressed", pattern)
	b.fill(`#checked input[name=note]`, "the news may go")
	eval[bool](b, `(() => { document.querySelector("#checked select").value = "manual stream:news"; return true })()`)
	b.press(`#checked form button`, 200).wants("The suppression was lifted")
	w.suppressed(t, someone, true)
	s := open(t, guarded).signIn("sam").visit("/suppressions", 200)
	check(s, pattern).wants(pattern+" is suppressed", "the news may go (olga)").lacks("Lift for everybody there")
	if got := eval[int](s, `fetch("/suppressions/lift", {method: "POST", headers: {"content-type": "application/x-www-form-urlencoded"}, body: "note=x&address=`+pattern+`"}).then(r => r.status)`); got != http.StatusForbidden {
		t.Errorf("a lift by support is answered %d", got)
	}
	w.suppressed(t, someone, true)
	check(b, pattern).fill(`#checked input[name=note]`, "their server is there").press(`#checked form button`, 200).wants("The suppression was lifted")
	w.suppressed(t, someone, false)
	check(b, pattern).wants(pattern+" is not suppressed", "lifted", "their server is there (olga)")
	w.wantSQL(t, "SELECT countIf(action = 'suppression.lift'), countIf(action = 'suppression.add') FROM audit_log WHERE by = 'olga' AND object IN (SELECT recipient_hash FROM suppressions WHERE address = '"+pattern+"')", "2\t2")
}

// TestDeadLetters_AreShownWithWhatToDo reads what could not be used.
func TestDeadLetters_AreShownWithWhatToDo(t *testing.T) {
	t.Parallel()
	b := open(t, shop(t).url()).visit("/dead-letters", 200)
	b.wants("no type", "no identity", "newsletter", "mailstream dead-letters redrive")
	b.unfold().wants("someone@letters.example", "another@letters.example")
}

func TestRules_AreTriedOnThePast(t *testing.T) {
	t.Parallel()
	b := open(t, shop(t).url()).visit("/rules", 200).wants("Judged")
	b.press(`form[action="/rules/backtest"] button`, 200).wants("messages a week", "really fired")
}

// TestDeliverability_AnswersByGetAndAsCSV narrows the rates by the form.
func TestDeliverability_AnswersByGetAndAsCSV(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).visit("/deliverability", 200)
	b.do(chromedp.SendKeys(chromedp.CSS("select[name=range]"), "7d"), chromedp.SendKeys(chromedp.CSS("select[name=by]"), "campaign"), chromedp.SendKeys(chromedp.CSS("select[name=source]"), "shop"))
	b.press(".filters button", 200).wants("By campaign", "order", "parcel", "review").lacks("weekly news")
	csv := eval[string](b, `fetch(document.querySelector("a.button[href*=csv]").href).then(r => r.text())`)
	if !strings.HasPrefix(csv, "campaign,n,delivered") || !strings.Contains(csv, "\norder,") {
		t.Errorf("the CSV is %.200s", csv)
	}
}

// TestScript_IsNotNeeded goes from a search to a lift without any.
func TestScript_IsNotNeeded(t *testing.T) {
	t.Parallel()
	w := shop(t)
	for _, address := range []string{"plain@list.example"} {
		status, text := w.call(t, w.stack.URL(pipeline.Suppression)+"/v1/suppressions", `{"address":"`+address+`","reason":"manual"}`, func(r *http.Request) {
			r.Method = http.MethodPut
			r.Header.Set("Authorization", "Bearer dev")
		})
		if status >= 300 {
			t.Fatalf("add answered %d %s", status, text)
		}
		w.suppressed(t, address, true)
	}
	b := open(t, w.url()).noScript().visit("/", 200).wants("Sources", "shop", "UTC")
	b.press(`nav a[href="/search"]`, 200).fill("#q", ana).press(".big-search button", 200).wants("Timeline", "Greylisted")
	b.press(`nav a[href="/deliverability"]`, 200).wants("Rate of blocked mail", "The numbers as a table")
	b.press(`nav a[href="/suppressions"]`, 200).fill(`form[action="/suppressions/check"] input[name=address]`, "plain@list.example").press(`form[action="/suppressions/check"] button`, 200)
	b.fill(`form[action="/suppressions/lift"] input[name=note]`, "no script").press(`form[action="/suppressions/lift"] button`, 200).wants("lifted")
	w.suppressed(t, "plain@list.example", false)
}

// TestKeyboard_IsEnough lifts a suppression by keys alone.
func TestKeyboard_IsEnough(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).visit("/", 200)
	b.keys("\t")
	if got := eval[string](b, "document.activeElement.textContent"); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}
	b.tabTo(`nav a[href="/suppressions"]`).enter()
	b.tabTo(`form[action="/suppressions/check"] input[name=address]`).keys(keys)
	b.enter().wants(keys + " is suppressed")
	b.tabTo(`form[action="/suppressions/lift"] input[name=note]`).keys("by keyboard")
	b.enter().wants("The suppression was lifted")
	w.suppressed(t, keys, false)
}

// keys presses the keys.
func (b *tab) keys(keys string) *tab {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
	return b
}

// enter presses Enter and waits for the page it leads to.
func (b *tab) enter() *tab {
	b.t.Helper()
	b.load(chromedp.KeyEvent("\r"))
	return b
}

// tabTo goes on to an element by the key Tab, which shows where it is.
func (b *tab) tabTo(selector string) *tab {
	b.t.Helper()
	const stops = 60
	for range stops {
		b.keys("\t")
		if eval[bool](b, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			if eval[string](b, "getComputedStyle(document.activeElement).outlineStyle") == "none" {
				b.t.Errorf("%s does not show that it has the focus", selector)
			}
			return b
		}
	}
	b.t.Fatalf("%s is not reached by Tab at %s", selector, b.where())
	return b
}

// TestRefresh_LeavesThePageToWhoReadsIt has the overview renew itself below somebody who
// reads it by keyboard and has pushed a table aside on a telephone: the focus and the table
// stay, the numbers are new, and times are those of the viewer.
func TestRefresh_LeavesThePageToWhoReadsIt(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).size(320).visit("/", 200)
	const renewed = `new Promise((done) => {
		const links = [...document.querySelectorAll("#live tbody a")], link = links.at(-1), table = [...document.querySelectorAll("#live .scroll")].pop();
		const before = document.querySelector("#live .sub time").dateTime, is = (e) => e.closest("section").getAttribute("aria-labelledby") + " " + e.textContent;
		let asked = 0; const real = window.fetch; window.fetch = (...a) => { asked++; return real(...a) };
		link.focus(); table.scrollLeft = 90;
		const wanted = is(link);
		document.addEventListener("htmx:after:swap", () => setTimeout(() => {
			const now = document.querySelector("#live .sub time"), at = [...document.querySelectorAll("#live .scroll")].pop().scrollLeft, e = document.activeElement;
			window.fetch = real;
			done([asked === 1 ? "" : "it asked " + asked + " times", e.closest("section") && is(e) === wanted ? "" : "the focus is at " + e.tagName, at === 90 ? "" : "the table is at " + at, now.dateTime !== before ? "" : "the page is of " + before, [...document.querySelectorAll("#live time")].some((t) => t.textContent.includes("UTC")) ? "a time is in UTC" : ""].filter(Boolean).join("; "));
		}, 0), { once: true });
		document.querySelector("#live").dispatchEvent(new CustomEvent("every"));
	})`
	for range 2 {
		if got := eval[string](b, renewed); got != "" {
			t.Errorf("after it was renewed: %s", got)
		}
	}
}

// TestPaper_TimesHaveRoom prints what happened: a time, which has its zone there, ends before
// the line of what happened begins.
func TestPaper_TimesHaveRoom(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).size(718)
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	b.check(err)
	b.visit(w.incident(t, domainShow), 200)
	const over = `[...document.querySelectorAll(".timeline .t time")].map((t) => { const r = document.createRange(); r.selectNodeContents(t); return r.getBoundingClientRect().right - t.closest("li").querySelector("div").getBoundingClientRect().left })`
	list := eval[[]float64](b, over)
	for _, px := range list {
		if px > -8 { // the mark of a step
			t.Errorf("a time ends %.0f px behind the line", px)
		}
	}
	if len(list) == 0 {
		t.Error("nothing happened")
	}
}

// TestRefresh_SaysWhereItFails has the overview get no answer, that of a proxy, the form to
// sign in, and the page again, first with a part away: it is never empty, says that it is old
// while it is, and names what is missing.
func TestRefresh_SaysWhereItFails(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url()).visit("/", 200)
	const answered = `(async () => {
		const real = window.fetch, html = (text, status) => () => Promise.resolve(new Response(text, { status, headers: { "content-type": "text/html" } }));
		const page = await (await real("/")).text(), notice = "<p class=\"message warn\">ClickHouse: it does not answer.</p>", said = [];
		for (const answer of [() => Promise.reject(new TypeError("no network")), html("<h1>Bad Gateway</h1>", 502), html("<main><form action=/login></form></main>", 200), html(page.replace(/(id="messages"[^>]*>)/, "$1" + notice), 200), html(page, 200)]) {
			window.fetch = answer;
			const end = new Promise((done) => document.addEventListener("htmx:finally:request", () => setTimeout(done, 0), { once: true }));
			document.querySelector("#live").dispatchEvent(new CustomEvent("every"));
			await end;
			const text = document.querySelector("main").innerText;
			said.push([/is not renewed/.test(text), /ClickHouse: it does not answer/.test(text), /Last 24 hours/.test(text)].map(Number).join(""));
		}
		window.fetch = real;
		return said.join(" ");
	})()`
	if got := eval[string](b, answered); got != "101 101 101 011 001" {
		t.Errorf("old, a part named, numbers there: %s, want 101 for no answer, a proxy's and the form, 011 with a part away, 001", got)
	}
}

// TestClickHouseAway_PagesSayWhatIsKnown reads all pages while SQL is away.
func TestClickHouseAway_PagesSayWhatIsKnown(t *testing.T) {
	t.Parallel()
	w := shop(t)
	url := w.console(t, "MAILSTREAM_CLICKHOUSE_URL=http://127.0.0.1:1")
	b := open(t, url)
	hash := w.sql(t, "SELECT any(recipient_hash) FROM events WHERE recipient = '"+ana+"'")[0]
	for _, path := range []string{"/", "/sources/shop", "/deliverability", "/incidents", w.incident(t, domainShow), "/people/" + hash, "/suppressions", "/dead-letters"} {
		b.visit(path, 200).wants("ClickHouse")
	}
	b.visit("/", 200).wants(domainShow, "shop", "unknown").lacks("All is well", "none in 8 days")
	b.visit("/rules", 200).wants("Judged")
	b.visit("/search", 200).fill("#q", ana).press(".big-search button", 200).wants("ClickHouse")
}

// TestServicesAway_PagesSayWhatIsKnown reads the pages while the services are away;
// nothing can be changed.
func TestServicesAway_PagesSayWhatIsKnown(t *testing.T) {
	t.Parallel()
	w := shop(t)
	url := w.console(t, "MAILSTREAM_CONSOLE_SUPPRESSION_URL=http://127.0.0.1:1", "MAILSTREAM_CONSOLE_ALERTING_URL=http://127.0.0.1:1", "MAILSTREAM_CONSOLE_INGRESS_METRICS_URL=http://127.0.0.1:1/metrics")
	b := open(t, url)
	b.visit("/", 200).wants("The alerting service", "The suppression service", domainShow, "newsletter").lacks("All is well")
	b.visit("/sources/shop", 200).wants("The ingress", "Events by hour")
	b.visit("/incidents", 200).wants("The alerting service", domainShow)
	b.visit(w.incident(t, domainShow), 200).wants("The alerting service", domainShow, "What changed")
	b.visit("/suppressions", 200).wants("The suppression service", "hard bounce")
	b.fill(`form[action="/suppressions/add"] input[name=address]`, "late@list.example").press(`form[action="/suppressions/add"] button`, http.StatusServiceUnavailable)
	b.wants("A service is away", "nothing was changed")
}

// TestNothing_SaysWhatToDoNext reads the pages of a stack that has received nothing.
func TestNothing_SaysWhatToDoNext(t *testing.T) {
	t.Parallel()
	w := nothing(t)
	b := open(t, w.url())
	b.visit("/", 200).wants("No event yet", "Open one below", "none in 8 days").lacks("All is well")
	b.visit("/sources/shop", 200).wants("No event in the last 8 days", "/v1/webhooks/shop", "mailstream simulate --source shop --url "+w.stack.URL(pipeline.Ingress))
	b.visit("/sources/newsletter", 200).wants("curl -u USERNAME:PASSWORD", "/v1/webhooks/newsletter")
	b.visit("/deliverability", 200).wants("No mail in this time")
	b.visit("/incidents", 200).wants("No incident is open")
	b.visit("/suppressions", 200).wants("No entry")
	b.visit("/dead-letters", 200).wants("No dead letter")
	b.visit("/rules", 200).wants("No alert is known")
	b.visit("/search", 200).fill("#q", "nobody@example.com").press(".big-search button", 200).wants("No event is known of this person")
	source := axe(t)
	for _, path := range []string{"/", "/sources/shop", "/deliverability", "/suppressions", "/dead-letters", "/incidents"} {
		b.visit(path, 200)
		for _, f := range findings(b, source) {
			t.Errorf("%s: %s: %v", path, f.Help, f.Nodes)
		}
	}
}
