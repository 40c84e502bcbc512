package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

// listCall is what the commands share that ask a running suppression service.
type listCall struct {
	service
	asJSON bool
}

// bind gives cmd the flags of s, and s the token.
func (s *listCall) bind(cmd *cobra.Command, c *command) {
	f := cmd.Flags()
	f.StringVar(&s.url, "url", "http://127.0.0.1:8082", "base `URL` of the suppression service")
	f.BoolVar(&s.asJSON, "json", false, "print the result as JSON")
	cmd.PreRun = func(*cobra.Command, []string) { s.token = c.environment(suppressionToken) }
	cmd.Long += `

The bearer token of the service comes from the environment variable
MAILSTREAM_SUPPRESSION_TOKEN.`
}

// liftCommand is what `suppressions lift` was asked for.
type liftCommand struct {
	listCall
	reason, source, mailbox string
	from, to, note          string
	consent, dryRun         bool
	only                    map[string]any // the filters that were given
}

func (c *command) suppressions() *cobra.Command {
	cmd := &cobra.Command{Use: "suppressions", Short: "Work on the suppression list of a running service",
		Example: `  mailstream suppressions lift --from 2026-01-02T10:00:00Z --to 2026-01-02T18:00:00Z --note "outage" --dry-run`}
	cmd.AddCommand(c.importFile(), c.exportFile(), c.check(), c.explain(), c.add(), c.lift(), c.sync())
	return cmd
}

func (c *command) lift() *cobra.Command {
	var l liftCommand
	cmd := &cobra.Command{
		Use:   "lift",
		Short: "Lift what was listed within a time: what an outage or a bad import did",
		Long: `Lift takes entries off the list by the time and the reason they were added for,
and by source and mailbox provider where these are given. It says how many with
--dry-run. What was lifted stays lifted when the same events are read again.`,
		Example: `  mailstream suppressions lift --reason hard_bounce --mailbox-provider google \
    --from 2026-01-02T10:00:00Z --to 2026-01-02T18:00:00Z --note "outage of Gmail" --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for flag, at := range map[string]string{"from": l.from, "to": l.to} {
				if _, err := parseTime(flag, at); err != nil {
					return err
				}
			}
			l.only = map[string]any{} // an empty word is sent, and refused: it would reach everybody
			for flag, value := range map[string]string{"source": l.source, "mailbox-provider": l.mailbox} {
				if cmd.Flags().Changed(flag) {
					l.only[strings.ReplaceAll(flag, "-", "_")] = value
				}
			}
			return l.run(cmd.Context(), c.stdout, c.stderr)
		},
	}
	l.bind(cmd, c)
	f := cmd.Flags()
	f.StringVar(&l.reason, "reason", "hard_bounce", "`reason` of the entries")
	f.StringVar(&l.from, "from", "", "`time` from which on they were added, RFC 3339 (required)")
	f.StringVar(&l.to, "to", "", "`time` before which they were added, RFC 3339 (required)")
	f.StringVar(&l.source, "source", "", "only what events of this `source` added")
	f.StringVar(&l.mailbox, "mailbox-provider", "", "only addresses of this mailbox `provider`, such as google")
	f.StringVar(&l.note, "note", "", "`why`, kept with every address (required)")
	f.BoolVar(&l.consent, "consent", false, "complaints too: the people have asked for mail again")
	f.BoolVar(&l.dryRun, "dry-run", false, "count, and change nothing")
	for _, name := range []string{"from", "to", "note"} {
		_ = cmd.MarkFlagRequired(name) // it exists
	}
	return cmd
}

// lifted is the sum of the answers.
type lifted struct {
	Matched int  `json:"matched"`
	Lifted  int  `json:"lifted"`
	DryRun  bool `json:"dry_run"`
}

// run repeats the call until the service has looked at all addresses.
func (l *liftCommand) run(ctx context.Context, out, progress io.Writer) error {
	request := map[string]any{
		"reason": l.reason, "added_from": l.from, "added_to": l.to,
		"note": l.note, "consent": l.consent, "dry_run": l.dryRun,
	}
	maps.Copy(request, l.only)
	total := lifted{DryRun: l.dryRun}
	for {
		var answer struct {
			Matched    int    `json:"matched"`
			Lifted     int    `json:"lifted"`
			NextCursor string `json:"next_cursor"`
		}
		if err := l.call(ctx, http.MethodPost, "/v1/suppressions/lift", request, &answer); err != nil {
			return fmt.Errorf("lift after %d entries: %w", total.Lifted, err)
		}
		total.Matched += answer.Matched
		total.Lifted += answer.Lifted
		if answer.NextCursor == "" {
			break
		}
		fmt.Fprintf(progress, "%d entries so far\n", total.Matched)
		request["cursor"] = answer.NextCursor
	}
	if l.asJSON {
		return json.NewEncoder(out).Encode(total)
	}
	what := fmt.Sprintf("lifted %d entries", total.Lifted)
	if l.dryRun {
		what = fmt.Sprintf("would lift %d entries", total.Matched)
	}
	_, err := fmt.Fprintln(out, what)
	return err
}
