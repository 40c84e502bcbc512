package suppression_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

// longTopic publishes more than an empty store reads record by record: some addresses
// more than once, one that is no more, a pattern, and what no record of ours looks like.
func longTopic(t *testing.T, cfg kafka.Config) {
	t.Helper()
	var recs []*kgo.Record
	for i := range 21_000 {
		recs = append(recs, stateRecord(t, fmt.Sprintf("u%d@example.com", i), manual("account", i%7)))
	}
	for i := range 50 {
		recs = append(recs, stateRecord(t, fmt.Sprintf("u%d@example.com", i), manual("list:1", i%7)))
	}
	gone := stateRecord(t, "u7@example.com")
	gone.Value = nil
	odd := stateRecord(t, "u8@example.com")
	odd.Value = []byte(`{"recipient_hash":1}`)
	recs = append(recs, gone, odd, stateRecord(t, "*@blocked.example", manual("account", 1)))
	kafkatest.Produce(t, cfg, recs...)
}

// exported is the whole list, in the order of keys.
func (r *replica) exported() string {
	r.tb.Helper()
	return string(r.read("/v1/suppressions/export?format=ndjson"))
}

func TestService_AnEmptyStoreIsFilledFromALongTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		before := start(t, options{broker: broker}) // follows record by record
		longTopic(t, cfg)
		core, logs := observer.New(zap.InfoLevel)
		dir := t.TempDir()
		filled := start(t, options{broker: broker, dir: dir, log: zap.New(core)})
		if logs.FilterMessage("local store filled").Len() != 1 {
			t.Error("the store was read record by record")
		}
		want := filled.exported()
		servicetest.Eventually(t, "who followed the topic has the same list", func() bool { return before.exported() == want })
		for addr, reason := range map[string]string{
			"u3@example.com": "manual", "u7@example.com": "", "u8@example.com": "manual", "ana@blocked.example": "manual", "u20999@example.com": "manual", "nobody@example.com": "",
		} {
			filled.wantCheck(addr, "marketing", reason)
		}
		if err := filled.stop(); err != nil {
			t.Fatal(err)
		}
		anew := start(t, options{broker: broker, dir: dir, log: zap.New(core)})
		if got := anew.exported(); got != want || logs.FilterMessage("local store filled").Len() != 1 {
			t.Errorf("started once more: %d bytes, want %d", len(got), len(want))
		}
	})
}
