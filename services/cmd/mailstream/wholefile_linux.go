package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// createUnnamed makes a file that the kernel removes with the process, unless it has got a
// name. Not every file system can.
func createUnnamed(out string) (*wholeFile, error) {
	fd, err := unix.Open(filepath.Dir(out), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	return &wholeFile{
		File: os.NewFile(uintptr(fd), out),
		place: func() error { // by way of /proc, which needs no rights
			return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, out, unix.AT_SYMLINK_FOLLOW)
		},
		drop: func() error { return nil },
	}, nil
}
