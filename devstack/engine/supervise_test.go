package engine

import (
	"testing"
	"time"
)

func TestRestarts_GetSlowerAndEnd(t *testing.T) {
	t.Parallel()
	var r restarts
	last := time.Duration(0)
	for n := 1; n <= restartsMax; n++ {
		wait, more := r.next(time.Second)
		if !more || wait < last || wait < restartWaitMin || wait > restartWaitMax {
			t.Fatalf("restart %d: %s after %s, %t", n, wait, last, more)
		}
		last = wait
	}
	if _, more := r.next(restartRest + time.Second); !more || r.wait != restartWaitMin {
		t.Errorf("after a long life: %s, %t", r.wait, more)
	}
	for range restartsMax - 1 {
		r.next(0)
	}
	if _, more := r.next(0); more {
		t.Error("restarts have no end")
	}
}
