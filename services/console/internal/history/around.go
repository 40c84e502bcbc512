package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// Group is the mail that an incident is about; "" takes all. It is read from the events,
// as no counts have all of these together.
type Group struct {
	Filter
	Campaign      string
	SendingIP     string
	SendingDomain string
	IPPool        string
	Tag           string
}

// GroupOf returns the mail that the labels of an incident name.
func GroupOf(labels map[string]string) Group {
	return Group{
		Filter:   Filter{Source: labels["source"], MailboxProvider: labels["mailbox_provider"], Domain: labels["recipient_domain"]},
		Campaign: labels["campaign"], SendingIP: labels["sending_ip"], SendingDomain: labels["sending_domain"], IPPool: labels["ip_pool"], Tag: labels["tag"],
	}
}

func (g Group) args(s Span) []any {
	return append(g.Filter.args(), moment("from", s.From), moment("to", s.To), clickhouse.Arg("campaign", g.Campaign), clickhouse.Arg("sending_ip", g.SendingIP),
		clickhouse.Arg("sending_domain", g.SendingDomain), clickhouse.Arg("ip_pool", g.IPPool), clickhouse.Arg("tag", g.Tag))
}

// Minute is how many messages more of what an incident is about have an outcome after one
// minute than before it: those that came to it, less those that came to another one or
// left the window. The sum of all minutes so far is what the window has.
type Minute struct {
	At        time.Time
	Came      uint64 // outcomes that came in it
	Delivered int64
	Bounced   int64
	Blocked   int64
}

// outcomesAt are outcomes of one minute, and the minute of those that replaced them, if any.
type outcomesAt struct {
	At        time.Time `ch:"at"`
	Next      time.Time `ch:"next"`
	Delivered uint64    `ch:"delivered"`
	Bounced   uint64    `ch:"bounced"`
	Blocked   uint64    `ch:"blocked"`
}

// Minutes returns the mail around an incident by minute, in windows of a length, up to
// MinutesMax. With an error it may have counted a message by each of its outcomes.
func (r *Reader) Minutes(ctx context.Context, s Span, g Group, window time.Duration) ([]Minute, error) {
	var came []outcomesAt
	if err := r.ask(ctx, "minutes", &came, append(g.args(s), limit(MinutesMax), r.literal())...); err != nil {
		return nil, err
	}
	minutes := minutes{}
	for _, o := range came {
		minutes.add(o.At, o, 1)
		minutes.add(o.At.Add(window), o, -1)
		minutes[o.At.Unix()].Came = o.Delivered + o.Bounced + o.Blocked
	}
	var replaced []outcomesAt
	err := r.ask(ctx, "replaced", &replaced, append(g.args(s), clickhouse.Arg("window", fmt.Sprint(int(window.Minutes()))), limit(replacedMax), r.literal())...)
	for _, o := range replaced {
		minutes.add(o.Next, o, -1)
		minutes.add(o.At.Add(window), o, 1)
	}
	list := make([]Minute, 0, len(minutes))
	for _, at := range slices.Sorted(maps.Keys(minutes)) {
		list = append(list, *minutes[at])
	}
	return list, err
}

// replacedMax bounds the pairs of minutes that replaced.sql returns.
const replacedMax = 100_000

// minutes are what changes in each, by its Unix time.
type minutes map[int64]*Minute

// add notes that outcomes come in a minute, with -1 that they go.
func (m minutes) add(at time.Time, o outcomesAt, sign int64) {
	one := m[at.Unix()]
	if one == nil {
		one = &Minute{At: at.UTC()}
		m[at.Unix()] = one
	}
	one.Delivered += sign * int64(o.Delivered)
	one.Bounced += sign * int64(o.Bounced)
	one.Blocked += sign * int64(o.Blocked)
}

// Reply is what remote servers answered, how often.
type Reply struct {
	Reply  string    `ch:"reply" json:"reply"`
	Reason string    `ch:"reason" json:"reason"`
	Cause  string    `ch:"cause" json:"cause"`
	Events uint64    `ch:"events" json:"events"`
	First  time.Time `ch:"first_time" json:"first,omitzero"`
}

// Replies returns the most frequent refusals, and whether there are more than RepliesMax.
func (r *Reader) Replies(ctx context.Context, s Span, g Group) (rows []Reply, cut bool, err error) {
	err = r.ask(ctx, "replies", &rows, append(g.args(s), limit(RepliesMax+1))...)
	return rows[:min(len(rows), RepliesMax)], len(rows) > RepliesMax, err
}

// Refused is a message that was refused, without its person.
type Refused struct {
	At        time.Time `ch:"at" json:"time"`
	Type      string    `ch:"event_type" json:"type"`
	Blocks    bool      `ch:"blocks" json:"counts_as_block,omitempty"` // a bounce that alerting counts as a block
	Source    string    `ch:"source" json:"source"`
	MessageID string    `ch:"message_id" json:"message_id,omitempty"`
	Domain    string    `ch:"recipient_domain" json:"recipient_domain,omitempty"`
	Campaign  string    `ch:"campaign" json:"campaign,omitempty"`
	Reason    string    `ch:"reason" json:"reason,omitempty"`
	Reply     string    `ch:"reply" json:"reply,omitempty"`
	Named     bool      `ch:"named" json:"-"` // the mailbox of the recipient is in the id of the message, or not known
	Personal  bool      `json:"-"`            // the id of the message is: see Personal
}

// What a page shows of an incident: as much as a person reads. MinutesMax is two days and
// some windows.
const (
	MinutesMax  = 3_000
	RepliesMax  = 10
	RefusedMax  = 50
	CarriersMax = 20
)

// LatestRefused returns the latest refusals, and whether there are more than RefusedMax.
func (r *Reader) LatestRefused(ctx context.Context, s Span, g Group) (rows []Refused, cut bool, err error) {
	err = r.ask(ctx, "incident_events", &rows, append(g.args(s), limit(RefusedMax+1), r.literal())...)
	for i := range rows {
		rows[i].Personal = rows[i].Named && address.Redact(rows[i].MessageID) != rows[i].MessageID
	}
	return rows[:min(len(rows), RefusedMax)], len(rows) > RefusedMax, err
}

// Carrier is a value whose share of the refused is beside its share of all.
type Carrier struct {
	Dimension     string  `ch:"dimension" json:"dimension"`
	Value         string  `ch:"value" json:"value"`
	Refused       uint64  `ch:"refused" json:"refused"`
	All           uint64  `ch:"all_messages" json:"all"`
	RefusedBefore uint64  `ch:"refused_before" json:"refused_week_before"` // in the same hours a week before
	AllBefore     uint64  `ch:"all_before" json:"all_week_before"`
	Lift          float64 `ch:"lift" json:"lift"`
}

// Changed returns the campaigns, templates, sending IPs, pools and sources by how much
// more of the refusals than of the mail they carry, beside the same hours a week before,
// and whether there are more than CarriersMax.
func (r *Reader) Changed(ctx context.Context, s Span, g Group) (rows []Carrier, cut bool, err error) {
	err = r.ask(ctx, "changed", &rows, append(g.args(s), limit(CarriersMax+1))...)
	return rows[:min(len(rows), CarriersMax)], len(rows) > CarriersMax, err
}

func limit(rows int) any { return clickhouse.Arg("limit", fmt.Sprint(rows)) }
