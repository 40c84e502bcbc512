package bench

import (
	"context"
	"testing"
	"time"
)

func TestIngress_MeasuresAllThreeLoads(t *testing.T) {
	t.Parallel()
	lines := 0
	report, err := Ingress(context.Background(), IngressOptions{
		Rounds: 1, Duration: 200 * time.Millisecond, Connections: 8, Batch: 20, Progress: func(string) { lines++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if lines != 3 {
		t.Errorf("%d measurements, want 3", lines)
	}
	for name, l := range map[string]Load{"reference": report.Reference, "single": report.Single, "grouped": report.Grouped} {
		if l.Requests <= 0 || l.Events < l.Requests || l.P50 <= 0 || l.P99 < l.P50 {
			t.Errorf("%s: %+v", name, l)
		}
	}
	if report.Ratio() <= 0 || report.P99Ratio() <= 0 || report.GroupGain() <= 0 {
		t.Errorf("ratios %v, %v, %v", report.Ratio(), report.P99Ratio(), report.GroupGain())
	}
}

func TestMedianLoad_TakesTheMiddleOfEachNumber(t *testing.T) {
	t.Parallel()
	got := medianLoad([]Load{{1, 30, 5, 9}, {3, 10, 6, 7}, {2, 20, 4, 8}})
	if want := (Load{2, 20, 5, 8}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
