package playback

import (
	"maps"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
)

// coverage is the share of a provider's blocked messages, in percent, that its
// domains must account for to speak for it (decision 0004).
const coverage = 80

// player steps rules over a table at the times it is given, which only grow.
type player struct {
	rules   []played
	longest time.Duration
	floors  []floor       // by window, what must be reached for any rule to be over
	limit   *window.Limit // of the table
	table   *window.Table
	states  map[stateKey]*state // under way
	active  map[window.Key]int  // how many states a key has
	done    []Incident          // in the order they began
	expired time.Time
	sums    map[time.Duration]window.Counts // of one key, by window; reused
	periods map[stateKey][]time.Time        // when each alert began to fire within the last hour
}

type stateKey struct {
	rule int // index of player.rules
	key  window.Key
}

// state is the alert of one rule and key.
type state struct {
	status   rule.Status
	incident int // index of done; -1 while pending
	flapping bool
}

// floor is the least that fires any rule of one window, so that most keys cost one
// sum and two comparisons whatever the number of rules.
type floor struct {
	window    time.Duration
	volume    int64
	threshold float64
}

// under says that no rule of the window can be over. A threshold is compared to a
// millionth, so the floor lies two below.
func (f floor) under(c window.Counts) bool {
	const margin = 2e-6
	total := c.Total()
	return total < f.volume || float64(c.Blocked) <= (f.threshold-margin)*float64(total)
}

func newPlayer(rules Rules) *player {
	limit := window.NewLimit(seriesMax)
	p := &player{
		rules: rules.list, longest: rules.longest(), limit: limit, table: window.NewTable(limit),
		states: make(map[stateKey]*state), active: make(map[window.Key]int), sums: make(map[time.Duration]window.Counts),
		periods: make(map[stateKey][]time.Time),
	}
	for i := range p.rules {
		r := &p.rules[i]
		j := slices.IndexFunc(p.floors, func(f floor) bool { return f.window == r.Window })
		if j < 0 {
			p.floors = append(p.floors, floor{r.Window, r.MinVolume, r.Threshold})
			continue
		}
		p.floors[j].volume, p.floors[j].threshold = min(p.floors[j].volume, r.MinVolume), min(p.floors[j].threshold, r.Threshold)
	}
	return p
}

// seriesMax bounds the keys of one source within one window: about 200 MB.
const seriesMax = 1_000_000

// expire forgets, once a minute, what is older than every window: also where no key has
// blocks, so that mail to ever more domains does not add up.
func (p *player) expire(now time.Time) {
	if now.Sub(p.expired) < time.Minute {
		return
	}
	p.expired = now
	p.table.Expire(window.First(now, p.longest))
	maps.DeleteFunc(p.periods, func(_ stateKey, began []time.Time) bool { return now.Sub(began[len(began)-1]) >= rule.FlapWindow })
}

// quiet says that nothing can fire or end before the next count.
func (p *player) quiet() bool { return len(p.states) == 0 && len(p.table.Hot()) == 0 }

// judge steps every rule over the keys that have blocks or an alert.
func (p *player) judge(now time.Time) {
	p.expire(now)
	var fired []stateKey
	for _, k := range slices.Collect(maps.Keys(p.active)) {
		fired = p.stepAll(k, now, fired)
	}
	for _, k := range p.table.Hot() {
		if p.active[k] == 0 && p.loud(k, now) { // one that has just ended is stepped once more, to no effect
			fired = p.stepAll(k, now, fired)
		}
	}
	p.cover(fired, now)
}

// loud says whether any rule may be over for a key.
func (p *player) loud(k window.Key, now time.Time) bool {
	clear(p.sums)
	return slices.ContainsFunc(p.floors, func(f floor) bool { return !f.under(p.sum(k, now, f.window)) })
}

// stepAll steps every rule over one key and appends what fired.
func (p *player) stepAll(k window.Key, now time.Time, fired []stateKey) []stateKey {
	clear(p.sums)
	for i := range p.rules {
		if at := (stateKey{i, k}); slices.Contains(p.rules[i].By, k.Dimension) && p.step(at, now) {
			fired = append(fired, at)
		}
	}
	return fired
}

func (p *player) sum(k window.Key, now time.Time, length time.Duration) window.Counts {
	c, ok := p.sums[length]
	if !ok {
		c = p.table.Sum(k, window.First(now, length))
		p.sums[length] = c
	}
	return c
}

// step moves one alert on and says whether it began to fire.
func (p *player) step(at stateKey, now time.Time) (fired bool) {
	r, s := &p.rules[at.rule], p.states[at]
	counts := p.sum(at.key, now, r.Window)
	in := rule.Reading{Now: now, Total: counts.Total(), Part: int64(counts.Blocked)}
	if s == nil {
		if !r.Over(in) {
			return false
		}
		s = &state{incident: -1}
		p.states[at] = s
		p.active[at.key]++
	}
	if s.status.Open() {
		from := max(window.First(now, r.Window), window.PaneOf(s.status.Since))
		in.Fresh = p.table.Sum(at.key, from).Total()
	}
	var event rule.Event
	judged := r.Rule
	if s.flapping {
		judged = judged.Damped()
	}
	s.status, event = judged.Step(s.status, in)
	if event == rule.Fired {
		p.periods[at], s.flapping = rule.Periods(p.periods[at], now)
		s.incident = len(p.done)
		p.done = append(p.done, Incident{
			Rule: r.Name, Variant: r.variant, Labels: labels(at.key), Start: s.status.Since, Total: in.Total, Bad: in.Part,
			Evidence: p.evidence(at.key, counts, window.First(now, r.Window)),
		})
	}
	if s.incident >= 0 {
		p.done[s.incident].Peak = s.status.Peak
	}
	if !s.status.Active() {
		if s.incident >= 0 {
			p.done[s.incident].End, p.done[s.incident].Ended = now, string(s.status.Ended)
		}
		delete(p.states, at)
		if p.active[at.key]--; p.active[at.key] == 0 {
			delete(p.active, at.key)
		}
	}
	return event == rule.Fired
}

func (p *player) evidence(k window.Key, counts window.Counts, from window.Pane) Evidence {
	provider, _ := p.table.Provider(k)
	return Evidence{Counts: counts.Wire(), Provider: provider, Split: p.table.Split(k, from)}
}

// cover marks the incidents that another message reports, as the service does when
// a mailbox provider and its domains fire over the same mail.
func (p *player) cover(fired []stateKey, now time.Time) {
	groups := make(map[stateKey][]stateKey) // by rule and mailbox provider
	for _, at := range fired {
		if head, ok := p.head(at); ok {
			groups[head] = append(groups[head], at)
		}
	}
	for head, group := range groups {
		domains := slices.DeleteFunc(slices.Clone(group), func(at stateKey) bool { return at == head })
		beganNow := len(domains) < len(group)
		if s := p.states[head]; s != nil && s.incident >= 0 && !beganNow && !p.done[s.incident].Covered {
			p.mark(domains)
			continue
		}
		switch {
		case !beganNow:
		case len(domains) > 1 || !p.explained(head, now):
			p.mark(domains)
		default:
			p.mark([]stateKey{head})
		}
	}
}

// head returns the alert of the mailbox provider that at belongs to.
func (p *player) head(at stateKey) (stateKey, bool) {
	if at.key.Dimension == schemas.DimensionProvider {
		return at, true
	}
	provider, known := p.table.Provider(at.key)
	if !known || provider == "" {
		return at, false
	}
	return stateKey{at.rule, window.Key{Source: at.key.Source, Dimension: schemas.DimensionProvider, Value: provider}}, true
}

// explained says whether the blocks of a provider are those of its domains that
// fire.
func (p *player) explained(head stateKey, now time.Time) bool {
	first := window.First(now, p.rules[head.rule].Window)
	var explained int64
	for at, s := range p.states {
		if at.rule != head.rule || at == head || s.incident < 0 || p.done[s.incident].Covered {
			continue
		}
		if of, ok := p.head(at); ok && of == head {
			explained += int64(p.table.Sum(at.key, first).Blocked)
		}
	}
	return explained*100 >= int64(p.table.Sum(head.key, first).Blocked)*coverage
}

func (p *player) mark(states []stateKey) {
	for _, at := range states {
		if s := p.states[at]; s != nil && s.incident >= 0 {
			p.done[s.incident].Covered = true
		}
	}
}

func labels(k window.Key) map[string]string {
	return map[string]string{schemas.LabelSource: k.Source, k.Dimension: k.Value}
}
