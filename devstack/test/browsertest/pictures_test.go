//go:build browser

package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// readme writes a picture for the README.
func (b *tab) readme(folder, name, path, scheme string) {
	b.t.Helper()
	b.scheme(scheme)
	b.do(chromedp.EmulateViewport(1200, 760))
	b.load(chromedp.Navigate(b.base + path))
	if err := os.WriteFile(filepath.Join(folder, "console-"+name+".png"), ask(b, chromedp.CaptureScreenshot()), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// TestPictures writes every page in three widths and both schemes to the folder that
// the variable PICTURES names, to be looked at; without one it only takes them.
func TestPictures(t *testing.T) {
	t.Parallel()
	w := shop(t)
	folder := os.Getenv("PICTURES")
	paths, widths := w.everyPage(t), []int64{1440, 768, 320}
	if folder == "" {
		paths, widths = paths[:1], widths[:1]
	}
	b := open(t, w.url())
	if folder != "" {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		// Those of the README: what fits on a screen.
		b.readme(folder, "overview", "/", "light")
		b.readme(folder, "incident", w.incident(t, domainShow), "dark")
	}
	for _, path := range paths {
		name := "page" + strings.TrimRight(strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "-").Replace(path), "-")
		if parts := strings.Split(path, "/"); len(parts) == 3 && (parts[1] == "people" || parts[1] == "incidents") {
			name = parts[1] + "-one" // its own name differs each time
		}
		for _, width := range widths {
			for _, scheme := range []string{"light", "dark"} {
				b.scheme(scheme).size(width)
				b.load(chromedp.Navigate(w.url() + path))
				picture := ask(b, chromedp.FullScreenshot(100))
				if len(picture) < 5_000 {
					t.Errorf("%s: a picture of %d bytes", path, len(picture))
				}
				if folder == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
