package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/simulate"
)

// fixtureDir is where every provider's golden requests are.
const fixtureDir = "../../../services/internal/provider"

// fixtures are the requests of a provider and what has to come of them: rows by
// type and event, each once, and dead letters.
type fixtures struct {
	bodies      [][]byte
	rows        map[string]int
	deadLetters int
}

// golden is what a fixture becomes.
type golden struct {
	Error string `json:"error"`
	Items []struct {
		Type      string          `json:"type"`
		Event     string          `json:"provider_event"`
		Recipient string          `json:"recipient"`
		List      string          `json:"list_id"`
		Raw       json.RawMessage `json:"raw"`
		Fault     string          `json:"fault"`
	} `json:"items"`
}

// load reads the fixtures that have items; the others are answered as a whole.
func load(t *testing.T, provider string) fixtures {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(fixtureDir, provider, "testdata", "*.in.*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d fixtures of %s, %v", len(paths), provider, err)
	}
	f := fixtures{rows: map[string]int{}}
	seen := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path[:strings.LastIndex(path, ".in.")] + ".want.json")
		if err != nil {
			t.Fatal(err)
		}
		var want golden
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if want.Error != "" || len(want.Items) == 0 || retired(want.Items[0].Fault) {
			continue
		}
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f.bodies = append(f.bodies, body)
		for _, item := range want.Items {
			key := strings.Join([]string{item.Recipient, item.List, string(item.Raw)}, "\x00")
			switch {
			case seen[key]: // another fixture has it too
			case item.Fault != "":
				f.deadLetters++
			default:
				f.rows[item.Type+"\t"+item.Event]++
			}
			seen[key] = true
		}
	}
	return f
}

// retired says that a request has a form that simulate cannot sign: one without
// the envelope that carries the signature, or one the provider sends no more.
func retired(fault string) bool { return fault == "raw_delivery" || fault == "retired_form" }

// TestProviders_EveryFixtureIsARow posts every golden request of every provider,
// signed anew, and asks for each of its events in ClickHouse.
func TestProviders_EveryFixtureIsARow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, provider := range simulate.Providers() {
		if provider == "generic" {
			continue // its fixtures are of other configurations than the stack's
		}
		t.Run(provider, func(t *testing.T) {
			f := load(t, provider)
			cfg := simulate.Default()
			cfg.URL, cfg.Source, cfg.Provider, cfg.Bodies, cfg.Workers = w.stack.URL(pipeline.Ingress), provider, provider, f.bodies, 4
			for _, s := range w.stack.Config().Ingress.Sources {
				if s.Name == provider {
					cfg.Auth = pipeline.SimulatedAuth(s)
				}
			}
			summary, err := simulate.Run(t.Context(), cfg, io.Discard)
			if err != nil || summary.Requests != len(f.bodies) || summary.Retries != 0 {
				t.Fatalf("%d of %d requests, %d sent again, %v", summary.Requests, len(f.bodies), summary.Retries, err)
			}
			var want []string
			for _, key := range slices.SortedFunc(maps.Keys(f.rows), cmp.Compare[string]) {
				want = append(want, fmt.Sprintf("%s\t%d", key, f.rows[key]))
			}
			w.wantSQL("SELECT type, provider_event, count() FROM events WHERE provider = '"+provider+"' GROUP BY ALL ORDER BY ALL FORMAT TSVRaw", want...)
			w.wantSQL("SELECT count() FROM dead_letters WHERE provider = '"+provider+"'", fmt.Sprint(f.deadLetters))
			t.Logf("%d requests, %d kinds of rows, %d dead letters", len(f.bodies), len(want), f.deadLetters)
		})
	}
}
