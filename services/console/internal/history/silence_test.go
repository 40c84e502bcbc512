package history

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// deaf takes connections on network and answers nothing, and counts those that it has.
func deaf(t *testing.T, network *kfake.VirtualNetwork) (url string, connections *atomic.Int64) {
	t.Helper()
	listener, err := network.Listen("tcp", "127.0.0.1:8123")
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int64{}
	var (
		mu   sync.Mutex
		open []net.Conn
	)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			connections.Add(1)
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close() // it only has to end
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			_ = c.Close() // nothing was sent
		}
	})
	return "http://" + listener.Addr().String(), connections
}

// TestAsk_WaitsOnceForAServerThatIsSilent has many questions at once, one after another and
// some time later, to a server that takes connections and never answers.
func TestAsk_WaitsOnceForAServerThatIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg, network := clickhouse.Default(), new(kfake.VirtualNetwork)
		var connections *atomic.Int64
		cfg.URL, connections = deaf(t, network)
		cfg.Dial = network.DialContext
		db, err := clickhouse.Open(cfg, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() }) // it has no answer to wait for
		r := New(db, false, nil)
		ask := func(n int) (refused int) {
			errs := make([]error, n)
			var g sync.WaitGroup
			for i := range errs {
				g.Go(func() { _, _, errs[i] = r.Events(t.Context(), Selection{Hash: "a1"}) })
			}
			g.Wait()
			for _, err := range errs {
				if err == nil {
					t.Fatal("a question is answered")
				}
				if errors.Is(err, errSilent) {
					refused++
				}
			}
			return refused
		}
		if refused := ask(3 * queriesMax); refused != 2*queriesMax {
			t.Errorf("of %d questions at once %d are not asked, want %d", 3*queriesMax, refused, 2*queriesMax)
		}
		before := connections.Load()
		if refused := ask(1); refused != 1 || connections.Load() != before {
			t.Errorf("the next question is asked")
		}
		time.Sleep(silenceSpan)
		if refused := ask(3 * queriesMax); refused != 2*queriesMax {
			t.Errorf("after %s %d questions are not asked, want %d", silenceSpan, refused, 2*queriesMax)
		}
		if refused := ask(1); refused != 1 {
			t.Errorf("after the second silence something is asked")
		}
	})
}
