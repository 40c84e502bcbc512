package analyticstest

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/services/pipeline"
)

// cutter stands before an engine and kills it, or who asks it, once at each statement of a
// kind: by turns before the engine gets it, while it works on it, and when it is done.
type cutter struct {
	kill    func()
	forward http.Handler
	cuts    *regexp.Regexp // which statements

	mu  sync.Mutex
	cut map[string]bool // statements
}

// newCutter returns one before e, and its address. It has no kill yet.
func newCutter(t *testing.T, e *engine.Engine, cuts *regexp.Regexp) (*cutter, string) {
	t.Helper()
	to, err := url.Parse(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	c := &cutter{forward: proxy, cuts: cuts, cut: map[string]bool{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, server.URL
}

// cuttings is how many statements it has cut.
func (c *cutter) cuttings() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.cut)
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the engine went away
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c.mu.Lock()
	defer c.mu.Unlock()
	statement := cmp.Or(r.URL.Query().Get("query"), string(body)) // what is stored comes behind a statement in the URL
	if !c.cuts.MatchString(statement) || c.cut[statement] {
		c.forward.ServeHTTP(w, r)
		return
	}
	var g sync.WaitGroup
	defer g.Wait()
	switch len(c.cut) % 3 {
	case 1:
		g.Go(func() { c.forward.ServeHTTP(httptest.NewRecorder(), r) })
	case 2:
		c.forward.ServeHTTP(httptest.NewRecorder(), r)
	}
	c.cut[statement] = true
	c.kill()
	panic(http.ErrAbortHandler)
}

// TestMigrate_GoesOnAfterAKillInABackfill kills the engine at every backfill of a folder of
// the first version. A later run, on what is on disk, ends as one that nothing disturbed.
func TestMigrate_GoesOnAfterAKillInABackfill(t *testing.T) {
	t.Parallel()
	const name = "older"
	own := newOwnEngineAt(t, func(dir string) { unpack(t, olderFolder(name), dir) })
	c, through := newCutter(t, own.now, backfill)
	c.kill = func() { _ = syscall.Kill(own.now.Process(), syscall.SIGKILL) } // the loop below waits for its end
	w := &world{engine: own.now, database: olderDatabase}
	w.startBroker(t)
	w.cfg = w.config(t, through)
	for kills := 1; ; kills++ {
		err := pipeline.MigrateTables(t.Context(), w.cfg, zap.NewNop())
		if err == nil {
			break
		}
		if len(c.cut) != kills {
			t.Fatalf("after %d kills: %v", len(c.cut), err)
		}
		if err := <-own.ended; err == nil {
			t.Error("a killed engine ended without an error")
		}
		own.start(t)
	}
	if len(c.cut) < 5 {
		t.Errorf("%d backfills were cut: the test looks for another form", len(c.cut))
	}
	w.engine = own.now
	w.wantTruths(t, name)
}
