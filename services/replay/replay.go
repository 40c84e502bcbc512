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

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
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
}

// Validate reports every fault to p. Whether there is such a source is not among them:
// events of one that is no longer configured may be stored.
func (r Request) Validate(p *config.Problems) {
	p.Check(!r.From.IsZero(), "from", "is missing")
	p.Check(!r.To.IsZero(), "to", "is missing")
	p.Check(r.From.Before(r.To), "from", "%s is not before to %s", r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339))
	p.Check(r.To.Sub(r.From) <= spanMax, "from", "is more than %d days before to", int(spanMax/(24*time.Hour)))
	p.Check(r.Type == "" || slices.Contains(schemas.Types(), r.Type), "type", "%q is none of %s", r.Type, typeNames())
	p.Check(r.Topic == "" || topicName(r.Topic), "to-topic", "%q is no name of a topic", r.Topic)
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

// stored is one event of the table.
type stored struct {
	ID               string    `ch:"id"`
	Type             string    `ch:"type"`
	Time             time.Time `ch:"time"`
	ReceivedAt       time.Time `ch:"received_at"`
	Provider         string    `ch:"provider"`
	Source           string    `ch:"source"`
	ProviderEvent    string    `ch:"provider_event"`
	ProviderEventID  string    `ch:"provider_event_id"`
	BounceType       string    `ch:"bounce_type"`
	Reason           string    `ch:"reason"`
	Cause            string    `ch:"cause"`
	Confidence       string    `ch:"confidence"`
	Permanent        *bool     `ch:"permanent"`
	Machine          *bool     `ch:"machine"`
	Classifier       string    `ch:"classifier"`
	Blocklist        string    `ch:"blocklist"`
	BlocklistSubject string    `ch:"blocklist_subject"`
	BlocklistURL     string    `ch:"blocklist_url"`
	Raw              string    `ch:"raw"`
}

func (s *stored) event() *schemas.Event {
	return &schemas.Event{
		ID: s.ID, Type: schemas.Type(s.Type), Time: s.Time, ReceivedAt: s.ReceivedAt, Provider: s.Provider, Source: s.Source,
		ProviderEvent: s.ProviderEvent, ProviderEventID: s.ProviderEventID, BounceType: schemas.BounceType(s.BounceType),
		Reason: schemas.Reason(s.Reason), Cause: schemas.Cause(s.Cause), Confidence: schemas.Confidence(s.Confidence),
		Permanent: s.Permanent, Machine: s.Machine, Classifier: s.Classifier,
		Blocklist: s.Blocklist, BlocklistSubject: s.BlocklistSubject, BlocklistURL: s.BlocklistURL, Raw: []byte(s.Raw),
	}
}

// Replay is one replay. Make it with New.
type Replay struct {
	request Request
	store   *clickhouse.Client
	maker   *reparse.Maker
	hours   []hour
}

// hour is one hour with events.
type hour struct {
	Start  time.Time `ch:"hour"`
	Events uint64    `ch:"events"`
}

// New looks which hours have events.
func New(ctx context.Context, r Request, store *clickhouse.Client, maker *reparse.Maker) (*Replay, error) {
	var faults config.Problems
	r.Validate(&faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	out := &Replay{request: r, store: store, maker: maker}
	if err := store.Select(ctx, &out.hours, hoursSQL, r.args(r.From, r.To)...); err != nil {
		return nil, fmt.Errorf("look for events: %w", err)
	}
	return out, nil
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
		clickhouse.Arg("source", r.Source), clickhouse.Arg("type", string(r.Type)),
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

// pages reads everything after the position at, and gives it to use in its order,
// page by page.
func (r *Replay) pages(ctx context.Context, at Position, use func(context.Context, []pair, Position) error) error {
	for _, h := range r.hours {
		from, to := latest(h.Start, r.request.From), earliest(h.Start.Add(time.Hour), r.request.To)
		if !at.Time.Before(to) {
			continue
		}
		after := ""
		if !at.Time.Before(from) {
			from, after = at.Time, at.ID
		}
		for {
			var rows []stored
			args := append(r.request.args(from, to), clickhouse.Arg("after", after), clickhouse.Arg("limit", fmt.Sprint(pageRows)))
			if err := r.store.Select(ctx, &rows, pageSQL, args...); err != nil {
				return fmt.Errorf("read events from %s: %w", stamp(from), err)
			}
			if len(rows) == 0 {
				break
			}
			last := rows[len(rows)-1]
			at = Position{Time: last.Time, ID: last.ID}
			if err := use(ctx, r.remake(rows), at); err != nil {
				return err
			}
			if len(rows) < pageRows {
				break
			}
			from, after = at.Time, at.ID
		}
	}
	return nil
}

func (r *Replay) remake(rows []stored) []pair {
	pairs := make([]pair, len(rows))
	for i := range rows {
		pairs[i].was = rows[i].event()
		is, err := r.maker.Event(pairs[i].was)
		if err != nil {
			pairs[i].fault = reparse.FaultOf(err)
			continue
		}
		pairs[i].is = is
	}
	return pairs
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
