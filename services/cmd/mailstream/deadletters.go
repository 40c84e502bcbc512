package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/deadletters"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/reparse"
	"github.com/mailstream/mailstream/services/pipeline"
)

func (c *command) deadLetters() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dead-letters", Short: "List, show, redrive and discard what could not become events",
		Example: `  mailstream dead-letters list
  mailstream dead-letters redrive --reason no_type --dry-run`,
	}
	cmd.AddCommand(c.listLetters(), c.showLetter(), c.redrive(), c.discard())
	return cmd
}

// letterFilter are the flags that say which dead letters.
type letterFilter struct {
	deadletters.Filter
	from, to moment
}

func (f *letterFilter) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.Service, "service", "", "only those that this `service` gave up")
	flags.StringVar(&f.Reason, "reason", "", "only those of this `reason`")
	flags.StringVar(&f.Provider, "provider", "", "only those of this `provider`")
	flags.StringVar(&f.Source, "source", "", "only those of this `source`")
	flags.Var(&f.from, "from", "`time` from which on they were given up, RFC 3339 or a date in UTC")
	flags.Var(&f.to, "to", "`time` before which they were given up, RFC 3339 or a date in UTC")
}

// check reports what is wrong; more reports faults of other flags.
func (f *letterFilter) check(cmd *cobra.Command, more func(p *config.Problems)) error {
	var faults config.Problems
	for _, name := range []string{"service", "reason", "provider", "source"} { // an empty word would mean all
		faults.Check(!cmd.Flags().Changed(name) || cmd.Flag(name).Value.String() != "", name, "is empty")
	}
	f.From, f.To = f.from.Time, f.to.Time
	f.Validate(&faults)
	more(&faults)
	return flagFault(faults.Err())
}

// history opens what is stored.
func (c *command) history() (*pipeline.History, error) {
	cfg, log, err := c.load(pipeline.Replay)
	if err != nil {
		return nil, err
	}
	return pipeline.OpenHistory(cfg, log)
}

func (c *command) listLetters() *cobra.Command {
	var f letterFilter
	var each, asJSON bool
	var after, inState string
	limit := 100
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters by service, reason, provider and source, or one by one",
		Example: `  mailstream dead-letters list
  mailstream dead-letters list --each --reason no_type --limit 20 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.State = inState; inState == "all" {
				f.State = ""
			}
			err := f.check(cmd, func(p *config.Problems) {
				p.Check(inState != "", "state", "is empty")
				p.Check(limit >= 1 && limit <= deadletters.ListMax, "limit", "%d is not in [1, %d]", limit, deadletters.ListMax)
				p.Check(each || !cmd.Flags().Changed("limit") && after == "", "each", "is missing: --limit and --after go with it")
			})
			if err != nil {
				return err
			}
			history, err := c.history()
			if err != nil {
				return err
			}
			defer func() { _ = history.Close() }() // nothing was written
			if each {
				letters, err := history.Letters.List(cmd.Context(), f.Filter, after, limit)
				if err != nil {
					return err
				}
				return c.printLetters(letters, asJSON)
			}
			groups, err := history.Letters.Groups(cmd.Context(), f.Filter)
			if err != nil {
				return err
			}
			return c.printGroups(groups, asJSON)
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&inState, "state", deadletters.StateOpen, "only those in this `state`: open, redriven, discarded, all")
	cmd.Flags().BoolVar(&each, "each", false, "one by one instead of by group, in the order of their ids")
	cmd.Flags().IntVar(&limit, "limit", limit, "how many, with --each")
	cmd.Flags().StringVar(&after, "after", "", "only those behind this `id`, with --each: the last one of the page before")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func (c *command) table(text func(w *tabwriter.Writer)) error {
	const gap = 2 // blanks between columns
	w := tabwriter.NewWriter(c.stdout, 0, 0, gap, ' ', 0)
	text(w)
	return w.Flush()
}

func (c *command) printGroups(groups []deadletters.Group, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(c.stdout).Encode(map[string]any{"groups": groups})
	}
	return c.table(func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "LETTERS\tSTATE\tSERVICE\tREASON\tPROVIDER\tSOURCE\tOLDEST\tNEWEST\tDETAIL")
		for _, g := range groups {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", g.Letters, g.State, g.Service, g.Reason, g.Provider, g.Source, stamp(g.Oldest), stamp(g.Newest), g.Detail)
		}
	})
}

func (c *command) printLetters(letters []deadletters.Letter, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(c.stdout).Encode(map[string]any{"letters": letters})
	}
	return c.table(func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "ID\tTIME\tSTATE\tSERVICE\tREASON\tPROVIDER\tSOURCE\tDETAIL")
		for _, l := range letters {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, stamp(l.Time), l.State, l.Service, l.Reason, l.Provider, l.Source, l.Detail)
		}
	})
}

func (c *command) showLetter() *cobra.Command {
	var raw, asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a dead letter; its bytes without their content, unless --raw asks for them",
		Example: `  mailstream dead-letters show 4e32795d1e666d10b9a1166ec355139a
  mailstream dead-letters show 4e32795d1e666d10b9a1166ec355139a --raw --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			var faults config.Problems
			deadletters.Filter{IDs: ids}.Validate(&faults)
			if err := faults.Err(); err != nil {
				return usagef("ID: %q is not 32 hexadecimal digits", ids[0])
			}
			history, err := c.history()
			if err != nil {
				return err
			}
			defer func() { _ = history.Close() }() // nothing was written
			if raw {
				if err := history.Trail.Note(cmd.Context(), audit.Entry{By: who(), Role: audit.RoleCommand, Action: "dead_letters.raw", Object: ids[0]}); err != nil {
					return err
				}
			}
			letter, ok, err := history.Letters.Get(cmd.Context(), ids[0], raw)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("show dead letter %s: %w", ids[0], deadletters.ErrNoLetter)
			}
			if asJSON {
				return json.NewEncoder(c.stdout).Encode(letter)
			}
			return c.table(func(w *tabwriter.Writer) {
				for _, line := range [][2]string{
					{"id", letter.ID}, {"given up", stamp(letter.Time)}, {"by", letter.Service}, {"reason", letter.Reason}, {"detail", letter.Detail},
					{"provider", letter.Provider}, {"source", letter.Source}, {"record", letter.Origin}, {"state", letter.State},
					{"operation", letter.Operation}, {"note", letter.Note}, {"bytes", letter.Bytes},
				} {
					fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
				}
			})
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "the bytes as they came: they may name a person")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

// lettersRun is how an operation on dead letters is shown.
type lettersRun struct{ dryRun, json bool }

// lettersOperation is the command of one kind of operation on dead letters.
func (c *command) lettersOperation(kind string, cmd *cobra.Command) *cobra.Command {
	var f letterFilter
	var r lettersRun
	asked := deadletters.Request{Kind: kind, By: who(), Role: audit.RoleCommand}
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := f.check(cmd, func(p *config.Problems) {
			asked.Filter = f.Filter
			asked.Validate(p)
		})
		if err != nil {
			return err
		}
		history, err := c.history()
		if err != nil {
			return err
		}
		defer func() { _ = history.Close() }() // every record was acknowledged, or is an error
		return c.operate(cmd.Context(), history, asked, r)
	}
	f.flags(cmd)
	cmd.Flags().StringArrayVar(&f.IDs, "id", nil, "only the dead letter of this `id`; may be given several times")
	cmd.Flags().BoolVar(&asked.All, "all", false, "all open ones: needed where nothing else says which")
	cmd.Flags().IntVar(&asked.Rate, "rate", deadletters.RateDefault, "dead letters a second, at most")
	cmd.Flags().StringVar(&asked.Note, "note", "", "`why`, kept with every dead letter that is closed")
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "say what would come of it, and change nothing")
	cmd.Flags().BoolVar(&r.json, "json", false, "print the result as JSON")
	return cmd
}

// operate does what is asked and prints what came of it.
func (c *command) operate(ctx context.Context, history *pipeline.History, asked deadletters.Request, r lettersRun) error {
	if r.dryRun {
		result, err := history.Desk.Plan(ctx, asked, 0)
		if err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		return c.printResult(asked.Kind, result, r.json)
	}
	op, err := history.Desk.Perform(ctx, asked, func(op schemas.Operation) {
		fmt.Fprintf(c.stderr, "%s: %d of %s, %d done, %d failed\n", op.ID, op.Letters, several(op.Found, "dead letter"), op.Passed, op.Failed)
	})
	if err != nil && op.ID != "" {
		return fmt.Errorf("operation %s after %s: %w; give the same command to go on", op.ID, several(op.Passed, "dead letter"), err)
	}
	if err != nil {
		return err
	}
	if op.State != schemas.OperationDone {
		return fmt.Errorf("operation %s after %s: %w", op.ID, several(op.Passed, "dead letter"), &endError{op})
	}
	result := deadletters.Result{Operation: op.ID, Letters: op.Letters, Passed: op.Passed, Events: op.Events, Failed: op.Failed, Faults: map[reparse.Fault]int64{}}
	for fault, n := range op.Faults {
		result.Faults[reparse.Fault(fault)] = n
	}
	return c.printResult(asked.Kind, result, r.json)
}

// endError is an end of an operation before all was done.
type endError struct{ op schemas.Operation }

func (e *endError) Error() string {
	if e.op.StopBy != "" {
		return "stopped by " + e.op.StopBy
	}
	return string(e.op.State) + ": " + e.op.Error
}

func (c *command) printResult(kind string, r deadletters.Result, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(c.stdout).Encode(r)
	}
	done := "redriven"
	if kind == schemas.OperationDiscard {
		done = "discarded"
	}
	if r.DryRun {
		done = "would be " + done
	}
	fmt.Fprintf(c.stdout, "%s: of %s %d %s (%s), %d fail\n", r.Operation, several(r.Letters, "open dead letter"), r.Passed, done, several(r.Events, "event"), r.Failed)
	for _, fault := range slices.Sorted(keysOf(r.Faults)) {
		fmt.Fprintf(c.stdout, "  %d %s\n", r.Faults[fault], fault)
	}
	return nil
}

func keysOf(m map[reparse.Fault]int64) iter.Seq[reparse.Fault] { return maps.Keys(m) }

func (c *command) redrive() *cobra.Command {
	return c.lettersOperation(schemas.OperationRedrive, &cobra.Command{
		Use:   "redrive",
		Short: "Make events of open dead letters with the present parser, and publish them",
		Long: `Redrive takes dead letters along the present parser and classifier, and publishes
the events, marked as a replay. Those of which events were made are no longer open;
those that fail once more stay. It is a plan with --dry-run. An interrupted run is
given once more: it goes on with what is still open. One operation runs at a time.`,
		Example: `  mailstream dead-letters redrive --reason no_type --source acme --dry-run
  mailstream dead-letters redrive --id 4e32795d1e666d10b9a1166ec355139a`,
	})
}

func (c *command) discard() *cobra.Command {
	cmd := c.lettersOperation(schemas.OperationDiscard, &cobra.Command{
		Use:     "discard",
		Short:   "Close open dead letters that are of no use, with a note that says why",
		Example: `  mailstream dead-letters discard --reason not_an_object --source acme --note "test of the provider"`,
	})
	_ = cmd.MarkFlagRequired("note") // it exists
	return cmd
}
