package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/simulate"
)

// TestRun_RefusesWordsItDoesNotKnow starts nothing and makes no folder.
func TestRun_RefusesWordsItDoesNotKnow(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"start"}, {"-free-ports", "start"}, {"-data-dir", "x", "CONFIG=own.yaml"}} {
		if err := run(t.Context(), args, nil, io.Discard); err == nil || !strings.Contains(err.Error(), args[len(args)-1]) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if made, err := os.ReadDir("."); err != nil || len(made) != 0 {
		t.Errorf("made %v, %v", made, err)
	}
}

// TestFirstSteps_SayWhereTheIngressIs holds what a person copies to the ports the
// stack took, the free ones, too.
func TestFirstSteps_SayWhereTheIngressIs(t *testing.T) {
	t.Parallel()
	cfg, err := pipeline.Dev()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{simulate.Default().URL, "http://127.0.0.1:40203"} {
		elsewhere := at != simulate.Default().URL
		if got := firstSteps(cfg, "", at); strings.Contains(got, "--url "+at) != elsewhere {
			t.Errorf("at %s:\n%s", at, got)
		}
	}
}
