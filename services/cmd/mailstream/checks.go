package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
)

// checkAnswer is what a check says of some addresses.
type checkAnswer struct {
	Suppressed []struct {
		Address, Reason, Scope, Since string
		Expires                       *string
		Note, Matched, Advice         string
	}
	Checked int
	LagMS   int64 `json:"lag_ms"`
}

func (c *command) check() *cobra.Command {
	var s listCall
	var stream, list, source string
	cmd := &cobra.Command{
		Use:   "check ADDRESS...",
		Short: "Say which of some addresses must not be mailed",
		Long: `Check asks as a sender does, for mail of --stream, --list and --source. It prints a line for each
address that must not be mailed, and exits with 0 whether there is one or not.`,
		Example: "  mailstream suppressions check ana@example.com bo@example.com --stream marketing\n  mailstream suppressions check ana@example.com --json",
		Args:    addressArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			request := map[string]any{"addresses": args, "stream": stream, "list": list, "source": source}
			if err := s.call(cmd.Context(), http.MethodPost, "/v1/suppressions/check", request, &raw); err != nil {
				return asUsage(err)
			}
			var answer checkAnswer
			if err := json.Unmarshal(raw, &answer); err != nil {
				return err
			}
			if s.asJSON {
				fmt.Fprintf(c.stdout, "%s\n", bytes.TrimSpace(raw))
			} else {
				answer.print(c.stdout)
			}
			return nil
		},
	}
	s.bind(cmd, c)
	f := cmd.Flags()
	f.StringVar(&stream, "stream", "", "`name` of the stream of the mail; without it every entry counts")
	f.StringVar(&list, "list", "", "`id` of the list of the mail")
	f.StringVar(&source, "source", "", "`name` of the source by which the mail goes out")
	return cmd
}

// subjectArgs wants addresses, or what stands for many.
func subjectArgs(cmd *cobra.Command, args []string) error {
	for _, arg := range args {
		_, err := address.One(arg)
		if address.IsPattern(arg) {
			_, err = address.Pattern(arg)
		}
		if err != nil && !strings.HasPrefix(arg, schemas.MailboxProviderPrefix) {
			return usagef("%q is %w", arg, err)
		}
	}
	return cobra.MinimumNArgs(1)(cmd, args)
}

// addressArgs wants addresses and nothing else.
func addressArgs(cmd *cobra.Command, args []string) error {
	for _, arg := range args {
		if _, err := address.One(arg); err != nil {
			return usagef("%q is %w", arg, err)
		}
	}
	return cobra.MinimumNArgs(1)(cmd, args)
}

func (a checkAnswer) print(w io.Writer) {
	for _, s := range a.Suppressed {
		until := ""
		if s.Expires != nil {
			until = " until " + *s.Expires
		}
		if s.Matched != "" {
			until += " by " + s.Matched
		}
		fmt.Fprintf(w, "%s: %s (%s) since %s%s %s\n", s.Address, s.Reason, s.Scope, s.Since, until, s.Note)
		if s.Advice != "" {
			fmt.Fprintf(w, "  %s\n", s.Advice)
		}
	}
	fmt.Fprintf(w, "%d of %d must not be mailed\n", len(a.Suppressed), a.Checked)
}

func (c *command) explain() *cobra.Command {
	var s listCall
	cmd := &cobra.Command{
		Use:   "explain ADDRESS",
		Short: "Say why an address is on the list, since when, and what became of its entries",
		Long: `Explain prints every add and lift of an address, the latest 20 of each for every reason
and scope, each with the event or request behind it. All that ever was is in ClickHouse:
SELECT * FROM suppression_log.`,
		Example: "  mailstream suppressions explain ana@example.com\n  mailstream suppressions explain ana@example.com --json",
		Args:    cobra.MatchAll(cobra.ExactArgs(1), subjectArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			path := "/v1/suppressions/history?" + url.Values{"address": args}.Encode()
			if err := s.call(cmd.Context(), http.MethodGet, path, nil, &raw); err != nil {
				return asUsage(err)
			}
			if s.asJSON {
				_, err := fmt.Fprintf(c.stdout, "%s\n", bytes.TrimSpace(raw))
				return err
			}
			return explained(c.stdout, raw)
		},
	}
	s.bind(cmd, c)
	return cmd
}

// explained prints an answer of the history for a person.
func explained(w io.Writer, raw []byte) error {
	var answer struct {
		Address string
		Steps   []struct {
			At, Action, Reason, Scope, Note, Matched string

			Active   bool
			Expires  *string
			Evidence struct {
				EventID   string `json:"event_id"`
				RequestID string `json:"request_id"`
				Provider  string
				Source    string
			}
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return err
	}
	active := false
	for _, s := range answer.Steps {
		by := "event " + s.Evidence.EventID
		if s.Evidence.RequestID != "" {
			by = "request " + s.Evidence.RequestID
		}
		if s.Evidence.Source != "" {
			by += " of " + s.Evidence.Source
		}
		line := fmt.Sprintf("%s  %-6s %s (%s) by %s", s.At, s.Action, s.Reason, s.Scope, by)
		if s.Expires != nil {
			line += ", until " + *s.Expires
		}
		if s.Matched != "" {
			line += ", of " + s.Matched
		}
		if s.Note != "" {
			line += ": " + s.Note
		}
		fmt.Fprintln(w, line)
		active = active || s.Active
	}
	says := "may be mailed"
	if active {
		says = "must not be mailed, as far as the scopes above reach"
	}
	_, err := fmt.Fprintf(w, "%s %s\n", answer.Address, says)
	return err
}
