package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/subject"
)

func (c *command) forget() *cobra.Command {
	var f subject.Forget
	var address, file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "forget",
		Short: "Erase what is known of people, and keep it from coming back",
		Long: `Forget writes to the topic of erasures that people have to be forgotten, and waits
until analytics has taken them out of ClickHouse. Rows that are counted stay, without
anything that leads to the person, so that every rate stays the same; all others are
deleted. The suppression list keeps the hash and the reason, so that nobody is mailed
who must not be. What is read again from Kafka brings nobody back. What happens after
the request is a new relation and is kept.

It looks with --dry-run. One that was killed is carried out by analytics; a second run
changes nothing, and waits until that is done. docs/erasure.md has the deadlines.`,
		Example: `  mailstream forget --address ana@example.com --reason "request 4711" --dry-run
  mailstream forget --file people.txt --reason "requests of May" --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if (address == "") == (file == "") {
				return usagef("forget: want either --address or --file")
			}
			f.Addresses = []string{address}
			if file != "" {
				if f.Addresses, err = readAddresses(file); err != nil {
					return err
				}
			}
			cfg, log, err := c.load(pipeline.ForgetPeople)
			if err != nil {
				return err
			}
			if !asJSON {
				f.Progress = func(now subject.Forgotten) { fmt.Fprintln(c.stderr, progress(now)) }
			}
			entry := audit.Entry{By: who(), Role: audit.RoleCommand, Action: "person.forget", Note: f.Reason}
			if f.DryRun {
				entry.Action = "person.count"
			}
			f.Note = func(ctx context.Context) error { return pipeline.NotePeople(ctx, cfg, entry, f.Addresses...) }
			done, err := pipeline.Forget(cmd.Context(), cfg, f, log)
			if errors.Is(err, subject.ErrAddress) || errors.Is(err, subject.ErrReason) || errors.Is(err, subject.ErrTooMany) {
				return usagef("forget: %w", err)
			}
			return errors.Join(c.printForgotten(done, asJSON), err)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "address", "", "`address` of the person")
	flags.StringVar(&file, "file", "", "`file` with an address a line; empty lines and lines that begin with # are passed over")
	flags.StringVar(&f.Reason, "reason", "", "`why`, such as the number of the request; kept for ever, without addresses")
	flags.BoolVar(&f.DryRun, "dry-run", false, "look what there is, and change nothing")
	flags.DurationVar(&f.Wait, "wait", 2*time.Minute, "how long to wait until nothing is left in ClickHouse; 0 does not wait")
	flags.BoolVar(&asJSON, "json", false, "print the outcome as JSON")
	return cmd
}

// lineFaultsMax bounds the lines that are named: more than a screen helps nobody.
const lineFaultsMax = 20

// readAddresses reads a file with an address a line. The error says which lines have none,
// and holds no part of them.
func readAddresses(name string) ([]string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	var all []string
	var faults []error
	number := 0
	for line := range strings.Lines(string(text)) { // of any length: none may be passed over
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := address.One(line); err != nil {
			if faults = append(faults, fmt.Errorf("line %d: %w", number, err)); len(faults) == lineFaultsMax {
				break
			}
		}
		all = append(all, line)
	}
	if len(faults) > 0 {
		return nil, usagef("--file: %w", errors.Join(faults...))
	}
	if len(all) == 0 {
		return nil, usagef("--file: it has no address")
	}
	return all, nil
}

func progress(f subject.Forgotten) string {
	switch {
	case f.ErasedAt != nil:
		return "nothing is left in the tables of ClickHouse"
	default:
		return fmt.Sprintf("hidden from every view; %s left on disk", several(f.Left, "row is", "rows are"))
	}
}

func (c *command) printForgotten(f subject.Forgotten, asJSON bool) error {
	if f.People == 0 { // nothing was found out
		return nil
	}
	if asJSON {
		return json.NewEncoder(c.stdout).Encode(f)
	}
	for _, table := range slices.Sorted(maps.Keys(f.Rows)) {
		fmt.Fprintf(c.stdout, "%-16s %s\n", table, several(f.Rows[table], "row"))
	}
	switch {
	case f.DryRun:
		fmt.Fprintf(c.stdout, "would forget %s, %s forgotten before\n", several(f.People-f.Before, "person", "people"), several(f.Before, "of them was", "of them were"))
	case f.Request == "":
		fmt.Fprintf(c.stdout, "%s forgotten before, with nothing new: request %s\n", several(f.People, "person was", "people were"), strings.Join(f.Earlier, ", "))
	default:
		fmt.Fprintf(c.stdout, "forgot %s, request %s\n", several(f.People-f.Before, "person", "people"), f.Request)
	}
	return nil
}

func (c *command) subjectExport() *cobra.Command {
	var address, out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "subject-export",
		Short: "Write what is known of one person to a zip file",
		Long: `Subject-export collects what is known of a person: events, messages, the suppression
list with its reasons and its history, the audit of who looked, and dead letters, of
which only the person's own items. The zip has index.html, which a person can read, and
the same as JSON lines.`,
		Example: "  mailstream subject-export --address ana@example.com --out ana.zip",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := isNew(out); err != nil {
				return err
			}
			cfg, log, err := c.load(pipeline.ExportSubject)
			if err != nil {
				return err
			}
			entry := audit.Entry{By: who(), Role: audit.RoleCommand, Action: "person.export"}
			if err := pipeline.NotePeople(cmd.Context(), cfg, entry, address); err != nil {
				return fmt.Errorf("subject-export: %w", err)
			}
			file, err := createWhole(out, false)
			if err != nil {
				return fmt.Errorf("create export: %w", err)
			}
			done, err := pipeline.Export(cmd.Context(), cfg, address, file, log)
			if err := errors.Join(err, file.end(err == nil)); err != nil {
				if errors.Is(err, subject.ErrAddress) {
					return usagef("--address: %w", err)
				}
				return err
			}
			if asJSON {
				return json.NewEncoder(c.stdout).Encode(done)
			}
			for _, part := range done.Parts {
				fmt.Fprintf(c.stdout, "%-16s %d\n", part.Name, part.Rows)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "address", "", "`address` of the person (required)")
	flags.StringVar(&out, "out", "", "zip `file` to write, a new one (required)")
	flags.BoolVar(&asJSON, "json", false, "print what was found as JSON")
	for _, name := range []string{"address", "out"} {
		_ = cmd.MarkFlagRequired(name) // it exists
	}
	return cmd
}

// isNew refuses a file that is there, which may be of another person, or that has no folder.
func isNew(out string) error {
	_, err := os.Lstat(out)
	switch {
	case err == nil:
		return usagef("--out: %s exists: name a new file, or remove that one first", out)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--out: %w", err)
	}
	if folder, err := os.Stat(filepath.Dir(out)); err != nil || !folder.IsDir() {
		return usagef("--out: there is no folder %s", filepath.Dir(out))
	}
	return nil
}
