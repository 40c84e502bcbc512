package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// createUnnamed makes a file in dir that the kernel removes with the process, unless link
// has given it a name. Not every file system can.
func createUnnamed(dir string) (file *os.File, link func(name string) error, err error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), dir), func(name string) error { // by way of /proc, which needs no rights
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
	}, nil
}
