package broker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestLogger_WritesAKindOnceAPeriod plays what a full disk makes the broker say:
// a line for each request of each partition.
func TestLogger_WritesAKindOnceAPeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zap.WarnLevel)
		l := newLogger(zap.New(core))
		full := errors.New("no space left on device")
		for second := range 20 {
			for partition := range 12 {
				l.Logf(kfake.LogLevelWarn, "persist batch %s-%d: %v", "email.bounced", partition, full)
				l.Logf(kfake.LogLevelInfo, "persist batch %s-%d", "email.bounced", partition)
			}
			if second == 0 {
				l.Logf(kfake.LogLevelError, "unable to read %s", "x")
			}
			time.Sleep(time.Second)
		}
		lines := seen.All()
		if len(lines) != 3 {
			t.Fatalf("%d lines, want 2 of the one kind and 1 of the other: %v", len(lines), lines)
		}
		if got := lines[0].Message + ", " + lines[0].ContextMap()["detail"].(string); got != "embedded broker: persist batch, persist batch email.bounced-0: no space left on device" {
			t.Errorf("got %q", got)
		}
	})
}
