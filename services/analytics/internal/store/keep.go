package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Rows says which events are kept with all that they say.
type Rows string

// The ways to keep events.
const (
	AllRows        Rows = "all"
	SampledRows    Rows = "sampled"
	AggregatedRows Rows = "aggregated"
)

// KeepRule says how much is kept of the events of a source and of some types. It changes
// what is stored from then on, and nothing of what is.
type KeepRule struct {
	// Source is whose events are meant. Default none: those of all sources.
	Source string `yaml:"source"`
	// Types are the types of events that are meant. Default none: all types.
	Types []schemas.Type `yaml:"types"`
	// Rows is what is kept: all, sampled or aggregated. Of an event that is not kept,
	// a row stays that is counted and leads to no person: rates stay exact. Default
	// none: all.
	Rows Rows `yaml:"rows"`
	// Rate is the share of people whose events are kept, of sampled alone, which
	// wants one. Default 0. Range [0.0001, 1] or 0.
	Rate float64 `yaml:"rate"`
}

// keepRulesMax bounds the rules that every event is compared with.
const keepRulesMax = 100

// keepRateMin bounds the rate, below which an estimate is worth nothing: of a million
// people a hundred are kept.
const keepRateMin = 0.0001

// Keep are the rules of what is kept; the first one that fits an event counts, and what
// none fits is kept.
type Keep []KeepRule

// Validate reports every fault to p, the collector of the section that has keep.
func (k Keep) Validate(p *config.Problems) {
	p.Check(len(k) <= keepRulesMax, "keep", "%d of them, want at most %d", len(k), keepRulesMax)
	for i, r := range k {
		at := p.At(fmt.Sprintf("keep[%d]", i))
		r.validate(at)
		if before := slices.IndexFunc(k[:i], func(earlier KeepRule) bool { return earlier.covers(r) }); before >= 0 {
			at.Check(false, "", "never counts: keep[%d] comes before it and fits all that it fits", before)
		}
	}
}

// covers says whether r fits every event that later fits.
func (r KeepRule) covers(later KeepRule) bool {
	if r.Source != "" && r.Source != later.Source {
		return false
	}
	if len(r.Types) == 0 {
		return true
	}
	return len(later.Types) > 0 && !slices.ContainsFunc(later.Types, func(t schemas.Type) bool { return !slices.Contains(r.Types, t) })
}

func (r KeepRule) validate(p *config.Problems) {
	for i, t := range r.Types {
		p.Check(slices.Contains(schemas.Types(), t), fmt.Sprintf("types[%d]", i), "%q is not one of %v", t, schemas.Types())
	}
	switch r.Rows {
	case SampledRows:
		p.Check(r.Rate >= keepRateMin && r.Rate <= 1, "rate", "%g is not in [%g, 1]", r.Rate, keepRateMin)
	case "", AllRows, AggregatedRows:
		p.Check(r.Rate == 0, "rate", "%g, but only rows: sampled has a rate", r.Rate)
	default:
		p.Check(false, "rows", "%q is not one of %s, %s, %s", r.Rows, AllRows, SampledRows, AggregatedRows)
	}
}

// ValidateSources reports to p, a collector of the whole file, rules of sources that are
// none of those that are configured.
func (k Keep) ValidateSources(sources []string, p *config.Problems) {
	for i, r := range k {
		p.Check(r.Source == "" || slices.Contains(sources, r.Source), fmt.Sprintf("analytics.keep[%d].source", i),
			"%q is not one of ingress.sources %q", r.Source, sources)
	}
}

// Thins says whether any rule leaves anything out.
func (k Keep) Thins() bool {
	return slices.ContainsFunc(k, func(r KeepRule) bool { return r.rate() < 1 })
}

// rate is the share of people whose events are kept.
func (r KeepRule) rate() float64 {
	switch r.Rows {
	case SampledRows:
		return r.Rate
	case AggregatedRows:
		return 0
	default:
		return 1
	}
}

// weight is for how many events e stands: 0 when it is not kept. The same people are kept
// at every time and by every process, and those of a rate are among those of a higher one.
func (k Keep) weight(e *event) float64 {
	for _, r := range k {
		if r.Source != "" && r.Source != string(e.Source) || len(r.Types) > 0 && !slices.Contains(r.Types, schemas.Type(e.Type)) {
			continue
		}
		rate := r.rate()
		if rate == 1 {
			return 1
		}
		if rate == 0 || e.place() >= rate {
			return 0
		}
		return 1 / rate
	}
	return 1
}

// place is where in [0, 1) the person of e is, or e itself where it names none. SQL has
// it as bitShiftRight(reinterpretAsUInt64(reverse(substring(SHA256(recipient_hash), 1, 8))), 11) / exp2(53).
func (e *event) place() float64 {
	of := e.RecipientHash
	if len(of) == 0 {
		of = e.id[:]
	}
	sum := sha256.Sum256(of)
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

// thin takes out all that leads to the person, and returns what tells events of one
// message from those of others: the hash that alerting groups stored events by.
func (e *event) thin() (messageKey uint64) {
	message, person := e.MessageID, e.RecipientHash
	if len(message) == 0 {
		message = bytes.ToLower(e.ID)
	}
	if len(person) == 0 {
		person = e.Recipient
	}
	messageKey = sipHashes(e.Source, message, person)
	e.blank()
	return max(messageKey, 1) // 0 is that of events that are kept
}
