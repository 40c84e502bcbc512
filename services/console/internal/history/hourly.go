package history

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// ledgerCounts is counts.sql, answered by the ledger.
func (r *Reader) ledgerCounts(ctx context.Context, s Span, source string) ([]Count, error) {
	type key struct {
		hour         int64
		source, kind string
		refused      bool
	}
	sums := map[key]uint64{}
	err := r.ledger.each(ctx, s, func(c cell) {
		if source == "" || c.Source == source {
			sums[key{c.Hour.Unix(), c.Source, c.Type, c.Refused}] += c.Events
		}
	})
	if err != nil {
		return nil, err
	}
	rows := make([]Count, 0, len(sums))
	for k, n := range sums {
		rows = append(rows, Count{time.Unix(k.hour, 0).UTC(), k.source, k.kind, k.refused, n})
	}
	slices.SortFunc(rows, func(a, b Count) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Type, b.Type), bit(a.Refused)-bit(b.Refused))
	})
	return rows, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ledgerLatest returns the latest hour of each source that had events within s, and this
// hour and the last one: where the latest events are.
func (r *Reader) ledgerLatest(ctx context.Context, s Span, source string) ([]time.Time, error) {
	latest := map[string]time.Time{}
	err := r.ledger.each(ctx, s, func(c cell) {
		if (source == "" || c.Source == source) && c.Hour.After(latest[c.Source]) {
			latest[c.Source] = c.Hour
		}
	})
	if err != nil {
		return nil, err
	}
	now := r.answers.now().Truncate(time.Hour)
	hours := append(slices.Collect(maps.Values(latest)), now, now.Add(-time.Hour))
	slices.SortFunc(hours, time.Time.Compare)
	return slices.CompactFunc(hours, time.Time.Equal), nil
}

// takes says whether f lets a count in; one by domain is none for the ledger.
func (f Filter) takes(c cell) bool {
	return (f.Source == "" || c.Source == f.Source) && (f.MailboxProvider == "" || c.MailboxProvider == f.MailboxProvider)
}

// Add counts events of a type, with whether they are refused; a type that Outcome has no count
// of is left out.
func (o *Outcome) Add(kind string, refused bool, n uint64) {
	switch {
	case refused, kind == "blocked":
		o.Blocked += n
	case kind == "delivered":
		o.Delivered += n
	case kind == "bounced":
		o.Bounced += n
	case kind == "deferred":
		o.Deferred += n
	case kind == "complained":
		o.Complained += n
	}
}

// isOutcome says whether Outcome counts a type.
func isOutcome(kind string) bool {
	return slices.Contains([]string{"delivered", "bounced", "blocked", "deferred", "complained"}, kind)
}

// ledgerSeries is series.sql, answered by the ledger.
func (r *Reader) ledgerSeries(ctx context.Context, s Span, step time.Duration, f Filter) (now, earlier []Outcome, err error) {
	if f.Domain != "" {
		return nil, nil, errBeyond
	}
	both := s
	both.From = s.From.Add(s.From.Sub(s.To))
	turn, seconds := s.From.Truncate(time.Hour), int64(step/time.Second)
	sums := [2]map[int64]*Outcome{{}, {}}
	err = r.ledger.each(ctx, both, func(c cell) {
		if !isOutcome(c.Type) || !f.takes(c) {
			return
		}
		side := sums[0]
		if c.Hour.Before(turn) {
			side = sums[1]
		}
		at := c.Hour.Unix() - c.Hour.Unix()%seconds
		if side[at] == nil {
			side[at] = &Outcome{At: time.Unix(at, 0).UTC()}
		}
		side[at].Add(c.Type, c.Refused, c.Events)
	})
	if err != nil {
		return nil, nil, err
	}
	inOrder := func(side map[int64]*Outcome) (list []Outcome) {
		for _, at := range slices.Sorted(maps.Keys(side)) {
			list = append(list, *side[at])
		}
		return list
	}
	return inOrder(sums[0]), inOrder(sums[1]), nil
}

// ledgerBreakdown is breakdown.sql by source or mailbox provider, answered by the ledger
// with all values.
func (r *Reader) ledgerBreakdown(ctx context.Context, by string, s Span, f Filter) ([]Outcome, error) {
	if f.Domain != "" || by != "source" && by != "mailbox_provider" {
		return nil, errBeyond
	}
	sums := map[string]*Outcome{}
	err := r.ledger.each(ctx, s, func(c cell) {
		if !isOutcome(c.Type) || !f.takes(c) {
			return
		}
		value := c.MailboxProvider
		if by == "source" {
			value = c.Source
		}
		if sums[value] == nil {
			sums[value] = &Outcome{Value: value}
		}
		sums[value].Add(c.Type, c.Refused, c.Events)
	})
	if err != nil {
		return nil, err
	}
	rows := make([]Outcome, 0, len(sums))
	for _, o := range sums {
		rows = append(rows, *o)
	}
	slices.SortFunc(rows, func(a, b Outcome) int {
		return cmp.Or(cmp.Compare(b.Tried(), a.Tried()), cmp.Compare(a.Value, b.Value))
	})
	return rows, nil
}
