// Command fetch brings what the tests need from outside into the user's cache:
// the library of the ClickHouse engine. It says what it does and how far it is,
// which a test under `go test` cannot, and does nothing when all is there.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mailstream/mailstream/devstack/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 {
		fmt.Fprintf(os.Stderr, "fetch: unknown argument %q: it takes none\n", os.Args[1])
		os.Exit(2)
	}
	config := engine.Default()
	config.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	e, err := engine.New(config, nil)
	if err == nil {
		err = e.Fetch(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}
