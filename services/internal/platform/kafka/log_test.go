package kafka

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

func TestClientLogger_SaysALostBrokerOnceAPeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zapcore.WarnLevel)
		log := newClientLogger(zap.New(core))
		for range 500 {
			log.Log(kgo.LogLevelWarn, "unable to open connection to broker", "addr", "127.0.0.1:9092")
			log.Log(kgo.LogLevelError, "metadata update failed")
			time.Sleep(telemetry.LinePeriod / 250)
		}
		if n := seen.Len(); n != 4 {
			t.Errorf("%d lines written in two periods of two kinds, want 4", n)
		}
	})
}
