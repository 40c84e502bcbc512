package telemetry_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// observed returns a throttled logger and the lines it writes.
func observed(by ...telemetry.Key) (*zap.Logger, *observer.ObservedLogs) {
	core, seen := observer.New(zapcore.InfoLevel)
	return telemetry.Throttled(zap.New(core), by...), seen
}

// heldIn returns the lines_held of every line; -1 where there is none.
func heldIn(seen *observer.ObservedLogs) []int64 {
	var out []int64
	for _, line := range seen.All() {
		held, ok := line.ContextMap()["lines_held"].(int64)
		if !ok {
			held = -1
		}
		out = append(out, held)
	}
	return out
}

func TestThrottled_WritesOneLineAPeriodAndSaysHowManyItHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, seen := observed()
		for range 3 {
			for range 100 {
				log.Warn("reading failed and will be tried again", telemetry.Err(errors.New("away")))
				time.Sleep(telemetry.LinePeriod / 100)
			}
		}
		if diff := cmp.Diff([]int64{-1, 99, 99}, heldIn(seen)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestThrottled_TellsKindsApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, seen := observed(telemetry.ByTopic)
		child := log.Named("analytics").With(telemetry.Topic("email.opened"))
		for range 5 {
			log.Warn("reading failed and will be tried again", telemetry.Topic("email.bounced"), telemetry.Partition(1))
			log.Warn("reading failed and will be tried again", telemetry.Topic("email.bounced"), telemetry.Partition(2))
			log.Warn("reading failed and will be tried again", telemetry.Topic("email.blocked"))
			log.Error("reading failed and will be tried again", telemetry.Topic("email.blocked"))
			log.Warn("end offsets could not be listed", telemetry.Topic("email.blocked"))
			child.Warn("reading failed and will be tried again")
			log.Debug("reading failed and will be tried again") // below the level
		}
		if seen.Len() != 5 {
			t.Errorf("%d lines, want 5: %v", seen.Len(), seen.All())
		}
	})
}

func TestThrottled_BoundsItsKinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const kindsMax = 1_024 // lineKindsMax
		log, seen := observed(telemetry.ByName)
		for i := range 5 * kindsMax {
			log.Warn("provider drifted", telemetry.Name(strconv.Itoa(i)))
		}
		if n := seen.TakeAll(); len(n) != kindsMax+1 {
			t.Errorf("%d lines of as many kinds as the outside likes, want %d", len(n), kindsMax+1)
		}
		time.Sleep(telemetry.LinePeriod)
		log.Warn("provider drifted", telemetry.Name("another"))
		if seen.Len() != 1 {
			t.Error("kinds of long ago still take the room of a new one")
		}
	})
}

func TestThrottled_HoldsBackNoLastWords(t *testing.T) {
	t.Parallel()
	log, seen := observed()
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("Panic did not panic")
				}
			}()
			log.Panic("database cannot go on")
		}()
	}
	if seen.Len() != 3 {
		t.Errorf("%d lines, want 3", seen.Len())
	}
}

func TestThrottled_MayBeUsedByMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, seen := observed(telemetry.BySource)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 1_000 {
					log.Warn("events were not stored", telemetry.Source("acme"))
				}
			})
		}
		all.Wait()
		time.Sleep(telemetry.LinePeriod)
		log.Warn("events were not stored", telemetry.Source("acme"))
		if diff := cmp.Diff([]int64{-1, 7_999}, heldIn(seen)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReports_AreOfOneKindWhateverALibrarySays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zapcore.InfoLevel)
		log, err := zap.NewStdLogAt(telemetry.Reports(zap.New(core), "http server reported"), zap.WarnLevel)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1_000 {
			log.Printf("http: TLS handshake error from 192.0.2.7:%d: EOF", i)
		}
		if seen.Len() != 1 || seen.All()[0].Message != "http server reported" {
			t.Errorf("%d lines, want one: %v", seen.Len(), seen.All())
		}
		if detail := seen.All()[0].ContextMap()["detail"]; detail != "http: TLS handshake error from 192.0.2.7:0: EOF" {
			t.Errorf("detail = %q, want what was said", detail)
		}
	})
}

func TestNewLogger_CapsWhatNobodyThoughtOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const burst = 200 // lineBurstMax
		core, seen := observer.New(zapcore.InfoLevel)
		log := telemetry.Capped(zap.New(core))
		for range 3 {
			for range 1_000 {
				log.Info("topic created", telemetry.Topic("email.opened"))
			}
			time.Sleep(telemetry.LinePeriod)
		}
		if seen.Len() != 3*burst {
			t.Errorf("%d lines in three periods, want %d", seen.Len(), 3*burst)
		}
		if held := heldIn(seen)[burst]; held != 1_000-burst {
			t.Errorf("the first line of the second period says %d held, want %d", held, 1_000-burst)
		}
	})
}
