package analytics_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/analytics"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse/clickhousetest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	waitStep = 5 * time.Millisecond
	group    = "mailstream-analytics"
)

// world is a broker and a stand-in for ClickHouse.
type world struct {
	broker *kafkatest.Broker
	server *clickhousetest.Server
	reg    *prometheus.Registry
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{broker: kafkatest.StartBroker(t), server: clickhousetest.Start(t)}
	w.migrated()
	return w
}

// newVirtualWorld is newWorld on a network inside the process, for a synctest bubble.
func newVirtualWorld(t *testing.T) *world {
	t.Helper()
	b := kafkatest.StartVirtual(t)
	ln, err := b.Network.Listen("tcp", "127.0.0.1:8123")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{broker: b, server: clickhousetest.StartOn(t, ln)}
	w.migrated()
	return w
}

// migrated makes the stand-in answer that the migrations are there.
func (w *world) migrated() {
	var rows [][]any
	for n := range uint32(100) {
		rows = append(rows, []any{n})
	}
	w.server.Answer("FROM schema_migrations", []string{"version UInt32"}, rows...)
}

// start runs the service until the test ends or stop is called.
func (w *world) start(t *testing.T, change ...func(*analytics.Config)) (stop func()) {
	t.Helper()
	cfg := analytics.Default()
	cfg.Listen, cfg.FlushInterval = "127.0.0.1:0", 10*time.Millisecond
	ch := w.server.Config()
	if network := w.broker.Network; network != nil {
		cfg.Listen, cfg.MetricsListen, cfg.ListenFunc, ch.Dial = "127.0.0.1:8081", "127.0.0.1:9081", network.Listen, network.DialContext
	}
	for _, c := range change {
		c(&cfg)
	}
	w.reg = prometheus.NewRegistry()
	svc, err := analytics.New(cfg, nil, platform.Shared{Kafka: w.broker.Config, ClickHouse: ch, Log: kafkatest.Silent(), Registry: w.reg})
	if err != nil {
		t.Fatal(err)
	}
	r := servicetest.Start(t, svc)
	return func() {
		t.Helper()
		if err := r.Stop(); err != nil {
			t.Errorf("ended with %v", err)
		}
	}
}

func event(n int) schemas.Event {
	at := time.Date(2026, 11, 20, 10, 0, n%60, 0, time.UTC)
	return schemas.Event{
		ID: fmt.Sprintf("0193486f-5a00-8abc-9def-%012x", n), Type: schemas.Delivered, Time: at, ReceivedAt: at,
		Provider: "mailjet", Source: "acme", MessageID: fmt.Sprint(n), RecipientHash: fmt.Sprintf("%032x", n%13),
	}
}

func eventRecord(n int) *kgo.Record {
	e := event(n)
	return &kgo.Record{Topic: "email.delivered", Key: []byte(schemas.PartitionKey(&e)), Value: schemas.AppendJSON(nil, &e)}
}

func eventRecords(from, to int) []*kgo.Record {
	var recs []*kgo.Record
	for n := from; n < to; n++ {
		recs = append(recs, eventRecord(n))
	}
	return recs
}

// messages returns how often each message_id is stored.
func (w *world) messages() map[string]int {
	out := map[string]int{}
	for _, row := range w.server.Rows("event_log") {
		out[row["message_id"].(string)]++
	}
	return out
}

// settled waits until everything in topic is committed.
func (w *world) settled(t *testing.T, topic string) {
	t.Helper()
	servicetest.Eventually(t, "commits of "+topic, func() bool {
		committed := kafkatest.Committed(t, w.broker.Config, group, topic)
		for p, end := range kafkatest.Ends(t, w.broker.Config, topic) {
			if end > 0 && committed[p] < end {
				return false
			}
		}
		return true
	})
}

func (w *world) outcomes(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "mailstream_analytics_records_consumed_total":
				out["consumed"] = m.GetCounter().GetValue()
			case "mailstream_analytics_records_finished_total":
				out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return out
}
