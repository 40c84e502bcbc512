package disk_test

import (
	"errors"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/disk"
)

func TestRoom_AsksTheSystem(t *testing.T) {
	t.Parallel()
	r := disk.Room{Dir: t.TempDir()}
	if free, err := r.Bytes(); err != nil || free == 0 {
		t.Errorf("%d bytes free, %v", free, err)
	}
	if _, err := (disk.Room{Dir: "/no/such/folder"}).Bytes(); err == nil {
		t.Error("a folder that is not there has room")
	}
}

func TestRoom_IsFullBelowWhatHasToStayFree(t *testing.T) {
	t.Parallel()
	for free, full := range map[uint64]bool{0: true, uint64(config.MiB) - 1: true, uint64(config.MiB): false} {
		r := disk.Room{Dir: "state", BytesMin: config.MiB, Free: func(string) (uint64, error) { return free, nil }}
		if err := r.Check(); errors.Is(err, disk.ErrFull) != full {
			t.Errorf("%d bytes free: %v", free, err)
		}
	}
	r := disk.Room{BytesMin: config.MiB, Free: func(string) (uint64, error) { return 0, errors.New("not known") }}
	if err := r.Check(); err != nil {
		t.Errorf("room unknown: %v", err)
	}
}
