package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/providerapi"
)

const (
	// syncBatch is how many addresses a check asks about.
	syncBatch = 1000
	// syncNoteMax bounds what is kept of the provider's words, characters.
	syncNoteMax = 300
)

// syncCommand is what `suppressions sync` was asked for.
type syncCommand struct {
	listCall
	source   string
	account  providerapi.Account
	opt      providerapi.Options
	streams  map[string]string
	expires  time.Duration
	apply    bool
	out      io.Writer
	progress io.Writer
	most     int // addresses that one check asks about
	batch    []providerapi.Listed
	sum      synced
}

// synced is the sum.
type synced struct {
	Source   string                   `json:"source"`
	Provider string                   `json:"provider"`
	Read     int                      `json:"read"`         // entries of the provider
	Kinds    map[providerapi.Kind]int `json:"kinds"`        // of those
	Both     int                      `json:"in_both"`      // suppressed here, too
	Missing  int                      `json:"missing_here"` // not suppressed here
	Added    int                      `json:"added"`        // of those, with --apply
	Invalid  int                      `json:"invalid"`      // no addresses
	DryRun   bool                     `json:"dry_run"`
}

// synchronizer is one direction of a sync.
type synchronizer interface {
	run(ctx context.Context) error
	print(w io.Writer) error
}

func (c *command) sync() *cobra.Command {
	s := &syncCommand{most: syncBatch}
	p := &pusher{syncCommand: s}
	var file string
	var push bool
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Compare a provider's own list with ours, and add what is missing here",
		Long: `Sync reads the addresses that a provider does not send to (the account of --source
in the section providers) and asks the suppression service about each. Without
--apply it changes nothing and says what differs. With it, what is missing here is
added with the reason provider_suppressed, which ends after --expires unless a later
sync renews it. Nothing is ever lifted here.

With --push it goes the other way: what we suppress for good with one of --reason, and the
provider has not on its list, is added there with --apply. The account has to be
"writable" for it. Nothing is ever lifted there: that is "lift --at-provider".`,
		Example: `  mailstream suppressions sync --source acme-sendgrid --config /etc/mailstream/config.yaml
  mailstream suppressions sync --source acme-sendgrid --out missing.ndjson --json
  mailstream suppressions sync --source acme-sendgrid --push --reason complaint,hard_bounce
  mailstream suppressions sync --source acme-sparkpost --stream non_transactional=marketing --apply`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := s.fault(); err != nil {
				return err
			}
			if push && cmd.Flags().Changed("expires") || !push && cmd.Flags().Changed("reason") {
				return usagef("--reason is for --push, and --expires for the other way")
			}
			accounts, err := c.accounts([]string{s.source})
			if err != nil {
				return err
			}
			s.account = accounts[0]
			work := synchronizer(s)
			if push {
				if err := p.fault(); err != nil {
					return err
				}
				work = p
			}
			if file != "" {
				f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // addresses
				if err != nil {
					return fmt.Errorf("--out: %w", err)
				}
				buffered := bufio.NewWriter(f)
				s.out = buffered
				defer func() { err = errors.Join(err, buffered.Flush(), f.Close()) }()
			}
			s.progress = c.stderr
			if err := work.run(cmd.Context()); err != nil {
				return err
			}
			return work.print(c.stdout)
		},
	}
	s.bind(cmd, c)
	f := cmd.Flags()
	f.StringVar(&s.source, "source", "", "`name` of the account in the section providers (required)")
	f.BoolVar(&s.apply, "apply", false, "add what is missing; without it nothing changes")
	f.BoolVar(&push, "push", false, "add to the provider's list what ours has, instead of the other way")
	f.StringSliceVar(&p.reasons, "reason", pushDefault, "`reason`s of the entries that are pushed; unsubscribe can be named, too")
	f.DurationVar(&s.expires, "expires", 90*24*time.Hour, "how long an added entry holds; 0 is for ever")
	f.StringToStringVar(&s.streams, "stream", nil, "our `name` of a stream, as THEIRS=OURS; one that is not named keeps its name")
	f.StringVar(&file, "out", "", "write what is missing to a new `file`, one JSON object a line")
	_ = cmd.MarkFlagRequired("source") // it exists
	return cmd
}

func (s *syncCommand) fault() error {
	if s.expires < 0 {
		return usagef("--expires: %s is below 0s", s.expires)
	}
	for theirs, ours := range s.streams {
		if theirs == "" || ours == "" {
			return usagef("--stream: \"%s=%s\" lacks a name: want THEIRS=OURS", theirs, ours)
		}
	}
	return nil
}

// run reads the provider's lists to their end. What was added before a fault stays, and
// the next run finds it in both.
func (s *syncCommand) run(ctx context.Context) error {
	s.sum = synced{Source: s.source, Provider: s.account.Provider, Kinds: map[providerapi.Kind]int{}, DryRun: !s.apply}
	err := providerapi.Each(ctx, s.account, s.opt, func(l providerapi.Listed) error {
		s.sum.Read++
		s.sum.Kinds[l.Kind]++
		if s.batch = append(s.batch, l); len(s.batch) < s.most {
			return nil
		}
		return s.compare(ctx)
	})
	if err == nil {
		err = s.compare(ctx)
	}
	if err != nil && s.sum.Added > 0 {
		return fmt.Errorf("%w (%d entries were added before; run it once more)", err, s.sum.Added)
	}
	return err
}

// compare asks about the batch and adds what is missing.
func (s *syncCommand) compare(ctx context.Context) error {
	batch := s.batch
	s.batch = s.batch[:0]
	if len(batch) == 0 {
		return nil
	}
	addresses := make([]string, len(batch))
	for i, l := range batch {
		addresses[i] = l.Address
	}
	var answer struct {
		Suppressed []struct{ Address string }
		Invalid    []struct{ Index int }
	}
	if err := s.call(ctx, http.MethodPost, "/v1/suppressions/check", map[string]any{"addresses": addresses}, &answer); err != nil {
		return fmt.Errorf("check %d addresses: %w", len(addresses), err)
	}
	here := make(map[string]bool, len(answer.Suppressed))
	for _, found := range answer.Suppressed {
		here[found.Address] = true
	}
	var missing []providerapi.Listed
	for i, l := range batch {
		switch {
		case slices.ContainsFunc(answer.Invalid, func(v struct{ Index int }) bool { return v.Index == i }):
			s.sum.Invalid++
		case here[l.Address]:
			s.sum.Both++
		default:
			missing = append(missing, l)
		}
	}
	s.sum.Missing += len(missing)
	if err := s.take(ctx, missing); err != nil {
		return err
	}
	fmt.Fprintf(s.progress, "mailstream: %d read, %d missing here, %d added\n", s.sum.Read, s.sum.Missing, s.sum.Added)
	return nil
}

// entry is one write to the suppression service, and one line of --out.
type entry struct {
	Address string                    `json:"address"`
	Reason  schemas.SuppressionReason `json:"reason"`
	Stream  string                    `json:"stream,omitempty"`
	List    string                    `json:"list,omitempty"`
	Expires string                    `json:"expires,omitempty"`
	Note    string                    `json:"note"`
}

func (s *syncCommand) entry(l providerapi.Listed) entry {
	e := entry{Address: l.Address, Reason: schemas.SuppressProvider, Stream: l.Stream, List: l.List}
	if ours, ok := s.streams[l.Stream]; ok {
		e.Stream = ours
	}
	if s.expires > 0 {
		e.Expires = time.Now().Add(s.expires).UTC().Format(time.RFC3339)
	}
	words := []string{string(l.Kind), "on the list of", s.account.Provider}
	if !l.Since.IsZero() {
		words = append(words, "since", l.Since.Format(time.RFC3339))
	}
	note := strings.Join(words, " ")
	if l.Detail != "" {
		note += ": " + l.Detail
	}
	e.Note = plainLine(note, syncNoteMax)
	return e
}

// plainLine makes one line of at most most characters.
func plainLine(text string, most int) string {
	runes := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " "))
	return string(runes[:min(len(runes), most)])
}

// take writes what is missing to --out, and adds it with --apply. What was added before
// is there once.
func (s *syncCommand) take(ctx context.Context, missing []providerapi.Listed) error {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, l := range missing {
		if err := encoder.Encode(s.entry(l)); err != nil {
			return err
		}
	}
	if s.out != nil {
		if _, err := s.out.Write(lines.Bytes()); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	if !s.apply || len(missing) == 0 {
		return nil
	}
	answer, err := s.importLines(ctx, nil, lines.Bytes())
	if err != nil {
		return fmt.Errorf("add %d addresses: %w", len(missing), err)
	}
	s.sum.Added += answer.Accepted
	if len(answer.Refused) > 0 {
		return fmt.Errorf("add %d addresses: %d were refused, such as: %s", len(missing), answer.RefusedTotal, answer.Refused[0].Error)
	}
	return nil
}

func (s *syncCommand) print(w io.Writer) error {
	if s.asJSON {
		return json.NewEncoder(w).Encode(s.sum)
	}
	fmt.Fprintf(w, "%s at %s: %s", s.sum.Source, s.sum.Provider, several(s.sum.Read, "entry", "entries"))
	for _, kind := range slices.Sorted(maps.Keys(s.sum.Kinds)) {
		fmt.Fprintf(w, ", %s %d", kind, s.sum.Kinds[kind])
	}
	fmt.Fprintf(w, "\n  suppressed here, too  %d\n  missing here          %d\n  no address            %d\n", s.sum.Both, s.sum.Missing, s.sum.Invalid)
	if s.apply {
		_, err := fmt.Fprintf(w, "  added                 %d\n", s.sum.Added)
		return err
	}
	_, err := fmt.Fprintln(w, "nothing was changed: --apply adds what is missing")
	return err
}
