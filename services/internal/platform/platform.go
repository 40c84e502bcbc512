// Package platform names what every service is given besides its own
// configuration. The parts are in its sub-packages.
package platform

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// Shared is given to each service's New, which keeps what it needs.
type Shared struct {
	Kafka      kafka.Config
	ClickHouse clickhouse.Config
	Hasher     *address.Hasher
	// Log is named for the service already.
	Log *zap.Logger
	// Registry is the service's own; its server serves it at /metrics.
	Registry *prometheus.Registry
	// StateDir is the service's own folder for local state. All of it can be
	// rebuilt from Kafka, so it may be wiped while the service is down.
	StateDir string
}
