package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/devstack/stack"
	"github.com/mailstream/mailstream/services/pipeline"
)

// welcome is what a person sees once everything runs: where things are and
// what to type first.
func welcome(s *stack.Stack, dataDir string) string {
	var b strings.Builder
	ingress := s.URL(pipeline.Ingress)
	fmt.Fprintf(&b, "\nMailstream runs. Data is kept in %s; Ctrl-C stops it.\n\n", dataDir)
	rows := [][2]string{
		{"webhooks", ingress + "/v1/webhooks/mailjet"},
		{"suppression API", s.URL(pipeline.Suppression) + "/v1/suppressions"},
		{"alerts API", s.URL(pipeline.Alerting) + "/v1/alerts"},
		{"Kafka", s.Kafka()},
		{"ClickHouse", s.ClickHouse() + "  (database mailstream)"},
		{"Slack messages", slackPage(s)},
	}
	for _, name := range slices.Backward(pipeline.Names()) {
		if url := s.MetricsURL(name); url != "" {
			rows = append(rows, [2]string{string(name) + " metrics", url})
		}
	}
	for _, row := range rows {
		fmt.Fprintf(&b, "  %-19s %s\n", row[0], row[1])
	}
	fmt.Fprintf(&b, `
Send a first event, ask for it, and ask whether the address may be mailed:

  curl -u dev:dev %s/v1/webhooks/mailjet -d '{"event":"bounce","time":'$(date +%%s)',"MessageID":576460761234567892,"email":"nobody@example.com","hard_bounce":true,"error_related_to":"recipient","error":"user unknown","comment":"550 5.1.1 no such user"}'
  curl %s --data-binary 'SELECT time, type, recipient, reason FROM mailstream.events FORMAT PrettyCompact'
  curl -H 'Authorization: Bearer dev' %s/v1/suppressions/check -d '{"addresses":["nobody@example.com"],"stream":"marketing"}'

See an alert within seconds:

  bin/mailstream simulate --source mailjet --rate 50 --duration 30s --scenario block-spike

`, ingress, s.ClickHouse(), s.URL(pipeline.Suppression))
	return b.String()
}

func slackPage(s *stack.Stack) string {
	if s.Slack() == nil {
		return "as configured: alerting.slack.webhook_url"
	}
	return s.Slack().URL()
}
