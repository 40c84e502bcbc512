package playback

import (
	"context"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/hindsight.sql
var hindsightSQL string

// hindsightLimits bound the query of one Hindsight. A million rows are more than two
// months of one domain, by minute and reason.
var hindsightLimits = clickhouse.Limits{Time: 30 * time.Second, RowsResult: 1_000_000, Memory: 4 << 30}

// Selector reads rows within limits. Kept by clickhouse.Client.
type Selector interface {
	SelectWithin(ctx context.Context, limits clickhouse.Limits, dest any, query string, args ...any) error
}

// Hindsight is a stretch of history to look at once more.
type Hindsight struct {
	Rules    []rule.Rule // judged from the stream, all of one window
	From, To time.Time
	// Domains and Providers are the keys to look at; without any, all.
	Domains, Providers []string
	// RowsMax bounds the rows that ClickHouse may read.
	RowsMax int64
}

// Find returns the incidents that show only because of events that came later than
// the window of the rules. It plays the time twice, with all events and with those
// that came in time, and what only the first has is late. An incident that has not
// ended by To ends when there was last enough mail to judge by.
func (h Hindsight) Find(ctx context.Context, store Selector) ([]Incident, error) {
	return h.find(ctx, store, Of(h.Rules))
}

func (h Hindsight) find(ctx context.Context, store Selector, rules Rules) ([]Incident, error) {
	length := rules.longest()
	limits := hindsightLimits
	limits.RowsRead = h.RowsMax
	var rows []outcomes
	err := store.SelectWithin(ctx, limits, &rows, hindsightSQL,
		clickhouse.Arg("from", fmt.Sprint(h.From.Add(-length).UnixMilli())), clickhouse.Arg("to", fmt.Sprint(h.To.UnixMilli())),
		clickhouse.Arg("window", fmt.Sprint(length.Milliseconds())), clickhouse.Arg("literal", literal()),
		clickhouse.Arg("domains", names(h.Domains)), clickhouse.Arg("providers", names(h.Providers)))
	if err != nil {
		return nil, fmt.Errorf("read outcomes: %w", err)
	}
	all, inTime := h.play(rules, rows, false), h.play(rules, rows, true)
	return slices.DeleteFunc(all, func(in Incident) bool {
		return in.End.Before(h.From) || slices.ContainsFunc(inTime, in.sameAs)
	}), nil
}

// late returns what came late in all of the history, day by day.
func (h *history) late(ctx context.Context, rules []played) (out []Incident, err error) {
	byWindow := make(map[time.Duration]Rules)
	for _, r := range rules {
		same := byWindow[r.Window]
		same.list = append(same.list, r)
		byWindow[r.Window] = same
	}
	for at := h.from; at.Before(h.to); at = at.Add(minutesStep) {
		day := Hindsight{From: at, To: earlier(at.Add(minutesStep), h.to)}
		for _, same := range byWindow {
			found, err := day.find(ctx, h.client, same)
			if err != nil {
				return nil, err
			}
			for _, in := range found {
				if in.Late = true; !in.Start.Before(day.From) {
					out = append(out, in)
				}
			}
		}
	}
	return out, nil
}

// sameAs says whether the other is about the same rule and key at the same time.
func (in *Incident) sameAs(other Incident) bool {
	return in.Rule == other.Rule && in.Variant == other.Variant && where(in.Labels) == where(other.Labels) &&
		!in.Start.After(other.End) && !other.Start.After(in.End)
}

// outcomes is one row of hindsight.sql.
type outcomes struct {
	InTime          uint8     `ch:"in_time"`
	Minute          time.Time `ch:"minute"`
	Source          string    `ch:"source"`
	RecipientDomain string    `ch:"recipient_domain"`
	MailboxProvider string    `ch:"mailbox_provider"`
	Kind            uint8     `ch:"kind"`
	Reason          string    `ch:"reason"`
	Cause           string    `ch:"cause"`
	Messages        uint64    `ch:"messages"`
}

func (o *outcomes) counts() (c schemas.AlertCounts) {
	switch o.Kind {
	case 3:
		c.Blocked = int64(o.Messages)
	case 2:
		c.Bounced = int64(o.Messages)
	default:
		c.Delivered = int64(o.Messages)
	}
	return c
}

// play steps the rules over one of the two accounts, minute by minute.
func (h Hindsight) play(rules Rules, rows []outcomes, inTime bool) []Incident {
	p := newPlayer(rules)
	clock := history{tick: time.Minute, next: h.From.Add(-p.longest).Truncate(time.Minute)}
	fold := newFold(p.table)
	for i := range rows {
		o := &rows[i]
		if (o.InTime == 1) != inTime {
			continue
		}
		if !o.Minute.Equal(fold.minute) {
			clock.flush(p, fold)
			fold.minute = o.Minute
		}
		fold.take(group{o.Source, o.MailboxProvider}, o.RecipientDomain, o.counts(), why{schemas.Reason(o.Reason), schemas.Cause(o.Cause)})
	}
	clock.flush(p, fold)
	clock.advance(p, h.To)
	for _, s := range p.states {
		if s.incident >= 0 {
			p.done[s.incident].End, p.done[s.incident].Ended = s.status.JudgedAt, string(schemas.EndNoTraffic)
		}
	}
	return p.done
}

// names renders names in hexadecimal as a parameter of type Array(String).
func names(list []string) string {
	quoted := make([]string, 0, len(list))
	for _, name := range list {
		quoted = append(quoted, "'"+strings.ToUpper(hex.EncodeToString([]byte(name)))+"'")
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// Evidence is what the window of an incident held when it fired.
type Evidence struct {
	Counts   schemas.AlertCounts
	Provider string // the mailbox provider of a domain
	Split    window.Split
}
