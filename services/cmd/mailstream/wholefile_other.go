//go:build !linux

package main

import "errors"

// createUnnamed is for Linux alone.
func createUnnamed(string) (*wholeFile, error) { return nil, errors.ErrUnsupported }
