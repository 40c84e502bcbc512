package kafka

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestFrontier_WaitSeesAPositionThatIsThereFromTheStart(t *testing.T) {
	at := spot{"t", 3}
	tests := []struct {
		name   string
		change func(f *frontier)
	}{
		{"begun behind it", func(f *frontier) { f.begin(at, 5) }},
		{"the records before it are deleted", func(f *frontier) {
			f.begin(at, 0)
			f.observe(look{asked: time.Now(), ends: map[spot]int64{at: 5}, starts: map[spot]int64{at: 5}})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFrontier()
				done := make(chan error, 1)
				go func() { done <- f.wait(t.Context(), at, 4) }()
				synctest.Wait() // it waits
				tt.change(f)
				synctest.Wait()
				select {
				case err := <-done:
					if err != nil {
						t.Error(err)
					}
				default:
					t.Fatal("still waits")
				}
			})
		})
	}
}
