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
	for _, path := range paths {
		name := strings.Trim(strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "-").Replace(path), "-")
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
