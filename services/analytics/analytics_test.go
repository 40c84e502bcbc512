package analytics_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/analytics"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse/clickhousetest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

func TestService_StoresAndCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	kafkatest.Produce(t, w.broker.Config, eventRecords(0, 500)...)
	w.settled(t, "email.delivered")
	got := w.messages()
	for n := range 500 {
		if got[fmt.Sprint(n)] != 1 {
			t.Errorf("message %d is stored %d times", n, got[fmt.Sprint(n)])
		}
	}
	if got := w.outcomes(t); got["consumed"] != 500 || got["stored"] != 500 || got["dead_lettered"] != 0 {
		t.Errorf("counters do not balance: %v", got)
	}
}

func TestService_ParksWhatItCannotReadAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	recs := eventRecords(0, 20)
	recs[7] = &kgo.Record{Topic: "email.delivered", Value: []byte(`{"id":`)}
	recs[13] = &kgo.Record{Topic: "email.alerts", Value: []byte(`{"fingerprint":5}`)}
	kafkatest.Produce(t, w.broker.Config, recs...)
	servicetest.Eventually(t, "the rows of the dead letters", func() bool { return len(w.server.Rows("dead_letter_log")) == 2 })
	for _, topic := range []string{"email.delivered", "email.alerts", "email.dead-letter"} { // what is committed is counted
		w.settled(t, topic)
	}
	reasons := map[string]string{}
	for _, rec := range kafkatest.ReadAll(t, w.broker.Config, "email.dead-letter") {
		var dl schemas.DeadLetter
		if err := json.Unmarshal(rec.Value, &dl); err != nil {
			t.Fatal(err)
		}
		reasons[string(dl.Bytes)] = dl.Reason
		if topic, _, _ := strings.Cut(dl.Origin, "/"); topic != "email.delivered" && topic != "email.alerts" {
			t.Errorf("origin is %q", dl.Origin)
		}
	}
	if reasons[`{"id":`] != "not_json" || reasons[`{"fingerprint":5}`] != "bad_field" || len(reasons) != 2 {
		t.Errorf("dead letters: %v", reasons)
	}
	if got := len(w.messages()); got != 18 {
		t.Errorf("%d events are stored, want the 18 good ones", got)
	}
	if got := w.outcomes(t); got["consumed"] != 22 || got["stored"] != 20 || got["dead_lettered"] != 2 {
		t.Errorf("counters do not balance: %v", got)
	}
}

func TestService_UnreadableDeadLetterDoesNotLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	kafkatest.Produce(t, w.broker.Config, &kgo.Record{Topic: "email.dead-letter", Value: []byte("not a dead letter")})
	w.settled(t, "email.dead-letter")
	if n := len(kafkatest.ReadAll(t, w.broker.Config, "email.dead-letter")); n != 1 {
		t.Errorf("%d records on the topic, want the one", n)
	}
	rows := w.server.Rows("dead_letter_log")
	if len(rows) != 1 || rows[0]["bytes"] != "not a dead letter" || rows[0]["service"] != "analytics" {
		t.Errorf("rows: %v", rows)
	}
}

func TestService_ClickHouseAwayHoldsAndCatchesUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault clickhousetest.Fault
		twice bool // rows may be there twice, for the table to collapse
	}{
		{"refuses", clickhousetest.Fault{Code: 202}, false},
		{"stores and hangs up", clickhousetest.Fault{Cut: true}, true},
		{"fails behind a 200", clickhousetest.Fault{Code: 999, Late: true}, true},
		{"has no table", clickhousetest.Fault{Code: 60}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var attempts atomic.Int64
			w.server.Fail(func(r clickhousetest.Request) clickhousetest.Fault {
				if strings.Contains(r.Statement, "INSERT") && attempts.Add(1) <= 4 {
					return tt.fault
				}
				return clickhousetest.Fault{}
			})
			w.start(t)
			kafkatest.Produce(t, w.broker.Config, eventRecords(0, 100)...)
			servicetest.Eventually(t, "the first attempts", func() bool { return attempts.Load() >= 2 })
			for p, o := range kafkatest.Committed(t, w.broker.Config, group, "email.delivered") {
				if o > 0 && attempts.Load() < 4 {
					t.Errorf("partition %d is committed at %d before its rows are stored", p, o)
				}
			}
			kafkatest.Produce(t, w.broker.Config, eventRecords(100, 200)...)
			w.settled(t, "email.delivered")
			got := w.messages()
			for n := range 200 {
				if c := got[fmt.Sprint(n)]; c < 1 || c > 1 && !tt.twice {
					t.Errorf("message %d is stored %d times", n, c)
				}
			}
			if got := w.outcomes(t); got["consumed"] != 200 || got["stored"] != 200 {
				t.Errorf("counters do not balance: %v", got)
			}
		})
	}
}

func TestService_FindsTheRowThatIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newVirtualWorld(t)
		// The stand-in cannot see into a request that it refuses, so it refuses by
		// size: every block with more than one row, and the third block of one.
		var single atomic.Int64
		w.server.Fail(func(r clickhousetest.Request) clickhousetest.Fault {
			if strings.Contains(r.Statement, "event_log") && (r.Rows > 1 || single.Add(1) == 3) {
				return clickhousetest.Fault{Code: 469}
			}
			return clickhousetest.Fault{}
		})
		w.start(t)
		kafkatest.Produce(t, w.broker.Config, eventRecords(0, 16)...)
		w.settled(t, "email.delivered")
		servicetest.Eventually(t, "the row of the dead letter", func() bool { return len(w.server.Rows("dead_letter_log")) == 1 })
		if row := w.server.Rows("dead_letter_log")[0]; row["reason"] != "rejected" {
			t.Errorf("dead letter: %v", row)
		}
		if n := len(w.messages()); n != 15 {
			t.Errorf("%d events are stored, want 15", n)
		}
	})
}

func TestService_BlockTooLargeForTheServerIsHalved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Fail(func(r clickhousetest.Request) clickhousetest.Fault {
		if r.Rows > 10 {
			return clickhousetest.Fault{Code: 241}
		}
		return clickhousetest.Fault{}
	})
	w.start(t)
	kafkatest.Produce(t, w.broker.Config, eventRecords(0, 100)...)
	w.settled(t, "email.delivered")
	if n := len(w.messages()); n != 100 {
		t.Errorf("%d events are stored, want 100", n)
	}
}

func TestService_SpreadsABatchOfManyDaysOverInserts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const days = 450
	recs := []*kgo.Record{{Topic: "email.delivered", Value: []byte("{")}}
	for n := range 2 * days {
		e := event(n)
		e.Time = e.Time.AddDate(0, 0, -n%days)
		recs = append(recs, &kgo.Record{Topic: "email.delivered", Key: []byte("one partition"), Value: schemas.AppendJSON(nil, &e)})
	}
	kafkatest.Produce(t, w.broker.Config, recs...)
	w.start(t, func(c *analytics.Config) { c.FlushInterval = time.Second }) // one batch
	w.settled(t, "email.delivered")
	if n := len(w.messages()); n != 2*days {
		t.Errorf("%d events are stored, want %d", n, 2*days)
	}
	for _, r := range w.server.Requests() {
		if strings.Contains(r.Statement, "event_log") && r.Rows > 400 {
			t.Errorf("an insert of %d rows has more than 200 days", r.Rows)
		}
	}
	if got := w.outcomes(t); got["stored"] < 2*days || got["dead_lettered"] != 1 {
		t.Errorf("counters: %v", got)
	}
}

func TestService_CommitsNothingWhileADeadLetterIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := map[[16]byte]bool{}
	for id, topic := range kafkatest.TopicIDs(t, w.broker.Config) {
		dead[id] = topic == "email.dead-letter"
	}
	var refused atomic.Int64
	var looked atomic.Bool // after which all is acknowledged
	w.broker.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		w.broker.KeepControl()
		p := req.(*kmsg.ProduceRequest)
		if len(p.Topics) == 0 || p.Topics[0].Topic != "email.dead-letter" && !dead[p.Topics[0].TopicID] || looked.Load() {
			return nil, nil, false
		}
		refused.Add(1)
		res := p.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range p.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, partition := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = partition.Partition, kerr.NotEnoughReplicas.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
	w.start(t)
	kafkatest.Produce(t, w.broker.Config, &kgo.Record{Topic: "email.opened", Value: []byte("{")})
	servicetest.Eventually(t, "some refusals", func() bool { return refused.Load() >= 3 })
	for p, o := range kafkatest.Committed(t, w.broker.Config, group, "email.opened") {
		if o > 0 {
			t.Errorf("partition %d is committed at %d", p, o)
		}
	}
	looked.Store(true)
	w.settled(t, "email.opened")
	if n := len(kafkatest.ReadAll(t, w.broker.Config, "email.dead-letter")); n == 0 {
		t.Error("the record is committed and no dead letter is there")
	}
}

func TestService_WaitsForItsTables(t *testing.T) {
	t.Parallel()
	w := &world{broker: kafkatest.StartBroker(t), server: clickhousetest.Start(t)}
	w.server.Answer("FROM schema_migrations", []string{"version UInt32"}, []any{uint32(1)})
	kafkatest.Produce(t, w.broker.Config, eventRecords(0, 1)...)
	go func() {
		for len(w.server.Requests()) < 5 {
			<-time.After(waitStep)
		}
		w.migrated()
	}()
	w.start(t) // fails the test if it never gets ready
	w.settled(t, "email.delivered")
	if len(w.messages()) != 1 {
		t.Error("the event is not stored")
	}
}

func TestService_EndsWhenItMayNotIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ch := w.server.Config()
	w.server.Fail(func(clickhousetest.Request) clickhousetest.Fault { return clickhousetest.Fault{Code: 516} })
	cfg := analytics.Default()
	cfg.Listen = "127.0.0.1:0"
	svc, err := analytics.New(cfg, nil, platform.Shared{Kafka: w.broker.Config, ClickHouse: ch, Log: kafkatest.Silent(), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
	defer cancel()
	if err := svc.Run(ctx); err == nil || !strings.Contains(err.Error(), "access denied") {
		t.Errorf("ended with %v, want access denied", err)
	}
}

func TestService_SaysThatItsPortIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := analytics.Default()
	cfg.Listen = ln.Addr().String()
	svc, err := analytics.New(cfg, nil, platform.Shared{Kafka: w.broker.Config, ClickHouse: w.server.Config(), Log: kafkatest.Silent(), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
	defer cancel()
	if err := svc.Run(ctx); err == nil || !strings.Contains(err.Error(), cfg.Listen) {
		t.Errorf("ended with %v, want an error that names %s", err, cfg.Listen)
	}
}

func TestService_StopsSoonWhateverClickHouseDoes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault clickhousetest.Fault
		hangs bool
	}{
		{"works", clickhousetest.Fault{}, false},
		{"refuses", clickhousetest.Fault{Code: 202}, false},
		{"has too many parts", clickhousetest.Fault{Code: 252}, false},
		{"hangs", clickhousetest.Fault{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newVirtualWorld(t)
				release := make(chan struct{})
				t.Cleanup(func() { close(release) })
				asked := make(chan struct{}, 1)
				w.server.Fail(func(r clickhousetest.Request) clickhousetest.Fault {
					if !strings.Contains(r.Statement, "INSERT") {
						return clickhousetest.Fault{}
					}
					select {
					case asked <- struct{}{}:
					default:
					}
					if tt.hangs {
						<-release
					}
					return tt.fault
				})
				stop := w.start(t)
				kafkatest.Produce(t, w.broker.Config, eventRecords(0, 10)...)
				<-asked
				began := time.Now()
				stop()
				if took := time.Since(began); took > 15*time.Second { // the consumer's hand-over time and some
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func TestNew_NamesEveryFault(t *testing.T) {
	t.Parallel()
	cfg := analytics.Default()
	cfg.FlushInterval, cfg.Decoders, cfg.Retention.Events = 0, 100, 90*time.Minute
	_, err := analytics.New(cfg, nil, platform.Shared{Registry: prometheus.NewRegistry()})
	for _, want := range []string{"analytics.flush_interval: 0s", "analytics.decoders: 100", "analytics.retention.events: 1h30m is"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestMetrics_AreWellFormed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	problems, err := testutil.GatherAndLint(w.reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
