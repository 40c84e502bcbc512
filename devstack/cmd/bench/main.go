// Command bench measures the budgets of ARCHITECTURE.md, each beside its
// reference in the same run, and prints a table. It says what it reached,
// whatever that is: a budget that is missed is not a failure of the run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/mailstream/mailstream/devstack/engine"
)

func main() {
	if engine.IsChild(os.Args) {
		os.Exit(engine.ChildMain())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "`names` of the measurements to run, with commas: "+names())
	entries := flags.Int("entries", 0, "`number` of addresses on the list of the check; the budget speaks of 20000000 (default 2000000)")
	events := flags.Int("events", 0, "`number` of events that the pages of the console are opened over, and that analysts ask of (default 20000000, that of the budget)")
	rounds := flags.Int("rounds", 0, "`number` of rounds of each measurement (default: its own)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	for name := range strings.SplitSeq(*only, ",") {
		if *only != "" && !slices.ContainsFunc(measurements(), func(m measurement) bool { return m.name == name }) {
			return fmt.Errorf("-only: there is no %q; there are %s", name, names())
		}
	}
	opt := options{entries: *entries, events: *events, rounds: *rounds, progress: func(line string) { fmt.Fprintln(out, "  "+line) }}
	var rows []row
	var faults []error
	for _, m := range measurements() {
		if *only != "" && !strings.Contains(","+*only+",", ","+m.name+",") {
			continue
		}
		fmt.Fprintf(out, "%s: %s\n", m.name, m.about)
		got, err := m.run(ctx, opt)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", m.name, err))
			continue
		}
		rows = append(rows, got...)
	}
	print(out, rows)
	return errors.Join(faults...)
}

// row is one line of the table.
type row struct {
	what, ours, reference, result, budget string
	met                                   bool
}

func print(out io.Writer, rows []row) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nwhat\tours\treference\tresult\tbudget\t\n")
	for _, r := range rows {
		verdict := "met"
		if !r.met {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.ours, r.reference, r.result, r.budget, verdict)
	}
	_ = w.Flush() // standard output; the caller sees a closed pipe as a signal
}
