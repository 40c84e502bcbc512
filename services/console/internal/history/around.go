package history

import (
	"context"
	"fmt"
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
	At        time.Time `ch:"at"`
	Came      uint64    `ch:"came"` // outcomes that came in it
	Delivered int64     `ch:"delivered"`
	Bounced   int64     `ch:"bounced"`
	Blocked   int64     `ch:"blocked"`
}

// Minutes returns the mail around an incident by minute, in windows of a length, up to
// MinutesMax.
func (r *Reader) Minutes(ctx context.Context, s Span, g Group, window time.Duration) (rows []Minute, err error) {
	err = r.ask(ctx, "minutes", &rows, append(g.args(s), clickhouse.Arg("window", fmt.Sprint(int(window.Minutes()))), limit(MinutesMax), r.literal())...)
	return rows, err
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
