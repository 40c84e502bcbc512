package suppression

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/disk"
)

func TestReadiness_SaysThatTheDiskIsFull(t *testing.T) {
	t.Parallel()
	s := &Service{room: disk.Room{Dir: "/state", BytesMin: 100, Free: func(string) (uint64, error) { return 99, nil }}}
	if err := s.roomFault(); !errors.Is(err, disk.ErrFull) || !strings.Contains(err.Error(), "/state") {
		t.Errorf("got %v", err)
	}
	s.room.BytesMin = 99
	if err := s.roomFault(); err != nil {
		t.Errorf("with room: %v", err)
	}
}
