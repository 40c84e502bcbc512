package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// cli runs a command line.
func cli(t *testing.T, args ...string) (code int, out, faults string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), process{args: args, stdout: &stdout, stderr: &stderr})
	return code, stdout.String(), stderr.String()
}

// commands returns every command with the words that lead to it.
func commands(cmd *cobra.Command, path ...string) map[string]*cobra.Command {
	all := map[string]*cobra.Command{strings.Join(path, " "): cmd}
	for _, sub := range cmd.Commands() {
		for words, c := range commands(sub, append(slices.Clone(path), sub.Name())...) {
			all[words] = c
		}
	}
	return all
}

func TestCommands_RefuseWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	for words, cmd := range commands(newRoot(process{})) {
		path := strings.Fields(words)
		code, _, faults := cli(t, append(slices.Clone(path), "--no-such-flag")...)
		if code != exitUsage || !strings.Contains(faults, "--no-such-flag") {
			t.Errorf("%q with an unknown flag: %d %s", words, code, faults)
		}
		wrong := []string{"zzzzzz"}
		if strings.Contains(cmd.Use, "[TEXT]") || strings.HasSuffix(cmd.Use, " ID") { // it takes one
			wrong = append(wrong, "zzzzzz")
		}
		code, _, faults = cli(t, append(slices.Clone(path), wrong...)...)
		if code != exitUsage || !strings.Contains(faults, "zzzzzz") {
			t.Errorf("%q with an unknown word: %d %s", words, code, faults)
		}
		if !cmd.HasSubCommands() || words == "" {
			continue // alone it works, or shows the help
		}
		if code, _, faults := cli(t, path...); code != exitUsage || !strings.Contains(faults, "wants one of") {
			t.Errorf("%q alone: %d %s", words, code, faults)
		}
	}
}

func TestCommands_HelpHasAnExample(t *testing.T) {
	t.Parallel()
	for words, cmd := range commands(newRoot(process{})) {
		code, out, faults := cli(t, append(strings.Fields(words), "--help")...)
		if code != exitDone || faults != "" || !strings.Contains(out, "Examples:") {
			t.Errorf("%q --help: %d %s%s", words, code, out, faults)
		}
		if !strings.Contains(cmd.Example, strings.TrimSpace("mailstream "+words)) {
			t.Errorf("%q: the example is of another command: %s", words, cmd.Example)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%q: %q is no summary", words, cmd.Short)
		}
	}
}

func TestCommandLine_FaultsAreNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		want string
	}{
		{"topics aply", `unknown command "aply" for mailstream topics: did you mean apply?`},
		{"topcs apply", `unknown command "topcs" for mailstream: did you mean topics?`},
		{"help aply", `unknown command "aply"`},
		{"help topics aply", `did you mean apply?`},
		{"supressions lift", "or suppressions?"},
		{"--version extra", `unknown command "extra"`},
		{"extra --version", `unknown command "extra"`},
		{"--version ingress", "unknown flag: --version"},
		{"topics", "mailstream topics wants one of: apply"},
		{"migrate now", `does not take "now"`},
		{"simulate --rate -5", "--rate: -5 is not above 0 and up to 200000"},
		{"simulate --rate many", "--rate"},
		{"simulate --rate NaN", "--rate"},
		{"simulate --duration 0s --group 0 --duplicates 2 --workers 0", "--workers: 0 is not between 1 and 256"},
		{"simulate --scenario storm", `--scenario: "storm" is not one of`},
		{"simulate --source nobody", `--source: the configuration has no "nobody"; it has `},
		{"simulate --url ftp://x", "--url"},
		{"simulate --url http://", "--url"},
		{"simulate --url http://127.0.0.1:8080?a=b", "--url"},
		{"simulate --domain x", "--domain"},
		{"simulate --domain nobody@x.example", "--domain"},
		{"simulate --domain ..", "--domain"},
		{"topics apply --wait -1s", "--wait: -1s is below 0s"},
		{"topics apply --wait soon", "--wait"},
		{"healthcheck --url nowhere", "--url"},
		{"suppressions lift --note x", `"from", "to"`},
		{"suppressions lift --note x --from yesterday --to 2026-01-02T10:00:00Z", "--from"},
	} {
		if code, _, faults := cli(t, strings.Fields(tt.args)...); code != exitUsage || !strings.Contains(faults, tt.want) {
			t.Errorf("%s: %d %s, want 2 with %s", tt.args, code, faults, tt.want)
		}
	}
}

func TestCommandLine_WhatFailedIsNoUsage(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"ingress --config no-such-file.yaml", "healthcheck --url http://127.0.0.1:1/readyz", "simulate --body no-such-file --rate 1"} {
		if code, _, faults := cli(t, strings.Fields(args)...); code != exitFailed || faults == "" {
			t.Errorf("%s: %d %s, want 1", args, code, faults)
		}
	}
	for _, args := range []string{"", "--version", "help topics apply", "completion bash"} {
		if code, out, faults := cli(t, strings.Fields(args)...); code != exitDone || out == "" || faults != "" {
			t.Errorf("%q: %d %s, want 0", args, code, faults)
		}
	}
}
