package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// outage is a broker that can be taken away and given back with its data.
type outage struct {
	addr           string
	take, giveBack func() error
}

func TestBrokerAway_TheProviderIsToldToComeBack(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	w := prepareWorld(t, "MAILSTREAM_INGRESS_PUBLISH_TIMEOUT=2s")
	w.opt.Brokers = o.addr
	w.start()
	t.Cleanup(w.stop)

	accepted, refused, next := 0, 0, 0
	send := func() {
		next++
		at := time.Now().Unix()
		body := fmt.Sprintf(`{"event":"sent","time":%d,"MessageID":%d,"email":"p%d@example.net"}`, at, messageID+next, next)
		status, text := w.call(http.MethodPost, w.stack.URL(pipeline.Ingress)+"/v1/webhooks/mailjet", body, func(r *http.Request) { r.SetBasicAuth("dev", "dev") })
		switch status {
		case http.StatusOK:
			accepted++
		case http.StatusServiceUnavailable:
			refused++
			if n, err := strconv.Atoi(w.retryAfter); err != nil || n < 1 {
				t.Errorf("503 with Retry-After %q", w.retryAfter)
			}
		default:
			t.Fatalf("answered %d %s, want 200 or 503", status, text)
		}
	}
	servicetest.EventuallyOr(w.t, func() bool { send(); return accepted >= 20 }, func() string { return fmt.Sprintf("%d accepted with the broker there", accepted) })
	if err := o.take(); err != nil {
		t.Fatal(err)
	}
	before := refused
	for range 3 {
		send()
	}
	if refused != before+3 {
		t.Fatalf("%d of 3 refused with the broker away", refused-before)
	}
	if err := o.giveBack(); err != nil {
		t.Fatal(err)
	}
	before = accepted
	servicetest.EventuallyOr(w.t, func() bool { send(); return accepted > before }, func() string { return "nothing is accepted after the broker came back" })
	// What was refused may be stored as well, for its answer only said "again".
	var stored int
	servicetest.EventuallyOr(w.t, func() bool {
		rows := w.sql("SELECT uniqExact(message_id), count() FROM events")
		var total int
		_, err := fmt.Sscanf(strings.ReplaceAll(rows[0], "\t", " "), "%d %d", &stored, &total)
		return err == nil && stored == total && stored >= accepted
	}, func() string { return fmt.Sprintf("%d events stored, %d accepted", stored, accepted) })
}
