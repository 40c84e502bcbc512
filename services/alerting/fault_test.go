package alerting

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

func TestRestart_BeforeTheLineIsCrossedLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		first := r.send(blocked(12, "example.com"))
		r.slack.wantQuiet(t, 0)
		in.stop()
		r.produce(first) // resent while nobody counts
		in = r.start()
		r.slack.wantQuiet(t, 0)
		in.stop()
		r.send(blocked(8, "example.com"))
		r.start()
		if posts := r.slack.want(t, 1); !strings.Contains(posts[0].text, "20 of 20") {
			t.Errorf("text: %s", posts[0].text)
		}
		r.slack.wantQuiet(t, 1)
	})
}

func TestRestart_WhileFiringTellsNothingTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		r.send(blocked(30, "example.com"))
		r.slack.want(t, 1)
		for range 3 {
			in.stop()
			in = r.start()
		}
		r.slack.wantQuiet(t, 1)
		in.stop()
		r.send(delivered(200, "example.com")) // it recovers while nobody looks
		in = r.start()
		waitFor(t, "recovery", func() bool { return len(r.alerts(in, "?state=recovering")) == 1 })
		in.stop()
		r.clock.Advance(6 * time.Minute)
		r.start()
		r.slack.want(t, 2)
		r.slack.wantQuiet(t, 2)
	})
}

func TestRestart_WithAStaleViewJudgesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		early := delivered(60, "example.com")
		early.age = 10 * time.Minute
		r.send(early, blocked(25, "example.com"))
		r.slack.wantQuiet(t, 0)
		in.stop()
		r.clock.Advance(6 * time.Minute)
		// What was counted before the stop is 25 of 25 by now. The truth is another.
		r.send(delivered(100, "example.com"))
		r.start()
		r.slack.wantQuiet(t, 0)
	})
}

// TestLag_OnOneTopicHoldsTheOthers keeps the deliveries on a broker that answers
// no fetch for a while.
func TestLag_OnOneTopicHoldsTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, kfake.NumBrokers(2), kfake.Ports(9092, 9093))
		broker := r.broker
		topic := schemas.EventTopic(r.kafka.TopicPrefix, schemas.Delivered)
		for _, spec := range allTopics(t, r) {
			for p := range int32(kafkatest.Partitions) {
				node := int32(0)
				if spec == topic {
					node = 1
				}
				if err := broker.MoveTopicPartition(spec, p, node); err != nil {
					t.Fatalf("move %s: %v", spec, err)
				}
			}
		}
		in := r.start()
		var stuck atomic.Bool
		stuck.Store(true)
		broker.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			broker.KeepControl()
			if broker.CurrentNode() == 1 && stuck.Load() {
				return nil, errors.New("no answer"), true
			}
			return nil, nil, false
		})
		// A round that began between the two topics would want only a part of the blocks.
		var sending atomic.Bool
		sending.Store(true)
		broker.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			broker.KeepControl()
			if sending.Load() {
				return nil, errors.New("no answer"), true
			}
			return nil, nil, false
		})
		r.send(delivered(70, "example.com"), blocked(30, "example.com"))
		sending.Store(false)
		r.slack.wantQuiet(t, 0)
		counted := func() float64 { return in.metric(t, "mailstream_alerting_records_finished_total", "counted") }
		faults := in.metric(t, "mailstream_alerting_counting_errors_total")
		waitFor(t, "blocks counted", func() bool { return counted() >= 30 })
		if n := counted(); n >= 100 {
			t.Fatalf("%v events counted although one topic is stuck", n)
		}
		waitFor(t, "another try with a new connection", func() bool {
			return in.metric(t, "mailstream_alerting_counting_errors_total") > faults
		})
		r.slack.wantQuiet(t, 0)
		stuck.Store(false)
		waitFor(t, "all counted", func() bool { return counted() == 100 })
		r.slack.wantQuiet(t, 0)
		r.send(blocked(100, "example.com"))
		r.slack.want(t, 1)
	})
}

// TestLag_OfOnePartitionIsBlindAndSaidOnce stalls one partition of one topic.
func TestLag_OfOnePartitionIsBlindAndSaidOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, kfake.NumBrokers(2), kfake.Ports(9092, 9093))
		broker := r.broker
		topic := schemas.EventTopic(r.kafka.TopicPrefix, schemas.Delivered)
		for _, name := range allTopics(t, r) {
			for p := range int32(kafkatest.Partitions) {
				node := int32(0)
				if name == topic && p == 0 {
					node = 1
				}
				if err := broker.MoveTopicPartition(name, p, node); err != nil {
					t.Fatalf("move %s: %v", name, err)
				}
			}
		}
		in := r.start()
		var stuck atomic.Bool
		stuck.Store(true)
		broker.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			broker.KeepControl()
			if broker.CurrentNode() == 1 && stuck.Load() {
				return nil, errors.New("no answer"), true
			}
			return nil, nil, false
		})
		ready := func() int { return r.ask(in, "GET /readyz", "", nil) }
		r.send(delivered(100, "example.com"))
		r.clock.Advance(35 * time.Second)
		waitFor(t, "readyz to say that it is blind", func() bool { return ready() == http.StatusServiceUnavailable })
		r.slack.wantQuiet(t, 0) // a moment is nobody's business
		r.clock.Advance(6 * time.Minute)
		if posts := r.slack.want(t, 1); !strings.Contains(posts[0].text, "not judged") {
			t.Errorf("told: %q", texts(posts))
		}
		r.clock.Advance(10 * time.Minute)
		r.slack.wantQuiet(t, 1)
		stuck.Store(false)
		if posts := r.slack.want(t, 2); !strings.Contains(posts[1].text, "back to normal") {
			t.Errorf("told: %q", texts(posts))
		}
		waitFor(t, "readyz", func() bool { return ready() == http.StatusOK })
		r.send(blocked(300, "a.test")) // and it judges
		r.slack.want(t, 3)
		r.slack.wantQuiet(t, 3)
	})
}

func allTopics(t *testing.T, r *rig) []string {
	t.Helper()
	topics, err := kadm.NewClient(kafkatest.Client(t, r.kafka)).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return topics.Names()
}

// TestCrash_BetweenStateAndMessage puts into the log what a process leaves that
// dies after writing the alert and before telling anybody.
func TestCrash_BetweenStateAndMessageTellsItOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		r.slack.setFault(func(int, http.ResponseWriter) bool { panic(http.ErrAbortHandler) })
		r.send(blocked(30, "example.com"))
		waitFor(t, "alert", func() bool { return len(r.alerts(in, "?state=firing")) == 1 })
		in.stop()
		alerts := alertLog(t, r)
		last := alerts[len(alerts)-1]
		if last.State != schemas.AlertFiring || len(last.Notify) != 1 || !last.Notify[0].Owed() {
			t.Fatalf("the log does not hold what is owed: %+v", last)
		}
		r.slack.setFault(nil)
		in = r.start()
		r.slack.want(t, 1)
		waitFor(t, "note of the delivery", func() bool {
			alerts := r.alerts(in, "")
			return len(alerts) == 1 && !alerts[0].Notify[0].SentAt.IsZero()
		})
		in.stop()
		r.start()
		r.slack.wantQuiet(t, 1)
	})
}

// alertLog returns the records of the alerts topic.
func alertLog(t *testing.T, r *rig) []schemas.Alert {
	t.Helper()
	b := book.New()
	var alerts []schemas.Alert
	for _, rec := range kafkatest.ReadAll(t, r.kafka, schemas.AlertsTopic(r.kafka.TopicPrefix)) {
		b.Apply([]*kgo.Record{rec})
		alerts = b.All(func(*schemas.Alert) bool { return true })
	}
	return alerts
}

func TestInstances_ShareTheWorkAndTellOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a := r.start()
		b := r.start()
		waitFor(t, "shared sets of partitions", func() bool {
			la, lb := a.metric(t, "mailstream_alerting_lanes"), b.metric(t, "mailstream_alerting_lanes")
			return la > 0 && lb > 0 && la+lb == kafkatest.Partitions
		})
		const domains = 5
		for i := range domains {
			r.send(blocked(40, fmt.Sprintf("d%d.test", i)))
		}
		r.slack.want(t, domains)
		for _, in := range []*instance{a, b} {
			waitFor(t, "all alerts at every instance", func() bool { return len(r.alerts(in, "?state=firing")) == domains })
		}
		sets := func(in *instance) func() bool {
			return func() bool {
				return in.metric(t, "mailstream_alerting_lanes") == kafkatest.Partitions && in.metric(t, "mailstream_alerting_rate_partitions") == kafkatest.Partitions
			}
		}
		b.stop() // a takes back what it gave away
		waitFor(t, "takeover", sets(a))
		for i := range domains { // whatever was its own all the time and whatever was not
			r.send(blocked(40, fmt.Sprintf("late%d.test", i)))
		}
		r.slack.want(t, 2*domains)
		c := r.start()
		a.stop()
		waitFor(t, "second takeover", sets(c))
		r.slack.wantQuiet(t, 2*domains)
		waitFor(t, "all alerts at the last instance", func() bool { return len(r.alerts(c, "?state=firing")) == 2*domains })
	})
}

func TestFlood_IsToldInOneMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		gate := make(chan struct{})
		r.slack.setFault(func(try int, _ http.ResponseWriter) bool {
			if try == 1 {
				<-gate
			}
			return false
		})
		waiting := func(n float64) func() bool {
			return func() bool { return in.metric(t, "mailstream_alerting_notifications_waiting") == n }
		}
		r.send(blocked(25, "first.test"))
		waitFor(t, "message under way", waiting(1))
		var mails []mail
		for i := range 30 {
			mails = append(mails, blocked(25, fmt.Sprintf("d%02d.test", i)))
		}
		r.send(mails...)
		waitFor(t, "30 more", waiting(31))
		close(gate)
		posts := r.slack.want(t, 2)
		if !strings.Contains(posts[1].text, "30 destinations") {
			t.Errorf("posts: %q", texts(posts))
		}
		r.slack.wantQuiet(t, 2)
	})
}

func TestGarbage_OnOurTopicsIsPassedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := r.start()
		for _, topic := range []string{
			schemas.EventTopic(r.kafka.TopicPrefix, schemas.Blocked), schemas.RatesTopic(r.kafka.TopicPrefix), schemas.AlertsTopic(r.kafka.TopicPrefix),
		} {
			for i, value := range []string{"", "null", "{", `{"fingerprint":"x"}`, `{"source":"a","series":[{"panes":[{"start":-5}]}],"pane_seconds":10}`, `{"mark":{"lanes":[-1,99999]}}`} {
				kafkatest.Produce(t, r.kafka, &kgo.Record{Topic: topic, Key: []byte(fmt.Sprint("mark", i)[:4+i%2]), Value: []byte(value)})
			}
		}
		r.send(blocked(30, "example.com"))
		r.slack.want(t, 1)
		if n := in.metric(t, "mailstream_alerting_records_finished_total", "unreadable"); n == 0 {
			t.Error("no record was counted as unreadable")
		}
	})
}

func TestStart_WaitsForAnUnreachableBrokerAndServesMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		good := r.kafka.Brokers
		r.kafka.Brokers = []string{"127.0.0.1:1"}
		in := r.launch()
		waitFor(t, "listener", func() bool { return in.Addr() != "" })
		resp, err := r.client.Get("http://" + in.Addr() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("readyz: %d %q, %v", resp.StatusCode, body, err)
		}
		r.kafka.Brokers = good
		in.stop()
	})
}
