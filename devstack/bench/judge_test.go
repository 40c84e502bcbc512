package bench_test

import (
	"testing"

	"github.com/mailstream/mailstream/devstack/bench"
)

func TestJudge_StoresAllBothWays(t *testing.T) {
	t.Parallel()
	got, err := bench.Judge(t.Context(), bench.Options{Events: 150_000, Rounds: 1, Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	if got.Judged <= 0 || got.Alone <= 0 {
		t.Errorf("report %+v", got)
	}
}
