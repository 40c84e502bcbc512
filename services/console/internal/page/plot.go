package page

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/twin"
)

// Plot is lines over time. The page draws it as SVG, shows the same numbers as a table
// below, and the script draws from that table.
type Plot struct {
	ID        string              `json:"-"`
	Caption   string              `json:"caption"`
	Percent   bool                `json:"percent"`
	Columns   []string            `json:"columns"`
	Rows      twin.List[PlotRow]  `json:"rows"`
	Threshold *float64            `json:"threshold,omitempty"`
	Marks     twin.List[PlotMark] `json:"marks"`
	Empty     string              `json:"-"` // why there are no rows, "" where nothing happened
}

// PlotRow is one moment; a value that is not known is nil.
type PlotRow struct {
	At     time.Time  `json:"at"`
	Values []*float64 `json:"values"`
	N      uint64     `json:"n"`
}

// marksShown is how many marks a plot names; the rest is folded.
const marksShown = 5

// unread is in place of what is empty because a part did not answer.
const unread = "This cannot be read now."

// Blank says that there is nothing to draw.
func (p Plot) Blank() bool {
	return !slices.ContainsFunc(p.Rows, func(row PlotRow) bool {
		return slices.ContainsFunc(row.Values, func(v *float64) bool { return v != nil })
	})
}

// FirstMarks are those that are named.
func (p Plot) FirstMarks() []PlotMark { return p.Marks[:min(marksShown, len(p.Marks))] }

// MoreMarks are the rest.
func (p Plot) MoreMarks() []PlotMark { return p.Marks[min(marksShown, len(p.Marks)):] }

// PlotMark is an incident.
type PlotMark struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
	ID   string    `json:"incident"`
}

// The size of a drawing, in units of its view box.
const (
	plotWidth, plotHeight = 720.0, 220.0
	plotLeft, plotBottom  = 44.0, 22.0
	plotTop               = 10.0
)

// Cell writes one value of the table.
func (p Plot) Cell(v *float64) string {
	switch {
	case v == nil:
		return "–"
	case p.Percent:
		return share(*v)
	}
	return decimal(*v)
}

// Top is the upper end of the scale.
func (p Plot) Top() float64 {
	top := 0.0
	for _, row := range p.Rows {
		for _, v := range row.Values {
			if v != nil {
				top = max(top, *v)
			}
		}
	}
	if p.Threshold != nil {
		top = max(top, *p.Threshold*1.1)
	}
	if top == 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(top)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if m*step >= top {
			return m * step
		}
	}
	return top
}

func (p Plot) x(at time.Time) float64 {
	first, last := p.Rows[0].At, p.Rows[len(p.Rows)-1].At
	all := last.Sub(first).Seconds()
	if all <= 0 {
		return plotLeft
	}
	return plotLeft + (plotWidth-plotLeft)*at.Sub(first).Seconds()/all
}

func (p Plot) y(v float64) float64 {
	return plotTop + (plotHeight-plotTop-plotBottom)*(1-v/p.Top())
}

// Line is one series of the drawing.
type Line struct {
	Name   string
	Number int
	Points string
	Dots   []Dot // where a line would not be seen: at few values
}

// Dot is one value of the drawing.
type Dot struct{ X, Y float64 }

// dotsMax is how many values are drawn as dots, too.
const dotsMax = 40

// Lines are the series of the drawing.
func (p Plot) Lines() (lines []Line) {
	if len(p.Rows) == 0 {
		return nil
	}
	for i, name := range p.Columns {
		var b strings.Builder
		var dots []Dot
		for _, row := range p.Rows {
			if i < len(row.Values) && row.Values[i] != nil {
				x, y := p.x(row.At), p.y(*row.Values[i])
				fmt.Fprintf(&b, "%.1f,%.1f ", x, y)
				dots = append(dots, Dot{x, y})
			}
		}
		if len(dots) > dotsMax {
			dots = nil
		}
		lines = append(lines, Line{name, i + 1, strings.TrimSpace(b.String()), dots})
	}
	return lines
}

// Tick is a line of the scale.
type Tick struct {
	At   float64
	Text string
}

// Ticks are the lines of the scale, from the bottom.
func (p Plot) Ticks() (ticks []Tick) {
	const parts = 4
	for i := range parts + 1 {
		v := p.Top() * float64(i) / parts
		text := decimal(v)
		if p.Percent {
			text = decimal(v*100) + "\u00a0%"
		}
		ticks = append(ticks, Tick{p.y(v), text})
	}
	return ticks
}

// Limit is where the threshold is drawn, below zero for none.
func (p Plot) Limit() float64 {
	if p.Threshold == nil {
		return -1
	}
	return p.y(*p.Threshold)
}

// Flags are where the marks are drawn: one of the running step, whose row is at its
// beginning, at the end of the drawing.
func (p Plot) Flags() (ticks []Tick) {
	if len(p.Rows) == 0 {
		return nil
	}
	for _, m := range p.Marks {
		if !m.At.Before(p.First()) {
			ticks = append(ticks, Tick{min(p.x(m.At), plotWidth), m.Text})
		}
	}
	return ticks
}

// First and Last are the ends of the axis of time.
func (p Plot) First() time.Time { return p.Rows[0].At }

// Last is the end of the axis of time.
func (p Plot) Last() time.Time { return p.Rows[len(p.Rows)-1].At }

// Spark is a small line of counts.
type Spark []uint64

// Points are those of its line in a box of 120 by 28.
func (s Spark) Points() string {
	const width, height = 120.0, 28.0
	top := uint64(1)
	for _, v := range s {
		top = max(top, v)
	}
	var b strings.Builder
	for i, v := range s {
		fmt.Fprintf(&b, "%.1f,%.1f ", width*float64(i)/float64(max(1, len(s)-1)), height-2-(height-4)*float64(v)/float64(top))
	}
	return strings.TrimSpace(b.String())
}

// Sum is all of it.
func (s Spark) Sum() (n uint64) {
	for _, v := range s {
		n += v
	}
	return n
}
