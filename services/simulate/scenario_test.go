package simulate

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// A message is read by people: not within a minute, which is what scanners do, and
// analytics judges so.
func TestStory_PeopleReadLaterThanMachines(t *testing.T) {
	t.Parallel()
	s := newStory(Config{Scenario: Normal}, nil, rand.New(rand.NewPCG(1, 2)))
	read := 0
	for range 2000 {
		var delivered time.Time
		for _, f := range s.play() {
			switch f.Event.Type {
			case schemas.Deferred:
				delivered = f.Event.Time
			case schemas.Delivered:
				if f.Event.Time.Before(delivered) {
					t.Errorf("delivered at %s, deferred at %s", f.Event.Time, delivered)
				}
				delivered = f.Event.Time
			case schemas.Opened, schemas.Clicked:
				read++
				if after := f.Event.Time.Sub(delivered); after < readAfterMin || f.Event.Time.After(time.Now()) {
					t.Errorf("%s %s after the delivery", f.Event.Type, after)
				}
			}
		}
	}
	if read < 100 {
		t.Errorf("%d opens and clicks", read)
	}
}
