package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting"
	"github.com/mailstream/mailstream/services/pipeline"
)

const (
	// slowDays and slowDayEvents make 3.6 million messages: five weeks, so that the
	// last day has four weeks before it.
	slowDays, slowDayEvents = 35, 160_000
	// slowRules are those of the budget.
	slowRules = 50
	// slowWarm are the rounds after the first, which has the weeks before to read.
	slowWarm = 3
)

// SlowReport is what a round of 50 rules by SQL costs, the medians over the rounds.
type SlowReport struct {
	Events    int
	First     SlowCost // of a process: the weeks before are not known yet
	Next      SlowCost
	Reference SlowCost // one pass over the same events that only counts them
}

// SlowCost is one round.
type SlowCost struct {
	Took, CPU time.Duration // CPU of this process and the engine together
	Rows      int64         // read by the engine
}

// Slow reads 50 rules by SQL over five weeks of mail. The calling program must be able
// to be the engine's child.
func Slow(ctx context.Context, opt Options) (SlowReport, error) {
	opt = opt.withDefaults()
	var report SlowReport
	d, stop, err := newDrain(ctx, opt)
	if err != nil {
		return report, err
	}
	defer stop()
	const database = "weeks"
	cfg, err := d.config(database)
	if err == nil {
		err = pipeline.MigrateTables(ctx, cfg, zap.NewNop())
	}
	if err != nil {
		return report, err
	}
	last, err := d.weeks(ctx, database)
	if err != nil {
		return report, err
	}
	report.Events, err = d.number(ctx, run{name: database}, "drained_rows")
	if err != nil {
		return report, err
	}
	m := meter{drain: d}
	if m.front, err = m.start(); err != nil {
		return report, err
	}
	defer func() { _ = m.front.Close() }() // the round is over
	cfg.ClickHouse.URL = "http://" + m.front.Addr
	return report, report.rounds(ctx, &m, cfg, last.Add(20*time.Hour))
}

// weeks writes five weeks of mail and returns when the last day of them begins.
func (d *drain) weeks(ctx context.Context, database string) (last time.Time, err error) {
	last = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	for day := range slowDays {
		from := last.AddDate(0, 0, day+1-slowDays).Format(clickHouseTime)
		if _, err := d.ask(ctx, database, "weeks", "{{day}}", strconv.Itoa(day), "{{from}}", from, "{{events}}", strconv.Itoa(slowDayEvents)); err != nil {
			return last, err
		}
	}
	return last, nil
}

// slowScopes are what the rules split by and over which window: what a team has.
func slowScopes() []string {
	return []string{
		"by: [source], window: 1d", "by: [campaign], window: 1h", "by: [mailbox_provider], window: 1d", "by: [sending_ip], window: 6h", "by: [recipient_domain], window: 7d",
	}
}

// slowRuleLines are 50 rules, a line each.
func slowRuleLines() string {
	var rules strings.Builder
	n := 0
	for _, name := range []string{
		"block_rate", "hard_bounce_rate", "bounce_rate", "deferral_rate", "unsubscribe_rate", "delivery_rate", "suppressed_share", "complaint_rate", "unknown_share", "volume_drop",
	} {
		for _, scope := range slowScopes() {
			n++
			fmt.Fprintf(&rules, "  - {name: r%d, metric: %s, %s, stale_after: 7d}\n", n, name, scope)
		}
	}
	return rules.String()
}

// slowConfig is a configuration with 50 rules.
func slowConfig() (alerting.Config, error) {
	cfg, _, err := pipeline.Load(pipeline.Input{
		File: []byte("alerting:\n  tokens: [a-token-of-benchmarks]\n  sql: {built_in: []}\n  rules:\n" + slowRuleLines()), Name: "benchmark", Services: []pipeline.Name{pipeline.Alerting},
	})
	if err == nil && len(cfg.Alerting.Rules) != slowRules {
		err = fmt.Errorf("make rules: %d instead of %d", len(cfg.Alerting.Rules), slowRules)
	}
	return cfg.Alerting, err
}

// rounds measures rounds of 50 rules, beside one pass that only counts.
func (r *SlowReport) rounds(ctx context.Context, m *meter, cfg pipeline.Config, at time.Time) error {
	fifty, err := slowConfig()
	if err != nil {
		return err
	}
	var first, next, reference []SlowCost
	for range m.drain.opt.Rounds {
		m.reset()
		if _, err := m.drain.ask(ctx, cfg.ClickHouse.Database, "weeks_scan"); err != nil {
			return err
		}
		reference = append(reference, m.cost(time.Since(m.began)))
		reference[len(reference)-1].Rows = int64(r.Events)
		m.reset()
		_, err := alerting.PlaySQL(ctx, fifty, cfg.ClickHouse, alerting.Play{
			From: at, To: at.Add(slowWarm * time.Minute), Step: time.Minute,
			Read: func(now time.Time, took time.Duration) {
				list := &next
				if now.Equal(at) {
					list = &first
				}
				*list = append(*list, m.cost(took))
				m.reset()
			},
		}, zap.NewNop())
		if err != nil {
			return err
		}
	}
	r.First, r.Next, r.Reference = middleCost(first), middleCost(next), middleCost(reference)
	m.drain.opt.Progress(fmt.Sprintf("a round of 50 rules: first %s, then %s; one pass %s", r.First, r.Next, r.Reference))
	return nil
}

// String is for people.
func (c SlowCost) String() string {
	return fmt.Sprintf("%s (%s of processor, %.1f M rows)", c.Took.Round(time.Millisecond), c.CPU.Round(10*time.Millisecond), float64(c.Rows)/1e6)
}

func middleCost(list []SlowCost) SlowCost {
	slices.SortFunc(list, func(a, b SlowCost) int { return int(a.Took - b.Took) })
	return list[len(list)/2]
}

// meter counts what rounds cost: it sits in front of the engine and adds up the rows
// that the engine says it read.
type meter struct {
	drain *drain
	front *http.Server
	rows  atomic.Int64
	began time.Time
	used  time.Duration
}

func (m *meter) start() (*http.Server, error) {
	to, err := url.Parse(m.drain.engine.URL())
	if err != nil {
		return nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(res *http.Response) error {
		var summary struct {
			Rows string `json:"read_rows"`
		}
		if text := res.Header.Get("X-ClickHouse-Summary"); text != "" {
			if err := json.Unmarshal([]byte(text), &summary); err != nil {
				return fmt.Errorf("read summary %q: %w", text, err)
			}
		}
		n, _ := strconv.ParseInt(summary.Rows, 10, 64) // none is 0
		m.rows.Add(n)
		return nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen before the engine: %w", err)
	}
	front := &http.Server{Addr: listener.Addr().String(), Handler: proxy, ReadHeaderTimeout: stallMax}
	go func() { _ = front.Serve(listener) }() // ends with Close
	return front, nil
}

func (m *meter) reset() {
	m.rows.Store(0)
	m.began, m.used = time.Now(), m.drain.processorTime()
}

func (m *meter) cost(took time.Duration) SlowCost {
	return SlowCost{Took: took, CPU: m.drain.processorTime() - m.used, Rows: m.rows.Load()}
}
