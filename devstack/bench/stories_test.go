package bench_test

import (
	"testing"

	"github.com/mailstream/mailstream/devstack/bench"
)

func TestStories_AnswerAsAScanDoes(t *testing.T) {
	t.Parallel()
	got, err := bench.Stories(t.Context(), bench.ConsoleOptions{Events: 60_000, Rate: 50, Rounds: 1, Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	if got.Events < 50_000 || got.Rate <= 0 || got.Messages <= 0 {
		t.Errorf("report %+v", got)
	}
	for _, s := range []bench.Story{got.Person, got.Message, got.Funnel, got.Rates, got.Campaigns} {
		if s.Rows <= 0 || s.Scanned < s.Rows || s.P95 <= 0 {
			t.Errorf("%+v", s)
		}
	}
}
