package rule

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Validate reports every fault to p.
func (r Rule) Validate(p *config.Problems) {
	p.Check(r.Name != "" && len(r.Name) <= nameMax && utf8.ValidString(r.Name) && !strings.ContainsFunc(r.Name, unicode.IsControl), "name",
		"%q must have 1 to %d bytes of text without control characters", r.Name[:min(len(r.Name), nameMax)], nameMax)
	p.Check(slices.Contains(schemas.AlertSeverities(), r.Severity), "severity", "%q is not one of %v", r.Severity, schemas.AlertSeverities())
	r.validateKeys(p)
	r.validateWindow(p)
	r.validateLines(p)
	p.Check(r.Confidence >= 0 && r.Confidence <= confidenceMax, "confidence", "%v is not in [0, %v]", r.Confidence, confidenceMax)
	p.Check(r.MinCount >= 0 && r.MinCount <= volumeMax, "min_count", "%d is not in [0, %d]", r.MinCount, volumeMax)
	p.Check(r.MinVolume >= 1 && r.MinVolume <= volumeMax, "min_volume", "%d is not in [1, %d]", r.MinVolume, volumeMax)
	in := config.FormatDuration
	p.Check(r.For >= 0 && r.For <= waitMax, "for", "%s is not in [0s, %s]", in(r.For), in(waitMax))
	p.Check(r.ResolveFor > 0 && r.ResolveFor <= waitMax, "resolve_for", "%s is not in (0s, %s]", in(r.ResolveFor), in(waitMax))
	derived := r.MinVolume > volumeMax && r.ResolveVolume == defaultOf(r).ResolveVolume // the fault is that of min_volume
	p.Check(derived || r.ResolveVolume >= 1 && r.ResolveVolume <= volumeMax, "resolve_volume", "%d is not in [1, %d]", r.ResolveVolume, volumeMax)
	derived = r.Window > staleMax && r.StaleAfter == r.Window
	p.Check(derived || r.StaleAfter >= r.Window && r.StaleAfter <= staleMax, "stale_after", "%s is not in [window %s, %s]", in(r.StaleAfter), in(r.Window), in(staleMax))
	r.Match.validate(p.At("match"), r.Metric)
	r.validateExpectation(p)
}

// validateLines checks the rates between which an incident lies.
func (r Rule) validateLines(p *config.Problems) {
	ok := inside(r.Threshold)
	p.Check(ok, "threshold", "%v is not in (0, 1), compared to a millionth", r.Threshold)
	if !ok && r.ResolveBelow == defaultOf(r).ResolveBelow { // made of the threshold, it is not a fault of its own
		return
	}
	p.Check(inside(r.ResolveBelow) && r.ResolveBelow <= r.Threshold, "resolve_below", "%v is not in (0, threshold %v], compared to a millionth", r.ResolveBelow, r.Threshold)
	p.Check(r.ResolveAbove >= 0 && r.ResolveAbove <= 1, "resolve_above", "%v is not in [0, 1]", r.ResolveAbove)
	p.Check(!r.LowIsBad() || r.ResolveAbove >= r.Threshold, "resolve_above", "%v is below threshold %v", r.ResolveAbove, r.Threshold)
}

// defaultOf returns r with what its other fields make of those that it need not state.
func defaultOf(r Rule) Rule {
	r.ResolveBelow, r.ResolveAbove, r.ResolveVolume, r.StaleAfter = 0, 0, 0, 0
	return r.WithDefaults()
}

// inside says whether a rate is between 0 and 1 as it is compared: one that is rounded to 0
// would never be undercut, one that is rounded to 1 never exceeded.
func inside(rate float64) bool {
	return rate > 0 && rate < 1 && millionths(rate) > 0 && millionths(rate) < perMillion
}

// validateKeys checks what is measured and by what it is split.
func (r Rule) validateKeys(p *config.Problems) {
	m, known := metric.Find(r.Metric)
	p.Check(known, "metric", "%q is not one of %s", r.Metric, metric.Names())
	if !known { // what the default dimensions are is not its fault
		m, _ = metric.Find(metric.BlockRate)
	}
	for i, by := range r.By {
		field := fmt.Sprintf("by[%d]", i)
		p.Check(slices.Contains(m.Dimensions, by) && !slices.Contains(r.By[:i], by), field,
			"%q must be one of the dimensions of %s (%s), once", by, r.Metric, strings.Join(m.Dimensions, ", "))
		p.Check(by != metric.Source || !r.Together, field, "%q cannot be beside together: true, which merges the sources", by)
	}
}

// validateWindow names the engine, for which of the two it is follows from the rest.
func (r Rule) validateWindow(p *config.Problems) {
	if r.FromStream() || r.Metric == metric.BlockRate && r.Window < metric.StreamWindowMin {
		p.Check(r.Window >= metric.StreamWindowMin, "window", "%s is not in [%s, %s], which can be judged from the stream",
			config.FormatDuration(r.Window), config.FormatDuration(metric.StreamWindowMin), config.FormatDuration(metric.StreamWindowMax))
		return
	}
	p.Check(r.Window >= metric.SQLWindowMin && r.Window <= metric.SQLWindowMax, "window",
		"%s is not in [%s, %s], which can be judged by SQL; from the stream, with shorter windows, goes only block_rate by recipient_domain or mailbox_provider",
		config.FormatDuration(r.Window), config.FormatDuration(metric.SQLWindowMin), config.FormatDuration(metric.SQLWindowMax))
}

// validateExpectation checks what the rule compares with.
func (r Rule) validateExpectation(p *config.Problems) {
	m, _ := metric.Find(r.Metric)
	p.Check(r.Baseline >= 0 && r.Baseline <= baselineMax, "baseline", "%v is not in [0, %d]", r.Baseline, baselineMax)
	p.Check(r.Baseline == 0 || !m.Learnt, "baseline", "%v: %s compares with the weeks before by itself", r.Baseline, r.Metric)
	e := p.At("expect")
	e.Check(r.Expect.Min >= 0 && r.Expect.Min <= volumeMax, "min", "%d is not in [0, %d]", r.Expect.Min, volumeMax)
	e.Check(r.Expect.Every >= 0 && r.Expect.Every <= metric.SQLWindowMax, "every", "%s is not in [0s, %s]", config.FormatDuration(r.Expect.Every), config.FormatDuration(metric.SQLWindowMax))
	if r.Expect == (Expect{}) {
		return
	}
	e.Check(r.Metric == metric.Silence, "", "an expectation is for silence, not for %s", r.Metric)
	e.Check(r.Expect.Min > 0, "min", "must be above 0 where something is expected")
	e.Check(r.Expect.Every > 0, "every", "must be above 0s where something is expected")
	_, err := ParseHours(r.Expect.Hours)
	e.Check(err == nil, "hours", "%v", err)
}

func (m Match) validate(p *config.Problems, name string) {
	counted, _ := metric.Find(name)
	checkWords(p, "cause", m.Cause, schemas.Causes())
	checkWords(p, "reason", m.Reason, schemas.Reasons())
	checkWords(p, "type", m.Type, schemas.Types())
	p.Check(len(m.Type) == 0 || counted.CountsEvents, "type", "%s counts messages by their outcome: it has its own types", name)
	if name == metric.Silence { // the weeks before are counts by type and cause
		p.Check(len(m.Reason) == 0, "reason", "silence can be narrowed by type and cause only")
		p.Check(len(m.Stream) == 0, "stream", "silence can be narrowed by type and cause only")
	}
	for i, s := range m.Stream {
		p.Check(len(strings.TrimPrefix(s, "!")) > 0 && len(s) <= nameMax, fmt.Sprintf("stream[%d]", i), "%q must have 1 to %d bytes", s, nameMax)
	}
	p.Check(len(m.Stream) <= wordsMax, "stream", "%d of them, want at most %d", len(m.Stream), wordsMax)
}

// wordsMax bounds a list of streams.
const wordsMax = 50

func checkWords[W ~string](p *config.Problems, field string, words []string, known []W) {
	for i, w := range words {
		p.Check(slices.Contains(known, W(strings.TrimPrefix(w, "!"))), fmt.Sprintf("%s[%d]", field, i), "%q is not one of %v, with or without ! in front", w, known)
	}
}

// ValidateWritten reports to p zeros that somebody wrote, r being as it was read:
// WithDefaults would take them for values that were left out.
func (r Rule) ValidateWritten(p *config.Problems) {
	d := defaultsOf(r.Metric)
	for _, f := range []struct {
		name  string
		zero  bool
		bound string
	}{
		{"window", r.Window == 0, "[1m, 7d]"},
		{"threshold", r.Threshold == 0, "(0, 1)"},
		{"min_volume", r.MinVolume == 0, "[1, 1000000]"},
		{"resolve_below", r.ResolveBelow == 0, "(0, threshold]"},
		{"resolve_for", r.ResolveFor == 0, "(0s, 1d]"},
		{"resolve_volume", r.ResolveVolume == 0, "[1, 1000000]"},
		{"stale_after", r.StaleAfter == 0, "[window, 30d]"},
		{"min_count", r.MinCount == 0 && d.MinCount > 0, "[1, 1000000]"},
		{"confidence", r.Confidence == 0 && d.Confidence > 0, "(0, 0.999]"},
	} {
		p.Check(!f.zero || !p.Written(f.name), f.name, "0 is not in %s: leave it out for the default", f.bound)
	}
}

// Hours are the times of a week, in UTC, when something is expected.
type Hours struct {
	days     [7]bool // by time.Weekday
	from, to int     // hours of the day, to exclusive
}

// ParseHours reads "Mon-Fri 08-20", "Sat 00-24" or "", which is always.
func ParseHours(text string) (Hours, error) {
	h := Hours{days: [7]bool{true, true, true, true, true, true, true}, to: 24}
	if text == "" {
		return h, nil
	}
	days, span, ok := strings.Cut(text, " ")
	first, last, isRange := strings.Cut(days, "-")
	if !isRange {
		last = first
	}
	names := []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	a, b := slices.Index(names, first), slices.Index(names, last)
	var from, to int
	n, err := fmt.Sscanf(span, "%02d-%02d", &from, &to)
	if !ok || a < 0 || b < 0 || n != 2 || err != nil || len(span) != len("08-20") || from < 0 || from >= to || to > 24 {
		return h, fmt.Errorf("%q is not like \"Mon-Fri 08-20\", in UTC", text)
	}
	h.days, h.from, h.to = [7]bool{}, from, to
	for d := a; ; d = (d + 1) % 7 {
		h.days[d] = true
		if d == b {
			return h, nil
		}
	}
}

// Hold says whether t is within h.
func (h Hours) Hold(t time.Time) bool {
	t = t.UTC()
	return h.days[t.Weekday()] && t.Hour() >= h.from && t.Hour() < h.to
}
