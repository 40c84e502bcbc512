package bench_test

import (
	"testing"

	"github.com/mailstream/mailstream/devstack/bench"
)

func TestAlerting_MeasuresWhatItTells(t *testing.T) {
	got, err := bench.Alerting(t.Context(), bench.AlertingOptions{Events: 20_000, Spikes: 2, Rate: 200, Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	if got.Counted <= 0 || got.Reference <= 0 || got.Rate <= 0 || got.Told.P50 <= 0 || got.Told.Max < got.Told.P50 {
		t.Errorf("report: %+v", got)
	}
}
