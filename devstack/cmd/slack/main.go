// Command slack runs the stand-in for Slack alone: the development stack of
// compose.yaml sends its alerts there, and a person reads them on its page.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mailstream/mailstream/devstack/slack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listen := flag.String("listen", "127.0.0.1:8089", "`host:port` of webhooks and page")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "slack: unknown argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(ctx, *listen, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "slack:", err)
		os.Exit(1)
	}
}

// run prints first what this is for: it is among the first lines of `docker
// compose up`.
func run(ctx context.Context, listen string, out io.Writer) error {
	fmt.Fprintln(out, "DEVELOPMENT: this is not Slack. Messages are kept in memory and shown at http://127.0.0.1:8089 to every client that reaches it.")
	return slack.New(listen).Run(ctx)
}
