//go:build kafka

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/devstack/apachekafka"
	"github.com/mailstream/mailstream/schemas"
)

// One Apache Kafka serves all tests of the process; each has topics of its own.
var (
	sharedOnce   sync.Once
	sharedDir    string
	sharedBroker *apachekafka.Broker
	sharedErr    error
)

// externalBroker returns the Apache Kafka to test against: KAFKA_BROKERS, or one
// that is started here with the settings of compose.yaml.
func externalBroker(t *testing.T) string {
	t.Helper()
	sharedOnce.Do(func() {
		if sharedDir, sharedErr = os.MkdirTemp("", "mailstream-kafka-"); sharedErr == nil {
			sharedBroker, sharedErr = apachekafka.Start(context.Background(), apachekafka.Options{Address: os.Getenv("KAFKA_BROKERS"), DataDir: sharedDir})
		}
	})
	if sharedErr != nil {
		t.Fatal(sharedErr)
	}
	return sharedBroker.Addr()
}

func stopBroker() {
	if sharedBroker != nil {
		_ = sharedBroker.Stop() // the run is over; what is left ends with this process
	}
	_ = os.RemoveAll(sharedDir) // in the folder for temporary files
}

// compact makes the cleaner of the brokers take from the list's topic what is replaced,
// and waits for it: writes at a roll the segments.
func (r replicas) compact(at *process) (given, left int64) {
	r.w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(r.w.stack.Kafka()))
	if err != nil {
		r.w.t.Fatal(err)
	}
	defer client.Close()
	topic, adm := schemas.SuppressionsTopic(r.w.prefix), kadm.NewClient(client)
	before, err := adm.DescribeTopicConfigs(r.w.t.Context(), topic)
	if err != nil {
		r.w.t.Fatal(err)
	}
	var eager, usual []kadm.AlterConfig
	for name, value := range map[string]string{
		"min.compaction.lag.ms": "0", "max.compaction.lag.ms": "1000", "min.cleanable.dirty.ratio": "0.001", "segment.ms": "1000",
	} {
		eager = append(eager, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
		for _, c := range before[0].Configs {
			if c.Key == name {
				usual = append(usual, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: c.Value})
			}
		}
	}
	alter := func(configs []kadm.AlterConfig) {
		if done, err := adm.AlterTopicConfigs(r.w.t.Context(), configs, topic); err != nil || done[0].Err != nil {
			r.w.t.Fatal(err, done)
		}
	}
	alter(eager)
	for n := range 60 { // the cleaner looks every 15 seconds
		for i := range 40 { // in all partitions: a note is another record of the same entry
			body := fmt.Sprintf(`{"address":"u%d@example.com","list":"0","note":"%d"}`, i, n%2)
			if status, text := r.w.call(http.MethodPut, at.url()+"/v1/suppressions", body, bearer); status != http.StatusOK {
				r.w.t.Fatalf("put: %d %s", status, text)
			}
		}
		if given, left = r.counted(); n%2 == 1 && left < given*9/10 {
			break
		}
		r.w.after(2 * time.Second)
	}
	alter(usual)
	if left >= given*9/10 {
		r.w.t.Fatalf("%d of %d records are left: the topic is not compacted", left, given)
	}
	return given, left
}

// newOutage starts a broker of its own that can be taken away.
func newOutage(t *testing.T) outage {
	t.Helper()
	b, err := apachekafka.Start(t.Context(), apachekafka.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop() }) // as above
	return outage{
		addr:     b.Addr(),
		take:     func() error { return b.Kill() },
		giveBack: func() error { return b.Restart(context.WithoutCancel(t.Context())) },
	}
}
