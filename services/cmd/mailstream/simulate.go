package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/simulate"
)

func (c *command) simulate() *cobra.Command {
	cfg := simulate.Default()
	scenario := string(cfg.Scenario)
	var files []string
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Send an ingress the webhooks of messages that were never sent",
		Long: `Simulate sends correctly authenticated webhooks to a running ingress: the events
of messages that were never sent, to people who do not exist. Without --config it
uses the sources of the development configuration, which "make dev" runs with.

With --body it posts request bodies instead, signed anew: one that was captured,
or a sample of the provider's documentation.`,
		Example: `  mailstream simulate --source mailjet --rate 50 --duration 1m --scenario block-spike
  mailstream simulate --source mailjet --rate 2000 --group 100 --duplicates 0.1 --reorder
  mailstream simulate --source mailgun --body captured.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Scenario = simulate.Scenario(scenario)
			var p config.Problems
			cfg.Validate(&p)
			if err := p.Err(); err != nil {
				return flagFault(err)
			}
			if err := c.credentials(&cfg); err != nil {
				return err
			}
			for _, file := range files {
				body, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				cfg.Bodies = append(cfg.Bodies, body)
			}
			_, err := simulate.Run(cmd.Context(), cfg, c.stdout)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.URL, "url", cfg.URL, "base `URL` of the ingress")
	f.StringVar(&cfg.Source, "source", cfg.Source, "configured `source` to post to")
	f.Float64Var(&cfg.Rate, "rate", cfg.Rate, "events a second")
	f.DurationVar(&cfg.Duration, "duration", cfg.Duration, "how long")
	f.StringVar(&scenario, "scenario", scenario, strings.Join(simulate.Scenarios(), ", "))
	f.StringVar(&cfg.Domain, "domain", cfg.Domain, "the domain that block-spike is about")
	f.IntVar(&cfg.Group, "group", cfg.Group, "events a request; 1 sends bare objects")
	f.Float64Var(&cfg.Duplicates, "duplicates", cfg.Duplicates, "share of requests that are sent twice, 0 to 1")
	f.BoolVar(&cfg.Reorder, "reorder", cfg.Reorder, "send events out of order")
	f.IntVar(&cfg.Workers, "workers", cfg.Workers, "requests at once")
	f.StringArrayVar(&files, "body", nil, "`file` with a request body to post instead; repeat the flag for more files")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "the same seed plays the same mix")
	return cmd
}

// credentials finds out, from the configuration, whose requests the source takes
// and what makes them genuine.
func (c *command) credentials(cfg *simulate.Config) error {
	full, err := pipeline.Dev()
	if c.configFile != "" {
		full, _, err = c.load(pipeline.Simulate)
	}
	if err != nil {
		return err
	}
	for _, s := range full.Ingress.Sources {
		if s.Name != cfg.Source {
			continue
		}
		cfg.Provider, cfg.Auth = s.Provider, pipeline.SimulatedAuth(s)
		return nil
	}
	names := make([]string, 0, len(full.Ingress.Sources))
	for _, s := range full.Ingress.Sources {
		names = append(names, s.Name)
	}
	return usagef("--source: the configuration has no %q; it has %s", cfg.Source, strings.Join(names, ", "))
}
