package alerting

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestKafka_AwayInAnyWayTellsOnce crosses the line while the broker refuses some kind of
// request, and starts again after it.
func TestKafka_AwayInAnyWayTellsOnce(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]kmsg.Key{
		"nothing is read":    {kmsg.Fetch},
		"nothing is written": {kmsg.Produce},
		"no offsets":         {kmsg.ListOffsets},
		"no group":           {kmsg.Heartbeat, kmsg.FindCoordinator, kmsg.JoinGroup, kmsg.OffsetCommit},
		"nothing at all":     {kmsg.Fetch, kmsg.Produce, kmsg.ListOffsets, kmsg.Metadata, kmsg.Heartbeat, kmsg.FindCoordinator},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				in := r.start()
				r.send(blocked(12, "example.com"))
				var away atomic.Bool
				var refused atomic.Int64
				for _, key := range keys {
					r.broker.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
						r.broker.KeepControl()
						if away.Load() {
							refused.Add(1)
							return nil, errors.New("no answer"), true
						}
						return nil, nil, false
					})
				}
				r.send(blocked(18, "example.com"))
				away.Store(true)
				waitFor(t, "some refused requests", func() bool { return refused.Load() > 3 })
				if got := len(r.slack.seen()); got > 1 {
					t.Fatalf("%d messages while kafka is away", got)
				}
				away.Store(false)
				r.slack.want(t, 1)
				r.slack.wantQuiet(t, 1)
				in.stop()
				r.start()
				r.slack.wantQuiet(t, 1)
			})
		})
	}
}
