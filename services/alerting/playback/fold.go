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
	groups map[group]map[series]schemas.AlertCounts
}

// group is what one record of rates holds.
type group struct{ source, provider string }

type series struct{ dimension, value string }

func newFold(t *window.Table) *fold {
	return &fold{table: t, groups: make(map[group]map[series]schemas.AlertCounts)}
}

// add takes a row and returns its messages.
func (f *fold) add(m *minute) int64 {
	counts := schemas.AlertCounts{Delivered: int64(m.Delivered), Bounced: int64(m.Bounced), Blocked: int64(m.Blocked)}
	f.count(group{m.Source, m.MailboxProvider}, series{schemas.DimensionDomain, m.RecipientDomain}, counts)
	f.count(group{m.Source, m.MailboxProvider}, series{schemas.DimensionProvider, m.MailboxProvider}, counts)
	return counts.Total()
}

func (f *fold) count(g group, s series, n schemas.AlertCounts) {
	if s.value == "" {
		return
	}
	if f.groups[g] == nil {
		f.groups[g] = make(map[series]schemas.AlertCounts)
	}
	c := f.groups[g][s]
	f.groups[g][s] = schemas.AlertCounts{Delivered: c.Delivered + n.Delivered, Bounced: c.Bounced + n.Bounced, Blocked: c.Blocked + n.Blocked}
}

// flush gives the minute to the table.
func (f *fold) flush() {
	for g, all := range f.groups {
		rate := schemas.Rate{Source: g.source, Provider: g.provider, PaneSeconds: int64(window.PaneLength / time.Second)}
		for s, counts := range all {
			pane := schemas.RatePane{Start: f.minute.Unix(), Counts: counts, Added: counts}
			if counts.Blocked > 0 {
				pane.Blocks = []schemas.ReasonCount{{Reason: schemas.OtherReason, Count: counts.Blocked}}
			}
			rate.Series = append(rate.Series, schemas.RateSeries{Dimension: s.dimension, Value: s.value, Panes: []schemas.RatePane{pane}})
		}
		f.table.Merge(&rate, 0, func(window.Key, bool) {})
	}
	clear(f.groups)
}
