package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/devstack/stack"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/simulate"
)

// consoleAt says where the pages are, and whether anybody may see them.
func consoleAt(cfg pipeline.Config, url string) string {
	if cfg.Console.Auth.Open() {
		return url + "  (no login, this machine only)"
	}
	return url
}

// welcome is what a person sees once everything runs: where things are and
// what to type first, as it is configured.
func welcome(s *stack.Stack, opt stack.Options) string {
	var b strings.Builder
	ingress, cfg := s.URL(pipeline.Ingress), s.Config()
	fmt.Fprintf(&b, "\nMailstream runs. Data is kept in %s; Ctrl-C stops it.\n", opt.DataDir)
	fmt.Fprintf(&b, "Log lines come to this terminal, from level %s on; MAILSTREAM_LOG_LEVEL=info shows more.\n\n", cfg.Log.Level)
	rows := [][2]string{{"console", consoleAt(cfg, s.URL(pipeline.Console))}, {"webhooks", ingress + "/v1/webhooks/<source>"}}
	for _, src := range cfg.Ingress.Sources[:min(len(cfg.Ingress.Sources), sourcesShown)] {
		rows = append(rows, [2]string{"  " + src.Name, src.Provider})
	}
	if more := len(cfg.Ingress.Sources) - sourcesShown; more > 0 {
		rows = append(rows, [2]string{"  ...", fmt.Sprintf("%d more", more)})
	}
	rows = append(rows, [][2]string{
		{"suppression API", s.URL(pipeline.Suppression) + "/v1/suppressions"},
		{"alerts API", s.URL(pipeline.Alerting) + "/v1/alerts"},
		{"dead letters API", s.URL(pipeline.Analytics) + "/v1/dead-letters"},
		{"Kafka", s.Kafka()},
		{"ClickHouse", s.ClickHouse() + "  (database " + cfg.ClickHouse.Database + ")"},
		{"Slack messages", slackPage(s)},
	}...)
	for _, name := range slices.Backward(pipeline.Names()) {
		if url := s.MetricsURL(name); url != "" {
			rows = append(rows, [2]string{string(name) + " metrics", url})
		}
	}
	for _, row := range rows {
		fmt.Fprintf(&b, "  %-19s %s\n", row[0], row[1])
	}
	b.WriteString(firstSteps(cfg, opt.ConfigFile, ingress))
	fmt.Fprintf(&b, "\nAsk for it, and whether the address may be mailed:\n\n")
	fmt.Fprintf(&b, "  curl %s --data-binary 'SELECT time, type, recipient, reason FROM %s.events FORMAT PrettyCompact'\n", s.ClickHouse(), cfg.ClickHouse.Database)
	fmt.Fprintf(&b, "  curl -H 'Authorization: Bearer %s' %s/v1/suppressions/check -d '{\"addresses\":[\"nobody@example.com\"],\"stream\":\"marketing\"}'\n\n",
		tokenShown(cfg), s.URL(pipeline.Suppression))
	return b.String()
}

// sourcesShown bounds the sources in the table, in lines of a terminal.
const sourcesShown = 20

// firstSteps says how to send a first event to the first source, and how to make
// traffic. Only published secrets are shown.
func firstSteps(cfg pipeline.Config, file, ingress string) string {
	if len(cfg.Ingress.Sources) == 0 {
		return "\nNo source is configured: add one below ingress.sources.\n"
	}
	if dev, err := pipeline.Dev(); err == nil && reflect.DeepEqual(cfg.Ingress.Sources, dev.Ingress.Sources) {
		file = "" // which has no sources: simulate would find none there
	}
	first := cfg.Ingress.Sources[0]
	url := ingress + "/v1/webhooks/" + first.Name
	if file == "" && first.Provider == "mailjet" {
		return fmt.Sprintf(`
Send a first event:

  curl -u dev:dev %s -d '{"event":"bounce","time":'$(date +%%s)',"MessageID":576460761234567892,"email":"nobody@example.com","hard_bounce":true,"error_related_to":"recipient","error":"user unknown","comment":"550 5.1.1 no such user"}'

See an alert within seconds:

  bin/mailstream simulate%s --source mailjet --rate 50 --duration 30s --scenario block-spike
`, url, elsewhere(ingress))
	}
	how, auth := "", first.Auth
	switch {
	case auth.Basic != nil:
		how = "-u USERNAME:PASSWORD "
	case len(auth.Bearer) > 0:
		how = "-H 'Authorization: Bearer TOKEN' "
	case auth.Header != nil:
		how = "-H '" + auth.Header.Name + ": SECRET' "
	case auth.Query != nil:
		url += "?" + auth.Query.Name + "=SECRET"
	case len(auth.Path) > 0:
		url += "/SECRET"
	}
	text := fmt.Sprintf("\nSend a first event, a body as %s sends it", first.Provider)
	if len(auth.SigningKeys) > 0 || auth.SNS != nil || auth.JWKSURL != "" {
		text += " and signs it"
	}
	text += fmt.Sprintf(":\n\n  curl %s'%s' -H 'Content-Type: application/json' --data-binary @event.json\n", how, url)
	if first.Provider == "generic" {
		return text
	}
	if file != "" {
		file = " --config " + file
	}
	return text + fmt.Sprintf("\nMake traffic, and see an alert within seconds:\n\n  bin/mailstream simulate%s%s --source %s --rate 50 --duration 30s --scenario block-spike\n", file, elsewhere(ingress), first.Name)
}

// elsewhere is the flag that says where the ingress is, "" where simulate finds
// it without.
func elsewhere(ingress string) string {
	if ingress == simulate.Default().URL {
		return ""
	}
	return " --url " + ingress
}

// tokenShown is the published token of development, and a placeholder for any
// other.
func tokenShown(cfg pipeline.Config) string {
	const published = "dev"
	if len(cfg.Suppression.Tokens) > 0 && cfg.Suppression.Tokens[0].Reveal() == published {
		return published
	}
	return "TOKEN"
}

func slackPage(s *stack.Stack) string {
	if s.Slack() == nil {
		return "as configured: alerting.slack.webhook_url"
	}
	return s.Slack().URL()
}
