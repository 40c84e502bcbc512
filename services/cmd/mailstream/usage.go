package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/pipeline"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // the command line itself was wrong; nothing was done
)

// usageError is a fault of the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// moment is the value of a flag that is a time: of RFC 3339, or a date, whose first
// moment in UTC it is.
type moment struct{ time.Time }

// Set reads text.
func (m *moment) Set(text string) (err error) {
	layout := time.RFC3339
	if len(text) == len(time.DateOnly) {
		layout = time.DateOnly
	}
	if m.Time, err = time.Parse(layout, text); err != nil {
		return errors.New("it is neither a time of RFC 3339, like 2026-01-02T10:00:00Z, nor a date")
	}
	return nil
}

// String writes the time as RFC 3339 has it; empty where there is none.
func (m *moment) String() string {
	if m.IsZero() {
		return ""
	}
	return m.Format(time.RFC3339Nano)
}

// Type names the kind of the value in the help.
func (m *moment) Type() string { return "time" }

// run carries out the command line and returns the exit code.
func run(ctx context.Context, p process) int {
	err := newRoot(p).ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(p.stderr, "mailstream:", err)
	if _, wrong := errors.AsType[*usageError](err); wrong {
		return exitUsage
	}
	return exitFailed
}

// flagFault returns the faults of a configuration that flags made, each by its
// flag.
func flagFault(err error) error {
	invalid, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		return err
	}
	return usagef("--%s", strings.Join(invalid.Faults, "\n--"))
}

// strict makes cmd and all below it refuse what they do not know: cobra lets a
// group pass over a word that is not one of its commands, and reports other faults
// of the command line like those of the work.
func strict(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	})
	if cmd.HasSubCommands() && !cmd.Runnable() {
		group(cmd)
		return
	}
	args := cmd.Args
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if args != nil {
			if err := args(cmd, given); err != nil {
				if _, wanted, wants := strings.Cut(cmd.Use, " "); wants && len(given) == 0 {
					return usagef("%s wants %s; see %s --help", cmd.CommandPath(), wanted, cmd.CommandPath())
				}
				return usagef("%s does not take %q; see %s --help", cmd.CommandPath(), strings.Join(given, " "), cmd.CommandPath())
			}
		}
		if err := cmd.ValidateRequiredFlags(); err != nil {
			return usagef("%w; see %s --help", err, cmd.CommandPath())
		}
		if wait, err := cmd.Flags().GetDuration("wait"); err == nil && wait < 0 {
			return usagef("--wait: %s is below 0s", wait)
		}
		return nil
	}
}

// group makes cmd, which only holds others, want one of them.
func group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		switch {
		case len(given) > 0:
			return unknownWord(cmd, given[0])
		case cmd.HasParent():
			return usagef("%s wants one of: %s; see %s --help", cmd.CommandPath(), strings.Join(words(cmd), ", "), cmd.CommandPath())
		default:
			return cmd.Help()
		}
	}
}

func unknownWord(cmd *cobra.Command, word string) error {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return usagef("unknown command %q for %s: did you mean %s?", word, cmd.CommandPath(), strings.Join(near, " or "))
	}
	return usagef("unknown command %q for %s: want one of %s", word, cmd.CommandPath(), strings.Join(words(cmd), ", "))
}

// words are the commands of a group.
func words(cmd *cobra.Command) []string {
	var out []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			out = append(out, sub.Name())
		}
	}
	return out
}

// version gives root the flag --version. Cobra's own prints before it looks at the
// words behind it, so that a mistyped command would be taken for done.
func version(root *cobra.Command) {
	asked := root.Flags().BoolP("version", "v", false, "version for "+root.Name())
	otherwise := root.RunE
	root.RunE = func(cmd *cobra.Command, given []string) error {
		if !*asked || len(given) > 0 {
			return otherwise(cmd, given)
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s version %s\n", cmd.Name(), pipeline.Version())
		return err
	}
}

// help is cobra's help command, but for a word that is not a command.
func help() *cobra.Command {
	return &cobra.Command{
		Use: "help", Short: "Show what a command does", Example: "  mailstream help topics apply", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, given []string) error {
			about, rest, err := cmd.Root().Find(given)
			if err != nil || about == nil {
				return unknownWord(cmd.Root(), strings.Join(given, " "))
			}
			if len(rest) > 0 {
				return unknownWord(about, rest[0])
			}
			return about.Help()
		},
	}
}

// completion is cobra's, with examples.
func completion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Example = "  mailstream completion bash > /etc/bash_completion.d/mailstream"
		for _, shell := range cmd.Commands() {
			shell.Example = fmt.Sprintf("  %s > mailstream.%s", shell.CommandPath(), shell.Name())
		}
	}
}

// several writes how many of a thing there are: 1 event, 2 events. More is what to write
// of several where an s behind one does not do.
func several[N int | int64 | uint64](n N, one string, more ...string) string {
	switch {
	case n == 1:
	case len(more) > 0:
		one = more[0]
	default:
		one += "s"
	}
	return fmt.Sprintf("%d %s", n, one)
}
