// Package replay takes what is stored of the past along the present parser and
// classifier, and publishes it once more: with the ids it had, marked as a replay, at
// a bounded rate. Who counts events counts each id once, alerting passes over what is
// marked, and the suppression list takes the later of two decisions.
//
// Scan is the plan: it says what would change and publishes nothing. Run publishes
// and keeps its position in a file, from which it goes on after a crash.
package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/reparse"
)

// Bounds of a request.
const (
	// RateMax is the most events a second: what the parser makes on one core.
	RateMax = 50_000
	// spanMax bounds a replay to what the tables keep at most.
	spanMax = 20 * 366 * 24 * time.Hour
	// pageRows is how many events are read, and published before the position is
	// kept: some MiB of bytes.
	pageRows = 1000
	// changesMax bounds the kinds of change that a plan lists one by one.
	changesMax = 1000
	// samplesMax bounds the ids that a plan names of one kind of change.
	samplesMax = 3
)

// Request is what is replayed.
type Request struct {
	From   time.Time    `json:"from"`             // of the events' own time, inclusive
	To     time.Time    `json:"to"`               // exclusive
	Source string       `json:"source,omitempty"` // "" for all
	Type   schemas.Type `json:"type,omitempty"`   // the stored one, "" for all
	// Topic takes everything instead of the topics of the types; nothing stored is
	// changed then.
	Topic string `json:"topic,omitempty"`
	// ChangedOnly leaves out what is the same today.
	ChangedOnly bool `json:"changed_only,omitempty"`
	// Verdicts judges anew what is stored, and changes nothing but the verdict: its
	// bytes may be gone. ChangedOnly goes with it.
	Verdicts bool `json:"verdicts,omitempty"`
	// UntilNow says that To is when it was asked for: who asks once more goes on with
	// the To of the first time.
	UntilNow bool `json:"until_now,omitempty"`
}

// judged are the types that have a verdict.
var judged = []schemas.Type{schemas.Deferred, schemas.Bounced, schemas.Blocked, schemas.Failed, schemas.Opened, schemas.Clicked}

// types are those that are asked for, none for all.
func (r Request) types() []string {
	switch {
	case r.Type != "":
		return []string{string(r.Type)}
	case r.Verdicts:
		var names []string
		for _, t := range judged {
			names = append(names, string(t))
		}
		return names
	default:
		return nil
	}
}

// Validate reports every fault to p. Whether there is such a source is not among them:
// events of one that is no longer configured may be stored.
func (r Request) Validate(p *config.Problems) {
	from, to := "from", "to"
	if r.Verdicts {
		from, to = "since", "until"
	}
	p.Check(!r.From.IsZero(), from, "is missing")
	p.Check(!r.To.IsZero(), to, "is missing")
	p.Check(r.From.IsZero() || r.From.Unix() >= 0, from, "%s is before 1970-01-01T00:00:00Z", r.From.UTC().Format(time.RFC3339))
	p.Check(r.From.Before(r.To), from, "%s is not before %s %s", r.From.UTC().Format(time.RFC3339), to, r.To.UTC().Format(time.RFC3339))
	p.Check(r.To.Sub(r.From) <= spanMax, from, "is more than %d days before %s", int(spanMax/(24*time.Hour)), to)
	p.Check(r.Type == "" || slices.Contains(schemas.Types(), r.Type), "type", "%q is not one of %s", r.Type, typeNames())
	p.Check(!r.Verdicts || r.Type == "" || slices.Contains(judged, r.Type), "type", "%q has no verdict: those that have are %s", r.Type, strings.Join(Request{Verdicts: true}.types(), ", "))
	p.Check(r.Topic == "" || topicName(r.Topic), "to-topic", "%q is not a topic name: want 1 to 249 of a-z, A-Z, 0-9, '.', '_', '-'", r.Topic)
}

func typeNames() string {
	var names []string
	for _, t := range schemas.Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// topicBytesMax is the longest name that Kafka takes.
const topicBytesMax = 249

func topicName(s string) bool {
	bad := strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	})
	return !bad && len(s) <= topicBytesMax && s != "." && s != ".."
}

// Replay is one replay. Make it with New.
type Replay struct {
	request Request
	deps    Deps
	hours   []hour
	border  time.Time // events before it are read from ClickHouse, later ones from the topics
	// unstored are the records of the topics that analytics had not stored when their
	// reading began.
	unstored int64
	// settling are what the last pages corrected in messages, the latest at the end.
	settling [][]corrected
}

// Deps are what a replay works with.
type Deps struct {
	Store  *clickhouse.Client
	Maker  *reparse.Maker
	Erased Erased
	// Kafka has the topics; without brokers all is read from ClickHouse.
	Kafka kafka.Config
	Log   *zap.Logger
}

// Erased knows who has to be forgotten.
type Erased interface {
	// Covers reports whether an event of that person, which happened and was received
	// at these Unix milliseconds, has to be forgotten.
	Covers(hash []byte, at, received int64) bool
	// Fault says why a person may come back through what is published now.
	Fault() error
}

// hour is one hour with events.
type hour struct {
	Start  time.Time `ch:"hour"`
	Events uint64    `ch:"events"`
}

// New looks which hours have events. The error wraps ErrTopic where r has a topic that
// cannot take them.
func New(ctx context.Context, r Request, d Deps) (*Replay, error) {
	var faults config.Problems
	r.Validate(&faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	out := &Replay{request: r, deps: d}
	if err := out.checkTopic(ctx); err != nil {
		return nil, err
	}
	if err := d.Store.Select(ctx, &out.hours, hoursSQL, r.args(r.From, r.To)...); err != nil {
		return nil, fmt.Errorf("look for events: %w", err)
	}
	var err error
	out.border, err = out.findBorder(ctx)
	return out, err
}

// Total returns how many events are stored of what is asked for.
func (r *Replay) Total() int64 {
	n := int64(0)
	for _, h := range r.hours {
		n += int64(h.Events)
	}
	return n
}

func (r Request) args(from, to time.Time) []any {
	return []any{
		clickhouse.Arg("from", stamp(from)), clickhouse.Arg("to", stamp(to)),
		clickhouse.Arg("source", r.Source), clickhouse.Arg("types", clickhouse.Words(r.types())),
	}
}

// stamp is a time as a bound parameter has it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// pair is one stored event, and what it is today.
type pair struct {
	was   *schemas.Event
	is    schemas.Event
	fault reparse.Fault // "" where is is an event
}

// pages reads everything after the position at, and gives it to use page by page: from
// the tables in the order of time and id, then from the topics.
func (r *Replay) pages(ctx context.Context, operation string, at Position, use func(context.Context, []pair, Position) error) error {
	for _, h := range r.hours {
		from, to := latest(h.Start, r.request.From), earliest(h.Start.Add(time.Hour), r.border)
		if !at.Time.Before(to) || !from.Before(to) {
			continue
		}
		after := ""
		if !at.Time.Before(from) {
			from, after = at.Time, at.ID
		}
		for {
			var rows []stored
			args := append(r.request.args(from, to), clickhouse.Arg("after", after), clickhouse.Arg("limit", fmt.Sprint(pageRows)))
			if err := r.deps.Store.Select(ctx, &rows, pageSQL, args...); err != nil {
				return fmt.Errorf("read events from %s: %w", stamp(from), err)
			}
			if len(rows) == 0 {
				break
			}
			events := make([]*schemas.Event, len(rows))
			for i := range rows {
				events[i] = rows[i].event()
			}
			last := rows[len(rows)-1]
			at.Time, at.ID = last.Time, last.ID
			if err := r.page(ctx, events, at, use); err != nil {
				return err
			}
			if len(rows) < pageRows {
				break
			}
			from, after = at.Time, at.ID
		}
	}
	if !r.border.Before(r.request.To) {
		return nil
	}
	return r.fromTopics(ctx, operation, at, r.asStored(use))
}

// page makes events anew and gives them to use, none of a person who has to be forgotten.
func (r *Replay) page(ctx context.Context, events []*schemas.Event, at Position, use func(context.Context, []pair, Position) error) error {
	if err := r.deps.Erased.Fault(); err != nil {
		return err
	}
	remake := r.deps.Maker.Event
	if r.request.Verdicts {
		remake = r.deps.Maker.Verdict
	}
	pairs := make([]pair, len(events))
	for i, was := range events {
		pairs[i].was = was
		if r.deps.Erased.Covers([]byte(was.RecipientHash), was.Time.UnixMilli(), was.ReceivedAt.UnixMilli()) {
			pairs[i].fault = reparse.Erased
			continue
		}
		is, err := remake(was)
		if err != nil {
			pairs[i].fault = reparse.FaultOf(err)
			continue
		}
		pairs[i].is = is
	}
	return use(ctx, pairs, at)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
