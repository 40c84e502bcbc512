package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestClientLogger_SaysALostBrokerAFewTimesOnly(t *testing.T) {
	t.Parallel()
	core, seen := observer.New(zapcore.WarnLevel)
	log := newClientLogger(zap.New(core))
	for range 500 {
		log.Log(kgo.LogLevelWarn, "unable to open connection to broker", "addr", "127.0.0.1:9092")
	}
	if n := seen.Len(); n < 1 || n > linesMax {
		t.Errorf("%d lines written, want 1 to %d", n, linesMax)
	}
}
