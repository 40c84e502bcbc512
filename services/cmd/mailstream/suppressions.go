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
	s.variable = suppressionToken
	cmd.PreRun = func(*cobra.Command, []string) { s.token = c.environment(s.variable) }
	cmd.Long += `

The bearer token of the service comes from the environment variable
MAILSTREAM_SUPPRESSION_TOKEN.`
}

// liftCommand is what `suppressions lift` was asked for.
type liftCommand struct {
	listCall
	reason, source, mailbox string
	scope                   string
	from, to                moment
	note                    string
	consent, dryRun         bool
	sources                 []string       // at whose provider, too
	only                    map[string]any // the filters that were given
}

func (c *command) suppressions() *cobra.Command {
	cmd := &cobra.Command{Use: "suppressions", Short: "Work on the suppression list of a running service",
		Example: `  mailstream suppressions lift --from 2026-01-02T10:00:00Z --to 2026-01-02T18:00:00Z --note "outage" --dry-run`}
	cmd.AddCommand(c.importFile(), c.exportFile(), c.check(), c.explain(), c.add(), c.lift(), c.sync(), c.snapshot())
	return cmd
}

func (c *command) lift() *cobra.Command {
	var l liftCommand
	cmd := &cobra.Command{
		Use:   "lift [ADDRESS...]",
		Short: "Lift addresses, or what was listed within a time: what an outage or a bad import did",
		Long: `With addresses, lift takes these off the list: all their entries, or those of --reason
and --scope. "*@example.com" and mailbox_provider:google are what add takes. With
--at-provider they come off the provider's own lists, too, all entries they have there:
its account is in the section providers of --config, and is "writable" there. All of them
are looked up before anything changes, and --dry-run shows them. A complaint there wants
--consent as one here does.

Without, it takes entries off the list by the time and the reason they were added for,
and by source and mailbox provider where these are given. It says how many with
--dry-run. What was lifted stays lifted when the same events are read again.`,
		Example: `  mailstream suppressions lift ana@example.com --note "asked for it by phone"
  mailstream suppressions lift ana@example.com --note "asked for it by phone" --at-provider acme-sendgrid --config providers.yaml --dry-run
  mailstream suppressions lift --reason hard_bounce --mailbox-provider google \
    --from 2026-01-02T10:00:00Z --to 2026-01-02T18:00:00Z --note "outage of Gmail" --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return subjectArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, addresses []string) error {
			if len(addresses) > 0 && len(l.sources) > 0 {
				return l.everywhere(cmd, c, addresses)
			}
			if len(addresses) > 0 {
				return l.these(cmd, addresses, c.stdout)
			}
			if len(l.sources) > 0 {
				return usagef("--at-provider is for the addresses that are named")
			}
			if cmd.Flags().Changed("scope") {
				return usagef("--scope is for the addresses that are named")
			}
			if l.from.IsZero() || l.to.IsZero() {
				return usagef(`name addresses, or say when it was listed with both flags "from", "to"`)
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
	f.StringVar(&l.reason, "reason", "hard_bounce", "`reason` of the entries; of addresses any")
	f.StringVar(&l.scope, "scope", "", "`scope` of the entries, such as list:17; only with addresses")
	f.Var(&l.from, "from", "`time` from which on they were added, RFC 3339 or a date in UTC (required without addresses)")
	f.Var(&l.to, "to", "`time` before which they were added, RFC 3339 or a date in UTC (required without addresses)")
	f.StringVar(&l.source, "source", "", "only what events of this `source` added")
	f.StringVar(&l.mailbox, "mailbox-provider", "", "only addresses of this mailbox `provider`, such as google")
	f.StringVar(&l.note, "note", "", "`why`, kept with every address (required)")
	f.StringSliceVar(&l.sources, "at-provider", nil, "`source`s at whose provider the addresses are lifted, too")
	f.BoolVar(&l.consent, "consent", false, "complaints too: the people have asked for mail again")
	f.BoolVar(&l.dryRun, "dry-run", false, "count, and change nothing")
	_ = cmd.MarkFlagRequired("note") // it exists
	return cmd
}

// these lifts addresses, all or none.
func (l *liftCommand) these(cmd *cobra.Command, addresses []string, out io.Writer) error {
	for _, name := range []string{"from", "to", "source", "mailbox-provider", "dry-run"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is for what was listed within a time: leave it out, or the addresses", name)
		}
	}
	request := map[string]any{}
	for name, value := range map[string]string{"reason": l.reason, "scope": l.scope} {
		if cmd.Flags().Changed(name) { // an empty word is sent, and refused
			request[name] = value
		}
	}
	answer, err := l.here(cmd.Context(), addresses, request)
	if err != nil {
		return err
	}
	if l.asJSON {
		return json.NewEncoder(out).Encode(answer)
	}
	_, err = fmt.Fprintf(out, "lifted %s\n", several(answer.Changed, "entry", "entries"))
	return err
}

// liftedHere is the answer to a lift of addresses.
type liftedHere struct {
	Token   string `json:"token"`
	Changed int    `json:"changed"`
}

// here lifts addresses in our list; request has what narrows it.
func (l *liftCommand) here(ctx context.Context, addresses []string, request map[string]any) (answer liftedHere, err error) {
	maps.Copy(request, map[string]any{"action": "lift", "addresses": addresses, "note": l.note, "consent": l.consent})
	err = l.call(ctx, http.MethodPost, "/v1/suppressions/bulk", request, &answer)
	return answer, asUsage(err)
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
		"reason": l.reason, "added_from": l.from.String(), "added_to": l.to.String(),
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
			return fmt.Errorf("lift after %s: %w", several(total.Lifted, "entry", "entries"), err)
		}
		total.Matched += answer.Matched
		total.Lifted += answer.Lifted
		if answer.NextCursor == "" {
			break
		}
		fmt.Fprintf(progress, "%s so far\n", several(total.Matched, "entry", "entries"))
		request["cursor"] = answer.NextCursor
	}
	if l.asJSON {
		return json.NewEncoder(out).Encode(total)
	}
	what := "lifted " + several(total.Lifted, "entry", "entries")
	if l.dryRun {
		what = "would lift " + several(total.Matched, "entry", "entries")
	}
	_, err := fmt.Fprintln(out, what)
	return err
}
