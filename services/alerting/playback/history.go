package playback

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

//go:embed sql/minutes.sql
var minutesSQL string

//go:embed sql/events.sql
var eventsSQL string

//go:embed sql/fired.sql
var firedSQL string

const (
	// minutesStep and eventsStep are the history of one query: few enough rows to
	// sort, many enough that the queries do not count.
	minutesStep = 24 * time.Hour
	eventsStep  = time.Hour
	// firedMax bounds the incidents that are compared.
	firedMax = 10_000
	// skewMax is how far ahead of its receipt an event's time may be to be read.
	skewMax = 24 * time.Hour
)

// history feeds a player in the order of time.
type history struct {
	client *clickhouse.Client
	from   time.Time // of the incidents; counts are read from one window before
	to     time.Time
	exact  bool
	note   func(done time.Time, messages int64)

	limits   Limits
	rows     int64 // that were read
	messages int64
	tick     time.Duration // how often the player judges
	next     time.Time     // when it judges next
}

// minute is one row of minutes.sql.
type minute struct {
	Minute          time.Time `ch:"minute"`
	Source          string    `ch:"source"`
	RecipientDomain string    `ch:"recipient_domain"`
	MailboxProvider string    `ch:"mailbox_provider"`
	Delivered       uint64    `ch:"delivered"`
	Bounced         uint64    `ch:"bounced"`
	Blocked         uint64    `ch:"blocked"`
}

// byMinute plays counts by minute, each of which is judged at its end.
func (h *history) byMinute(ctx context.Context, p *player) error {
	fold := newFold(p.table)
	h.tick = time.Minute
	h.next = h.from.Add(-p.longest).Truncate(h.tick)
	for at := h.next; at.Before(h.to); at = at.Add(minutesStep) {
		end := earlier(at.Add(minutesStep), h.to)
		err := h.client.Each(ctx, minutesSQL, func(scan func(any) error) error {
			var m minute
			if err := scan(&m); err != nil {
				return fmt.Errorf("read counts: %w", err)
			}
			return h.take(p, fold, &m)
		}, args(at, end)...)
		if err != nil {
			return err
		}
		h.flush(p, fold)
		h.advance(p, end)
		h.note(end, h.messages)
	}
	return nil
}

// take adds a row to its minute.
func (h *history) take(p *player, f *fold, m *minute) error {
	if !m.Minute.Equal(f.minute) {
		h.flush(p, f)
		f.minute = m.Minute
	}
	h.messages += f.add(m)
	return h.check(p)
}

// flush ends the minute that was read.
func (h *history) flush(p *player, f *fold) {
	if f.minute.IsZero() {
		return
	}
	h.advance(p, f.minute) // what was before it
	f.flush()
	h.advance(p, f.minute.Add(time.Minute))
	f.minute = time.Time{}
}

// advance judges up to a time: without new counts too, as panes leave the window.
func (h *history) advance(p *player, until time.Time) {
	for !h.next.After(until) {
		if p.quiet() { // nothing can happen before the next count
			p.expire(until)
			h.next = until.Add(h.tick).Truncate(h.tick)
			return
		}
		p.judge(h.next)
		h.next = h.next.Add(h.tick)
	}
}

// event is one row of events.sql.
type event struct {
	ID              string    `ch:"id"`
	Delivered       bool      `ch:"delivered"`
	Blocked         bool      `ch:"blocked"`
	At              time.Time `ch:"at"`
	ReceivedAt      time.Time `ch:"received_at"`
	Source          string    `ch:"source"`
	MessageID       string    `ch:"message_id"`
	RecipientDomain string    `ch:"recipient_domain"`
	MailboxProvider string    `ch:"mailbox_provider"`
}

// exactly plays events in the order they were received, one outcome a message.
func (h *history) exactly(ctx context.Context, p *player) error {
	ring := window.NewRing(0, seriesMax)
	h.tick = window.PaneLength
	h.next = h.from.Add(-p.longest).Truncate(h.tick)
	for at := h.next; at.Before(h.to); at = at.Add(eventsStep) {
		end := earlier(at.Add(eventsStep), h.to)
		arguments := append(args(at, end), moment("oldest", at.Add(-p.longest-time.Minute)), moment("newest", end.Add(skewMax)))
		err := h.client.Each(ctx, eventsSQL, func(scan func(any) error) error {
			var e event
			if err := scan(&e); err != nil {
				return fmt.Errorf("read events: %w", err)
			}
			for !h.next.After(e.ReceivedAt) { // what came until then is judged first
				h.report(p, ring)
				h.advance(p, h.next)
			}
			h.messages++
			ring.Add(e.observation(), window.First(e.ReceivedAt, p.longest))
			return h.check(p)
		}, arguments...)
		if err != nil {
			return err
		}
		h.report(p, ring)
		h.advance(p, end)
		ring.Expire(window.First(end, p.longest))
		h.note(end, h.messages)
	}
	return nil
}

// report gives the player what the ring counted.
func (h *history) report(p *player, ring *window.Ring) {
	rates := ring.Take()
	for i := range rates {
		p.table.Merge(&rates[i], 0, func(window.Key, bool) {})
	}
}

func (e *event) observation() window.Observation {
	kind := window.Bounced
	switch {
	case e.Delivered:
		kind = window.Delivered
	case e.Blocked:
		kind = window.Blocked
	}
	pane := window.PaneOf(e.At)
	return window.Observation{
		ID: e.ID, MessageID: e.MessageID, Pane: pane, Kind: kind, Source: e.Source,
		Milli:  uint16(min(max(e.At.UnixMilli()-pane.Start()*1000, 0), window.PaneLength.Milliseconds()-1)),
		Domain: e.RecipientDomain, Provider: e.MailboxProvider, Reason: schemas.OtherReason,
	}
}

// fired returns what the service had.
func (h *history) fired(ctx context.Context) ([]Fired, error) {
	var out []Fired
	err := h.client.Each(ctx, firedSQL, func(scan func(any) error) error {
		var row struct {
			Incident   string            `ch:"incident"`
			Rule       string            `ch:"rule"`
			Labels     map[string]string `ch:"labels"`
			Since      time.Time         `ch:"since"`
			ResolvedAt *time.Time        `ch:"resolved_at"`
			Peak       float64           `ch:"peak"`
			Inhibited  bool              `ch:"inhibited"`
		}
		if err := scan(&row); err != nil {
			return fmt.Errorf("read incidents: %w", err)
		}
		f := Fired{Incident: row.Incident, Rule: row.Rule, Labels: row.Labels, Start: row.Since, Peak: row.Peak, Inhibited: row.Inhibited}
		if row.ResolvedAt != nil {
			f.End = *row.ResolvedAt
		}
		out = append(out, f)
		return nil
	}, moment("from", h.from), moment("to", h.to), clickhouse.Arg("limit", fmt.Sprint(firedMax)))
	return out, err
}

// args are the parameters of both queries.
func args(from, to time.Time) []any {
	return []any{moment("from", from), moment("to", to), clickhouse.Arg("literal", literal())}
}

// moment is a time parameter, as ClickHouse reads it.
func moment(name string, t time.Time) any {
	return clickhouse.Arg(name, t.UTC().Format("2006-01-02 15:04:05.000"))
}

// literal lists the providers that have a word of their own for a block, as a
// ClickHouse array. Their names have no quote.
func literal() string {
	var names []string
	for name, yes := range registry.Literal() {
		if yes {
			names = append(names, "'"+name+"'")
		}
	}
	slices.Sort(names)
	return "[" + strings.Join(names, ",") + "]"
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
