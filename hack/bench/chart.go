// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
)

// A panel of the chart. Both axes are logarithmic.
const (
	chartWidth, chartHeight = 860, 360
	panelWidth, panelHeight = 320, 230
	panelTop, panelGap      = 70, 110
)

const chartHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" role="img">
<style>
  text { fill: #1f2328 } .faint { stroke: #d1d9e0 } .one { stroke: #0969da; fill: #0969da } .two { stroke: #bc4c00; fill: #bc4c00 }
  .dashed { stroke-dasharray: 5 4 } text.one, text.two { stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .faint { stroke: #3d444d } .one { stroke: #4493f8; fill: #4493f8 } .two { stroke: #f0883e; fill: #f0883e }
  }
</style>
`

// line is one series: its name and its value at each N. A dashed line is a bound
// and not a measurement.
type line struct {
	class, label string
	dashed       bool
	below        bool // print its values below the line
	points       []point
}

type point struct{ n, y float64 }

// chart draws the time to Ready with its floor, and the calls with those of one
// sweep.
func chart(tables []*table) []byte {
	tables = slices.Clone(tables)
	slices.SortFunc(tables, func(a, b *table) int { return a.load.n - b.load.n })
	series := func(l line, y func(*table) float64) line {
		for _, t := range tables {
			l.points = append(l.points, point{float64(t.load.n), y(t)})
		}
		return l
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, chartHead, chartWidth, chartHeight)
	panel(&b, 60, "Time until all are Ready, in seconds", "s", []line{
		series(line{class: "two", label: "the floor: 2 calls each at 300 in 5 s", dashed: true},
			func(t *table) float64 { return t.load.floor().Seconds() }),
		series(line{class: "one", label: "measured (median)"},
			func(t *table) float64 { return t.median("seconds") }),
	})
	panel(&b, 60+panelWidth+panelGap, "Remote calls", "", []line{
		series(line{class: "one", label: "to make them all Ready, beside sweeps (median)"},
			func(t *table) float64 { return t.median("calls") * float64(t.load.n) }),
		series(line{class: "two", label: "one sweep of them all, at rest (median)", below: true},
			func(t *table) float64 { return t.median("quietLists") }),
	})
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func panel(b *bytes.Buffer, left int, title, unit string, lines []line) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, p := range l.points {
			low, high = min(low, p.y), max(high, p.y)
		}
	}
	x := scale(lines[0].points[0].n, lines[0].points[len(lines[0].points)-1].n, float64(left), float64(left+panelWidth))
	low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	y := scale(low, high, panelTop+panelHeight, panelTop)

	fmt.Fprintf(b, `<text x="%d" y="20" font-size="15" font-weight="600">%s</text>`+"\n", left, title)
	for i, l := range lines {
		fmt.Fprintf(b, `<text class="%s" x="%d" y="%d">%s</text>`+"\n", l.class, left, 40+16*i, l.label)
	}
	for tick := low; tick <= high*1.001; tick *= 10 {
		fmt.Fprintf(b, `<line class="faint" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, left+panelWidth, y(tick), y(tick))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left-8, y(tick)+4, tickText(tick))
	}
	for _, p := range lines[0].points {
		fmt.Fprintf(b, `<line class="faint" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, x(p.n), x(p.n), panelTop, panelTop+panelHeight)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(p.n), panelTop+panelHeight+18, thousands(int(p.n)))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">Subaccounts (N)</text>`+"\n", left+panelWidth/2, panelTop+panelHeight+40)
	for _, l := range lines {
		drawLine(b, l, x, y, unit)
	}
}

// drawLine draws a series, its dots and its values.
func drawLine(b *bytes.Buffer, l line, x, y func(float64) float64, unit string) {
	class, path := l.class, ""
	if l.dashed {
		class += " dashed"
	}
	for _, p := range l.points {
		path += fmt.Sprintf("%.1f,%.1f ", x(p.n), y(p.y))
	}
	fmt.Fprintf(b, `<polyline class="%s" style="fill: none" stroke-width="2" points="%s"/>`+"\n", class, path)
	if l.dashed {
		return
	}
	offset := -9.0
	if l.below {
		offset = 18
	}
	for _, p := range l.points {
		fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%.1f" r="3.5"/>`, l.class, x(p.n), y(p.y))
		fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", l.class, x(p.n), y(p.y)+offset, valueText(p.y, unit))
	}
}

// scale maps the range low to high logarithmically to the range from to to.
func scale(low, high, from, to float64) func(float64) float64 {
	if low == high {
		return func(float64) float64 { return (from + to) / 2 }
	}
	return func(v float64) float64 { return from + (to-from)*math.Log(v/low)/math.Log(high/low) }
}

func tickText(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%g", v)
	}
	return thousands(int(math.Round(v)))
}

func valueText(v float64, unit string) string {
	if unit != "" {
		return fmt.Sprintf("%.3g %s", v, unit)
	}
	return thousands(int(math.Round(v)))
}
