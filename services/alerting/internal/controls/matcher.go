package controls

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const (
	// matchersMax bounds the matchers of one silence: an alert has fewer labels.
	matchersMax = 16
	// valueMax bounds the value of a matcher, in bytes: the longest domain name has
	// 253. A regular expression of this length compiles in microseconds.
	valueMax = 256
	// shownMax bounds a value of the caller's in a message, in bytes.
	shownMax = 64
)

// The labels that every alert has beside those of its key.
const (
	labelRule     = "rule"
	labelMetric   = "metric"
	labelSeverity = "severity"
)

// Labels returns what a matcher may compare.
func Labels() []string {
	return []string{
		labelRule, labelMetric, labelSeverity,
		schemas.LabelSource, schemas.DimensionDomain, schemas.DimensionProvider, metric.Campaign, metric.SendingIP, metric.SendingDomain, metric.IPPool, metric.Tag, metric.All, schemas.LabelReceiver,
	}
}

// Matchers select alerts: all of them must match.
type Matchers []matcher

type matcher struct {
	label, value string
	pattern      *regexp.Regexp // of MatchRegexp and MatchNoRegexp
	negative     bool
}

// Compile returns list ready for use and reports every fault of it to p.
func Compile(list []schemas.AlertMatcher, p *config.Problems) Matchers {
	p.Check(len(list) >= 1 && len(list) <= matchersMax, "matchers", "%d of them, want 1 to %d", len(list), matchersMax)
	out := make(Matchers, 0, len(list))
	if len(list) > matchersMax {
		return out
	}
	selective := false
	for i, m := range list {
		c, ok := compile(m, p.At(fmt.Sprintf("matchers[%d]", i)))
		selective = selective || !ok || !c.takes("")
		out = append(out, c)
	}
	p.Check(selective || len(list) == 0, "matchers", "they match every alert: at least one must demand that a label has a value")
	return out
}

func compile(m schemas.AlertMatcher, p *config.Problems) (c matcher, ok bool) {
	c = matcher{label: m.Label, value: m.Value, negative: m.Op == schemas.MatchNotEqual || m.Op == schemas.MatchNoRegexp}
	ok = true
	check := func(good bool, field, format string, args ...any) {
		p.Check(good, field, format, args...)
		ok = ok && good
	}
	check(slices.Contains(Labels(), m.Label), "label", "%q is not one of %s", clip(m.Label), strings.Join(Labels(), ", "))
	ops := []string{schemas.MatchEqual, schemas.MatchNotEqual, schemas.MatchRegexp, schemas.MatchNoRegexp}
	check(slices.Contains(ops, m.Op), "op", "%q is not one of %s", clip(m.Op), strings.Join(ops, " "))
	check(len(m.Value) <= valueMax, "value", "%d bytes, at most %d", len(m.Value), valueMax)
	check(plain(m.Value), "value", "must be UTF-8 without control characters")
	if ok && (m.Op == schemas.MatchRegexp || m.Op == schemas.MatchNoRegexp) {
		var err error
		c.pattern, err = regexp.Compile("^(?:" + m.Value + ")$")
		check(err == nil, "value", "%q is not a regular expression of RE2", clip(m.Value))
	}
	return c, ok
}

// Match says whether a has what all matchers want.
func (m Matchers) Match(a *schemas.Alert) bool {
	return !slices.ContainsFunc(m, func(c matcher) bool { return !c.takes(valueOf(a, c.label)) })
}

func (c matcher) takes(value string) bool {
	if c.pattern != nil {
		return c.pattern.MatchString(value) != c.negative
	}
	return (value == c.value) != c.negative
}

// valueOf returns what a matcher compares, "" for a label that a lacks.
func valueOf(a *schemas.Alert, label string) string {
	switch label {
	case labelRule:
		return a.Rule
	case labelMetric:
		return cmp.Or(a.Metric, metric.BlockRate)
	case labelSeverity:
		return string(cmp.Or(a.Severity, schemas.SeverityCritical))
	default:
		return a.Labels[label]
	}
}

// plain says whether s is text on one line.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func clip(s string) string {
	if len(s) > shownMax {
		return strings.ToValidUTF8(s[:shownMax], "") + "..."
	}
	return s
}
