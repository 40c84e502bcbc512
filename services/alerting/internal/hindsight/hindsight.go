// Package hindsight finds the spikes that the stream cannot show, because their events
// came more than a window late: after an outage of ours, or of the provider's webhooks.
// They are over, so they are only recorded (decision 0022).
//
// It reads ClickHouse, which has every event once and at its own time, and plays the
// very rules over it. It writes nothing and notifies no one.
package hindsight

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

//go:embed sql/late.sql
var lateSQL string

const (
	// lookInterval is how often late events are looked for, at most.
	lookInterval = 15 * time.Second
	// loadShare bounds the load on ClickHouse: a look that takes a second is followed by
	// this many seconds without one.
	loadShare = 20
	// settled is how long a destination must be without further late events: half of a
	// backlog would show blocks whose deliveries are still on their way.
	settled = time.Minute
	// back is how old an event may be: twice as long as the most patient provider sends
	// one again that was not taken.
	back = 48 * time.Hour
	// keysMax bounds the destinations of one look, those with most late refusals first.
	keysMax = 1_000
	// queryTimeout and memoryMax bound the look for late events, in the server.
	queryTimeout = 30 * time.Second
	memoryMax    = 1 << 30
)

// Found is an incident seen in hindsight.
type Found struct {
	playback.Incident
	Rule rule.Rule
}

// Options say what is looked for.
type Options struct {
	Rules   []rule.Rule // judged from the stream
	RowsMax int64       // that one query may read
	Now     func() time.Time
	// Owned says whether this instance looks.
	Owned func() bool
	// Put takes what was found, and returns false when it has to be found once more.
	Put func(found []Found) bool
}

// Engine looks. Make it with New; Run it once.
type Engine struct {
	opt    Options
	sql    playback.Selector
	often  *zap.Logger
	errors prometheus.Counter
	done   map[key]time.Time // when the last late event came that was looked at
}

// key is a destination under the rules of one window.
type key struct {
	window           time.Duration
	domain, provider string
}

// New returns an engine over the rules.
func New(opt Options, sql playback.Selector, log *zap.Logger, reg prometheus.Registerer) *Engine {
	errs := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mailstream_alerting_late_errors_total",
		Help: "Looks for spikes of events that came late that went wrong and are repeated. Worry when it keeps growing.",
	})
	reg.MustRegister(errs)
	return &Engine{opt: opt, sql: sql, errors: errs, often: telemetry.Throttled(log), done: make(map[key]time.Time)}
}

// Run looks until ctx is done, which is not an error.
func (e *Engine) Run(ctx context.Context) error {
	for pause := lookInterval; lifecycle.Sleep(ctx, pause) == nil; {
		began := time.Now()
		if e.opt.Owned() {
			if err := e.Look(ctx, e.opt.Now()); err != nil && ctx.Err() == nil {
				e.errors.Inc()
				e.often.Warn("late events could not be read: they will be read later", telemetry.Err(err))
			}
		} else {
			clear(e.done)
		}
		pause = max(lookInterval, loadShare*time.Since(began))
	}
	return nil
}

// Look looks once, as of now.
func (e *Engine) Look(ctx context.Context, now time.Time) error {
	maps.DeleteFunc(e.done, func(_ key, came time.Time) bool { return now.Sub(came) > back })
	byWindow := make(map[time.Duration][]rule.Rule)
	for _, r := range e.opt.Rules {
		byWindow[r.Window] = append(byWindow[r.Window], r)
	}
	for _, length := range slices.Sorted(maps.Keys(byWindow)) {
		if err := e.lookAt(ctx, byWindow[length], now); err != nil {
			return fmt.Errorf("look at events more than %s late: %w", length, err)
		}
	}
	return nil
}

// lookAt looks for what came late for rules of one window.
func (e *Engine) lookAt(ctx context.Context, rules []rule.Rule, now time.Time) error {
	length := rules[0].Window
	list, err := e.late(ctx, length, now)
	if err != nil || len(list) == 0 {
		return err
	}
	h := playback.Hindsight{Rules: rules, From: now, To: now, RowsMax: e.opt.RowsMax}
	for _, l := range list {
		h.From = earlier(h.From, time.UnixMilli(l.First))
		if l.Provider != "" { // its domains together, as one spike is reported once
			h.Providers = append(h.Providers, l.Provider)
		} else {
			h.Domains = append(h.Domains, l.Domain)
		}
	}
	slices.Sort(h.Providers)
	h.Providers = slices.Compact(h.Providers)
	incidents, err := h.Find(ctx, e.sql)
	if err != nil {
		return err
	}
	var found []Found
	for _, in := range incidents {
		i := slices.IndexFunc(rules, func(r rule.Rule) bool { return r.Name == in.Rule })
		if now.Sub(in.End) > length { // else the present has it
			found = append(found, Found{Incident: in, Rule: rules[i]})
		}
	}
	if len(found) > 0 && !e.opt.Put(found) {
		return nil
	}
	for _, l := range list {
		e.done[key{length, l.Domain, l.Provider}] = time.UnixMilli(l.Came)
	}
	return nil
}

// row is one row of late.sql, in milliseconds.
type row struct {
	Domain   string `ch:"domain"`
	Provider string `ch:"provider"`
	First    int64  `ch:"first"`
	Came     int64  `ch:"came"`
}

// late returns the destinations with late events that have settled and were not looked
// at yet.
func (e *Engine) late(ctx context.Context, length time.Duration, now time.Time) ([]row, error) {
	var list []row
	limits := clickhouse.Limits{Time: queryTimeout, RowsRead: e.opt.RowsMax, RowsResult: keysMax, Memory: memoryMax}
	err := e.sql.SelectWithin(ctx, limits, &list, lateSQL,
		millis("from", now.Add(-back)), millis("to", now),
		clickhouse.Arg("window", strconv.FormatInt(length.Milliseconds(), 10)), clickhouse.Arg("limit", strconv.Itoa(keysMax)))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(l row) bool {
		came := time.UnixMilli(l.Came)
		return now.Sub(came) < settled || !came.After(e.done[key{length, l.Domain, l.Provider}])
	}), nil
}

func millis(name string, t time.Time) any {
	return clickhouse.Arg(name, strconv.FormatInt(t.UnixMilli(), 10))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
