package kafka

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// requestBackoff spaces the attempts of one request to a broker.
var requestBackoff = lifecycle.Backoff{Min: retryBackoffMin, Max: retryBackoffMax}

// PollBackoff spaces polls that return faults and no records: the library
// reports some faults as fast as the broker can answer.
var PollBackoff = lifecycle.Backoff{Min: 20 * time.Millisecond, Max: time.Second}

// ConnectBackoff spaces the attempts to reach the brokers at the start.
var ConnectBackoff = lifecycle.Backoff{Min: 250 * time.Millisecond, Max: 5 * time.Second}

// PacedFetches has the library report every fault of a fetch. A fault that it does
// not report it retries as fast as the broker answers, while another partition of
// that broker has no fault: 7,000 requests a second for a topic that was deleted. A
// reported fault waits for the next poll, and PollBackoff spaces polls.
func PacedFetches() kgo.Opt { return kgo.KeepRetryableFetchErrors() }

// clientLogger writes the log lines of the library to our log. Its info lines are
// debug lines here: there is one for every connection and metadata refresh. The log
// is throttled: while a broker is away, each attempt to reach it is a line.
type clientLogger struct{ log *zap.Logger }

func newClientLogger(log *zap.Logger) clientLogger {
	return clientLogger{telemetry.Throttled(log, telemetry.ByName)}
}

// Level returns the finest level that would be written.
func (l clientLogger) Level() kgo.LogLevel {
	switch {
	case l.log.Core().Enabled(zap.DebugLevel):
		return kgo.LogLevelInfo
	default:
		return kgo.LogLevelWarn
	}
}

// Log writes one line of the library. Its key-value pairs hold topics,
// partitions, addresses of brokers and errors, never a record.
func (l clientLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	const text = "kafka client reported"
	// Sprintln, because Sprint puts no space beside a string.
	fields := []zap.Field{telemetry.Name(msg), telemetry.Detail(strings.TrimSpace(fmt.Sprintln(keyvals...)))}
	switch level {
	case kgo.LogLevelError, kgo.LogLevelWarn:
		l.log.Warn(text, fields...)
	default:
		l.log.Debug(text, fields...)
	}
}
