package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/pipeline"
)

func (c *command) alerts() *cobra.Command {
	cmd := &cobra.Command{
		Use: "alerts", Short: "See, silence and acknowledge alerts; try rules on history and on cases, and receivers",
		Example: `  mailstream alerts list --state firing
  mailstream alerts silence --match source=acme --for 2h --by ana --comment "the list is moved"
  mailstream alerts backtest --rules rules.yaml --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z`,
	}
	cmd.AddCommand(c.listAlerts(), c.showIncident(), c.silence(), c.silences(), c.unsilence(), c.acknowledge(), c.note())
	cmd.AddCommand(c.backtest(), c.testRules(), c.testReceiver())
	return cmd
}

// backtestFlags are what `alerts backtest` was asked for.
type backtestFlags struct {
	from, to     moment
	rules, sweep string
	exact, json  bool
	step         time.Duration
}

func (c *command) backtest() *cobra.Command {
	var f backtestFlags
	cmd := &cobra.Command{
		Use:   "backtest",
		Short: "Say which incidents rules would have had in the past, beside those that really fired",
		Long: `Backtest plays the history in ClickHouse to rules, with the code that the service
judges by: the incidents, how often they would have called people, and what really
fired then. It calls nobody and changes nothing.

By default it plays counts by minute, in which a message that was delivered and
then refused counts twice. --exact plays each event in the order it was received,
one outcome a message, as the service counts; repeats that ClickHouse has merged
count at the time of the repeat.

Rules that the service judges by SQL are judged at every --step by what is stored
now of the time before; --exact asks the queries of the service for that.

The rules are those of --rules, a file with a list "rules" as in the section
alerting; without it those of the configuration. --sweep tries several values of
one field of each rule.`,
		Example: `  mailstream alerts backtest --rules rules.yaml --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z
  mailstream alerts backtest --from 2026-01-01T00:00:00Z --to 2026-01-08T00:00:00Z --sweep threshold=0.3:0.8:0.05 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runBacktest(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.rules, "rules", "", "`file` with the rules; without it those of the configuration; with --sweep only those that are written there")
	flags.Var(&f.from, "from", "`time` from which on, RFC 3339 or a date in UTC (required)")
	flags.Var(&f.to, "to", "`time` before which, RFC 3339 or a date in UTC (required)")
	flags.StringVar(&f.sweep, "sweep", "", "`FIELD=FROM:TO:STEP`: each rule with each value, such as threshold=0.3:0.8:0.05")
	flags.BoolVar(&f.exact, "exact", false, "play each event in the order received, and rules by SQL with the queries of the service: slower, and as the service counts")
	flags.DurationVar(&f.step, "step", playback.StepDefault, "`time` between two readings of each rule that is judged by SQL, 1m to 24h")
	flags.BoolVar(&f.json, "json", false, "print the report as JSON")
	for _, name := range []string{"from", "to"} {
		_ = cmd.MarkFlagRequired(name) // it exists
	}
	return cmd
}

// options returns the flags as the back-test takes them; progress goes to standard
// error.
func (f *backtestFlags) options(c *command) (opt playback.Options, err error) {
	opt.From, opt.To = f.from.Time, f.to.Time
	if !opt.From.Before(opt.To) {
		return opt, usagef("--from: %s is not before --to %s", &f.from, &f.to)
	}
	if f.step < playback.StepMin || f.step > playback.StepMax {
		return opt, usagef("--step: %s is not in [%s, %s]", f.step, playback.StepMin, playback.StepMax)
	}
	opt.Exact, opt.Step = f.exact, f.step
	shown := time.Now()
	opt.Progress = func(done time.Time, messages int64) {
		if time.Since(shown) >= time.Second {
			shown = time.Now()
			fmt.Fprintf(c.stderr, "up to %s, %d messages\n", done.UTC().Format(time.RFC3339), messages)
		}
	}
	return opt, nil
}

func (c *command) runBacktest(cmd *cobra.Command, f backtestFlags) error {
	opt, err := f.options(c)
	if err != nil {
		return err
	}
	cfg, log, err := c.load(pipeline.Backtest)
	if err != nil {
		return err
	}
	rules := cfg.Rules()
	if f.sweep != "" { // one value is for rules that somebody chose, not for all metrics
		rules = cfg.WrittenRules()
	}
	if f.rules != "" {
		text, err := os.ReadFile(f.rules)
		if err != nil {
			return usagef("--rules: %w", err)
		}
		if rules, err = playback.ReadRules(f.rules, text); err != nil {
			return err
		}
	}
	if f.sweep != "" {
		if rules, err = rules.Sweep(f.sweep); err != nil {
			return usagef("--sweep: %w", err)
		}
	}
	report, err := pipeline.PlayHistory(cmd.Context(), cfg, rules, opt, log)
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(c.stdout).Encode(report)
	}
	return report.Write(c.stdout)
}

func (c *command) testRules() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run unit cases of rules: mail that comes, and the states that alerts must have",
		Long: `Test plays cases, each without mail at its beginning, to the rules of the file, or
to those of the configuration when the file has none. It exits with 1 when an alert
is in another state than the case says. It needs no server. docs/backtest.md has the
form of the file.`,
		Example: "  mailstream alerts test rules-test.yaml\n  mailstream alerts test --config config.yaml --json cases/*.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			cfg, _, err := c.load(pipeline.Backtest)
			if err != nil {
				return err
			}
			var results []playback.Result
			for _, name := range files {
				text, err := os.ReadFile(name)
				if err != nil {
					return usagef("read cases: %w", err)
				}
				cases, rules, err := playback.ReadCases(name, text, cfg.Rules())
				if err != nil {
					return err
				}
				results = append(results, cases.Test(rules)...)
			}
			return c.printResults(results, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the results as JSON")
	return cmd
}

func (c *command) printResults(results []playback.Result, asJSON bool) error {
	failed := 0
	if asJSON {
		if err := json.NewEncoder(c.stdout).Encode(results); err != nil {
			return err
		}
		for _, r := range results {
			if !r.OK {
				failed++
			}
		}
	} else {
		failed = playback.WriteResults(c.stdout, results)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, len(results))
	}
	return nil
}
