package pipeline_test

import (
	"io"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/simulate"
)

// TestSimulate_SpeaksEveryProvidersLanguage plays each provider to its real
// reader: what the simulation writes is genuine and understood whole, and what it
// sends again is the same event.
func TestSimulate_SpeaksEveryProvidersLanguage(t *testing.T) {
	t.Parallel()
	dev, err := pipeline.Dev()
	if err != nil {
		t.Fatal(err)
	}
	kc := kafkatest.Start(t)
	kc.Webhooks = dev.Ingress.WebhookTopics(kc.TopicPrefix)
	if err := admin.Apply(t.Context(), kafkatest.Client(t, kc), kc, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	address, registry := listen(t, dev.Ingress, kc)
	for _, source := range dev.Ingress.Sources {
		name := source.Provider
		for _, duplicates := range []float64{0, 1} {
			run := simulate.Default()
			run.URL, run.Source, run.Provider, run.Scenario = "http://"+address, source.Name, name, simulate.Complaints
			run.Auth = pipeline.SimulatedAuth(source)
			run.Rate, run.Duration, run.Duplicates, run.Reorder = simulatedEvents*10, time.Second/10, duplicates, true
			if run.Group = 1; duplicates > 0 {
				run.Group, run.Scenario = 10, simulate.BlockSpike
			}
			got, err := simulate.Run(t.Context(), run, io.Discard)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := simulatedEvents * (1 + int(duplicates))
			if got.Accepted != want || got.DeadLettered != 0 || got.Retries != 0 || got.Answers[200] != got.Requests {
				t.Errorf("%s: %+v, want %d accepted and nothing else", name, got, want)
			}
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "mailstream_ingress_drift_total" && m.GetCounter().GetValue() != 0 {
				t.Errorf("drift: %v", m)
			}
		}
	}
	wantSimulated(t, kc)
}

// simulatedEvents is enough for some of every type.
const simulatedEvents = 500

// wantSimulated looks at what came of two runs of each provider, the second of
// them with every request twice.
func wantSimulated(t *testing.T, kc kafka.Config) {
	t.Helper()
	ids, types, soft := map[string]map[string]int{}, map[string]map[schemas.Type]int{}, map[string]int{}
	for _, e := range published(t, kc) {
		if ids[e.Provider] == nil {
			ids[e.Provider], types[e.Provider] = map[string]int{}, map[schemas.Type]int{}
		}
		ids[e.Provider][e.ID]++
		types[e.Provider][e.Type]++
		if e.BounceType == schemas.Soft {
			soft[e.Provider]++
		}
	}
	played := []schemas.Type{
		schemas.Delivered, schemas.Deferred, schemas.Bounced, schemas.Blocked,
		schemas.Opened, schemas.Clicked, schemas.Complained, schemas.Unsubscribed,
	}
	for _, name := range simulate.Providers() {
		once, twice := 0, 0
		for _, n := range ids[name] {
			if n == 1 {
				once++
			} else if n == 2 {
				twice++
			}
		}
		if once != simulatedEvents || twice != simulatedEvents || len(ids[name]) != 2*simulatedEvents {
			t.Errorf("%s: %d ids, %d once and %d twice, want %d of each", name, len(ids[name]), once, twice, simulatedEvents)
		}
		if n := types[name][schemas.Other]; n != 0 {
			t.Errorf("%s: %d other events", name, n)
		}
		unplayed := providertest.ConformanceOf(t, "../internal/provider", name).Unplayed
		if soft[name] == 0 && !slices.Contains(unplayed, "bounced/soft") {
			t.Errorf("%s: no soft bounces", name)
		}
		for _, typ := range played {
			if types[name][typ] == 0 && !slices.Contains(unplayed, string(typ)) {
				t.Errorf("%s: no %s events: %v", name, typ, types[name])
			}
		}
	}
}

// published returns all events in the topics.
func published(t *testing.T, kc kafka.Config) []schemas.Event {
	t.Helper()
	var out []schemas.Event
	for _, typ := range schemas.Types() {
		for _, r := range kafkatest.ReadAll(t, kc, schemas.EventTopic(kc.TopicPrefix, typ)) {
			e, err := schemas.Decode(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, e)
		}
	}
	return out
}
