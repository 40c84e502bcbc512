//go:build browser

package browsertest

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"io"
	"testing"

	"github.com/chromedp/chromedp"
)

//go:embed axe/axe.min.js.gz
var axePacked []byte

func axe(t *testing.T) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(axePacked))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// everyPage are the addresses of all pages, with data.
func (w *world) everyPage(t *testing.T) []string {
	t.Helper()
	hash := w.sql(t, "SELECT any(recipient_hash) FROM events WHERE recipient = '"+ana+"'")[0]
	return []string{
		"/", "/sources/shop", "/sources/newsletter", "/sources/surveys", "/deliverability", "/deliverability?range=7d&show=bounced&by=campaign", "/incidents", w.incident(t, domainShow),
		"/search", "/people/" + hash, "/messages/shop/story-1", "/suppressions", "/dead-letters", "/rules", "/audit", "/login", "/no-such-page",
	}
}

// finding is what axe has against a page.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string `json:"html"`
		FailureSummary string `json:"failureSummary"`
	}
}

// findings has axe look at the page, by the rules of WCAG and by those of best practice.
func findings(b *tab, source string) (list []finding) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](source))
	text := eval[string](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		b.t.Fatal(err)
	}
	return list
}

// TestPages_CanBeUsedByEverybody looks at every page in three widths and both schemes.
func TestPages_CanBeUsedByEverybody(t *testing.T) {
	t.Parallel()
	w, source := shop(t), axe(t)
	for _, path := range w.everyPage(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b := open(t, w.url())
			for _, look := range []struct {
				width  int64
				scheme string
			}{{1440, "light"}, {768, "light"}, {320, "dark"}} {
				b.scheme(look.scheme).size(look.width)
				b.load(chromedp.Navigate(w.url() + path))
				if wide := eval[string](b, wider); wide != "" {
					t.Errorf("%s at %d px scrolls sideways: %s", path, look.width, wide)
				}
				if look.width == 768 {
					continue // the same elements and colours as in the other two
				}
				for _, f := range findings(b, source) {
					for _, n := range f.Nodes {
						t.Errorf("%s at %d px, %s: %s (%s): %s: %.300s", path, look.width, look.scheme, f.Help, f.Impact, n.FailureSummary, n.HTML)
					}
				}
			}
		})
	}
}

// TestPages_TakeTheLongestNames has names of all lengths and scripts on the pages.
func TestPages_TakeTheLongestNames(t *testing.T) {
	t.Parallel()
	w := nothing(t)
	w.longNames(t)
	hash := w.sql(t, "SELECT any(recipient_hash) FROM events WHERE recipient = '"+longAddress+"'")[0]
	b := open(t, w.url())
	for _, width := range []int64{320, 768, 1440, 3840} {
		b.size(width)
		for _, path := range []string{"/", "/people/" + hash, "/sources/" + longSource, "/incidents", w.incident(t, longDomain), "/deliverability?by=domain", "/deliverability?by=campaign", "/suppressions", "/rules"} {
			b.visit(path, 200)
			if wide := eval[string](b, wider); wide != "" {
				t.Errorf("%s at %d px scrolls sideways: %s", path, width, wide)
			}
		}
	}
	b.visit("/people/"+hash, 200).wants(longAddress, longCampaign, "תזכורת", "ご注文の確認")
}

// wider names what is wider than the window, "" for nothing.
const wider = `(() => {
  const all = document.documentElement;
  if (all.scrollWidth <= all.clientWidth) return "";
  const out = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > all.clientWidth + 1 && !e.closest(".scroll") && !e.closest("nav"));
  return all.scrollWidth + " px: " + out.slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(" | ");
})()`
