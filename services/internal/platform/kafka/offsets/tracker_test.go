package offsets

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

func TestTracker_WaitSeesAPositionThatIsThereFromTheStart(t *testing.T) {
	at := kafka.TopicPartition{Topic: "t", Partition: 3}
	tests := []struct {
		name   string
		change func(f *Tracker)
	}{
		{"begun behind it", func(f *Tracker) { f.Begin(at, 5) }},
		{"the records before it are deleted", func(f *Tracker) {
			f.Begin(at, 0)
			f.Observe(Snapshot{Asked: time.Now(), Ends: map[kafka.TopicPartition]int64{at: 5}, Starts: map[kafka.TopicPartition]int64{at: 5}})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := NewTracker()
				done := make(chan error, 1)
				go func() { done <- f.Wait(t.Context(), at, 4) }()
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
