package alertingtest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting"
	"github.com/mailstream/mailstream/services/pipeline"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(enginetest.Main(m, os.Args))
}

// now is the moment that most tests judge, a Wednesday.
var now = time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC)

// world is a database of its own with events in it.
type world struct {
	t        testing.TB
	engine   *engine.Engine
	database string
	rows     []map[string]any
	n        int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, engine: enginetest.Start(t), database: migrated.Copy(t)}
}

// migrated has the tables of this version.
var migrated = enginetest.Template{Fill: func(t testing.TB, database string) {
	w := &world{t: t, engine: enginetest.Start(t), database: database}
	if err := pipeline.MigrateTables(t.Context(), w.config(""), logger(t)); err != nil {
		t.Fatal(err)
	}
}}

func logger(t testing.TB) *zap.Logger { return zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)) }

// config is that of alerting with the given lines below `alerting:`.
func (w *world) config(alert string) pipeline.Config {
	w.t.Helper()
	text := fmt.Sprintf("clickhouse: {url: %q, database: %q}\nalerting:\n  tokens: [test-token-of-16-bytes]\n%s", w.engine.URL(), w.database, alert)
	cfg, _, err := pipeline.Load(pipeline.Input{File: []byte(text), Name: "test", Services: []pipeline.Name{pipeline.Alerting}})
	if err != nil {
		w.t.Fatal(err)
	}
	return cfg
}

// mail is what n messages of one kind have in common.
type mail struct {
	source, domain, provider, campaign, ip string
	sender, pool                           string
	tags                                   []string
	stream                                 string
	origin                                 schemas.Origin
}

func (m mail) or() mail {
	if m.source == "" {
		m.source = "acme"
	}
	if m.domain == "" {
		m.domain = "example.com"
	}
	if m.provider == "" {
		m.provider = "example"
	}
	return m
}

// step is one event in the life of a message, so long after its start.
type step struct {
	after      time.Duration
	typ        schemas.Type
	bounce     schemas.BounceType
	reason     schemas.Reason
	receivedIn time.Duration
}

func delivered() step { return step{typ: schemas.Delivered} }
func blocked(r schemas.Reason) step {
	return step{typ: schemas.Blocked, reason: r}
}
func hard() step {
	return step{typ: schemas.Bounced, bounce: schemas.Hard, reason: schemas.InvalidRecipient}
}

// send notes n messages at a moment, each with all steps.
func (w *world) send(n int, at time.Time, m mail, steps ...step) {
	m = m.or()
	for range n {
		w.n++
		for i, s := range steps {
			when := at.Add(s.after)
			row := map[string]any{
				"id": fmt.Sprintf("00000000-0000-8000-8000-%012x", w.n*16+i), "type": s.typ, "time": stamp(when), "received_at": stamp(when.Add(s.receivedIn)),
				"provider": "mailjet", "source": m.source, "message_id": fmt.Sprintf("m%d", w.n), "recipient": fmt.Sprintf("r%d@%s", w.n, m.domain),
				"recipient_hash": fmt.Sprintf("h%d", w.n), "recipient_domain": m.domain, "mailbox_provider": m.provider,
				"campaign": m.campaign, "sending_ip": m.ip, "sending_domain": m.sender, "ip_pool": m.pool, "tags": append([]string{}, m.tags...), "bounce_type": s.bounce, "reason": s.reason, "metadata": map[string]string{},
			}
			if m.origin != "" {
				row["origin"] = m.origin
			}
			if m.stream != "" {
				row["metadata"] = map[string]string{"stream": m.stream}
			}
			if s.reason != "" {
				row["cause"], row["smtp_reply"] = schemas.CauseOf(s.reason), fmt.Sprintf("550 of %s", s.reason)
			}
			w.rows = append(w.rows, row)
		}
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// store inserts what was noted, twice: repeats must change nothing.
func (w *world) store() {
	w.t.Helper()
	var body bytes.Buffer
	body.WriteString("INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient, recipient_hash, recipient_domain, mailbox_provider, campaign, sending_ip, sending_domain, ip_pool, tags, bounce_type, reason, metadata, cause, smtp_reply, origin) FORMAT JSONEachRow\n")
	for _, r := range w.rows {
		line, err := json.Marshal(r)
		if err != nil {
			w.t.Fatal(err)
		}
		body.Write(append(line, '\n'))
	}
	w.rows = nil
	for range 2 {
		w.sql(body.String())
	}
}

func (w *world) sql(query string) string {
	w.t.Helper()
	values := url.Values{"database": {w.database}, "wait_end_of_query": {"1"}, "max_partitions_per_insert_block": {"0"}}
	res, err := http.Post(w.engine.URL()+"/?"+values.Encode(), "", strings.NewReader(query))
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Fatalf("%.200s: %v, %s: %s", query, err, res.Status, body)
	}
	return strings.TrimSuffix(string(body), "\n")
}

// judge returns the incidents that the rules have at one moment, as lines.
func (w *world) judge(at time.Time, rules string) []string {
	w.t.Helper()
	list := w.play(at, at, time.Minute, rules)
	lines := []string{}
	for _, a := range list {
		lines = append(lines, line(a))
	}
	return lines
}

func (w *world) play(from, to time.Time, every time.Duration, rules string) []schemas.Alert {
	w.t.Helper()
	cfg := w.config(rules)
	list, err := alerting.PlaySQL(context.Background(), cfg.Alerting, cfg.ClickHouse, alerting.Play{From: from, To: to, Step: every}, logger(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// line is "rule label=value ...: numerator/denominator".
func line(a schemas.Alert) string {
	var b strings.Builder
	b.WriteString(a.Rule)
	for _, name := range []string{"source", "recipient_domain", "mailbox_provider", "campaign", "sending_ip", "sending_domain", "ip_pool", "tag", "all"} {
		if v, ok := a.Labels[name]; ok {
			fmt.Fprintf(&b, " %s=%s", name, v)
		}
	}
	fmt.Fprintf(&b, ": %d/%d", a.Measure.Numerator, a.Measure.Denominator)
	return b.String()
}
