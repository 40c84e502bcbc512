package suppression_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

// TestService_OneReplicaReadsAllOfAPartition holds what the watch for outages
// stands on: who reads the bounces of a partition reads its deliveries, too.
func TestService_OneReplicaReadsAllOfAPartition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		adm := kadm.NewClient(kafkatest.Client(t, cfg))
		for replicas := 1; replicas <= 4; replicas++ {
			start(t, options{broker: broker})
			var got []map[string][]int32
			servicetest.Eventually(t, "all replicas have partitions", func() bool {
				got = assigned(t, adm, cfg.Group("suppression"))
				return len(got) == replicas && !slices.ContainsFunc(got, func(m map[string][]int32) bool { return len(m) == 0 })
			})
			for _, topics := range got {
				bounced := topics[schemas.EventTopic(schemas.DefaultTopicPrefix, schemas.Bounced)]
				for topic, partitions := range topics {
					if diff := cmp.Diff(bounced, partitions); diff != "" {
						t.Errorf("of %d replicas one reads other partitions of %s than of the bounces (-bounces +it):\n%s", replicas, topic, diff)
					}
				}
			}
		}
	})
}

// assigned returns what each member of the group reads, by topic; nothing while
// the group changes.
func assigned(tb testing.TB, adm *kadm.Client, group string) (out []map[string][]int32) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Second)
	defer cancel()
	groups, err := adm.DescribeGroups(ctx, group)
	if err != nil {
		tb.Fatal(err)
	}
	if groups[group].State != "Stable" {
		return nil
	}
	total := 0
	for _, m := range groups[group].Members {
		topics := map[string][]int32{}
		if a, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range a.Topics {
				topics[t.Topic] = slices.Sorted(slices.Values(t.Partitions))
				total += len(t.Partitions)
			}
		}
		out = append(out, topics)
	}
	if total != 9*kafkatest.Partitions { // a cooperative group is stable between two steps, too
		return nil
	}
	return out
}
