package kafka_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/servicetest"
)

// sums returns the sum of every counter and gauge over its series.
func sums(t *testing.T, reg *prometheus.Registry) (map[string]float64, []*dto.MetricFamily) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out, families
}

func TestMetrics_BalanceAndKeepToTheRulesOfNames(t *testing.T) {
	t.Parallel()
	cfg, reg := kafkatest.Start(t), prometheus.NewRegistry()
	p, err := produce.New(cfg, produce.Config{}, kafkatest.Silent(), reg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := group.New(cfg, group.Config{Group: "readers", Topics: []string{kafkatest.Bounced, kafkatest.Opened}}, kafkatest.Silent(), reg)
	if err != nil {
		t.Fatal(err)
	}
	tl, err := read.NewTail(cfg, read.TailConfig{Topic: kafkatest.Bounced}, kafkatest.Silent(), reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(kafkatest.Context(t), append(kafkatest.Records(kafkatest.Bounced, 30), kafkatest.Records(kafkatest.Opened, 12)...)...); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(kafkatest.Context(t), &kgo.Record{Topic: kafkatest.Bounced, Value: make([]byte, 2<<20)}); err == nil {
		t.Error("a record of 2 MiB was taken")
	}
	nop := func(context.Context, []*kgo.Record) error { return nil }
	group := kafkatest.Go(t, func(ctx context.Context) error { return c.Run(ctx, nop) })
	kafkatest.Go(t, func(ctx context.Context) error { return tl.Run(ctx, nop) })
	kafkatest.CaughtUp(t, tl)
	servicetest.Eventually(t, "the group is up to date", func() bool {
		got, _ := sums(t, reg)
		return got["mailstream_kafka_finished_records_total"] == 42 && got["mailstream_kafka_lag_records"] == 0
	})
	got, families := sums(t, reg)
	want := map[string]float64{
		"mailstream_kafka_produced_records_total":     42,
		"mailstream_kafka_produce_errors_total":       1,
		"mailstream_kafka_buffered_records":           0,
		"mailstream_kafka_buffered_bytes":             0,
		"mailstream_kafka_consumed_records_total":     42,
		"mailstream_kafka_assigned_partitions":        2 * kafkatest.Partitions,
		"mailstream_kafka_tail_applied_records_total": 30,
	}
	for name := range want {
		if diff := cmp.Diff(want[name], got[name]); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if err := group.End(t); err != nil {
		t.Error(err)
	}
	if got, _ := sums(t, reg); got["mailstream_kafka_assigned_partitions"] != 0 || got["mailstream_kafka_lag_seconds"] != 0 {
		t.Errorf("a group that was left still shows partitions or lag: %v", got)
	}
}
