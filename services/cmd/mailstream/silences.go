package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// silenceFlags are what `alerts silence` was asked for.
type silenceFlags struct {
	matchers           []string
	since, until       moment
	length, by, reason string
	dryRun             bool
}

// asked is the body of POST /v1/silences.
type asked struct {
	Matchers []schemas.AlertMatcher `json:"matchers"`
	Since    time.Time              `json:"since,omitzero"`
	Until    time.Time              `json:"until"`
	By       string                 `json:"by"`
	Comment  string                 `json:"comment"`
}

func (c *command) silence() *cobra.Command {
	var a alertingCall
	var f silenceFlags
	cmd := &cobra.Command{
		Use:   "silence",
		Short: "Hide the messages of alerts until a time, at most 30 days on",
		Long: `Silence hides the messages of the alerts that all matchers match. It hides no
incident: those are shown as before, with the silence. What still fires when it
ends is reported then. It says how many incidents of the last 7 days it would have hit;
with --dry-run it only says so.`,
		Example: `  mailstream alerts silence --match source=acme --match 'recipient_domain=~.*\.example\.com' --for 2h --by ana --comment "the list is moved" --dry-run`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := f.body(time.Now())
			if err != nil {
				return err
			}
			path := "/v1/silences"
			if f.dryRun {
				path += "?dry_run=true"
			}
			var answer struct {
				ID           string `json:"id,omitempty"`
				WouldHaveHit int    `json:"would_have_hit"`
			}
			if err := a.ask(cmd, c, request{http.MethodPost, path, body, &answer}); err != nil {
				return err
			}
			return a.print(c.stdout, answer, func(w *tabwriter.Writer) {
				if answer.ID != "" {
					fmt.Fprintf(w, "%s holds until %s\n", answer.ID, stamp(body.Until))
				}
				fmt.Fprintf(w, "it would have hit %s of the last 7 days\n", several(answer.WouldHaveHit, "incident"))
			})
		},
	}
	a.flags(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.matchers, "match", nil, "a `MATCHER`, such as source=acme, rule!=block_spike, recipient_domain=~REGEXP or campaign!~REGEXP; all must match (required)")
	flags.StringVar(&f.length, "for", "", "how `long` it holds, such as 2h or 7d")
	flags.Var(&f.until, "until", "the `time` when it ends, RFC 3339 or a date in UTC, in place of --for")
	flags.Var(&f.since, "since", "the `time` when it begins, RFC 3339 or a date in UTC; without it now")
	flags.StringVar(&f.by, "by", "", "`who` silences (required)")
	flags.StringVar(&f.reason, "comment", "", "`why` (required)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what it would have hit")
	for _, name := range []string{"match", "by", "comment"} {
		_ = cmd.MarkFlagRequired(name) // it exists
	}
	return cmd
}

// body reads the flags.
func (f *silenceFlags) body(now time.Time) (asked, error) {
	b := asked{By: f.by, Comment: f.reason}
	if (f.length == "") == f.until.IsZero() {
		return b, usagef("a silence must end: want one of --for and --until")
	}
	for _, text := range f.matchers {
		m, err := parseMatcher(text)
		if err != nil {
			return b, err
		}
		b.Matchers = append(b.Matchers, m)
	}
	b.Since, b.Until = f.since.Time, f.until.Time
	if f.length == "" {
		return b, nil
	}
	length, err := config.ParseDuration(f.length)
	if err != nil || length <= 0 {
		return b, usagef("--for: %q is not a length of time, such as 2h or 7d", f.length)
	}
	b.Until = now.Add(length)
	if b.Since.After(now) {
		b.Until = b.Since.Add(length)
	}
	return b, nil
}

// parseMatcher reads LABEL, one of the operators = != =~ !~, and a value.
func parseMatcher(text string) (m schemas.AlertMatcher, err error) {
	at := strings.IndexAny(text, "=!")
	if at <= 0 {
		return m, usagef("--match: %q is not a label, an operator (= != =~ !~) and a value", text)
	}
	m.Label, text = text[:at], text[at:]
	for _, op := range []string{schemas.MatchRegexp, schemas.MatchNoRegexp, schemas.MatchNotEqual, schemas.MatchEqual} {
		if value, ok := strings.CutPrefix(text, op); ok {
			m.Op, m.Value = op, value
			return m, nil
		}
	}
	return m, usagef("--match: %q has no operator after %s: want one of = != =~ !~", text, m.Label)
}

// silencesShown is the answer of GET /v1/silences.
type silencesShown struct {
	Silences []struct {
		schemas.AlertSilence
		State string `json:"state"`
	} `json:"silences"`
	Maintenance []struct {
		Name     string                 `json:"name"`
		Comment  string                 `json:"comment,omitempty"`
		Matchers []schemas.AlertMatcher `json:"matchers"`
		Active   bool                   `json:"active"`
		Next     time.Time              `json:"next"`
	} `json:"maintenance"`
}

func (c *command) silences() *cobra.Command {
	var a alertingCall
	var state string
	cmd := &cobra.Command{
		Use:     "silences",
		Short:   "List silences, and the maintenance windows of the configuration",
		Example: "  mailstream alerts silences --state active,pending",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := "/v1/silences"
			if cmd.Flags().Changed("state") {
				path += "?" + url.Values{"state": {state}}.Encode()
			}
			var answer silencesShown
			if err := a.ask(cmd, c, request{http.MethodGet, path, nil, &answer}); err != nil {
				return err
			}
			return a.print(c.stdout, answer, answer.write)
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "only these `states`: pending, active, over, separated by commas")
	return cmd
}

func (s *silencesShown) write(w *tabwriter.Writer) {
	fmt.Fprintln(w, "ID\tSTATE\tFROM\tUNTIL\tBY\tMATCHERS\tCOMMENT")
	for _, q := range s.Silences {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", q.ID, q.State, stamp(q.Since), stamp(q.Until), q.By, matchersText(q.Matchers), q.Comment)
	}
	for _, m := range s.Maintenance {
		state := "next"
		if m.Active {
			state = "active"
		}
		fmt.Fprintf(w, "maintenance/%s\t%s\t%s\t\t\t%s\t%s\n", m.Name, state, stamp(m.Next), matchersText(m.Matchers), m.Comment)
	}
}

func matchersText(list []schemas.AlertMatcher) string {
	var out []string
	for _, m := range list {
		out = append(out, m.Label+m.Op+m.Value)
	}
	return strings.Join(out, " ")
}

func (c *command) unsilence() *cobra.Command {
	var a alertingCall
	var by string
	cmd := &cobra.Command{
		Use:     "unsilence ID",
		Short:   "End a silence now: what it hid and still fires is reported",
		Example: "  mailstream alerts unsilence sil-0a1b2c3d4e --by ana",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			path := "/v1/silences/" + url.PathEscape(ids[0])
			if cmd.Flags().Changed("by") {
				path += "?" + url.Values{"by": {by}}.Encode()
			}
			if err := a.ask(cmd, c, request{http.MethodDelete, path, nil, nil}); err != nil {
				return err
			}
			over := map[string]string{"id": ids[0], "state": "over"}
			return a.print(c.stdout, over, func(w *tabwriter.Writer) { fmt.Fprintf(w, "%s is over\n", ids[0]) })
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&by, "by", "", "`who` ends it")
	return cmd
}
