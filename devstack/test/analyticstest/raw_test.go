package analyticstest

import (
	"testing"

	"github.com/mailstream/mailstream/services/servicetest"
)

func TestRaw_IsEmptiedPastItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sql(t, `INSERT INTO event_log (id, type, time, received_at, provider, source, recipient, raw)
SELECT generateUUIDv4(), 'delivered', now64(3) - toIntervalDay(number), now64(3) - toIntervalDay(number), 'mailjet', 'acme', 'ana@example.com', '{}' FROM numbers(60)`)
	_, stop := w.analytics(t)
	defer stop()
	servicetest.Eventually(t, "raw of before 30 days is empty", func() bool {
		return w.sql(t, "SELECT countIf(raw = ''), countIf(recipient = '') FROM event_log") == "30\t0"
	})
	w.wantSQL(t, "SELECT min(received_at) > now() - INTERVAL 31 DAY FROM event_log WHERE raw != ''", "1")
}
