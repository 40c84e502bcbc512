//go:build browser

package browsertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is one tab of the browser, with cookies of its own.
type tab struct {
	t      *testing.T
	ctx    context.Context
	base   string
	status int64 // of the latest page

	mu     sync.Mutex
	faults []string // what the browser complained of; guarded by mu
}

// open opens a tab for the pages at base. What the browser complains of, such as a
// script that the policy forbids or one that failed, fails the test.
func open(t *testing.T, base string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, base: base}
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	_, err := chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Madrid"})
	b.check(err)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Errorf("the browser says: %s", fault)
		}
	})
	return b
}

// heard keeps what the browser complains of.
func (b *tab) heard(event any) {
	fault := ""
	switch e := event.(type) {
	case *cdplog.EventEntryAdded:
		// A page may answer 4xx; that is no fault of the page.
		if e.Entry.Level == cdplog.EntryLevelError && e.Entry.Source != cdplog.EntrySourceNetwork {
			fault = e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		fault = e.ExceptionDetails.Text
	case *page.EventJavascriptDialogOpening:
		fault = "a dialog opened: " + e.Message
	}
	if fault != "" {
		b.mu.Lock()
		b.faults = append(b.faults, fault)
		b.mu.Unlock()
	}
}

// do runs actions and fails the test where one fails.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ask(b, chromedp.Steps(actions...))
}

// ask runs an action and returns its value.
func ask[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/2)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	b.check(err)
	return v
}

func (b *tab) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("browser at %s: %v", b.where(), err)
	}
}

// load runs actions that lead to a page and waits for it.
func (b *tab) load(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience/2)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, actions...)
	b.check(err)
	b.status = resp.Status
}

func (b *tab) where() string {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	url, _ := chromedp.Run(ctx, chromedp.Location()) // it is for a message only
	return url
}

// visit opens a page and wants its status.
func (b *tab) visit(path string, status int64) *tab {
	b.t.Helper()
	b.load(chromedp.Navigate(b.base + path))
	if b.status != status {
		b.t.Errorf("%s answered %d, want %d: %.300s", path, b.status, status, b.text("main"))
	}
	return b
}

// size gives the window a width.
func (b *tab) size(width int64) *tab {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 900))
	return b
}

// dark has the viewer prefer one of the schemes, and no motion.
func (b *tab) scheme(name string) *tab {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	b.check(err)
	return b
}

// noScript turns JavaScript of pages off.
func (b *tab) noScript() *tab {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.check(err)
	return b
}

// fill writes into the field that matches.
func (b *tab) fill(selector, text string) *tab {
	b.t.Helper()
	at := chromedp.CSS(selector)
	b.do(chromedp.WaitVisible(at), chromedp.SendKeys(at, text))
	return b
}

// press clicks on what matches and waits for the page it leads to.
func (b *tab) press(selector string, status int64) *tab {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)))
	b.load(chromedp.Click(chromedp.CSS(selector)))
	if b.status != status {
		b.t.Errorf("%s leads to %s with %d, want %d: %.300s", selector, b.where(), b.status, status, b.text("main"))
	}
	return b
}

// text returns what can be read in the element that matches.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return ask(b, chromedp.Text(chromedp.CSS(selector)))
}

// wants fails where one of the texts cannot be read in the page.
func (b *tab) wants(texts ...string) *tab {
	b.t.Helper()
	all := strings.ReplaceAll(b.text("main"), "\u00a0", " ")
	for _, text := range texts {
		if !strings.Contains(strings.ToLower(all), strings.ToLower(text)) {
			b.t.Errorf("no %q at %s:\n%.1500s", text, b.where(), all)
		}
	}
	return b
}

// lacks fails where one of the texts can be read in the page.
func (b *tab) lacks(texts ...string) *tab {
	b.t.Helper()
	all := eval[string](b, "document.documentElement.outerHTML")
	for _, text := range texts {
		if strings.Contains(all, text) {
			b.t.Errorf("%q is at %s", text, b.where())
		}
	}
	return b
}

// unfold opens all that is folded.
func (b *tab) unfold() *tab {
	b.t.Helper()
	eval[bool](b, `[...document.querySelectorAll("details")].every(d => d.open = true)`)
	return b
}

// eval runs an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// incident returns the path of the open incident about a domain.
func (w *world) incident(t *testing.T, domain string) string {
	t.Helper()
	rows := w.sql(t, fmt.Sprintf("SELECT incident FROM alerts WHERE labels['recipient_domain'] = '%s' AND state != 'pending' ORDER BY since DESC LIMIT 1", domain))
	if len(rows) != 1 {
		t.Fatalf("no incident about %s", domain)
	}
	return "/incidents/" + rows[0]
}
