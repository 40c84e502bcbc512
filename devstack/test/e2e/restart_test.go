package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/servicetest"
)

func TestStack_RestartFindsEverythingAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	items := sheet("kept", time.Now().Add(-time.Minute))
	w.post(http.StatusOK, bodies(t, items, false)[0])
	count := fmt.Sprint(len(items))
	w.wantSQL("SELECT count() FROM events", count)
	servicetest.EventuallyOr(w.t, func() bool { return len(w.check("marketing", "kept-hard@example.com", "kept-unsub@example.com")) == 2 }, func() string { return "suppressions" })
	for range 2 {
		w.stop()
		w.start()
		w.wantSQL("SELECT count() FROM events", count)
		if got := w.check("marketing", "kept-hard@example.com", "kept-unsub@example.com", "kept-sent@example.com"); len(got) != 2 {
			t.Errorf("after the restart suppressed: %v", got)
		}
	}
	w.post(http.StatusOK, bodies(t, items, false)[0])
	w.post(http.StatusOK, bodies(t, sheet("new", time.Now()), false)[0])
	w.wantSQL("SELECT count() FROM events", fmt.Sprint(2*len(items)))
}
