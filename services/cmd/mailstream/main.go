// Command mailstream runs one service of Mailstream, applies its topics and
// tables, or simulates provider traffic. This package is the only one that
// reads arguments and the environment, and that exits.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot(process{args: os.Args[1:], environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mailstream:", err)
		if _, wrong := errors.AsType[usageError](err); wrong {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// usageError is a command line that asks for what there is not: exit code 2.
type usageError struct{ error }

// usage marks what validate finds as a usageError.
func usage(validate cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := validate(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
