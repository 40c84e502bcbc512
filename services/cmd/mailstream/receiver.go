package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/alerting"
	"github.com/mailstream/mailstream/services/pipeline"
)

func (c *command) testReceiver() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test-receiver NAME",
		Short: "Send one receiver of alerts the beginning and the end of an incident that is a test",
		Long: `Test-receiver sends two messages to one entry of alerting.receivers, or to slack,
which is alerting.slack.webhook_url: the beginning and the end of an incident of
the rule "test" with severity info. It needs neither Kafka nor a running service.

It exits with 0 when the receiver took them, 1 when it did not or the configuration
is wrong, and 2 when there is no receiver of that name. "accepted" in place of
"delivered" says that the receiver tells no more: look there.`,
		Example: "  mailstream alerts test-receiver slack --config /etc/mailstream/config.yaml\n  mailstream alerts test-receiver pager --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, log, err := c.load(pipeline.TestReceiver)
			if err != nil {
				return err
			}
			trial, err := pipeline.TryReceiver(cmd.Context(), cfg, args[0], log)
			if _, unknown := errors.AsType[*alerting.UnknownReceiverError](err); unknown {
				return usagef("%w", err)
			}
			if err != nil {
				return err
			}
			return c.printTrial(trial, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the outcome as JSON")
	return cmd
}

func (c *command) printTrial(trial alerting.Trial, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(c.stdout).Encode(trial); err != nil {
			return err
		}
	} else if trial.OK() {
		fmt.Fprintf(c.stdout, "%s: %s\n", trial.Receiver, trial.Outcome)
	}
	if !trial.OK() {
		return fmt.Errorf("try receiver %q: %s: %s", trial.Receiver, trial.Outcome, trial.Detail)
	}
	return nil
}
