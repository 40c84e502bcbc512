//go:build browser

package browsertest

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// line is what a plot shows, a moment and its values.
type line struct {
	At     int64      `json:"at"`
	Values []*float64 `json:"values"`
}

// drawn are the numbers that the script has drawn, and written those of the table below.
const (
	drawn   = `(() => { const d = document.querySelector("figure[data-plot]").uplot.data; return d[0].map((at, i) => ({at, values: d.slice(1).map(s => s[i] ?? null)})) })()`
	written = `[...document.querySelector("figure table.numbers").tBodies[0].rows].map(r => ({at: Date.parse(r.querySelector("time").dateTime) / 1000, values: [...r.cells].slice(1, -1).map(c => "v" in c.dataset ? Number(c.dataset.v) : null)}))`
)

// same fails where two lines differ; beyond the values of want, more may be drawn.
func same(t *testing.T, what string, got, want []line) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s has %d moments, want %d", what, len(got), len(want))
	}
	for i := range want {
		if got[i].At != want[i].At {
			t.Fatalf("%s: moment %d is %d, want %d", what, i, got[i].At, want[i].At)
		}
		for j, v := range want[i].Values {
			g := got[i].Values[j]
			if (g == nil) != (v == nil) || v != nil && math.Abs(*g-*v) > 1e-9 {
				t.Errorf("%s: value %d of %d is %s, want %s", what, j, want[i].At, number(g), number(v))
			}
		}
	}
}

func number(v *float64) string {
	if v == nil {
		return "none"
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

// answer reads rows of a moment and a number, which may be NULL, by moment.
func answer(t *testing.T, rows []string) map[int64]*float64 {
	t.Helper()
	m := map[int64]*float64{}
	for _, row := range rows {
		at, value, _ := strings.Cut(row, "\t")
		second, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if value == `\N` {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		m[second] = &v
	}
	return m
}

// TestPlots_LeaveNoGap has what follows a plot be right below it, also on a telephone.
func TestPlots_LeaveNoGap(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url())
	for _, width := range []int64{320, 1440} {
		for _, path := range []string{"/sources/shop", "/deliverability", w.incident(t, domainShow)} {
			b.size(width).visit(path, 200)
			const gap = `(() => { const d = document.querySelector("figure .drawing"); return d.getBoundingClientRect().bottom - d.querySelector("canvas").getBoundingClientRect().bottom })()`
			if got := eval[float64](b, gap); got > 8 {
				t.Errorf("%s at %d px has %.0f px of nothing below its plot", path, width, got)
			}
		}
	}
}

// TestPlots_MarkTheirIncidents draws plots in which incidents began, also in the step that
// still fills: as many lines as the list below has times of the plot, within it.
func TestPlots_MarkTheirIncidents(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url())
	for path, least := range map[string]int{"/deliverability": 5, "/deliverability?range=7d&show=complained": 5, w.incident(t, domainShow): 1, "/deliverability?source=receipts": 0} {
		b.visit(path, 200)
		const marked = `(() => { const f = document.querySelector("figure[data-plot]"), u = f.uplot, listed = [...f.querySelectorAll(".marks time")].filter((t) => Date.parse(t.dateTime) / 1000 >= u.data[0][0]).length;
			return [f.flags.length, listed, f.flags.filter((x) => x < u.bbox.left - 1 || x > u.bbox.left + u.bbox.width + 1).length] })()`
		got := eval[[]int](b, marked)
		if got[0] < least || got[0] != got[1] || got[2] != 0 || least == 0 && got[0] != 0 {
			t.Errorf("%s has %d lines, %d of them outside, for %d incidents, want %d or more", path, got[0], got[2], got[1], least)
		}
	}
}

// TestPlots_WriteNumbersWhole wants the scale to have room for its numbers and no number
// twice, and the words under the pointer to be those of the table, whatever the language.
func TestPlots_WriteNumbersWhole(t *testing.T) {
	t.Parallel()
	w := shop(t)
	b := open(t, w.url())
	_, err := chromedp.Call(b.ctx, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: "de-DE"})
	b.check(err)
	for _, path := range []string{"/deliverability?show=delivered", "/deliverability?show=complained&range=30d", "/deliverability?show=deferred", "/sources/shop", w.incident(t, domainShow)} {
		for _, width := range []int64{320, 1440} {
			b.size(width).visit(path, 200)
			const wrong = `(() => { const f = document.querySelector("figure[data-plot]"), u = f.uplot, axis = u.axes[1], out = [];
				u.ctx.font = axis.font[0];
				const texts = axis._values.filter((v) => v != null);
				for (const one of texts) if (u.ctx.measureText(one).width / devicePixelRatio + axis.ticks.size + axis.gap > axis._size) out.push(one + " has no room");
				const long = "1,234,567,890";
				if (axis.size(u, [long], 1, 0) < u.ctx.measureText(long).width / devicePixelRatio) out.push("the scale of large numbers would be cut");
				const large = u.series[1].value(u, 1234567);
				if (!f.dataset.percent && large !== "1,234,567") out.push("a large number is written " + large);
				if (new Set(texts).size < texts.length || texts.length < 2) out.push("the scale is " + texts);
				[...f.querySelector("table.numbers").tBodies[0].rows].forEach((r, i) => { for (let c = 1; c < r.cells.length - 1; c++) { const said = u.series[c].value(u, u.data[c][i]); if (said !== r.cells[c].textContent) out.push(said + " is " + r.cells[c].textContent + " in the table") } });
				return out.slice(0, 5).join("; ") })()`
			if got := eval[string](b, wrong); got != "" {
				t.Errorf("%s at %d px: %s", path, width, got)
			}
		}
	}
}

// TestPlots_HaveTheHoursOfTheViewer draws two days in which clocks are put back, in zones
// with whole and half hours: ticks are at whole hours there, in order, and moments are those
// of the table.
func TestPlots_HaveTheHoursOfTheViewer(t *testing.T) {
	t.Parallel()
	w := shop(t)
	change := w.clockChange()
	path := "/deliverability?from=" + change.Add(-12*time.Hour).Format(time.RFC3339) + "&to=" + change.Add(12*time.Hour).Format(time.RFC3339)
	for _, zone := range []string{"Europe/Madrid", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe"} {
		b := open(t, w.url())
		_, err := chromedp.Call(b.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
		b.check(err)
		b.visit(path, 200)
		named := eval[string](b, "Intl.DateTimeFormat().resolvedOptions().timeZone") // Asia/Calcutta is one, too
		if got := b.text("main .zone"); got != "Times are in "+named+"." {
			t.Errorf("the page of %s says %q", zone, got)
		}
		same(t, zone, eval[[]line](b, drawn), eval[[]line](b, written))
		const wrong = `(() => { const at = document.querySelector("figure[data-plot]").uplot.axes[0]._splits; return at.filter((s, i) => new Date(s * 1000).getMinutes() !== 0 || i > 0 && s <= at[i - 1]).length + (at.length < 3 ? 100 : 0) })()`
		if n := eval[int](b, wrong); n > 0 {
			t.Errorf("%s: %d ticks are at no whole hour, or out of order (100: too few)", zone, n)
		}
	}
}

// TestPlots_ShowWhatSQLSays compares what is drawn with the table below it and with
// queries of their own.
func TestPlots_ShowWhatSQLSays(t *testing.T) {
	t.Parallel()
	w := shop(t)
	// Ranges of the address, of zones with half hours and of steps of a week.
	own := func(back time.Duration, zone *time.Location) string {
		return "from=" + url.QueryEscape(w.now.Add(-back).In(zone).Format(time.RFC3339)) + "&to=" + url.QueryEscape(w.now.Add(time.Minute).In(zone).Format(time.RFC3339))
	}
	half := time.FixedZone("half", 5*3600+1800)
	for _, tc := range []struct{ path, query string }{
		{"/deliverability?show=delivered&" + own(20*time.Hour+30*time.Minute, half), fmt.Sprintf(`SELECT toUnixTimestamp(toStartOfHour(time)) AS at, if(count() = 0, NULL, countIf(type = 'delivered') / count())
			FROM events WHERE type IN ('delivered', 'bounced', 'blocked') AND time >= toStartOfHour(toDateTime(%d)) GROUP BY at`, w.now.Add(-20*time.Hour-30*time.Minute).Unix())},
		{"/deliverability?show=deferred&source=shop&" + own(100*24*time.Hour, time.UTC), `SELECT toUnixTimestamp(toStartOfInterval(time, INTERVAL 604800 SECOND, 'UTC')) AS at, countIf(type = 'deferred') / count()
			FROM events WHERE source = 'shop' AND type IN ('delivered', 'bounced', 'blocked', 'deferred') GROUP BY at`},
		{"/deliverability?show=blocked&source=newsletter&" + own(60*24*time.Hour, half), `SELECT toUnixTimestamp(toStartOfDay(time, 'UTC')) AS at, countIf(type = 'blocked') / count()
			FROM events WHERE source = 'newsletter' AND type IN ('delivered', 'bounced', 'blocked') GROUP BY at`},
		{"/deliverability?range=7d&show=bounced&source=shop", `SELECT toUnixTimestamp(toStartOfInterval(time, INTERVAL 3 HOUR, 'UTC')) AS at, if(count() = 0, NULL, countIf(type = 'bounced') / count())
			FROM events WHERE source = 'shop' AND type IN ('delivered', 'bounced', 'blocked') AND time >= toStartOfHour(now() - INTERVAL 167 HOUR) GROUP BY at`},
		{"/deliverability?show=blocked", `SELECT toUnixTimestamp(toStartOfHour(time)) AS at, if(count() = 0, NULL, countIf(type = 'blocked' OR type = 'bounced' AND provider = 'brevo' AND cause IN ('sender', 'content')) / count())
			FROM events WHERE type IN ('delivered', 'bounced', 'blocked') AND time >= toStartOfHour(now() - INTERVAL 23 HOUR) GROUP BY at`},
		{"/deliverability?show=complained&source=newsletter", `SELECT toUnixTimestamp(toStartOfHour(time)) AS at, if(countIf(type = 'delivered') = 0, NULL, countIf(type = 'complained') / countIf(type = 'delivered'))
			FROM events WHERE source = 'newsletter' AND time >= toStartOfHour(now() - INTERVAL 23 HOUR) GROUP BY at`},
		{"/sources/receipts", `SELECT toUnixTimestamp(toStartOfHour(time)) AS at, count() FROM events WHERE source = 'receipts' AND time >= toStartOfHour(now() - INTERVAL 23 HOUR) GROUP BY at`},
	} {
		t.Run(tc.path, func(t *testing.T) {
			t.Parallel()
			b := open(t, w.url()).visit(tc.path, 200)
			table := eval[[]line](b, written)
			same(t, "the drawing", eval[[]line](b, drawn), table)
			sql := answer(t, w.sql(t, tc.query))
			seen := 0
			for _, row := range table {
				want, got := sql[row.At], row.Values[0]
				if want != nil {
					seen++
				}
				if zero := want == nil && got != nil && *got == 0; !zero && ((got == nil) != (want == nil) || got != nil && math.Abs(*got-*want) > 1e-9) {
					t.Errorf("%d: the page says %s, SQL says %s", row.At, number(got), number(want))
				}
			}
			if seen != len(sql) || seen < 2 {
				t.Errorf("the page has %d moments of the %d of SQL, %s", seen, len(sql), fmt.Sprint(sql))
			}
		})
	}
}
