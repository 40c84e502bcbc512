// Package receiver is the list of those who can be notified of incidents: one entry of
// the configuration is one receiver, each kind in a package of its own.
package receiver

import (
	"net/http"
	"regexp"
	"strings"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/alertmanager"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/email"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/pagerduty"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/teams"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/webhook"
	"github.com/mailstream/mailstream/services/alerting/internal/slack"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// Config is one entry of `alerting.receivers`: a name and exactly one kind.
type Config struct {
	// Name identifies the receiver in routes, records and metrics: 1 to 32 of a-z, 0-9,
	// _ and -. What is owed to a renamed one is lost. Required.
	Name string `yaml:"name"`
	// Slack is an incoming webhook of Slack, or of what takes the same, such as
	// Mattermost.
	Slack *slack.Webhook `yaml:"slack"`
	// SlackBot is a bot of Slack, which changes its message as the incident goes on.
	SlackBot *slack.BotConfig `yaml:"slack_bot"`
	// PagerDuty is an integration of Events API v2.
	PagerDuty *pagerduty.Config `yaml:"pagerduty"`
	// Teams is a workflow of Microsoft Teams.
	Teams *teams.Config `yaml:"teams"`
	// Alertmanager is a cluster of Alertmanagers, API v2.
	Alertmanager *alertmanager.Config `yaml:"alertmanager"`
	// Webhook is an address that takes Standard Webhooks.
	Webhook *webhook.Config `yaml:"webhook"`
	// Email is mail over SMTP.
	Email *email.Config `yaml:"email"`
}

// Options are what a receiver needs beside its configuration.
type Options struct {
	Links wording.Links
	// Transport carries HTTP; nil is the usual one.
	Transport http.RoundTripper
	Log       *zap.Logger
}

// kind is one kind of receiver, as far as it is configured.
type kind struct {
	name     string
	set      bool
	validate func(*config.Problems)
	build    func(Options) outbox.Receiver
}

// kinds returns every kind with what c says of it.
func (c Config) kinds() []kind {
	return []kind{
		entry("slack", c.Slack, slack.Webhook.Validate, func(w slack.Webhook, o Options) outbox.Receiver {
			return slack.New(w, o.Links, o.Transport)
		}),
		entry("slack_bot", c.SlackBot, slack.BotConfig.Validate, func(b slack.BotConfig, o Options) outbox.Receiver {
			return slack.NewBot(b, o.Links, o.Transport)
		}),
		entry("pagerduty", c.PagerDuty, pagerduty.Config.Validate, func(c pagerduty.Config, o Options) outbox.Receiver {
			return pagerduty.New(c, o.Links, o.Transport)
		}),
		entry("teams", c.Teams, teams.Config.Validate, func(c teams.Config, o Options) outbox.Receiver {
			return teams.New(c, o.Links, o.Transport)
		}),
		entry("alertmanager", c.Alertmanager, alertmanager.Config.Validate, func(c alertmanager.Config, o Options) outbox.Receiver {
			return alertmanager.New(c, o.Links, o.Transport, o.Log)
		}),
		entry("webhook", c.Webhook, webhook.Config.Validate, func(c webhook.Config, o Options) outbox.Receiver {
			return webhook.New(c, o.Links, o.Transport)
		}),
		entry("email", c.Email, email.Config.Validate, func(c email.Config, o Options) outbox.Receiver {
			if provider := registry.Relay(c.Host); provider != "" {
				o.Log.Warn("alerts by mail leave through an email provider: when it blocks, they do not arrive", telemetry.Provider(provider))
			}
			return email.New(c, o.Links)
		}),
	}
}

func entry[C any](name string, c *C, validate func(C, *config.Problems), build func(C, Options) outbox.Receiver) kind {
	return kind{
		name: name, set: c != nil,
		validate: func(p *config.Problems) { validate(*c, p) },
		build:    func(o Options) outbox.Receiver { return build(*c, o) },
	}
}

var nameFormat = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	p.Check(nameFormat.MatchString(c.Name), "name", "%q must be 1 to 32 of a-z, 0-9, _ and -", c.Name)
	var known, set []string
	for _, k := range c.kinds() {
		known = append(known, k.name)
		if k.set {
			set = append(set, k.name)
			k.validate(p.At(k.name))
		}
	}
	p.Check(len(set) == 1, "", "has %d kinds (%s), want exactly one of %s", len(set), strings.Join(set, ", "), strings.Join(known, ", "))
}

// Accepts says that success means no more than that the message was accepted, not that
// it is where people see it.
func (c Config) Accepts() bool { return c.Teams != nil || c.Email != nil }

// Build returns the receiver of a valid configuration.
func (c Config) Build(opt Options) outbox.Receiver {
	for _, k := range c.kinds() {
		if k.set {
			return k.build(opt)
		}
	}
	return nil
}
