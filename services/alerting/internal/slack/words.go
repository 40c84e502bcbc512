package slack

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
)

// target is the destination an alert is about, as it stands in its labels.
func target(labels map[string]string) string {
	if d := labels[schemas.DimensionDomain]; d != "" {
		return cut(d, nameMax)
	}
	return cut(labels[schemas.DimensionProvider], nameMax)
}

// clean makes one harmless line of text that others wrote: control characters,
// line breaks and those that change the direction of reading become spaces.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// escape replaces the three characters that Slack's markup gives a meaning,
// which also stops mentions and links in what others wrote.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// code puts what others wrote into a code span, where no other markup works and
// no domain becomes a link.
func code(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(clean(s), "`", "'"))
	if s == "" {
		s = "-"
	}
	return "`" + escape(s) + "`"
}

// cut shortens s to at most most runes.
func cut(s string, most int) string {
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

// rate writes the block rate of counts; none of nothing is no rate.
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

// window writes "15m0s" as "15 minutes".
func window(s string) string {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d%time.Minute != 0 {
		return escape(clean(s))
	}
	return plural(int64(d/time.Minute), "minute")
}

// stamp writes a time for people in any zone: Slack shows each their own.
func stamp(t time.Time) string {
	utc := t.UTC().Format("2006-01-02 15:04:05 UTC")
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", t.Unix(), utc)
}

func countsLine(c schemas.AlertCounts, w string) string {
	if c.Total() == 0 {
		return "no messages in " + window(w)
	}
	return fmt.Sprintf("%s of %s blocked in %s (%s delivered, %s bounced)",
		number(c.Blocked), number(c.Total()), window(w), number(c.Delivered), number(c.Bounced))
}

func causesLine(causes map[string]int64) string {
	keys := slices.SortedFunc(maps.Keys(causes), func(a, b string) int {
		return cmp.Or(cmp.Compare(causes[b], causes[a]), cmp.Compare(a, b))
	})
	for i, k := range keys {
		keys[i] = escape(clean(k)) + " " + number(causes[k])
	}
	return strings.Join(keys, " · ")
}

func reasonLines(f schemas.AlertFacts) []string {
	lines := make([]string, 0, len(f.Reasons)+1)
	for _, r := range f.Reasons {
		line := fmt.Sprintf("%s %s (%s)", number(r.Count), escape(clean(string(r.Reason))), escape(clean(string(r.Cause))))
		if r.Sample != "" {
			line += " " + code(cut(clean(r.Sample), sampleMax))
		}
		lines = append(lines, line)
	}
	if n := unlisted(f); n > 0 && len(lines) > 0 {
		lines = append(lines, number(n)+" for further reasons")
	}
	return lines
}

func reasonsShort(f schemas.AlertFacts) string {
	parts := make([]string, 0, len(f.Reasons)+1)
	for _, r := range f.Reasons {
		parts = append(parts, escape(clean(string(r.Reason)))+" "+number(r.Count))
	}
	if n := unlisted(f); n > 0 {
		parts = append(parts, "further reasons "+number(n))
	}
	return strings.Join(parts, ", ")
}

// unlisted returns the blocked messages that no listed reason accounts for.
func unlisted(f schemas.AlertFacts) int64 {
	n := f.Counts.Blocked
	for _, r := range f.Reasons {
		n -= r.Count
	}
	return max(n, 0)
}

// alsoLine names the other keys of the same spike.
func alsoLine(also []string) string {
	parts := make([]string, 0, listMax+1)
	for i, a := range also {
		if i == listMax {
			parts = append(parts, fmt.Sprintf("and %d more", len(also)-listMax))
			break
		}
		parts = append(parts, code(cut(a, nameMax)))
	}
	return strings.Join(parts, ", ")
}
