package page

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

// sourceData is one source.
type sourceData struct {
	Now time.Time `json:"now"`
	sourceRow
	Arrivals   twin.List[arrival]         `json:"arrivals"`
	Letters    twin.List[history.Letters] `json:"dead_letters"`
	Plot       Plot                       `json:"plot"`
	Webhook    string                     `json:"webhook"`
	Webhooks   string                     `json:"-"`
	Duplicates uint64                     `json:"repeats"`
	Blocks     uint64                     `json:"bounces_counted_as_blocks"`
}

// arrival is a type of event: its share, and how many there were a week before.
type arrival struct {
	history.Arrival
	Share  Rate   `json:"share"`
	Before uint64 `json:"week_before"`
}

// arrivalsOf adds to each type its share of all, and what the hours of the same day a week
// before had, which may be of types that do not come any more.
func arrivalsOf(list []history.Arrival, counts []history.Count, now time.Time) []arrival {
	before := map[string]uint64{}
	for _, c := range counts {
		if back := hoursAgo(c.Hour, now); back >= 7*24 && back < 8*24 {
			before[c.Type] += c.Events
		}
	}
	var all uint64
	for _, a := range list {
		all += a.Events
	}
	out := make([]arrival, 0, len(list))
	for _, a := range list {
		out = append(out, arrival{a, Rate{a.Events, all}, before[a.Type]})
		delete(before, a.Type)
	}
	for _, kind := range slices.Sorted(maps.Keys(before)) {
		out = append(out, arrival{history.Arrival{Type: kind}, Rate{0, all}, before[kind]})
	}
	return out
}

func (s *Site) source(v *visit) (view, error) {
	if _, err := v.only(); err != nil {
		return view{}, err
	}
	now, name := s.Now().UTC(), v.named("name")
	d := sourceData{Now: now, Webhooks: s.World.Webhooks, Webhook: s.World.Webhooks + "/v1/webhooks/" + name}
	var (
		arrivals                                   []history.Arrival
		counts                                     []history.Count
		seen                                       []history.Seen
		countsErr, seenErr, arrivalErr, lettersErr error
	)
	span := lastHours(day, now)
	parts := parallel{}
	parts.add(func(ctx context.Context) {
		counts, countsErr = s.History.Counts(ctx, lastHours(8*day, now), name)
	})
	parts.add(func(ctx context.Context) { seen, seenErr = s.History.Sources(ctx, history.Last(2*day, now, 0), name) })
	parts.add(func(ctx context.Context) { arrivals, arrivalErr = s.History.Arrivals(ctx, name, span) })
	parts.add(func(ctx context.Context) { d.Letters, lettersErr = s.History.LettersLately(ctx, name) })
	var balances map[string]peer.Balance
	var balanceErr error
	askIngress := func(ctx context.Context, provider string) {
		balances, balanceErr = s.Ingress.Balances(ctx, map[string]string{name: provider})
	}
	provider, known := s.providers()[name]
	if known {
		parts.add(func(ctx context.Context) { askIngress(ctx, provider) })
	}
	parts.run(v.Context())
	s.notice(v, partClickHouse, cmp.Or(countsErr, seenErr, arrivalErr, lettersErr))
	rows := s.rowsOf(counts, seen, now)
	i := slices.IndexFunc(rows, func(r sourceRow) bool { return r.Name == name })
	if i < 0 && (countsErr != nil || seenErr != nil) {
		return view{}, fault{Status: http.StatusServiceUnavailable, Title: "This source is not known now", Detail: "It is not configured here, and ClickHouse does not answer.", Next: "Try again in a minute."}
	}
	if i < 0 {
		return view{}, notFound(fmt.Sprintf("No source is called %.64q, and none of that name has sent anything for a week.", name))
	}
	if countsErr != nil {
		unknown(rows)
	}
	d.sourceRow = rows[i]
	d.Arrivals = arrivalsOf(arrivals, counts, now)
	for _, a := range d.Arrivals {
		d.Duplicates += a.Repeats()
		d.Blocks += a.Blocks
	}
	d.Plot = byHour(counts, name, now)
	if !known { // before, its provider was not
		askIngress(v.Context(), d.Provider)
	}
	if !s.notice(v, partIngress, balanceErr) {
		d.Balance = &balance{balances[name]}
	}
	return view{name: "source", title: name, data: d}, nil
}
