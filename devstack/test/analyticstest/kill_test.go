package analyticstest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// ownEngine is an engine that a test may kill, on a port and a folder it finds
// again.
type ownEngine struct {
	cfg    engine.Config
	now    *engine.Engine
	ended  chan error
	cancel context.CancelFunc
}

func newOwnEngine(t *testing.T) *ownEngine {
	t.Helper()
	return newOwnEngineAt(t, func(string) {})
}

// newOwnEngineAt starts on a folder that fill has filled.
func newOwnEngineAt(t *testing.T, fill func(dir string)) *ownEngine {
	t.Helper()
	e := &ownEngine{cfg: engine.Default()}
	e.cfg.Listen, e.cfg.DataDir = servicetest.FreePort(t).Addr, filepath.Join(t.TempDir(), "clickhouse")
	fill(e.cfg.DataDir)
	e.start(t)
	t.Cleanup(func() {
		e.cancel()
		<-e.ended
	})
	return e
}

func (e *ownEngine) start(t *testing.T) {
	t.Helper()
	var err error
	if e.now, err = engine.New(e.cfg, nil); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, e.cancel = context.WithCancel(context.Background())
	ended := make(chan error, 1)
	e.ended = ended
	now := e.now
	go func() { ended <- now.Run(ctx) }()
	select {
	case <-e.now.Ready():
	case err := <-ended:
		t.Fatalf("the engine ended before it was ready: %v", err)
	}
}

// kill ends the child as a power cut of its process would, and waits for it.
func (e *ownEngine) kill(t *testing.T) {
	t.Helper()
	process, err := os.FindProcess(e.now.Process())
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-e.ended; err == nil {
		t.Error("a killed engine ended without an error")
	}
}

// TestKills_NothingIsLostOrCountedTwice kills the engine and restarts analytics
// while events flow, some of them twice, and balances in the end.
func TestKills_NothingIsLostOrCountedTwice(t *testing.T) {
	t.Parallel()
	own := newOwnEngine(t)
	w := &world{engine: own.now, database: "killed"}
	w.startBroker(t)
	w.cfg = w.config(t, own.now.URL(), `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1s, seal_rest: 2s}`)
	if err := pipeline.ApplyTopics(t.Context(), w.cfg, logger(t)); err != nil {
		t.Fatal(err)
	}
	if err := pipeline.MigrateTables(t.Context(), w.cfg, logger(t)); err != nil {
		t.Fatal(err)
	}
	quiet := *w
	_, stop := quiet.quietAnalytics(t)

	acknowledged, end := w.keepPublishing(t)
	for range 3 {
		servicetest.Eventually(t, "more events", moreThan(acknowledged, 400))
		own.kill(t)
		servicetest.Eventually(t, "events while it is away", moreThan(acknowledged, 200))
		own.start(t)
		w.engine = own.now
		servicetest.Eventually(t, "events after it is back", moreThan(acknowledged, 200))
		stop()
		_, stop = w.quietAnalytics(t)
	}
	end()
	n := acknowledged.Load()
	w.wantSQL(t, "SELECT count(), uniqExact(id) FROM events", fmt.Sprintf("%d\t%d", n, n))
	w.wantSQL(t, "SELECT sum(events) FROM rates_1m", fmt.Sprint(n))
	w.wantSQL(t, "SELECT sum(events) FROM rates_1h", fmt.Sprint(n))
	w.wantSQL(t, "SELECT count() FROM messages WHERE delivered IS NOT NULL", fmt.Sprint(n))
	w.wantSQL(t, "SELECT count() FROM sealed_hours WHERE hour < toStartOfHour(now('UTC'))", "1")
	w.wantSQL(t, "SELECT sum(events) FROM rates_1h", fmt.Sprint(n))
	t.Logf("%d events, %s rows", n, w.sql(t, "SELECT sum(rows) FROM hour_rows"))
}

// quietAnalytics is analytics without a word about an engine that is away.
func (w *world) quietAnalytics(t *testing.T) (svc pipeline.Service, stop func()) {
	t.Helper()
	svc, err := pipeline.New(w.cfg, pipeline.Analytics, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return svc, stopper(t, servicetest.Run(t, svc.Run))
}

func moreThan(n *atomic.Int64, more int64) func() bool {
	from := n.Load()
	return func() bool { return n.Load() >= from+more }
}

// keepPublishing publishes different events, every third twice, until end is
// called; n counts the acknowledged ones once.
func (w *world) keepPublishing(t *testing.T) (n *atomic.Int64, end func()) {
	n = new(atomic.Int64)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i += 10 {
			var recs []*kgo.Record
			for k := i; k < i+10; k++ {
				e := eventAt(k, schemas.Delivered, base().Add(time.Duration(k)*time.Millisecond))
				recs = append(recs, record(&e))
				if k%3 == 0 {
					recs = append(recs, record(&e))
				}
			}
			if err := w.client.ProduceSync(context.Background(), recs...).FirstErr(); err != nil {
				if !strings.Contains(err.Error(), "closed") {
					t.Error(err)
				}
				return
			}
			n.Add(10)
			<-time.After(5 * time.Millisecond)
		}
	}()
	end = func() {
		cancel()
		<-done
	}
	t.Cleanup(end)
	return n, end
}
