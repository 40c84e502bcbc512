// Package drift knows what providers send that their packages do not know, by path: how
// often this process met it, and since when any process has.
//
// The first time is in a compacted topic that every ingress reads and follows, so it
// survives restarts and is the same for all. No request waits for it: what is met is
// noted in memory, and a Book writes what the topic does not have once it has read all
// of it. The earlier of two times wins, whoever wrote last.
package drift

import (
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider"
)

const (
	// PathsMax bounds the paths of one provider that have series of their own: names
	// come from outside. What is beyond is counted by its kind alone.
	PathsMax = 64
	// knownMax bounds the paths of one provider that are kept for good. It is what some
	// versions of a provider's package do not know, at some 300 bytes each.
	knownMax = 4 * PathsMax
	// pathBytesMax bounds one of them. The longest one of a documented field is SES's
	// subscription.newTopicPreferences.topicSubscriptionStatus[].subscriptionStatus.
	pathBytesMax = 128
)

// firstMin is before any first time was kept: what is older comes from a clock that is
// wrong, or is a fault of who wrote it.
var firstMin = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// unprintable is shown for what does not look like a name.
const unprintable = "(unprintable)"

// Harmless returns the name of an event or the path of a field when it looks like one, so
// that no address or text gets into the log, a metric or the topic by way of a key.
func Harmless(path string) string {
	if path == "" || len(path) > pathBytesMax {
		return unprintable
	}
	for _, r := range path {
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' && r != '.' && r != '[' && r != ']' {
			return unprintable
		}
	}
	return path
}

// path is what a provider sends that its package does not know.
type path struct {
	provider string
	kind     provider.Drift
	name     string // where it is in an item, or the provider's word for an event; harmless
}

// entry is what is known of a path.
type entry struct {
	counter prometheus.Counter // nil until this process meets it
	met     time.Time          // when it did
	first   time.Time          // the earliest time that is known
	stored  time.Time          // what the topic's last record says, zero when there is none
}

// Options are whose drift a Book knows and where it shows it. The metrics are by provider,
// kind and path, but for Skipped.
type Options struct {
	Providers []string // records of others are skipped; one may be there twice
	Paths     *prometheus.CounterVec
	First     *prometheus.GaugeVec
	Skipped   prometheus.Counter // records that are none of the topic
}

// paths are those that are known.
type paths struct {
	opt       Options
	providers map[string]bool // whose records are kept

	mu      sync.Mutex
	entries map[path]*entry // guarded by mu
	noted   map[string]int  // those that this process met, by provider; guarded by mu
	known   map[string]int  // those that are in the topic, by provider; guarded by mu
}

func newPaths(opt Options) *paths {
	p := &paths{opt: opt, providers: map[string]bool{}, entries: map[path]*entry{}, noted: map[string]int{}, known: map[string]int{}}
	for _, name := range opt.Providers {
		p.providers[name] = true
	}
	return p
}

// note counts at and says whether this process meets it for the first time. Names that
// are shown alike are counted together.
func (p *paths) note(at path, now time.Time) (isNew bool) {
	at.name = Harmless(at.name)
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[at]
	if e == nil || e.counter == nil {
		if p.noted[at.provider] == PathsMax {
			return false
		}
		isNew = true
		p.noted[at.provider]++
		at.name = strings.Clone(at.name) // it would keep the request it is a part of
		e = p.entry(at)
		e.met = now.UTC().Truncate(time.Millisecond)
		e.counter = p.opt.Paths.WithLabelValues(at.provider, string(at.kind), at.name)
		p.see(at, e, e.met)
	}
	e.counter.Inc()
	return isNew
}

func (p *paths) entry(at path) *entry {
	e := p.entries[at]
	if e == nil {
		e = new(entry)
		p.entries[at] = e
	}
	return e
}

// see takes in that at was met at a time.
func (p *paths) see(at path, e *entry, when time.Time) {
	if e.first.IsZero() || when.Before(e.first) {
		e.first = when
	}
	if e.counter != nil {
		p.opt.First.WithLabelValues(at.provider, string(at.kind), at.name).Set(float64(e.first.UnixMilli()) / 1000)
	}
}

// learn takes in a record of the topic; false when there is no room for its path.
func (p *paths) learn(at path, first time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[at]
	if e == nil || e.stored.IsZero() {
		if p.known[at.provider] == knownMax {
			return false
		}
		p.known[at.provider]++
		e = p.entry(at)
	}
	e.stored = first
	p.see(at, e, first)
	return true
}

// unlearn takes in that the topic has at no more: a person deleted it. What this process
// met is as new.
func (p *paths) unlearn(at path) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[at]
	if e == nil || e.stored.IsZero() {
		return
	}
	p.known[at.provider]--
	if e.counter == nil {
		delete(p.entries, at)
		return
	}
	e.stored, e.first = time.Time{}, e.met
	p.see(at, e, e.met)
}

// restart forgets what the topic has: it is read from its beginning.
func (p *paths) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.known)
	for at, e := range p.entries {
		if e.stored = (time.Time{}); e.counter == nil {
			delete(p.entries, at)
		}
	}
}

// due returns what the topic does not have, or with a later time.
func (p *paths) due() []schemas.Drift {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []schemas.Drift
	room := map[string]int{}
	for at, e := range p.entries {
		if !e.stored.IsZero() && !e.stored.After(e.first) || e.first.Before(firstMin) {
			continue
		}
		if e.stored.IsZero() {
			if room[at.provider]++; p.known[at.provider]+room[at.provider] > knownMax {
				continue
			}
		}
		out = append(out, schemas.Drift{Provider: at.provider, Kind: string(at.kind), Path: at.name, FirstSeen: e.first})
	}
	return out
}
