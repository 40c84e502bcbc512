package analytics

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestStall_IsAFaultOnceItLasts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("code: 243, not enough space")
		var s stall
		fails := func(want bool) {
			t.Helper()
			if err := s.fault(); (err != nil) != want || want && !errors.Is(err, full) {
				t.Errorf("after %s: %v", s.length(), err)
			}
		}
		s.note(nil)
		fails(false)
		s.note(full)
		time.Sleep(stallMin - time.Second)
		s.note(full)
		s.note(context.Canceled)
		fails(false)
		time.Sleep(time.Second)
		fails(true)
		s.note(nil)
		fails(false)
		s.note(full)
		time.Sleep(stallMin)
		fails(true)
		time.Sleep(stallForget) // nobody tries any more
		fails(false)
		s.note(full)
		fails(false)
	})
}

func TestStall_IsAFaultOnceATryHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s stall
		s.note(nil)
		end := s.try()
		time.Sleep(stallMin - time.Second)
		if err, length := s.fault(), s.length(); err != nil || length != 0 {
			t.Errorf("while a try may still be answered: %v, %s", err, length)
		}
		time.Sleep(time.Hour)
		if err := s.fault(); !errors.Is(err, errUnanswered) || s.length() < time.Hour {
			t.Errorf("after %s: %v", s.length(), err)
		}
		end()
		s.note(nil)
		if err, length := s.fault(), s.length(); err != nil || length != 0 {
			t.Errorf("after the answer: %v, %s", err, length)
		}
	})
}
