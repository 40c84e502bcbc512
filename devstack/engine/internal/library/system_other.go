//go:build !unix

package library

import (
	"context"
	"os/exec"
)

// lock does nothing: no platform without flock has a library to fetch.
func lock(context.Context, string, func(string)) (func(), error) { return func() {}, nil }

// killsGroup does nothing, for the same reason.
func killsGroup(*exec.Cmd) {}
