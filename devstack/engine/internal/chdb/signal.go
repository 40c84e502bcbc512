//go:build linux

package chdb

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// signalMax is the highest signal number of Linux.
const signalMax = 64

// signalSetSize is the size in bytes of the kernel's sigset_t.
const signalSetSize = 8

// signalAction holds the kernel's struct sigaction, whose layout we need not know.
type signalAction [64]byte

// signalTable is the disposition of every signal. The engine replaces the
// handlers of SIGSEGV, SIGABRT and others when it starts; Go needs its own to turn
// a nil dereference into a panic and to preempt goroutines.
type signalTable [signalMax + 1]signalAction

// keepSignals runs f and then puts back every disposition that f changed.
func keepSignals(f func()) error {
	before, err := readSignals()
	if err != nil {
		return err
	}
	f()
	after, err := readSignals()
	if err != nil {
		return err
	}
	for number := 1; number <= signalMax; number++ {
		if before[number] == after[number] {
			continue
		}
		if errno := sigaction(number, &before[number], nil); errno != 0 {
			return fmt.Errorf("restore handler of signal %d: %w", number, errno)
		}
	}
	return nil
}

func readSignals() (*signalTable, error) {
	t := &signalTable{}
	for number := 1; number <= signalMax; number++ {
		if errno := sigaction(number, nil, &t[number]); errno != 0 {
			return nil, fmt.Errorf("read handler of signal %d: %w", number, errno)
		}
	}
	return t, nil
}

func sigaction(number int, set, old *signalAction) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), signalSetSize, 0, 0)
	return errno
}
