//go:build browser

package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/mailstream/mailstream/devstack/engine"
)

// chromium is the browser that the tests run in, set by TestMain.
var chromium struct {
	path string
	ctx  context.Context // of one browser, which the tests share, each with cookies of its own
}

// findChromium returns the program of the browser: CHROMIUM, or the one in the path.
func findChromium() (string, error) {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find chromium: there is none in the path: run `apt-get install chromium`, or name one in the variable CHROMIUM")
}

func TestMain(m *testing.M) {
	if engine.IsChild(os.Args) {
		os.Exit(engine.ChildMain())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	path, err := findChromium()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Without the sandbox it also runs as root and in containers; it sees only pages of
	// this test.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("lang", "en-GB"))
	allocator, endBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	defer endBrowser()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "start chromium:", err)
		return 1
	}
	chromium.path, chromium.ctx = path, ctx
	code := m.Run()
	if err := stopWorlds(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
