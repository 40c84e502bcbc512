package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/servicetest"
)

// TestEngine_KilledUnderLoadIsStartedAgain kills the ClickHouse engine, and
// nothing else, while webhooks come in. The stack and its services live on, all
// are answered 200, and in the end every event has its row.
func TestEngine_KilledUnderLoadIsStartedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sent := 0
	post := func(batches int) {
		for range batches {
			var items []string
			for range 20 {
				sent++
				items = append(items, fmt.Sprintf(`{"event":"sent","time":%d,"MessageID":%d,"email":"p%d@example.com"}`, time.Now().Unix(), 19421777835146490+sent, sent))
			}
			w.post(200, "["+strings.Join(items, ",")+"]")
		}
	}
	for range 3 {
		post(10)
		before := w.stack.EngineProcess()
		process, err := os.FindProcess(before)
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		post(10)
		servicetest.EventuallyOr(w.t, func() bool { return w.stack.EngineProcess() != before }, func() string { return "another engine" })
		post(10)
	}
	w.wantSQL("SELECT count(), uniqExact(id) FROM events", fmt.Sprintf("%d\t%d", sent, sent))
	w.wantSQL("SELECT count() FROM messages WHERE delivered IS NOT NULL", fmt.Sprint(sent))
}
