// Package disk says whether a folder's file system has room, so that a service
// stops writing before the system refuses: a database whose write fails half way
// ends the process. It frees nothing.
package disk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// ErrFull says that the file system has less room than is kept free. It clears
// once there is room.
var ErrFull = errors.New("disk is full")

// Room is the room below one folder.
type Room struct {
	// Dir is a folder that exists.
	Dir string
	// BytesMin is what has to stay free.
	BytesMin config.ByteSize
	// Free returns how many bytes are free; nil asks the system.
	Free func(dir string) (uint64, error)
}

// Bytes returns how much is free for a process without privileges.
func (r Room) Bytes() (uint64, error) {
	free := r.Free
	if free == nil {
		free = statfs
	}
	return free(r.Dir)
}

// Check returns ErrFull when less than BytesMin is free. A file system that does
// not report its free space is taken for one with room: a full one will fail the
// writes.
func (r Room) Check() error {
	free, err := r.Bytes()
	if err != nil || free >= uint64(r.BytesMin) {
		return nil
	}
	return fmt.Errorf("%w: %s has %s free, needs %s", ErrFull, r.Dir, config.ByteSize(free), r.BytesMin)
}

func statfs(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("read room of %s: %w", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
