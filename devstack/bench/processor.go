package bench

import (
	"syscall"
	"time"
)

// processorTime is what this process has used of all processors: on a machine that others
// use, too, it says more than the clock does.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memoryPeak is the most memory that this process has had, in bytes.
func memoryPeak() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss << 10
}
