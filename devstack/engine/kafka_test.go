package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

// TestKafkaTable_ConsumesThroughAView proves what the benchmark of the drain needs as
// its reference: ClickHouse's own Kafka engine.
func TestKafkaTable_ConsumesThroughAView(t *testing.T) {
	const records = 1000
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "events"))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for n := range records {
		record := &kgo.Record{Topic: "events", Key: []byte{byte(n)}, Value: fmt.Appendf(nil, `{"n":%d}`, n)}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	e := enginetest.Start(t)
	db := enginetest.Database(t)
	for _, statement := range []string{
		"CREATE TABLE " + db + ".stored (n UInt64) ENGINE = MergeTree ORDER BY n",
		"CREATE TABLE " + db + ".queue (n UInt64) ENGINE = Kafka SETTINGS kafka_broker_list = '" + strings.Join(broker.ListenAddrs(), ",") +
			"', kafka_topic_list = 'events', kafka_group_name = 'g', kafka_format = 'JSONEachRow', kafka_flush_interval_ms = 200",
		"CREATE MATERIALIZED VIEW " + db + ".consumer TO " + db + ".stored AS SELECT n FROM " + db + ".queue",
	} {
		query(t, e.URL(), statement)
	}
	eventually(t, "arrival of all records", func() bool {
		return query(t, e.URL(), "SELECT count(), sum(n) FROM "+db+".stored") == fmt.Sprintf("%d\t%d", records, records*(records-1)/2)
	})
}
