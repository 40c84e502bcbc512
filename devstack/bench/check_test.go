package bench_test

import (
	"testing"
	"time"

	"github.com/mailstream/mailstream/devstack/bench"
)

func TestCheck_MeasuresAListThatAnswers(t *testing.T) {
	t.Parallel()
	got, err := bench.Check(t.Context(), bench.CheckOptions{Entries: 20_000, Duration: time.Nanosecond /* all that a busy machine may leave */, Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	if got.Filter <= 0 || got.ReferenceFilter <= 0 {
		t.Errorf("a send: %.0f/s, of the map %.0f/s", got.Filter, got.ReferenceFilter)
	}
	for name, load := range map[string]bench.Load{
		"single": got.Single, "bulk": got.Bulk, "all listed": got.BulkListed, "map": got.ReferenceSingle, "map bulk": got.Reference,
	} {
		if load.Requests <= 0 || load.P50 <= 0 || load.P99 < load.P50 {
			t.Errorf("%s: %+v", name, load)
		}
	}
}
