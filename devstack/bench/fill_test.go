package bench_test

import (
	"testing"

	"github.com/mailstream/mailstream/devstack/bench"
)

func TestFill_MeasuresStartsAndAnImport(t *testing.T) {
	t.Parallel()
	got, err := bench.Fill(t.Context(), bench.CheckOptions{Entries: 25_000, Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	for name, cost := range map[string]bench.FillCost{"topic": got.Topic, "snapshot": got.Snapshot, "map": got.Reference} {
		if cost.Took <= 0 || cost.CPU <= 0 {
			t.Errorf("%s: %+v", name, cost)
		}
	}
	if got.Import <= 0 || got.Produce <= 0 {
		t.Errorf("an import: %.0f/s, of a bare producer %.0f/s", got.Import, got.Produce)
	}
}
