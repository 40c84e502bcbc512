// Package telemetry has the observability parts of a service: the logger, the
// keys of its fields and the registry of its metrics. Messages are constants in
// lower case; values are fields. It keeps no state.
package telemetry

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Config is the `log` section.
type Config struct {
	// Level is debug, info, warn or error. Default info.
	Level string `yaml:"level"`
	// Format is json for machines or console for people. Default json.
	Format string `yaml:"format"`
}

// Default returns the settings of an empty section.
func Default() Config { return Config{Level: "info", Format: "json"} }

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	_, err := zapcore.ParseLevel(c.Level)
	p.Check(err == nil, "level", "%q is not one of debug, info, warn, error", c.Level)
	p.Check(c.Format == "json" || c.Format == "console", "format", "%q is neither json nor console", c.Format)
}

// NewLogger returns a logger that writes to standard error. The caller syncs it.
func NewLogger(c Config) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("parse log level %q: %w", c.Level, err)
	}
	zc := zap.NewProductionConfig()
	zc.Level = zap.NewAtomicLevelAt(level)
	zc.Encoding = c.Format
	zc.DisableStacktrace = true
	zc.Sampling = nil // see Throttled, which says how many lines it held back
	zc.EncoderConfig.TimeKey = "time"
	zc.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	if c.Format == "console" {
		zc.EncoderConfig.EncodeLevel = zapcore.CapitalLevelEncoder
		zc.EncoderConfig.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		zc.EncoderConfig.CallerKey = zapcore.OmitKey
	}
	log, err := zc.Build()
	if err != nil {
		return nil, err
	}
	return capped(log), nil
}

// NewRegistry returns a registry with the Go runtime's and the process's own
// metrics in it. The caller owns it.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return reg
}
