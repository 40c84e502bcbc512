package ingress

import (
	"time"

	"github.com/mailstream/mailstream/services/ingress/internal/drift"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// newBook returns the book of what the providers of the sources send.
func (s *Service) newBook(shared platform.Shared) (*drift.Book, error) {
	opt := drift.Options{Paths: s.metrics.driftPaths, First: s.metrics.driftFirst, Skipped: s.metrics.driftSkipped}
	for _, src := range s.sources {
		opt.Providers = append(opt.Providers, src.providerName)
	}
	return drift.New(shared.Kafka, opt, s.log, shared.Registry)
}

// noteDrift counts what the provider's package does not know and logs each path once.
func (s *Service) noteDrift(x *exchange) {
	for _, d := range x.batch.Drifts() {
		s.countDrift(x, d.Kind, d.Name)
	}
}

func (s *Service) countDrift(x *exchange, kind provider.Drift, path string) {
	x.source.metrics.drift[kind].Inc()
	if s.drifts.Note(x.source.providerName, kind, path, time.Now()) {
		s.log.Info("provider drifted", telemetry.Provider(x.source.providerName), telemetry.Reason(string(kind)), telemetry.Name(drift.Harmless(path)))
	}
}
