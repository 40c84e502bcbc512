//go:build browser

package browsertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/stack"
	"github.com/mailstream/mailstream/devstack/test/consoletest"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// patience bounds every wait; it is far above what a wait should take.
const patience = servicetest.Patience

// sources are those of the shop whose mail the pages show.
var sources = `ingress:
  allow_unauthenticated: true
  sources:
    - {name: newsletter, provider: mailjet, auth: {basic: {username: dev, password: dev}}}
    - {name: shop, provider: sendgrid, auth: none}
    - {name: receipts, provider: postmark, auth: none}
    - {name: surveys, provider: brevo, auth: none}
    - {name: parcels, provider: brevo, auth: none}
    - {name: ` + longSource + `, provider: sendgrid, auth: none}
`

// world is one running stack.
type world struct {
	dir    string
	stack  *stack.Stack
	cancel context.CancelFunc
	done   chan error
	now    time.Time // when it was filled
}

// worlds are all that run, to be stopped after the tests.
var worlds struct {
	sync.Mutex
	running []*world // guarded by the mutex
	shared  *world   // the one with the mail of the shop; guarded by the mutex
	begun   bool     // whether it was tried to make it; guarded by the mutex
}

// shop returns the stack that has the mail of the shop; the first call fills it.
func shop(t *testing.T) *world {
	t.Helper()
	worlds.Lock()
	defer worlds.Unlock()
	if worlds.shared == nil {
		if worlds.begun {
			t.Fatal("the mail of the shop could not be played, see the first test")
		}
		worlds.begun = true
		w := start(t)
		w.fill(t)
		worlds.shared = w
	}
	return worlds.shared
}

// nothing returns a stack that has never received anything.
func nothing(t *testing.T) *world {
	t.Helper()
	worlds.Lock()
	defer worlds.Unlock()
	return start(t)
}

func start(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "browsertest")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "own.yaml")
	if err := os.WriteFile(file, []byte(sources), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := stack.New(stack.Options{DataDir: filepath.Join(dir, "data"), ConfigFile: file, FreePorts: true, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{dir: dir, stack: s, cancel: cancel, done: make(chan error, 1), now: time.Now().UTC()}
	go func() { w.done <- s.Run(ctx) }()
	worlds.running = append(worlds.running, w)
	select {
	case <-s.Ready():
	case err := <-w.done:
		w.done <- err
		t.Fatalf("stack ended: %v", err)
	case <-time.After(5 * patience): // the first start fetches the engine
		t.Fatal("stack is not ready")
	}
	return w
}

func stopWorlds() error {
	worlds.Lock()
	defer worlds.Unlock()
	var errs []error
	for _, w := range worlds.running {
		w.cancel()
		select {
		case err := <-w.done:
			errs = append(errs, err)
		case <-time.After(patience):
			errs = append(errs, errors.New("stop stack: it does not end"))
		}
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// console starts another console over the same stack, configured otherwise by
// variables, and returns its base URL.
func (w *world) console(t *testing.T, environ ...string) string {
	t.Helper()
	return consoletest.Start(t, w.stack, "", environ...)
}

// url is the base of the pages that everybody on this host may use.
func (w *world) url() string { return w.stack.URL(pipeline.Console) }

// send posts items to a source in groups.
func (w *world) send(t *testing.T, source string, items []string) {
	t.Helper()
	const group = 500
	for part := range slices.Chunk(items, group) {
		w.post(t, source, "["+strings.Join(part, ",")+"]")
	}
}

func (w *world) post(t *testing.T, source, body string) {
	t.Helper()
	if status, text := w.try(t, source, body, "dev"); status != http.StatusOK {
		t.Fatalf("webhook of %s answered %d %s", source, status, text)
	}
}

// try posts a body with a password and returns the answer.
func (w *world) try(t *testing.T, source, body, password string) (int, string) {
	t.Helper()
	return w.call(t, w.stack.URL(pipeline.Ingress)+"/v1/webhooks/"+source, body, func(r *http.Request) { r.SetBasicAuth("dev", password) })
}

func (w *world) call(t *testing.T, url, body string, edit func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	edit(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// sql returns the rows of a query, tab-separated.
func (w *world) sql(t *testing.T, query string) []string {
	t.Helper()
	status, text := w.call(t, w.stack.ClickHouse()+"/?database=mailstream", query, func(*http.Request) {})
	if status != http.StatusOK {
		t.Fatalf("query answered %d: %s\n%s", status, text, query)
	}
	if text = strings.TrimSuffix(text, "\n"); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// wantSQL waits until query returns the rows.
func (w *world) wantSQL(t *testing.T, query string, want ...string) {
	t.Helper()
	var got []string
	servicetest.EventuallyOr(t, func() bool { got = w.sql(t, query); return slices.Equal(got, want) }, func() string {
		return fmt.Sprintf("%s\ngot  %q\nwant %q", query, got, want)
	})
}
