package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/pipeline"
)

// process is what the command was started with.
type process struct {
	args    []string
	environ []string
	stdout  io.Writer
	stderr  io.Writer
}

// command holds what the subcommands share.
type command struct {
	process
	configFile  string
	checkConfig bool
}

func newRoot(p process) *cobra.Command {
	c := &command{process: p}
	root := &cobra.Command{
		Use:           "mailstream",
		Short:         "Webhooks of email providers into Kafka, ClickHouse, a suppression list and alerts",
		SilenceUsage:  true,
		SilenceErrors: true,
		Example: `  mailstream ingress --config /etc/mailstream/config.yaml
  mailstream topics apply --config /etc/mailstream/config.yaml`,
	}
	root.SetArgs(p.args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.PersistentFlags().StringVar(&c.configFile, "config", "", "configuration `file`; without it the defaults and the environment (MAILSTREAM_...)")
	for _, s := range []struct {
		name  pipeline.Name
		short string
	}{
		{pipeline.Ingress, "Take webhooks and publish their events to Kafka"},
		{pipeline.Analytics, "Store the events of Kafka in ClickHouse"},
		{pipeline.Suppression, "Keep the suppression list and answer checks"},
		{pipeline.Alerting, "Watch block rates and alert Slack"},
		{pipeline.Console, "Serve the pages where people see how their mail fares"},
	} {
		root.AddCommand(c.service(s.name, s.short))
	}
	root.AddCommand(c.topics(), c.migrate(), c.simulate(), c.suppressions(), c.alerts(), c.classify(), c.replay(), c.reclassify(), c.deadLetters(), c.forget(), c.subjectExport(), c.unsubscribeLink(), healthcheck())
	root.SetHelpCommand(help())
	completion(root)
	strict(root)
	version(root)
	return root
}

// who says who gives the command, for the audit: the user of this host.
func who() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + " on " + host
}

// load reads the configuration that the named services need.
func (c *command) load(names ...pipeline.Name) (pipeline.Config, *zap.Logger, error) {
	in := pipeline.Input{Environ: c.settings(names), Services: names}
	if c.configFile != "" {
		text, err := os.ReadFile(c.configFile)
		if err != nil {
			return pipeline.Config{}, nil, fmt.Errorf("read configuration: %w", err)
		}
		in.File, in.Name = text, c.configFile
	}
	cfg, unused, err := pipeline.Load(in)
	if err != nil {
		return cfg, nil, err
	}
	if cfg.Mode == pipeline.Development {
		fmt.Fprintln(c.stderr, "mailstream: DEVELOPMENT MODE: published and weak secrets are accepted. Do not send real mail through it; for production set mode: production, the default.")
	}
	for _, line := range unused {
		fmt.Fprintf(c.stderr, "mailstream: environment variable %s\n", line)
	}
	log, err := pipeline.NewLogger(cfg)
	return cfg, log, err
}

func (c *command) service(name pipeline.Name, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     string(name),
		Short:   short,
		Example: fmt.Sprintf("  mailstream %s --config /etc/mailstream/config.yaml\n  mailstream %s --config new.yaml --check-config", name, name),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := c.load(name)
			if err != nil {
				return err
			}
			defer func() { _ = log.Sync() }() // standard error has nothing to flush
			if c.checkConfig {                // by New: what it refuses does not start either
				if _, err := pipeline.New(cfg, name, log); err != nil {
					return err
				}
				return c.print(cfg)
			}
			return pipeline.Run(cmd.Context(), cfg, name, log, nil)
		},
	}
	cmd.Flags().BoolVar(&c.checkConfig, "check-config", false, "check the configuration as a start does, print it with secrets as <set>, and exit")
	return cmd
}

func (c *command) print(cfg pipeline.Config) error {
	text, err := cfg.Print()
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.stdout, text)
	return err
}

func (c *command) topics() *cobra.Command {
	var force bool
	var wait time.Duration
	apply := &cobra.Command{
		Use:     "apply",
		Example: "  mailstream topics apply --config /etc/mailstream/config.yaml",
		Short:   "Create the topics that are missing and report those that contradict the configuration",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := c.load(pipeline.Topics)
			if err != nil {
				return err
			}
			return pipeline.Insist(cmd.Context(), wait, log, func(ctx context.Context) error {
				if force {
					return pipeline.ForceTopics(ctx, cfg, log)
				}
				return pipeline.ApplyTopics(ctx, cfg, log)
			})
		},
	}
	waitFlag(apply, &wait)
	apply.Flags().BoolVar(&force, "force", false, "also set what differs and can be set in place; a shorter retention deletes data")
	topics := &cobra.Command{Use: "topics", Short: "Create and check the Kafka topics", Example: "  mailstream topics apply --config /etc/mailstream/config.yaml"}
	topics.AddCommand(apply)
	return topics
}

func (c *command) migrate() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:     "migrate",
		Example: "  mailstream migrate --config /etc/mailstream/config.yaml",
		Short:   "Bring the ClickHouse tables and views to this version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := c.load(pipeline.Migrate)
			if err != nil {
				return err
			}
			return pipeline.Insist(cmd.Context(), wait, log, func(ctx context.Context) error {
				return pipeline.MigrateTables(ctx, cfg, log)
			})
		},
	}
	waitFlag(cmd, &wait)
	return cmd
}

// waitFlag lets cmd wait for a server that is started at the same time.
func waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", time.Minute, "how long to wait for the server when it does not answer; 0 tries once")
}
