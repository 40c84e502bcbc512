package slow

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// Group is the group of all alerts of rules judged by SQL: one partition of the
	// rates topic, so one instance, owns them. No rate has this key, which has no slash.
	Group = "sql"
	// keysMax bounds the keys of one query, the worst first; those beyond are counted.
	keysMax = 10_000
	// watchedMax bounds the incidents under way that one query must answer for.
	watchedMax = 1_000
	// lookInterval is how often the engine looks whether a query is due.
	lookInterval = time.Second
	// notJudgedAfter is how long readings may be missing before people hear of it.
	notJudgedAfter = rule.NotJudgedAfter
	// behindMax is how far ClickHouse may be behind Kafka to be believed: beyond, feeds
	// would seem silent that are not.
	behindMax = 5 * time.Minute
	// newestMax is how old the latest event in Kafka may be to be looked for in ClickHouse.
	newestMax = 2 * 24 * time.Hour
	// baselineKept is how long the weeks before are remembered; they hardly change.
	baselineKept = 15 * time.Minute
	// weeksMin is how many of the four weeks must have mail to compare with.
	weeksMin = 2
	// queryTimeout bounds one query, in the server; timeouts of the connection follow
	// the section clickhouse.
	queryTimeout = 30 * time.Second
	// retryMax is how long a query that went wrong waits at most before it is tried
	// again: three times before people hear of it. failedMax bounds the doubling.
	retryMax, failedMax = 5 * time.Minute, 8
	// memoryMax bounds what one query takes of the server.
	memoryMax = 4 << 30
)

// Selector reads rows within limits. Kept by clickhouse.Client.
type Selector interface {
	SelectWithin(ctx context.Context, limits clickhouse.Limits, dest any, query string, args ...any) error
}

// Found is the reading of one rule over one key.
type Found struct {
	Rule    rule.Rule
	Labels  map[string]string
	Reading rule.Reading
	Counts  schemas.AlertCounts
	Causes  map[string]int64
	// Carriers say who carries it and Reasons what the replies say, for what is about to
	// fire.
	Carriers []schemas.AlertCarrier
	Reasons  []schemas.ReasonCount
	Stored   int64 // bad messages that Carriers are of, where they were read
	Late     bool
}

// Round is what was read of some rules. A key of an incident that is not in Found
// has no mail.
type Round struct {
	Found []Found
	// Read are the rules and dimensions that were read.
	Read []Scope
}

// Scope is one rule in one dimension.
type Scope struct{ Rule, By string }

// ScopeOf returns the scope of an alert.
func ScopeOf(name string, labels map[string]string) Scope {
	for label := range labels {
		if label != schemas.LabelSource {
			return Scope{name, label}
		}
	}
	return Scope{name, metric.Source}
}

// Options say what is read.
type Options struct {
	Rules []rule.Rule
	// Pace is the shortest time between two readings of a rule.
	Pace time.Duration
	// RowsMax bounds the rows one query may read.
	RowsMax int64
	// Literal are the providers whose bounces are never blocks.
	Literal map[string]bool
	Now     func() time.Time
	// Owned says whether this instance judges these rules.
	Owned func() bool
	// Active returns the alerts of these rules that are under way.
	Active func() []schemas.Alert
	// Newest returns when the latest event that was seen in Kafka was written, zero when none was.
	Newest func() time.Time
	// Take takes what was read.
	Take func(Round)
	// Bare leaves out who carries what fires and what the replies say: a back-test asks
	// for neither.
	Bare bool
	// Wanted says that somebody wrote a rule that needs ClickHouse, so that missing it
	// is a fault from the start; else it is one only once it was there.
	Wanted bool
}

// Engine reads. Make it with New; Run it once.
type Engine struct {
	opt      Options
	sql      Selector
	often    *zap.Logger
	met      *metrics
	queries  []*query
	literal  []string
	timeout  time.Duration // of a query, in the server
	ownedAt  time.Time     // when this instance began to own the rules
	toldGone bool          // the last round said that rules are not judged
	seen     bool          // ClickHouse answered once
	missing  atomic.Int64
}

// New returns an engine over the rules.
func New(opt Options, sql Selector, log *zap.Logger, reg prometheus.Registerer) *Engine {
	e := &Engine{opt: opt, sql: sql, often: telemetry.Throttled(log), met: newMetrics(reg), queries: plan(opt.Rules, opt.Pace)}
	e.literal, e.timeout = words(opt.Literal), queryTimeout
	return e
}

// words returns the names of a set, sorted.
func words(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// Blind says whether rules have not been judged for longer than notJudgedAfter
// although they should be.
func (e *Engine) Blind() bool { return e.missing.Load() > 0 }

// Run reads until ctx is done, which is not an error.
func (e *Engine) Run(ctx context.Context) error {
	for {
		if e.opt.Owned() {
			e.turn(ctx, e.opt.Now())
		} else {
			e.ownedAt, e.toldGone = time.Time{}, false
			e.missing.Store(0)
			e.met.notJudged.Set(0)
		}
		if lifecycle.Sleep(ctx, lookInterval) != nil {
			return nil
		}
	}
}

// turn reads what is due, one query after the other, so that rounds never overlap.
// Those that went wrong before come last: one that uses up its time limit holds up
// only itself.
func (e *Engine) turn(ctx context.Context, now time.Time) {
	if e.ownedAt.IsZero() {
		e.ownedAt = now
		for _, q := range e.queries {
			q.dueAt, q.okAt, q.failed = now, now, 0
		}
	}
	began := time.Now()
	due := slices.DeleteFunc(slices.Clone(e.queries), func(q *query) bool { return now.Before(q.dueAt) })
	slices.SortStableFunc(due, func(a, b *query) int { return a.failed - b.failed })
	if len(due) > 0 {
		if err := e.believable(ctx, now); err != nil {
			e.failed(ctx, err)
			e.postpone(now)
			due = nil
		}
	}
	for _, q := range due {
		if ctx.Err() != nil {
			return
		}
		e.seen = true
		e.take(ctx, q, now.Add(time.Since(began).Truncate(time.Second)))
	}
	e.watchOver(now.Add(time.Since(began).Truncate(time.Second)))
}

// take reads one query and gives away what it found.
func (e *Engine) take(ctx context.Context, q *query, now time.Time) {
	began := time.Now()
	round, err := e.round(ctx, q, now)
	took := time.Since(began)
	e.met.duration.Observe(took.Seconds())
	if err != nil {
		q.failed = min(q.failed+1, failedMax)
		q.dueAt = now.Add(took + min(q.pace<<q.failed, max(retryMax, q.pace)))
		e.failed(ctx, fmt.Errorf("read %s by %s over %s: %w", q.rules()[0].Metric, q.dimensions(), q.window, err))
		return
	}
	q.dueAt, q.okAt, q.failed = now.Add(q.pace), now, 0
	e.opt.Take(round)
}

// postpone lets everything due wait for its next turn: the server is away for all.
func (e *Engine) postpone(now time.Time) {
	for _, q := range e.queries {
		if !now.Before(q.dueAt) {
			q.dueAt = now.Add(q.pace)
		}
	}
}

func (e *Engine) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	e.met.errors.Inc()
	e.often.Warn("a query of rules failed at clickhouse: what it did not read is not judged, alerts hold", telemetry.Err(err))
}

// watchOver says when rules have not been judged for too long, and when they are
// again.
func (e *Engine) watchOver(now time.Time) {
	gone := 0
	for _, q := range e.queries {
		if now.Sub(q.okAt) > notJudgedAfter+q.pace {
			gone += len(q.rules())
		}
	}
	if !e.seen && !e.opt.Wanted {
		gone = 0
	}
	e.met.notJudged.Set(float64(gone))
	e.missing.Store(int64(gone))
	if gone == 0 && !e.toldGone && !e.underWay(rule.NotJudged().Name) {
		return
	}
	e.toldGone = gone > 0
	all := 0
	for _, q := range e.queries {
		all += len(q.rules())
	}
	reading := rule.Reading{Now: now, Part: int64(gone), Total: int64(all), Fresh: int64(all)}
	e.opt.Take(Round{Found: []Found{{Rule: rule.NotJudged(), Labels: map[string]string{metric.All: metric.All}, Reading: reading}}})
}

func (e *Engine) underWay(name string) bool {
	return slices.ContainsFunc(e.opt.Active(), func(a schemas.Alert) bool { return a.Rule == name })
}

// believable says whether what ClickHouse has is the present.
func (e *Engine) believable(ctx context.Context, now time.Time) error {
	newest := e.opt.Newest()
	compare := !newest.IsZero() && now.Sub(newest) < newestMax
	if !compare { // it only has to answer
		newest = now
	}
	var list []newestRow
	for _, back := range []time.Duration{time.Hour, 14 * 24 * time.Hour} { // an event of long ago is rare, and dear to look for
		list = nil
		if err := e.read(ctx, &list, newestSQL, clickhouse.Arg("since", millis(newest.Add(-back)))); err != nil {
			return err
		}
		if !compare || len(list) > 0 && newest.Sub(time.UnixMilli(list[0].Last)) <= behindMax {
			return nil
		}
	}
	stored := time.Time{}
	if len(list) > 0 {
		stored = time.UnixMilli(list[0].Last)
	}
	return fmt.Errorf("read how far analytics is: an event of %s is not stored, the latest is of %s", newest.UTC().Format(time.RFC3339), stored.UTC().Format(time.RFC3339))
}

type newestRow struct {
	Last int64 `ch:"last"`
}

// ReadAll reads every query as of now, due or not.
func (e *Engine) ReadAll(ctx context.Context, now time.Time) (rounds []Round, err error) {
	for _, q := range e.queries {
		round, err := e.round(ctx, q, now)
		if err != nil {
			return rounds, fmt.Errorf("read %s by %s over %s: %w", q.rules()[0].Metric, q.dimensions(), q.window, err)
		}
		rounds = append(rounds, round)
	}
	return rounds, nil
}

// round reads one query and makes readings of its rules.
func (e *Engine) round(ctx context.Context, q *query, now time.Time) (Round, error) {
	active := e.opt.Active()
	out := Round{Read: q.scopes()}
	if q.kind == silence {
		found, err := e.silent(ctx, q, now, active)
		out.Found = found
		return out, err
	}
	at := span{now.Add(-q.window), now}
	if err := e.learn(ctx, q, at); err != nil {
		return out, err
	}
	var list []row
	var beyond int
	var err error
	if q.kind == lag {
		list, err = e.lagging(ctx, q, now, active)
	} else {
		list, beyond, err = e.rows(ctx, q, at, q.watch(active))
	}
	if err != nil {
		return out, err
	}
	e.met.overflow.Add(float64(beyond))
	underWay := fingerprints(active)
	var known, crossed []*Found
	names := map[*Found]string{} // of the keys of crossed
	for _, got := range list {
		for _, f := range q.judge(got, now) {
			switch {
			case len(underWay) > 0 && underWay[rule.Fingerprint(f.Rule.Name, f.Labels)]:
				known = append(known, f)
			case f.Rule.Over(f.Reading):
				crossed, names[f] = append(crossed, f), keyed(got.split, got.source, got.key)
			}
		}
	}
	if crossed, err = e.asSeen(ctx, q, at, crossed, names); err != nil {
		return out, err
	}
	asked := map[string][]*Found{} // by the name of the key
	for _, f := range crossed {
		if _, have := asked[names[f]]; q.kind != lag && (have || len(asked) < carriersAsked) {
			asked[names[f]] = append(asked[names[f]], f)
		}
	}
	if len(asked) > 0 && !e.opt.Bare {
		if err := e.evidence(ctx, q, at, asked); err != nil {
			e.failed(ctx, err) // what fires is reported without it
		}
	}
	for _, f := range append(known, crossed...) {
		out.Found = append(out.Found, *f)
	}
	return out, nil
}

// scopes returns the rules of q in their dimensions.
func (q *query) scopes() (out []Scope) {
	for _, s := range q.splits {
		for _, r := range s.rules {
			out = append(out, Scope{r.Name, s.by})
		}
	}
	return out
}

// fingerprints returns those of alerts.
func fingerprints(alerts []schemas.Alert) map[string]bool {
	out := make(map[string]bool, len(alerts))
	for i := range alerts {
		out[alerts[i].Fingerprint] = true
	}
	return out
}

// judge makes the readings of one row, by each rule of its split.
func (q *query) judge(got row, now time.Time) (out []*Found) {
	s := q.splits[got.split]
	for _, r := range s.rules {
		f := &Found{Rule: r, Labels: s.labels(got.source, got.key), Counts: got.counts, Causes: got.causes}
		f.Reading = rule.Reading{Now: now, Fresh: got.fresh}
		f.Reading.Part, f.Reading.Total = got.parts(r.Metric)
		f.Reading.Usual, f.Reading.HasUsual = q.usual.of(r.Metric, got)
		out = append(out, f)
	}
	return out
}

// read selects within the limits.
func (e *Engine) read(ctx context.Context, dest any, query string, args ...any) error {
	return e.sql.SelectWithin(ctx, clickhouse.Limits{
		Time: e.timeout, RowsRead: e.opt.RowsMax, RowsResult: keysMax * 25, Memory: memoryMax,
	}, dest, query, args...)
}

func millis(t time.Time) string { return decimal(t.UnixMilli()) }

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
