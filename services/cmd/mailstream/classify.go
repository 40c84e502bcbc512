package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/classify"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// replyLineBytesMax bounds one line of standard input. The classifier itself reads
// the first 2 KiB; a longer line is a file of another kind.
const replyLineBytesMax = 1 << 20

// The reply codes of a refusal (RFC 5321, section 4.2.1).
const (
	smtpCodeMin = 400
	smtpCodeMax = 599
)

// classifyFlags are what is said of every reply.
type classifyFlags struct {
	in            classify.Input
	hard          bool
	explain, json bool
}

// classified is the answer as JSON.
type classified struct {
	Reply            string              `json:"reply"`
	Reason           schemas.Reason      `json:"reason"`
	Cause            schemas.Cause       `json:"cause"`
	Confidence       schemas.Confidence  `json:"confidence"`
	Permanent        *bool               `json:"permanent,omitempty"`
	Suppression      string              `json:"suppression,omitempty"`
	Blocklist        string              `json:"blocklist,omitempty"`
	BlocklistSubject string              `json:"blocklist_subject,omitempty"`
	BlocklistURL     string              `json:"blocklist_url,omitempty"`
	Classifier       string              `json:"classifier"`
	Evidence         []classify.Evidence `json:"evidence,omitempty"`
}

func (c *command) classify() *cobra.Command {
	var f classifyFlags
	cmd := &cobra.Command{
		Use:   "classify [flags] [TEXT]",
		Short: "Say why a server refused, from its reply",
		Long: `Classify reads replies of mail servers, one in the argument or one a line of
standard input, and says of each what an event would say: the reason, who has to
act, how sure that is, whether the address is done for, and which blocklist refused.
In a line of standard input, \n means a line break.`,
		Example: `  mailstream classify --explain '550 5.1.1 <ana@example.com>: user unknown'
  mailstream classify --json --hard < replies.txt
  mailstream classify --provider mailjet --class 'user unknown' '550 5.2.2 mailbox full'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			classifier, err := registry.Classifier()
			if err != nil {
				return err
			}
			if err := f.check(classifier); err != nil {
				return err
			}
			if len(args) == 1 {
				return f.answer(c.stdout, classifier, args[0])
			}
			lines := bufio.NewScanner(cmd.InOrStdin())
			lines.Buffer(nil, replyLineBytesMax)
			for n := 1; lines.Scan(); n++ {
				text := strings.ReplaceAll(lines.Text(), `\n`, "\n")
				if err := f.answer(c.stdout, classifier, text); err != nil {
					return fmt.Errorf("classify line %d: %w", n, err)
				}
			}
			if err := lines.Err(); err != nil {
				return fmt.Errorf("read standard input: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.explain, "explain", false, "show what led to the answer, the weightiest first")
	flags.BoolVar(&f.json, "json", false, "one JSON object a reply")
	flags.StringVar(&f.in.Provider, "provider", "", "the `provider` that reported it, for --class")
	flags.StringVar(&f.in.Class, "class", "", "the provider's own `word` for the reason")
	flags.IntVar(&f.in.SMTPCode, "code", 0, "the SMTP `code` that the provider gave beside the text")
	flags.StringVar(&f.in.Enhanced, "enhanced", "", "the enhanced status `code` that the provider gave beside the text")
	flags.BoolVar(&f.in.Soft, "soft", false, "the provider calls it temporary, a soft bounce")
	flags.BoolVar(&f.hard, "hard", false, "the provider calls it a hard bounce: say what the suppression list makes of it")
	return cmd
}

// check refuses what no event has: it would be passed over, and the answer would
// look like one about it.
func (f classifyFlags) check(c *classify.Classifier) error {
	smtp, enhanced := classify.Codes(f.in.Enhanced)
	switch in := f.in; {
	case f.hard && in.Soft:
		return usagef("classify: --hard and --soft contradict each other")
	case in.SMTPCode != 0 && (in.SMTPCode < smtpCodeMin || in.SMTPCode > smtpCodeMax):
		return usagef("--code: %d is not between %d and %d", in.SMTPCode, smtpCodeMin, smtpCodeMax)
	case in.Enhanced != "" && (smtp != 0 || enhanced != in.Enhanced):
		return usagef("--enhanced: %q is not a status code of RFC 3463, such as 5.1.1", in.Enhanced)
	case in.Class != "" && in.Provider == "":
		return usagef("--class: needs --provider, the provider whose word it is")
	case in.Provider != "" && !slices.Contains(c.Providers(), in.Provider):
		return usagef("--provider: no words of %q are known, only those of: %s", in.Provider, strings.Join(c.Providers(), ", "))
	}
	return nil
}

// answer writes what becomes of one reply.
func (f classifyFlags) answer(w io.Writer, c *classify.Classifier, reply string) error {
	in := f.in
	in.Reply = reply
	v, evidence := c.Explain(in)
	out := classified{
		Reply: reply, Reason: v.Reason, Cause: v.Cause, Confidence: v.Confidence, Permanent: v.Permanent,
		Blocklist: v.Listing.Slug, BlocklistSubject: v.Listing.Subject, BlocklistURL: v.Listing.URL(),
		Classifier: c.Version(),
	}
	if f.hard {
		out.Suppression = suppressionOf(v)
	}
	if f.explain {
		out.Evidence = evidence
	}
	if f.json {
		return json.NewEncoder(w).Encode(out)
	}
	_, err := io.WriteString(w, out.text())
	return err
}

// suppressionOf says what a hard bounce with this verdict does.
func suppressionOf(v classify.Verdict) string {
	switch {
	case !v.Dead():
		return "none"
	case v.Permanent != nil:
		return "permanent"
	default:
		return "probation"
	}
}

// text is the answer for people.
func (a classified) text() string {
	var b strings.Builder
	permanent := "unknown"
	if a.Permanent != nil {
		permanent = fmt.Sprint(*a.Permanent)
	}
	fmt.Fprintf(&b, "%s\tcause %s\t%s\tpermanent %s", a.Reason, a.Cause, a.Confidence, permanent)
	if a.Suppression != "" {
		fmt.Fprintf(&b, "\tsuppression %s", a.Suppression)
	}
	if a.Blocklist != "" {
		fmt.Fprintf(&b, "\tblocklist %s %s %s", a.Blocklist, a.BlocklistSubject, a.BlocklistURL)
	}
	b.WriteByte('\n')
	for _, e := range a.Evidence {
		unheard := ""
		if e.Unheard {
			unheard = " (inside of a phrase that says more)"
		}
		fmt.Fprintf(&b, "  %4d  %-18s %-5s %s: %q%s\n", e.Weight, e.Reason, e.Level, e.From, e.Said, unheard)
	}
	return b.String()
}
