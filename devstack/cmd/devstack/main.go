// Command devstack runs the whole of Mailstream on one machine without Docker
// or a JVM: broker, engine, services and a stand-in for Slack.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/devstack/stack"
)

func main() {
	if engine.IsChild(os.Args) {
		os.Exit(engine.ChildMain())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "devstack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args, environ []string, out io.Writer) error {
	flags := flag.NewFlagSet("devstack", flag.ContinueOnError)
	flags.SetOutput(out)
	opt := stack.Options{Environ: environ, Progress: func(line string) { fmt.Fprintln(out, line) }}
	flags.StringVar(&opt.DataDir, "data-dir", ".mailstream", "`folder` that keeps everything")
	flags.StringVar(&opt.ConfigFile, "config", "", "configuration `file` whose sections replace those of the development configuration")
	flags.BoolVar(&opt.FreePorts, "free-ports", false, "take any free ports instead of the configured ones, to run beside another stack")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("unknown argument %q; see --help", flags.Arg(0))
	}
	s, err := stack.New(opt)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
		fmt.Fprint(out, welcome(s, opt))
		return <-done
	case err := <-done:
		return err
	}
}
