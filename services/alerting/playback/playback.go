// Package playback plays history to the rules of alerting: which incidents they
// would have had, how often they would have called people, and how that differs
// from what really fired. It also runs unit cases of rules, which a team keeps
// beside them.
//
// Both step the very rule.Step of the service over the very window.Table of the
// service, and a back-test the rules by SQL over the very statements of the service;
// only the clock is another one. It writes nothing and notifies no one. It
// does not play what a rule cannot see: lateness of a source, faults of the
// service, silences.
package playback

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const (
	// rulesMax bounds the rules of one run, the variants of a sweep included.
	rulesMax = 500
	// nameSeparator is between a rule's name and its variant in reports.
	nameSeparator = " "
)

// Rules are rules that passed the checks of the configuration.
type Rules struct {
	list []played // judged from the stream
	sql  []played // judged by SQL
	// unplayed are the names of those that are switched off.
	unplayed []string
}

// Unplayed returns the names of the rules that are left out.
func (r Rules) Unplayed() []string { return r.unplayed }

// played is one rule, or one variant of a rule, under the name of the report.
type played struct {
	rule.Rule
	variant string // "threshold=0.4"; "" without a sweep
}

func (p *played) title() string {
	if p.variant == "" {
		return p.Name
	}
	return p.Name + nameSeparator + p.variant
}

// Of returns rules as the service has them, checked and with their defaults.
func Of(rules []rule.Rule) Rules {
	var out Rules
	for _, r := range rules {
		if r = r.WithDefaults(); r.On() {
			out.add(played{Rule: r})
		} else {
			out.unplayed = append(out.unplayed, r.Name)
		}
	}
	return out
}

// add takes a rule to those of its engine.
func (r *Rules) add(p played) {
	if p.FromStream() {
		r.list = append(r.list, p)
	} else {
		r.sql = append(r.sql, p)
	}
}

// ReadRules reads a file with a list `rules`, as the section `alerting` has it.
// The error lists every fault with line, field, value and bound.
func ReadRules(name string, text []byte) (Rules, error) {
	var f struct {
		Rules []rule.Rule `yaml:"rules"`
	}
	fresh := f
	if _, err := config.Load(&f, fresh, config.Source{File: text, Name: name, Across: func(p *config.Problems) {
		checkRules(f.Rules, p)
	}}); err != nil {
		return Rules{}, err
	}
	return Of(f.Rules), nil
}

func checkRules(rules []rule.Rule, p *config.Problems) {
	p.Check(len(rules) > 0, "rules", "is empty: give at least one rule")
	p.Check(len(rules) <= rulesMax, "rules", "%d of them, want at most %d", len(rules), rulesMax)
	names := make(map[string]bool)
	for i, r := range rules {
		at := p.At(fmt.Sprintf("rules[%d]", i))
		r.ValidateWritten(at)
		r.WithDefaults().Validate(at)
		at.Check(!names[r.Name], "name", "%q is taken by another rule", r.Name)
		names[r.Name] = true
	}
}

// longest returns how far back the rules look.
func (r Rules) longest() time.Duration {
	longest := time.Duration(0)
	for i := range r.list {
		longest = max(longest, r.list[i].Window)
	}
	return longest
}

// Incident is one firing period as it was played.
type Incident struct {
	Rule    string            `json:"rule"`
	Variant string            `json:"variant,omitempty"`
	Labels  map[string]string `json:"labels"`
	Start   time.Time         `json:"start"`
	End     time.Time         `json:"end,omitzero"` // zero: it lasts at the end of the run
	Ended   string            `json:"ended,omitempty"`
	Peak    float64           `json:"peak"`
	// Total and Bad are the messages of the window when it fired.
	Total int64 `json:"total"`
	Bad   int64 `json:"bad"`
	// Covered says that the message of another incident, of the same mailbox
	// provider, reports this one.
	Covered bool `json:"covered,omitempty"`
	// Late says that its events came so late that a page would have been useless.
	Late bool `json:"late,omitempty"`
	// Then is the incident that really fired over the same time.
	Then *Fired `json:"then,omitempty"`
	// Evidence is what the window held when it fired.
	Evidence Evidence `json:"-"`
}

// Fired is an incident that the service really had.
type Fired struct {
	Incident  string            `json:"incident"`
	Rule      string            `json:"rule"`
	Labels    map[string]string `json:"labels"`
	Start     time.Time         `json:"start"`
	End       time.Time         `json:"end,omitzero"`
	Peak      float64           `json:"peak"`
	Inhibited bool              `json:"inhibited,omitempty"`
}

// where names the labels in one line: "acme recipient_domain gmail.com".
func where(labels map[string]string) string {
	parts := []string{labels["source"]}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "source" {
			parts = append(parts, name, labels[name])
		}
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}
