package pipeline_test

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/simulate"
)

// TestSimulate_IsTakenByEverySourceOfTheDevelopmentConfiguration posts every
// event twice, the second time under other ids of the provider where it does
// that, and wants each once.
func TestSimulate_IsTakenByEverySourceOfTheDevelopmentConfiguration(t *testing.T) {
	t.Parallel()
	dev, err := pipeline.Dev()
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, source := range dev.Ingress.Sources {
		if !slices.Contains(simulate.Providers(), source.Provider) {
			continue
		}
		played++
		t.Run(source.Name, func(t *testing.T) {
			t.Parallel()
			kc := kafkatest.Start(t)
			kc.Webhooks = dev.Ingress.WebhookTopics(kc.TopicPrefix)
			if err := admin.Apply(t.Context(), kafkatest.Client(t, kc), kc, zap.NewNop()); err != nil {
				t.Fatal(err)
			}
			cfg := simulate.Default()
			address, _ := listen(t, dev.Ingress, kc)
			cfg.URL, cfg.Source, cfg.Provider = "http://"+address, source.Name, source.Provider
			cfg.Auth = pipeline.SimulatedAuth(source)
			cfg.Rate, cfg.Duration, cfg.Group, cfg.Duplicates = 3000, 100*time.Millisecond, 10, 1
			cfg.Scenario = simulate.BounceStorm
			got, err := simulate.Run(t.Context(), cfg, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if got.Accepted != 600 || got.DeadLettered != 0 || got.GivenUp != 0 {
				t.Errorf("%+v, want 600 accepted", got)
			}
			ids, hard := map[string]bool{}, 0
			for _, typ := range schemas.Types() {
				for _, r := range kafkatest.ReadAll(t, kc, schemas.EventTopic(kc.TopicPrefix, typ)) {
					e, err := schemas.Decode(r.Value)
					if err != nil || e.Type == schemas.Other || e.MessageID == "" && !ofContact(e) || e.RecipientHash == "" {
						t.Fatalf("%s, %v", r.Value, err)
					}
					if e.BounceType == schemas.Hard && e.Reason == schemas.InvalidRecipient && !ids[e.ID] {
						hard++
					}
					ids[e.ID] = true
				}
			}
			if len(ids) != 300 || hard < 50 {
				t.Errorf("%d events of 300, %d hard bounces", len(ids), hard)
			}
		})
	}
	if want := len(simulate.Providers()); played != want {
		t.Errorf("the development configuration has sources of %d providers, simulate plays %d", played, want)
	}
}

// ofContact says that the provider reports e of a contact and names no message.
func ofContact(e schemas.Event) bool {
	switch e.Provider {
	case "activecampaign", "mailchimp":
		return true
	default:
		return e.Provider == "resend" && e.Type == schemas.Unsubscribed
	}
}

// listen runs an ingress until the test ends and returns its address and metrics.
func listen(t *testing.T, cfg ingress.Config, kc kafka.Config) (string, *prometheus.Registry) {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	hasher, err := address.NewHasher(config.Literal("pepper-of-the-simulation"))
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	s, err := ingress.New(cfg, platform.Shared{Kafka: kc, Hasher: hasher, Log: kafkatest.Logger(t), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	servicetest.Start(t, s)
	return s.Addr(), registry
}
