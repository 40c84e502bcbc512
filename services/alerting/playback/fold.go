package playback

import (
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
)

// fold adds up the rows of one minute and reports them to a table as a counter
// would: one pane of each domain and of each mailbox provider.
type fold struct {
	table  *window.Table
	minute time.Time // zero: empty
	groups map[group]map[series]*tally
}

// tally is what one series has in the minute.
type tally struct {
	counts schemas.AlertCounts
	blocks map[why]int64
}

// why is the reason of a block.
type why struct {
	reason schemas.Reason
	cause  schemas.Cause
}

// group is what one record of rates holds.
type group struct{ source, provider string }

type series struct{ dimension, value string }

func newFold(t *window.Table) *fold {
	return &fold{table: t, groups: make(map[group]map[series]*tally)}
}

// add takes a row and returns its messages.
func (f *fold) add(m *minute) int64 {
	counts := schemas.AlertCounts{Delivered: int64(m.Delivered), Bounced: int64(m.Bounced), Blocked: int64(m.Blocked)}
	f.take(group{m.Source, m.MailboxProvider}, m.RecipientDomain, counts, why{reason: schemas.OtherReason})
	return counts.Total()
}

// take counts messages of one domain, whose blocks are all for one reason.
func (f *fold) take(g group, domain string, n schemas.AlertCounts, because why) {
	f.count(g, series{schemas.DimensionDomain, domain}, n, because)
	f.count(g, series{schemas.DimensionProvider, g.provider}, n, because)
}

func (f *fold) count(g group, s series, n schemas.AlertCounts, because why) {
	if s.value == "" {
		return
	}
	if f.groups[g] == nil {
		f.groups[g] = make(map[series]*tally)
	}
	t := f.groups[g][s]
	if t == nil {
		t = &tally{}
		f.groups[g][s] = t
	}
	c := &t.counts
	c.Delivered, c.Bounced, c.Blocked = c.Delivered+n.Delivered, c.Bounced+n.Bounced, c.Blocked+n.Blocked
	if n.Blocked > 0 {
		if t.blocks == nil {
			t.blocks = make(map[why]int64)
		}
		t.blocks[because] += n.Blocked
	}
}

// flush gives the minute to the table.
func (f *fold) flush() {
	for g, all := range f.groups {
		rate := schemas.Rate{Source: g.source, Provider: g.provider, PaneSeconds: int64(window.PaneLength / time.Second)}
		for s, t := range all {
			pane := schemas.RatePane{Start: f.minute.Unix(), Counts: t.counts, Added: t.counts}
			for because, n := range t.blocks {
				pane.Blocks = append(pane.Blocks, schemas.ReasonCount{Reason: because.reason, Cause: because.cause, Count: n})
			}
			rate.Series = append(rate.Series, schemas.RateSeries{Dimension: s.dimension, Value: s.value, Panes: []schemas.RatePane{pane}})
		}
		f.table.Merge(&rate, 0, func(window.Key, bool) {})
	}
	clear(f.groups)
}
