package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/deadletters"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/reparse"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/replay"
)

// replayFlags are what `replay` was asked for.
type replayFlags struct {
	from, to              moment
	position, kind        string
	request               replay.Request
	rate                  int
	letters, dryRun, json bool
}

// name is that of the command, of its operations and of the file of its position.
func (f *replayFlags) name() string {
	if f.request.Verdicts {
		return "reclassify"
	}
	return "replay"
}

func (c *command) replay() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Make stored events anew with the present parser and classifier, and publish them",
		Long: `Replay reads the bytes of events, from the topics as far as they have all of a time
and else from ClickHouse, takes them along the present parser and classifier, and says first what would change. Then it publishes them, with the
ids that they have, the header "origin: replay", and "mailstream-replay" with the
name of the operation. Everything counts an id once, alerting pages nobody for them,
and no newer decision of the suppression list is undone.

What was published is kept in a file. A run that was interrupted goes on from there
when the same command is given once more. docs/replay.md says more.`,
		Example: `  mailstream replay --from 2026-01-02T00:00:00Z --to 2026-01-03T00:00:00Z --source acme --dry-run
  mailstream replay --from 2026-01-02T00:00:00Z --to 2026-01-03T00:00:00Z --changed-only --rate 200
  mailstream replay --from 2026-01-02T00:00:00Z --to 2026-01-03T00:00:00Z --dead-letters`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return c.runReplay(cmd, f)
		},
	}
	flags := cmd.Flags()
	flags.Var(&f.from, "from", "`time` of the events from which on, RFC 3339 or a date in UTC (required)")
	flags.Var(&f.to, "to", "`time` of the events before which, RFC 3339 or a date in UTC (required)")
	flags.StringVar(&f.request.Source, "source", "", "only events of this `source`")
	flags.StringVar(&f.kind, "type", "", "only events that are stored as this `type`")
	flags.StringVar(&f.request.Topic, "to-topic", "", "publish to this `topic` instead of those of the types; it must exist")
	flags.BoolVar(&f.request.ChangedOnly, "changed-only", false, "publish only what is judged otherwise today")
	flags.BoolVar(&f.letters, "dead-letters", false, "dead letters of that time instead of events: the open ones are driven anew")
	f.runFlags(cmd)
	for _, name := range []string{"from", "to"} {
		_ = cmd.MarkFlagRequired(name) // it exists
	}
	return cmd
}

// runFlags are those of how it is done.
func (f *replayFlags) runFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would change, and publish nothing")
	flags.IntVar(&f.rate, "rate", defaultReplayRate, "events a second, at most")
	flags.StringVar(&f.position, "position", "", "`file` that keeps the position (default "+f.name()+".json in state.dir)")
	flags.BoolVar(&f.json, "json", false, "print plan and result as JSON, a line each")
}

// defaultReplayRate leaves Kafka and its readers to the live mail.
const defaultReplayRate = 500

// check reads what the flags say.
func (f *replayFlags) check(cmd *cobra.Command) error {
	f.request.From, f.request.To = f.from.Time, f.to.Time
	f.request.Type = schemas.Type(f.kind)
	var faults config.Problems
	f.request.Validate(&faults)
	for _, name := range []string{"source", "type", "to-topic", "position"} {
		if flag := cmd.Flag(name); flag != nil {
			faults.Check(!flag.Changed || flag.Value.String() != "", name, "is empty")
		}
	}
	rateMax := replay.RateMax
	if f.letters {
		rateMax = deadletters.RateMax
		faults.Check(f.kind == "" && f.request.Topic == "" && !f.request.ChangedOnly, "dead-letters", "cannot be combined with --type, --to-topic or --changed-only: dead letters have no type yet")
	}
	faults.Check(f.rate >= 1 && f.rate <= rateMax, "rate", "%d is not in [1, %d]", f.rate, rateMax)
	faults.Check(!f.dryRun || f.position == "", "position", "cannot be combined with --dry-run, which publishes nothing")
	return flagFault(faults.Err())
}

func (c *command) runReplay(cmd *cobra.Command, f replayFlags) error {
	cfg, log, err := c.load(pipeline.Replay)
	if err != nil {
		return err
	}
	history, err := pipeline.OpenHistory(cfg, log)
	if err != nil {
		return err
	}
	defer func() { _ = history.Close() }() // every record was acknowledged, or is an error below
	if f.letters {
		filter := deadletters.Filter{Source: f.request.Source, From: f.request.From, To: f.request.To}
		asked := deadletters.Request{Kind: schemas.OperationRedrive, Filter: filter, Rate: f.rate, By: who(), Role: audit.RoleCommand, Note: "replay --dead-letters"}
		return c.operate(cmd.Context(), history, asked, lettersRun{dryRun: f.dryRun, json: f.json})
	}
	progress, err := c.position(cfg, &f)
	if err != nil {
		return err
	}
	r, err := history.Replay(cmd.Context(), progress.Request)
	if errors.Is(err, replay.ErrTopic) {
		return usagef("--to-topic: %w", err)
	}
	if err != nil {
		return err
	}
	if f.request.Source != "" && !cfg.HasSource(f.request.Source) && r.Total() == 0 {
		return usagef("--source: no source %q is configured, and no event of it is stored", f.request.Source)
	}
	if progress.Events == 0 || f.dryRun { // one that goes on was planned before
		if err := c.plan(cmd.Context(), r, f.json); err != nil || f.dryRun {
			return err
		}
	}
	return c.publishReplay(cmd.Context(), r, progress, &f, history)
}

// position finds the file, and what it says of this replay.
func (c *command) position(cfg pipeline.Config, f *replayFlags) (replay.Progress, error) {
	if f.dryRun {
		return replay.Progress{Request: f.request}, nil
	}
	if f.position == "" {
		if err := os.MkdirAll(cfg.State.Dir, 0o700); err != nil {
			return replay.Progress{}, fmt.Errorf("make state.dir: %w", err)
		}
		f.position = filepath.Join(cfg.State.Dir, f.name()+".json")
	}
	return replay.Resume(f.position, reparse.NewOperation(f.name(), time.Now()), f.request)
}

func (c *command) plan(ctx context.Context, r *replay.Replay, asJSON bool) error {
	shown := time.Now()
	p, err := r.Scan(ctx, func(done int64) {
		if time.Since(shown) >= time.Second {
			shown = time.Now()
			fmt.Fprintf(c.stderr, "plan: %d of %d events\n", done, r.Total())
		}
	})
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if asJSON {
		return json.NewEncoder(c.stdout).Encode(p)
	}
	fmt.Fprintf(c.stdout, "%s: %d the same, %d changed, %d that cannot be made anew; classifier %s\n", several(p.Events, "event"), p.Same, p.Changed, p.Failed, p.Classifier)
	c.printUnstored(p.Unstored)
	for _, one := range p.Ranges {
		fmt.Fprintf(c.stdout, "from %s to %s: read from %s\n", stamp(one.From), stamp(one.To), one.Store)
	}
	const gap = 2 // blanks between columns
	w := tabwriter.NewWriter(c.stdout, 0, 0, gap, ' ', 0)
	for _, change := range p.Changes {
		fmt.Fprintf(w, "%d\t%s\t->\t%s\tsuch as %s\n", change.Events, change.Was, change.Is, change.IDs[0])
	}
	if p.MoreKinds > 0 {
		fmt.Fprintf(w, "%d\tof other kinds\t\t\t\n", p.MoreKinds)
	}
	for _, fault := range slices.Sorted(keysOf(p.Faults)) {
		fmt.Fprintf(w, "%d\tcannot be made anew: %s\t\t\t\n", p.Faults[fault], fault)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return c.printListed(p.Doubts)
}

// printUnstored says what a plan or a run has left out.
func (c *command) printUnstored(records int64) {
	if records > 0 {
		fmt.Fprintf(c.stdout, "%s not stored by analytics yet, and left out: give the command once more when all are\n", several(records, "record of the topics is", "records of the topics are"))
	}
}

// printListed shows entries of the suppression list that a person may want to lift.
func (c *command) printListed(d replay.Doubts) error {
	if len(d.Listed) == 0 {
		return nil
	}
	fmt.Fprintf(c.stdout, "%s on a bounce that was not caused by the address: still listed, so check them, and lift with POST /v1/suppressions/remove\n", several(int64(len(d.Listed))+d.MoreListed, "entry of the suppression list rests", "entries of the suppression list rest"))
	return c.table(func(w *tabwriter.Writer) {
		for _, e := range d.Listed {
			since := ""
			if e.Since != nil {
				since = stamp(*e.Since)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Hash, e.Address, e.Scope, e.Reason, since, e.Event, e.Is)
		}
	})
}

func (c *command) publishReplay(ctx context.Context, r *replay.Replay, progress replay.Progress, f *replayFlags, history *pipeline.History) error {
	shown := time.Now()
	entry := audit.Entry{By: who(), Role: audit.RoleCommand, Action: "events." + f.name(), Object: progress.Operation}
	if err := history.Trail.Note(ctx, entry); err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "operation %s, position in %s\n", progress.Operation, f.position)
	progress, err := r.Run(ctx, progress, replay.Options{
		Kafka: history.Kafka, Prefix: history.Prefix, Rate: f.rate, File: f.position, Expand: history.Expand,
		Progress: func(p replay.Progress) {
			if time.Since(shown) >= time.Second {
				shown = time.Now()
				fmt.Fprintf(c.stderr, "%d of %d events, %d published\n", p.Events, r.Total(), p.Published)
			}
		},
	})
	if errors.Is(err, replay.ErrExpired) {
		return fmt.Errorf("%s after %d events: %w", progress.Operation, progress.Events, err)
	}
	if err != nil {
		return fmt.Errorf("%s after %d events: %w; give the same command to go on", progress.Operation, progress.Events, err)
	}
	if progress.Listed, err = r.StillListed(ctx, progress.Listed); err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(c.stdout).Encode(progress)
	}
	fmt.Fprintf(c.stdout, "%s: %s, %d published, %d left as before\n", progress.Operation, several(progress.Events, "event"), progress.Published, progress.Failed)
	c.printUnstored(progress.Unstored)
	if progress.Expired > 0 {
		fmt.Fprintf(c.stdout, "%s not counted anew in the view messages: some of the events have expired\n", several(progress.Expired, "message is", "messages are"))
	}
	return c.printListed(progress.Doubts)
}
