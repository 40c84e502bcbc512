package main

import (
	"time"

	"github.com/spf13/cobra"
)

func (c *command) reclassify() *cobra.Command {
	var f replayFlags
	f.request.Verdicts = true
	cmd := &cobra.Command{
		Use:   "reclassify",
		Short: "Judge stored failures, opens and clicks anew with the present classifier",
		Long: `Reclassify takes what is stored of failures, opens and clicks along the present
classifier: their bytes where they are still kept, else the reply and the codes. It says
first what would change: old and new verdict side by side, with how many events. Then
it publishes those that changed, with the ids that they have and the header "origin:
replay": reason, cause, permanent and machine are corrected, all else stays. Rates and
sealed hours follow, and alerting pages nobody for them.

Entries of the suppression list that rest on a bounce that was not caused by the address
are listed for a person to lift. None is lifted.

What was published is kept in a file. A run that was interrupted goes on from there
when the same command is given once more. docs/replay.md says more.`,
		Example: `  mailstream reclassify --since 2026-01-02T00:00:00Z --dry-run
  mailstream reclassify --since 2026-01-02T00:00:00Z --until 2026-02-01T00:00:00Z --source acme --rate 200`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.request.UntilNow = !cmd.Flags().Changed("until"); f.request.UntilNow {
				f.to.Time = time.Now().UTC().Truncate(time.Second)
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			return c.runReplay(cmd, f)
		},
	}
	flags := cmd.Flags()
	flags.Var(&f.from, "since", "`time` of the events from which on, RFC 3339 or a date in UTC (required)")
	flags.Var(&f.to, "until", "`time` of the events before which, RFC 3339 or a date in UTC (default now)")
	flags.StringVar(&f.request.Source, "source", "", "only events of this `source`")
	flags.StringVar(&f.kind, "type", "", "only events of this `type`")
	f.runFlags(cmd)
	_ = cmd.MarkFlagRequired("since") // it exists
	return cmd
}
