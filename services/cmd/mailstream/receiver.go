package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/alerting"
	"github.com/mailstream/mailstream/services/pipeline"
)

func (c *command) testReceiver() *cobra.Command {
	var a alertingCall
	cmd := &cobra.Command{
		Use:   "test-receiver NAME",
		Short: "Send one receiver of alerts the beginning and the end of an incident that is a test",
		Long: `Test-receiver sends two messages to one entry of alerting.receivers, or to slack,
which is alerting.slack.webhook_url: the beginning and the end of an incident of
the rule "test" with severity info.

With --config, or where the environment has that receiver, it sends them itself and
needs neither Kafka nor a running service. Else the service at --url sends them, with
its own configuration and from where it runs, as in development.

It exits with 0 when the receiver took them, 1 when it did not or the configuration
is wrong, and 2 when there is no receiver of that name. "accepted" in place of
"delivered" says that the receiver tells no more: look there.`,
		Example: "  mailstream alerts test-receiver slack\n  mailstream alerts test-receiver pager --config /etc/mailstream/config.yaml --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			trial, err := c.tryReceiver(cmd, &a, args[0])
			if err != nil {
				return err
			}
			return c.printTrial(trial, a.asJSON)
		},
	}
	a.flags(cmd)
	return cmd
}

// tryReceiver tries a receiver of the configuration, or has the service try it.
func (c *command) tryReceiver(cmd *cobra.Command, a *alertingCall, name string) (trial alerting.Trial, err error) {
	var here error // why it is not tried by itself
	if !cmd.Flags().Changed("url") {
		cfg, log, err := c.load(pipeline.TestReceiver)
		if err != nil {
			return trial, err
		}
		trial, err = pipeline.TryReceiver(cmd.Context(), cfg, name, log)
		_, unknown := errors.AsType[*alerting.UnknownReceiverError](err)
		switch {
		case unknown && c.configFile != "":
			return trial, usagef("%w", err)
		case !unknown:
			return trial, err
		}
		here = err
	}
	err = a.ask(cmd, c, request{http.MethodPost, "/v1/receivers/" + url.PathEscape(name) + "/test", nil, &trial})
	refused, answered := errors.AsType[*refusedError](err)
	switch {
	case answered && refused.status == http.StatusNotFound:
		return trial, usagef("%s", refused.detail)
	case err != nil && !answered && here != nil:
		return trial, usagef("%w here (--config), and the service at %s cannot be asked: %w", here, a.url, err)
	}
	return trial, err
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
