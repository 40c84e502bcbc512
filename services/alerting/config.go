package alerting

import (
	"fmt"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver"
	"github.com/mailstream/mailstream/services/alerting/internal/route"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slack"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// Config is the section `alerting`.
type Config struct {
	httpserver.Config `yaml:",inline"`
	// Tokens let callers of the API in (RFC 6750). Default none: nobody gets in.
	Tokens []config.Secret `yaml:"tokens"`
	// Slack is where people are notified; it is the receiver called slack.
	Slack Slack `yaml:"slack"`
	// Receivers are further ones, up to 20, see docs/receivers. Default none.
	Receivers []receiver.Config `yaml:"receivers"`
	// Routes say who hears of which incident, up to 100: the first one that fits counts.
	// Default none: all receivers hear of all incidents, as of those that no route fits.
	Routes []route.Route `yaml:"routes"`
	// Links is where messages lead to.
	Links wording.Links `yaml:"links"`
	// Rules say what is alarming. Left out, the built-in rule: more than 60 % of the
	// mail to one recipient domain or mailbox provider blocked within 15 minutes.
	Rules []rule.Rule `yaml:"rules"`
	// Maintenance are silences that come again at set times, up to 50. Default none.
	Maintenance []controls.Window `yaml:"maintenance"`
	// Inhibit says which rule hides the messages of which other one on the same key,
	// up to 50. Default none.
	Inhibit []controls.Inhibition `yaml:"inhibit"`
	// SQL is how the rules are read that cannot be judged from the stream.
	SQL SQL `yaml:"sql"`
	// SeriesMax bounds the recipient domains and mailbox providers kept for one
	// source in one process; further ones are counted together as __other__. Range
	// [1000, 10000000]. Default 1_000_000: about 200 MB.
	SeriesMax int `yaml:"series_max"`
}

// SQL is the subsection about rules judged by SQL. The server is that of the section
// clickhouse; without one, the rules of the stream are judged all the same.
type SQL struct {
	// BuiltIn are the built-in rules to judge by SQL, see docs/rules; one of the same
	// name in `rules` takes its place. Default [silence, complaint_warning,
	// complaint_critical, hard_bounce_warning, hard_bounce_critical].
	BuiltIn []string `yaml:"built_in"`
	// Interval is how often a rule with a window up to 1h is read; a longer window is
	// read less often, up to five times the interval. Default 1m. Range [1s, 1h].
	Interval time.Duration `yaml:"interval"`
	// RowsMax bounds the rows that one reading may look at; beyond, its rules are not
	// judged, and say so. Default 1_000_000_000. Range [1_000_000, 1_000_000_000_000].
	RowsMax int64 `yaml:"rows_max"`
}

// Slack is one channel.
type Slack struct {
	// WebhookURL is an incoming webhook. Default none: without other receivers, alerts
	// are only in the API and in the alerts topic.
	WebhookURL config.Secret `yaml:"webhook_url"`
}

const (
	seriesMax     = 1_000_000
	seriesMaxLow  = 1_000
	seriesMaxHigh = 10_000_000
	rulesMax      = 50 // each is stepped over every key that has blocks
	// receiversMax bounds the queues, and the values of the label `receiver`.
	receiversMax = 20
	// routesMax bounds what an alert is compared with once a second.
	routesMax = 100
	// slackReceiver names the Slack webhook in records and metrics.
	slackReceiver = "slack"
	// controlsMax bounds maintenance windows and inhibitions, which every alert is
	// compared with once a second.
	controlsMax = 50

	sqlIntervalMin, sqlIntervalMax                  = time.Second, time.Hour
	sqlRowsMaxLow, sqlRowsMax, sqlRowsMaxHigh int64 = 1_000_000, 1_000_000_000, 1_000_000_000_000
)

// Default returns the section as it is when left out.
func Default() Config {
	return Config{
		Config:    httpserver.Default("127.0.0.1:8083"),
		Rules:     []rule.Rule{rule.Default()},
		SeriesMax: seriesMax,
		SQL:       SQL{BuiltIn: builtInNames(), Interval: time.Minute, RowsMax: sqlRowsMax},
	}
}

func builtInNames() (names []string) {
	for _, r := range rule.BuiltIn() {
		names = append(names, r.Name)
	}
	return names
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	c.Config.Validate(p)
	if c.Slack.WebhookURL.IsSet() {
		slack.Webhook{WebhookURL: c.Slack.WebhookURL}.Validate(p.At("slack"))
	}
	p.Check(c.SeriesMax >= seriesMaxLow && c.SeriesMax <= seriesMaxHigh, "series_max", "%d is not in [%d, %d]", c.SeriesMax, seriesMaxLow, seriesMaxHigh)
	p.Check(len(c.Rules) >= 1 && len(c.Rules) <= rulesMax, "rules", "%d of them, want 1 to %d", len(c.Rules), rulesMax)
	names := make(map[string]bool)
	for i, r := range c.Rules {
		at := p.At(fmt.Sprintf("rules[%d]", i))
		r.ValidateWritten(at)
		r.WithDefaults().Validate(at)
		at.Check(!names[r.Name], "name", "%q is taken by another rule", r.Name)
		at.Check(r.Name != schemas.RuleReceiver, "name", "%q is taken by the rule of receivers that take no messages", r.Name)
		at.Check(r.Name != rule.NotJudged().Name, "name", "%q is the service's own", r.Name)
		names[r.Name] = true
	}
	for _, name := range c.SQL.BuiltIn {
		names[name] = true
	}
	c.validateControls(names, p)
	names[schemas.RuleReceiver], names[rule.NotJudged().Name] = true, true
	c.validateReceivers(names, p)
	c.SQL.validate(p.At("sql"))
}

// validateControls reports to p what is wrong with maintenance and inhibit; rules
// are the names of all rules.
func (c Config) validateControls(rules map[string]bool, p *config.Problems) {
	p.Check(len(c.Maintenance) <= controlsMax, "maintenance", "%d of them, at most %d", len(c.Maintenance), controlsMax)
	windows := make(map[string]bool)
	for i, w := range c.Maintenance {
		at := p.At(fmt.Sprintf("maintenance[%d]", i))
		w.Validate(at)
		at.Check(!windows[w.Name], "name", "%q is taken by another window", w.Name)
		windows[w.Name] = true
	}
	p.Check(len(c.Inhibit) <= controlsMax, "inhibit", "%d of them, at most %d", len(c.Inhibit), controlsMax)
	for i, inhibition := range c.Inhibit {
		inhibition.Validate(rules, p.At(fmt.Sprintf("inhibit[%d]", i)))
	}
}

// dimensions returns the labels that the keys of the rules have.
func (c Config) dimensions() []string {
	var out []string
	sql, _ := c.sqlRules()
	for _, r := range append(c.rules(), sql...) {
		out = append(out, r.By...)
	}
	return append(out, metric.All)
}

func (s SQL) validate(p *config.Problems) {
	for i, name := range s.BuiltIn {
		p.Check(slices.Contains(builtInNames(), name) && !slices.Contains(s.BuiltIn[:i], name), fmt.Sprintf("built_in[%d]", i), "%q must be one of %v, once", name, builtInNames())
	}
	p.Check(s.Interval >= sqlIntervalMin && s.Interval <= sqlIntervalMax, "interval", "%s is not in [%s, %s]", config.FormatDuration(s.Interval), config.FormatDuration(sqlIntervalMin), config.FormatDuration(sqlIntervalMax))
	p.Check(s.RowsMax >= sqlRowsMaxLow && s.RowsMax <= sqlRowsMaxHigh, "rows_max", "%d is not in [%d, %d]", s.RowsMax, sqlRowsMaxLow, sqlRowsMaxHigh)
}

// sqlRules returns the rules that are judged by SQL, and whether somebody wrote one.
func (c Config) sqlRules() (rules []rule.Rule, written bool) {
	for _, r := range c.rules() {
		if r.On() && !r.FromStream() {
			rules, written = append(rules, r), true
		}
	}
	return append(rules, c.builtIn()...), written
}

// builtIn returns the rules that are judged by SQL without being written down.
func (c Config) builtIn() []rule.Rule {
	return slices.DeleteFunc(rule.BuiltIn(), func(r rule.Rule) bool {
		return !slices.Contains(c.SQL.BuiltIn, r.Name) || slices.ContainsFunc(c.Rules, func(own rule.Rule) bool { return own.Name == r.Name })
	})
}

// AllRules returns the rules as they are written down, and those that are built in.
func (c Config) AllRules() []rule.Rule { return slices.Concat(c.Rules, c.builtIn()) }

// validateReceivers reports to p what is wrong with receivers, routes and links; rules
// are the names of all rules, those of the service itself included.
func (c Config) validateReceivers(rules map[string]bool, p *config.Problems) {
	p.Check(len(c.Receivers) <= receiversMax, "receivers", "%d of them, want at most %d", len(c.Receivers), receiversMax)
	var names []string
	if c.Slack.WebhookURL.IsSet() {
		names = append(names, slackReceiver)
	}
	for i, r := range c.Receivers {
		at := p.At(fmt.Sprintf("receivers[%d]", i))
		r.Validate(at)
		at.Check(!slices.Contains(names, r.Name), "name", "%q is taken by another receiver", r.Name)
		names = append(names, r.Name)
	}
	p.Check(len(c.Routes) <= routesMax, "routes", "%d of them, want at most %d", len(c.Routes), routesMax)
	for i, r := range c.Routes {
		r.Validate(names, rules, p.At(fmt.Sprintf("routes[%d]", i)))
	}
	c.Links.Validate(p.At("links"))
}

// receivers returns all receivers, the webhook of the section slack first.
func (c Config) receivers() []receiver.Config {
	var all []receiver.Config
	if c.Slack.WebhookURL.IsSet() {
		all = append(all, receiver.Config{Name: slackReceiver, Slack: &slack.Webhook{WebhookURL: c.Slack.WebhookURL}})
	}
	return append(all, c.Receivers...)
}

// ratesSlack is how much longer than a window rates must be kept: the margin that
// is read at a start, and the start.
const ratesSlack = 10 * time.Minute

// ValidateBeside reports to p, a collector of the whole file, what shows only
// beside the section `kafka`: rates must outlive the longest window.
func (c Config) ValidateBeside(k kafka.Config, p *config.Problems) {
	kept, longest := k.Topics.RatesRetention, c.longestWindow()
	p.Check(kept >= longest+ratesSlack, "kafka.topics.rates_retention", "%s is too short for a window of %s in alerting.rules: want at least %s",
		config.FormatDuration(kept), config.FormatDuration(longest), config.FormatDuration(longest+ratesSlack))
}

// ValidateThinned reports to p, a collector of the whole file, rules that cannot be judged
// where analytics.keep leaves events out: what stays of these has neither tags nor
// metadata, of which match.stream is one.
func (c Config) ValidateThinned(p *config.Problems) {
	for i, r := range c.Rules {
		r = r.WithDefaults()
		for field, reads := range map[string]bool{"by": slices.Contains(r.By, metric.Tag), "match.stream": len(r.Match.Stream) > 0} {
			p.Check(!r.On() || !reads, fmt.Sprintf("alerting.rules[%d].%s", i, field), "%q reads tags or metadata, which analytics.keep leaves out of events that are not kept", r.Name)
		}
	}
}

// longestWindow returns how far back the rules that are judged from the stream look.
func (c Config) longestWindow() time.Duration {
	longest := metric.StreamWindowMin
	for _, r := range c.streamRules() {
		longest = max(longest, r.Window)
	}
	return longest
}

// streamRules returns the rules that are judged from the stream.
func (c Config) streamRules() []rule.Rule {
	return slices.DeleteFunc(c.rules(), func(r rule.Rule) bool { return !r.On() || !r.FromStream() })
}

// rules returns the rules with their defaults filled in.
func (c Config) rules() []rule.Rule {
	rules := make([]rule.Rule, 0, len(c.Rules))
	for _, r := range c.Rules {
		rules = append(rules, r.WithDefaults())
	}
	return rules
}
