package backtest

import (
	"cmp"
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
	lowest  int64 // the smallest volume any rule judges
	table   *window.Table
	states  map[stateKey]*state // under way
	active  map[window.Key]int  // how many states a key has
	done    []Incident          // in the order they began
	expired time.Time
	sums    map[time.Duration]window.Counts // of one key, by window; reused
}

type stateKey struct {
	rule int // index of player.rules
	key  window.Key
}

// state is the alert of one rule and key.
type state struct {
	status   rule.Status
	incident int // index of done; -1 while pending
}

func newPlayer(rules Rules) *player {
	p := &player{
		rules: rules.list, longest: rules.longest(), lowest: 1 << 62, table: window.NewTable(window.NewLimit(seriesMax)),
		states: make(map[stateKey]*state), active: make(map[window.Key]int), sums: make(map[time.Duration]window.Counts),
	}
	for i := range p.rules {
		p.lowest = min(p.lowest, p.rules[i].MinVolume)
	}
	return p
}

// seriesMax bounds the keys of one source within one window: about 200 MB.
const seriesMax = 1_000_000

// quiet says that nothing can fire or end before the next count.
func (p *player) quiet() bool { return len(p.states) == 0 && len(p.table.Hot()) == 0 }

// judge steps every rule over the keys that have blocks or an alert.
func (p *player) judge(now time.Time) {
	if now.Sub(p.expired) >= time.Minute {
		p.expired = now
		p.table.Expire(window.First(now, p.longest))
	}
	var fired []stateKey
	for _, k := range p.keys() {
		clear(p.sums)
		if p.active[k] == 0 && p.sum(k, now, p.longest).Total() < p.lowest {
			continue
		}
		for i := range p.rules {
			if slices.Contains(p.rules[i].By, k.Dimension) && p.step(stateKey{i, k}, now) {
				fired = append(fired, stateKey{i, k})
			}
		}
	}
	p.cover(fired, now)
}

// keys returns what has to be judged, in a fixed order.
func (p *player) keys() []window.Key {
	keys := p.table.Hot()
	for k := range p.active {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b window.Key) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Dimension, b.Dimension), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(keys)
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
	if s.status.Told() {
		from := max(window.First(now, r.Window), window.PaneOf(s.status.Since))
		in.Fresh = p.table.Sum(at.key, from).Total()
	}
	var event rule.Event
	s.status, event = r.Step(s.status, in)
	if event == rule.Fired {
		s.incident = len(p.done)
		p.done = append(p.done, Incident{
			Rule: r.Name, Variant: r.variant, Labels: labels(at.key), Start: s.status.Since, Total: in.Total, Bad: in.Part,
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

// status returns where the alert of a rule and key is.
func (p *player) status(at stateKey) rule.Status {
	if s := p.states[at]; s != nil {
		return s.status
	}
	return rule.Status{}
}

// cover marks the incidents that another message tells, as the service does when
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
