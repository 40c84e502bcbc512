// Package history answers the pages from ClickHouse: counts, events, people,
// incidents, dead letters. It only reads, as a user who can do nothing else where one
// is configured, and within limits of time, rows and memory for each query, so that a
// page can slow nobody down. A result that was cut says so.
package history

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/*.sql
var files embed.FS

// The limits of one query; a page makes a few at once.
const (
	queryTimeMax   = 5 * time.Second
	queryRowsMax   = 500_000_000
	resultRowsMax  = 200_000
	queryMemoryMax = 1 << 30 // bytes
	queryThreads   = 1       // a page waits rather than take every core from the inserts
	// answerTimeMax is how long the answer of a query is waited for: the server ends one at
	// queryTimeMax, and says so.
	answerTimeMax = queryTimeMax + time.Second
	// silenceSpan is how long nothing is asked after a query without a word of the server:
	// a page of several questions waits once, not once for each.
	silenceSpan = 2 * time.Second
	// queriesMax bounds the queries at once, whoever asks: less than a user of ClickHouse
	// may have (10 in deploy/clickhouse), so that many viewers wait and none is refused.
	queriesMax = 4

	// EventsMax bounds the events of a timeline, LettersMax the groups of dead letters,
	// ValuesMax the lines of a breakdown.
	EventsMax  = 500
	LettersMax = 100
	ValuesMax  = 50
	rowsMax    = 1_000 // incidents of a page
)

// Reader asks ClickHouse.
type Reader struct {
	db         *clickhouse.Client
	restricted bool
	blocking   []string // see New
	answers    *answers
	ledger     *ledger
	places     chan struct{} // a value for each query that runs
	silence    *silence
}

// New returns a reader over client. Restricted says that its user may only read, and
// so may not even say so itself. Blocking are the providers with a word of their own for
// blocks: a bounce of any other is counted as a block where its cause is sender or content,
// as alerting counts it.
func New(client *clickhouse.Client, restricted bool, blocking []string) *Reader {
	r := &Reader{db: client, restricted: restricted, blocking: blocking, answers: newAnswers(), places: make(chan struct{}, queriesMax), silence: newSilence()}
	r.ledger = newLedger(r)
	return r
}

// Forget has dead letters, incidents and the totals of the list be read anew: somebody
// changed something.
func (r *Reader) Forget() { r.answers.forget() }

func (r *Reader) ask(ctx context.Context, name string, into any, args ...any) error {
	text, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil {
		return fmt.Errorf("read query %s: %w", name, err)
	}
	limits := clickhouse.Limits{Time: queryTimeMax, RowsRead: queryRowsMax, RowsResult: resultRowsMax, Memory: queryMemoryMax, Threads: queryThreads, ReadOnlyUser: r.restricted}
	if err := r.place(ctx); err != nil {
		return fmt.Errorf("ask for %s: %w", name, err)
	}
	defer func() { <-r.places }()
	ctx, cancel := context.WithTimeout(ctx, answerTimeMax)
	defer cancel()
	if err := r.db.SelectWithin(ctx, limits, into, string(text), args...); err != nil {
		if clickhouse.Silent(err) {
			r.silence.begin()
		}
		return fmt.Errorf("ask for %s: %w", name, err)
	}
	return nil
}

// place waits until one query more may run. It is an error where the server is silent, also
// when it becomes so meanwhile.
func (r *Reader) place(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeMax)
	defer cancel()
	silent := r.silence.now()
	select {
	case <-silent:
		return errSilent
	case <-ctx.Done():
		return fmt.Errorf("wait for one of %d queries to end: %w", queriesMax, ctx.Err())
	case r.places <- struct{}{}:
	}
	select {
	case <-silent: // which came with the place of the one that was not answered
		<-r.places
		return errSilent
	default:
		return nil
	}
}

// literal is the parameter with the providers whose bounces are never blocks.
func (r *Reader) literal() any { return clickhouse.Arg("literal", clickhouse.Words(r.blocking)) }

// countsAsBlock says of a bounce whether alerting counts it as a block, as the queries do.
func (r *Reader) countsAsBlock(e *Event) bool {
	return e.Type == "bounced" && (e.Cause == "sender" || e.Cause == "content") && !slices.Contains(r.blocking, e.Provider)
}

// moment is a time parameter, as ClickHouse reads it.
func moment(name string, t time.Time) any {
	return clickhouse.Arg(name, t.UTC().Format("2006-01-02 15:04:05.000"))
}

// Span is a part of time.
type Span struct {
	From, To time.Time
	// Live says that both ends move with the clock, as in "the last 24 hours": the answer
	// for a moment ago serves, too.
	Live bool
}

// Last returns the time of a length before now, and some after it.
func Last(length time.Duration, now time.Time, after time.Duration) Span {
	return Span{From: now.Add(-length), To: now.Add(after), Live: true}
}

// Count is how many events of a type a source had in an hour.
type Count struct {
	Hour    time.Time `ch:"hour"`
	Source  string    `ch:"source"`
	Type    string    `ch:"type"`
	Refused bool      `ch:"refused"` // blocked, or a bounce that is counted as a block
	Events  uint64    `ch:"events"`
}

// Counts returns the counts by hour of a source, of all with "".
func (r *Reader) Counts(ctx context.Context, s Span, source string) ([]Count, error) {
	rows, err := r.ledgerCounts(ctx, s, source)
	if !errors.Is(err, errBeyond) {
		return rows, err
	}
	return shared(ctx, r.answers, fmt.Sprintf("counts %s %q", s.key(), source), func(ctx context.Context) (rows []Count, err error) {
		err = r.ask(ctx, "counts", &rows, moment("from", s.From), moment("to", s.To), clickhouse.Arg("source", source), r.literal())
		return rows, err
	})
}

// Seen is what was last received of a source.
type Seen struct {
	Source     string    `ch:"source"`
	Provider   string    `ch:"provider"`
	Time       time.Time `ch:"last_time"`
	ReceivedAt time.Time `ch:"last_received"`
	Recent     uint64    `ch:"recent"` // events of the last hour; above some 10,000 within a percent
}

// Sources returns what was last received within s of a source, of each with "".
func (r *Reader) Sources(ctx context.Context, s Span, source string) ([]Seen, error) {
	return shared(ctx, r.answers, fmt.Sprintf("sources %s %q", s.key(), source), func(ctx context.Context) (rows []Seen, err error) {
		hours, err := r.ledgerLatest(ctx, s, source)
		if err != nil && !errors.Is(err, errBeyond) {
			return nil, err
		}
		err = r.ask(ctx, "sources", &rows, moment("since", s.From), clickhouse.Arg("source", source), clickhouse.Arg("hours", hourList(hours)))
		return rows, err
	})
}

// Arrival is how the events of a source and type came in.
type Arrival struct {
	Type     string    `ch:"type" json:"type"`
	Events   uint64    `ch:"events" json:"events"`
	Blocks   uint64    `ch:"blocks" json:"counted_as_blocks,omitempty"` // of bounces
	Receipts uint64    `ch:"receipts" json:"receipts"`                  // how often they were received
	First    time.Time `ch:"first_time" json:"first,omitzero"`
	Last     time.Time `ch:"last_time" json:"last,omitzero"`
	P50      float64   `ch:"p50" json:"late_p50_seconds"` // of the first receipt of each
	P99      float64   `ch:"p99" json:"late_p99_seconds"`
}

// Repeats are the receipts of events that were received before.
func (a Arrival) Repeats() uint64 { return a.Receipts - min(a.Receipts, a.Events) }

// Arrivals returns how the events of one source came in.
func (r *Reader) Arrivals(ctx context.Context, source string, s Span) ([]Arrival, error) {
	return shared(ctx, r.answers, fmt.Sprintf("arrivals %s %q", s.key(), source), func(ctx context.Context) (rows []Arrival, err error) {
		err = r.ask(ctx, "arrivals", &rows, clickhouse.Arg("source", source), moment("from", s.From), moment("to", s.To), r.literal())
		return rows, err
	})
}

// Outcome is how many messages had which outcome, of a part of time or of a value. Blocked
// has the bounces that alerting counts as blocks, and Bounced has the others.
type Outcome struct {
	At         time.Time `ch:"at" json:"-"`
	Value      string    `ch:"value" json:"-"`
	Delivered  uint64    `ch:"delivered" json:"delivered"`
	Bounced    uint64    `ch:"bounced" json:"bounced"`
	Blocked    uint64    `ch:"blocked" json:"blocked"`
	Deferred   uint64    `ch:"deferred" json:"deferred"`
	Complained uint64    `ch:"complained" json:"complained"`
}

// Tried is how many reached an end.
func (o Outcome) Tried() uint64 { return o.Delivered + o.Bounced + o.Blocked }

// Filter narrows what is counted; "" takes all.
type Filter struct {
	Source          string `json:"source,omitempty"`
	MailboxProvider string `json:"mailbox_provider,omitempty"`
	Domain          string `json:"domain,omitempty"`
}

func (f Filter) args() []any {
	return []any{clickhouse.Arg("source", f.Source), clickhouse.Arg("mailbox_provider", f.MailboxProvider), clickhouse.Arg("domain", f.Domain)}
}

// Series returns outcomes in steps of whole hours, of a span and of the one of the same
// length before it. An hour that both have a part of is of the later one.
func (r *Reader) Series(ctx context.Context, s Span, step time.Duration, f Filter) (now, earlier []Outcome, err error) {
	if now, earlier, err = r.ledgerSeries(ctx, s, step, f); !errors.Is(err, errBeyond) {
		return now, earlier, err
	}
	type outcome struct {
		Outcome
		Earlier bool `ch:"earlier"`
	}
	rows, err := shared(ctx, r.answers, fmt.Sprintf("series %s %s %q", s.key(), step, f), func(ctx context.Context) (rows []outcome, err error) {
		before := s.From.Add(s.From.Sub(s.To))
		args := append(f.args(), moment("before", before), moment("from", s.From), moment("to", s.To), clickhouse.Arg("step", fmt.Sprint(int(step.Seconds()))), r.literal())
		err = r.ask(ctx, "series", &rows, args...)
		return rows, err
	})
	for i := range rows {
		if rows[i].Earlier {
			earlier = append(earlier, rows[i].Outcome)
		} else {
			now = append(now, rows[i].Outcome)
		}
	}
	return now, earlier, err
}

// Breakdown returns outcomes by the values of a dimension, the largest first, and
// whether there are more than ValuesMax. Campaigns and sending IPs of one domain are
// counted from the events, all else from the counts by hour.
func (r *Reader) Breakdown(ctx context.Context, by string, s Span, f Filter) (rows []Outcome, cut bool, err error) {
	if rows, err = r.ledgerBreakdown(ctx, by, s, f); !errors.Is(err, errBeyond) {
		return rows[:min(len(rows), ValuesMax)], len(rows) > ValuesMax, err
	}
	name := "breakdown"
	if by == "campaign" || by == "sending_ip" {
		name = "breakdown_by"
		if f.Domain != "" {
			name = "breakdown_events"
		}
	}
	rows, err = shared(ctx, r.answers, fmt.Sprintf("breakdown %s %s %q", by, s.key(), f), func(ctx context.Context) (rows []Outcome, err error) {
		args := append(f.args(), moment("from", s.From), moment("to", s.To), clickhouse.Arg("by", by), limit(ValuesMax+1), r.literal())
		err = r.ask(ctx, name, &rows, args...)
		return rows, err
	})
	cut = len(rows) > ValuesMax
	return rows[:min(len(rows), ValuesMax)], cut, err
}
