package wording

import (
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	_ "embed"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Links is the section `alerting.links`: where messages lead to.
type Links struct {
	// Console is the base of the pages about incidents, such as those of the console,
	// https://console.example.com/incidents; the name of the incident is added. Default
	// "": no link.
	Console string `yaml:"console"`
	// Runbook is a page on what to do. Default "": no link.
	Runbook string `yaml:"runbook"`
	// SQL is a page that takes a query in base64 behind #, such as
	// https://clickhouse.example.com:8443/play; a query of the refused messages is
	// added. Default "": no link.
	SQL string `yaml:"sql"`
}

// urlMax bounds a configured address, in bytes: with what is added it stays below
// the 2,048 that receivers take.
const urlMax = 500

// Validate reports every fault to p.
func (l Links) Validate(p *config.Problems) {
	for _, f := range []struct{ name, text string }{{"console", l.Console}, {"runbook", l.Runbook}, {"sql", l.SQL}} {
		u, err := url.Parse(f.text)
		p.Check(f.text == "" || err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && len(f.text) <= urlMax,
			f.name, "%q is not an http or https URL of at most %d bytes", f.text, urlMax)
	}
}

// of returns the links about one notice.
func (l Links) of(n *outbox.Notice) (links []Link) {
	if l.Console != "" {
		links = append(links, Link{"Incident", strings.TrimSuffix(l.Console, "/") + "/" + url.PathEscape(n.Facts.Incident)})
	}
	if l.Runbook != "" {
		links = append(links, Link{"Runbook", l.Runbook})
	}
	if query := refusedQuery(n); l.SQL != "" && query != "" {
		links = append(links, Link{"SQL", l.SQL + "#" + base64.StdEncoding.EncodeToString([]byte(query))})
	}
	return links
}

//go:embed refused.sql
var refusedSQL string

// refusedQuery is the query that people continue with: which replies came since an
// hour before the incident began. It runs with their rights, in their browser.
func refusedQuery(n *outbox.Notice) string {
	if aboutReceiver(&n.Alert) {
		return ""
	}
	where := ""
	for _, label := range []string{schemas.LabelSource, schemas.DimensionDomain, schemas.DimensionProvider, metric.Campaign, metric.SendingIP, metric.SendingDomain, metric.IPPool} {
		if v := n.Alert.Labels[label]; v != "" {
			where += " AND " + label + " = " + literal(Cut(v, nameMax))
		}
	}
	return strings.NewReplacer(
		"{{from}}", literal(n.Facts.Since.Add(-time.Hour).UTC().Format(time.DateTime)), "{{where}}", where,
	).Replace(refusedSQL)
}

// literal writes s as a string of ClickHouse.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(Clean(s)) + "'"
}
