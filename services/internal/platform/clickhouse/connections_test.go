package clickhouse_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/servicetest"
)

// A service that waits for a server with other rights asks it for hours.
func TestClient_ARefusalLeavesNoConnection(t *testing.T) {
	t.Parallel()
	const asks = 20
	var open atomic.Int64
	changed := make(chan struct{}, 10*asks)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-ClickHouse-Exception-Code", "516")
		http.Error(w, "Code: 516. DB::Exception: Authentication failed", http.StatusForbidden)
	}))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
		changed <- struct{}{}
	}
	srv.Start()
	defer srv.Close()
	cfg := clickhouse.Default()
	cfg.URL = srv.URL
	c, err := clickhouse.Open(cfg, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for range asks {
		if err := c.Ping(t.Context()); err == nil {
			t.Fatal("Ping succeeds at a server that refuses")
		}
	}
	if n := open.Load(); n > 1 {
		t.Errorf("%d connections are open after %d refusals, want one", n, asks)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.After(servicetest.Patience); open.Load() > 0; {
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%d connections are open after Close", open.Load())
		}
	}
}
