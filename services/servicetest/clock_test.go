package servicetest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/servicetest"
)

func TestClock_StaysOrRunsAndGoesForward(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
		fixed, running, began := servicetest.Fixed(at), &servicetest.Clock{}, time.Now()
		time.Sleep(time.Minute)
		fixed.Advance(time.Hour)
		running.Advance(time.Hour)
		if got, want := fixed.Now(), at.Add(time.Hour); !got.Equal(want) {
			t.Errorf("the fixed one shows %s, want %s", got, want)
		}
		if got, want := running.Now(), began.Add(time.Hour+time.Minute); !got.Equal(want) {
			t.Errorf("the other one shows %s, want %s", got, want)
		}
	})
}
