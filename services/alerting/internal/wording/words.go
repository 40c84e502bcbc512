package wording

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
)

// Limits of what others wrote, in runes. A message stays below the limits of every
// receiver; one whose limits are narrower cuts further.
const (
	sampleMax = 240
	nameMax   = 253 // the longest domain (RFC 1035, section 2.3.4)
	listMax   = 10  // keys named in a list; the rest is a number
	rowsMax   = 2_900
)

// Markup is how a receiver wants text to be written.
type Markup interface {
	// Plain makes what others wrote harmless.
	Plain(s string) string
	// Code writes a name or a reply so that it shows as it is.
	Code(s string) string
	// Time writes a time for people in any zone.
	Time(t time.Time) string
}

// Text is the markup of receivers that have none.
type Text struct{}

// Plain returns s in one line.
func (Text) Plain(s string) string { return Clean(s) }

// Code returns s in one line, "-" for nothing.
func (Text) Code(s string) string {
	return cmp.Or(strings.TrimSpace(Clean(s)), "-")
}

// Time writes t in UTC.
func (Text) Time(t time.Time) string { return UTC(t) }

// UTC writes t to the second.
func UTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Clean makes one harmless line of text that others wrote: control characters,
// line breaks and those that change the direction of reading become spaces.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Cut shortens s to at most most runes.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n == most-1 {
			return s[:i] + "\u2026"
		}
		n++
	}
	return s
}

// CutBytes shortens s to at most most bytes, between two characters.
func CutBytes(s string, most int) string {
	const dots = "\u2026"
	if len(s) <= most {
		return s
	}
	end := 0
	for i := range s {
		if i > most-len(dots) {
			break
		}
		end = i
	}
	return s[:end] + dots
}

// percent writes a rate so that 60.4 % does not read as 60 %, and almost all not
// as all.
func percent(rate float64) string {
	switch tenths := int64(rate*1000 + 0.5); {
	case tenths >= 1000 && rate < 1:
		return "over 99.9 %"
	case tenths == 0 && rate > 0:
		return "under 0.1 %"
	default:
		return strconv.FormatFloat(float64(tenths)/10, 'f', -1, 64) + " %"
	}
}

// against writes a rate beside the threshold it exceeds.
func against(rate, threshold float64) string {
	says := percent(rate)
	if says == percent(threshold) && rate > threshold {
		says = "just over " + says
	}
	return says + " (threshold " + percent(threshold) + ")"
}

// rate writes the block rate of counts; none of nothing is not a rate.
func rate(c schemas.AlertCounts) string {
	if c.Total() <= 0 {
		return "no traffic"
	}
	return percent(float64(c.Blocked) / float64(c.Total()))
}

// plural counts things.
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return number(n) + " " + thing + "s"
}

// span writes how long something took, to the second below an hour.
func span(d time.Duration) string {
	d = max(d.Round(time.Second), 0)
	switch h, m, s := int64(d/time.Hour), int64(d/time.Minute%60), int64(d/time.Second%60); {
	case h > 0 && m > 0:
		return fmt.Sprintf("%s h %d min", number(h), m)
	case h > 0:
		return number(h) + " h"
	case m > 0 && s > 0:
		return fmt.Sprintf("%d min %d s", m, s)
	case m > 0:
		return fmt.Sprintf("%d min", m)
	default:
		return fmt.Sprintf("%d s", s)
	}
}

// number writes thousands with a comma.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// window writes "15m0s" as "15 minutes"; long windows in hours or days.
func window(s string) string {
	const day = 24 * time.Hour
	d, err := time.ParseDuration(s)
	switch {
	case err != nil || d <= 0 || d%time.Minute != 0:
		return Clean(s)
	case d > day && d%day == 0:
		return plural(int64(d/day), "day")
	case d > time.Hour && d%time.Hour == 0:
		return plural(int64(d/time.Hour), "hour")
	default:
		return plural(int64(d/time.Minute), "minute")
	}
}

func (w Writer) causesLine(causes map[string]int64) string {
	keys := slices.SortedFunc(maps.Keys(causes), func(a, b string) int {
		return cmp.Or(cmp.Compare(causes[b], causes[a]), cmp.Compare(a, b))
	})
	for i, k := range keys {
		keys[i] = w.Plain(k) + " " + number(causes[k])
	}
	return strings.Join(keys, " · ")
}

func (w Writer) reasonLines(f schemas.AlertFacts) []string {
	lines := make([]string, 0, len(f.Reasons)+1)
	for _, r := range f.Reasons {
		line := fmt.Sprintf("%s %s (%s)", number(r.Count), w.Plain(string(r.Reason)), w.Plain(string(r.Cause)))
		if r.Sample != "" {
			line += " " + w.Code(Cut(Clean(r.Sample), sampleMax))
		}
		lines = append(lines, line)
	}
	if n := unlisted(f); n > 0 && len(lines) > 0 {
		lines = append(lines, number(n)+" for further reasons")
	}
	return lines
}

func (w Writer) reasonsShort(f schemas.AlertFacts) string {
	parts := make([]string, 0, len(f.Reasons)+1)
	for _, r := range f.Reasons {
		parts = append(parts, w.Plain(string(r.Reason))+" "+number(r.Count))
	}
	if n := unlisted(f); n > 0 {
		parts = append(parts, "further reasons "+number(n))
	}
	return strings.Join(parts, ", ")
}

// unlisted returns the bad messages that no listed reason accounts for.
func unlisted(f schemas.AlertFacts) int64 {
	n := f.Counts.Blocked
	if f.Measure != nil {
		n = 0 // the reasons are of refusals, which the metric may not count
	}
	for _, r := range f.Reasons {
		n -= r.Count
	}
	return max(n, 0)
}

// alsoLine names the other keys of the same spike.
func (w Writer) alsoLine(also []string) string {
	parts := make([]string, 0, listMax+1)
	for i, a := range also {
		if i == listMax {
			parts = append(parts, fmt.Sprintf("and %d more", len(also)-listMax))
			break
		}
		parts = append(parts, w.Code(Cut(a, nameMax)))
	}
	return strings.Join(parts, ", ")
}

// carrierLines say who carries a spike of the metric called name.
func (w Writer) carrierLines(name string, carriers []schemas.AlertCarrier) []string {
	of := "these messages"
	switch name {
	case metric.VolumeDrop:
		of = "what is missing"
	case metric.UnknownShare, metric.Lateness:
		of = "these events"
	}
	var lines []string
	for i, c := range carriers {
		if i == listMax {
			break
		}
		lines = append(lines, fmt.Sprintf("%s %s: %s of %s (%s), %s of the volume%s",
			w.Plain(strings.ReplaceAll(c.Dimension, "_", " ")), w.Code(Cut(c.Value, nameMax)), percent(c.OfBad), of, number(c.Bad), percent(c.OfVolume), beforeWords(c.Before)))
	}
	return lines
}

// beforeWords say what a carrier had in the same hours a week before.
func beforeWords(b *schemas.AlertCarrierBefore) string {
	switch {
	case b == nil:
		return ""
	case b.Total == 0:
		return "; a week before nothing"
	case b.Bad == 0:
		return "; a week before none, with " + percent(b.OfVolume) + " of the volume"
	default:
		return fmt.Sprintf("; a week before %s (%s), with %s of the volume", percent(b.OfBad), number(b.Bad), percent(b.OfVolume))
	}
}

// carriersCover says which of the blocks the carriers are of, where those of the last
// moments were not stored yet; "" when it was all.
func carriersCover(f *schemas.AlertFacts) string {
	if len(f.Carriers) == 0 || f.Measure != nil || f.Carriers[0].Of == 0 || f.Carriers[0].Of >= f.Counts.Blocked {
		return ""
	}
	return fmt.Sprintf("as of the %s of %s that were stored when it was asked", number(f.Carriers[0].Of), number(f.Counts.Blocked))
}
