package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrBusy is what Run returns when another stack uses the data folder.
var ErrBusy = errors.New("another running stack uses this data folder")

// lock keeps a second stack out of dir. The lock goes with the process, however
// that ends.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		cause := err
		if errors.Is(err, unix.EWOULDBLOCK) {
			cause = ErrBusy
		}
		return nil, errors.Join(fmt.Errorf("lock data folder %q: %w", dir, cause), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing releases it; nothing was written
}
