package analyticstest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/services/servicetest"
)

// TestKafkaTable_ConsumesThroughAView proves what the benchmark of the backlog takes as
// its reference: ClickHouse's own Kafka engine.
func TestKafkaTable_ConsumesThroughAView(t *testing.T) {
	t.Parallel()
	const records = 1000
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "numbers"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w := &world{engine: enginetest.Start(t), database: enginetest.Database(t), client: client}
	recs := make([]*kgo.Record, records)
	for n := range recs {
		recs[n] = &kgo.Record{Topic: "numbers", Key: []byte{byte(n)}, Value: fmt.Appendf(nil, `{"n":%d}`, n)}
	}
	w.produce(t, recs...)
	for _, statement := range []string{
		"CREATE TABLE stored (n UInt64) ENGINE = MergeTree ORDER BY n",
		"CREATE TABLE queue (n UInt64) ENGINE = Kafka SETTINGS kafka_broker_list = '" + strings.Join(cluster.ListenAddrs(), ",") +
			"', kafka_topic_list = 'numbers', kafka_group_name = 'g', kafka_format = 'JSONEachRow', kafka_flush_interval_ms = 200",
		"CREATE MATERIALIZED VIEW consumer TO stored AS SELECT n FROM queue",
	} {
		w.sql(t, statement)
	}
	servicetest.Eventually(t, "all records in the table", func() bool {
		return w.sql(t, "SELECT count(), sum(n) FROM stored") == fmt.Sprintf("%d\t%d", records, records*(records-1)/2)
	})
}
