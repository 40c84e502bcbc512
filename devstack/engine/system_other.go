//go:build !unix

package engine

import (
	"os"
	"syscall"
)

// There is no engine without Unix; New says so before any of these is called.

func ownGroup() *syscall.SysProcAttr { return nil }

func tryLock(*os.File) error { return ErrUnsupported }

func isMisused() bool { return false }
