//go:build !linux

package main

import (
	"errors"
	"os"
)

// createUnnamed is for Linux alone.
func createUnnamed(string) (*os.File, func(name string) error, error) {
	return nil, nil, errors.ErrUnsupported
}
