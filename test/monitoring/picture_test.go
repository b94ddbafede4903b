// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"bytes"
	"fmt"
	"html"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/gomega"
)

// The picture uses Grafana's grid of 24 columns.
const (
	column, line  = 50, 24 // pixels
	gap           = 5
	chartLeft     = 62
	charTop       = 34
	chartBottom   = 42
	character     = 6.0 // approximate width of a character of the legend, in pixels
	pictureHeader = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="11" role="img">
<style>
  svg { color: #1f2328 } text { fill: #1f2328 } .dim { fill: #59636e } .frame { fill: #ffffff; stroke: #d1d9e0 } .back { fill: #f6f8fa } .faint { stroke: #e6eaef }
  .green { color: #1a7f37 } .yellow { color: #bf8700 } .red { color: #cf222e } .blue { color: #0969da } .purple { color: #8250df }
  .orange { color: #bc4c00 } .teal { color: #1b7c83 } .pink { color: #bf3989 } .grey { color: #59636e }
  polyline { stroke: currentColor; fill: none; stroke-width: 1.5 } .area { fill: currentColor; opacity: 0.5 } circle { fill: currentColor }
  text.value { fill: currentColor; font-size: 30px }
  @media (prefers-color-scheme: dark) {
    svg { color: #e6edf3 } text { fill: #e6edf3 } .dim { fill: #9198a1 } .frame { fill: #151b23; stroke: #3d444d } .back { fill: #0d1117 } .faint { stroke: #262c36 }
    .green { color: #3fb950 } .yellow { color: #d29922 } .red { color: #f85149 } .blue { color: #4493f8 } .purple { color: #ab7df8 }
    .orange { color: #f0883e } .teal { color: #39c5cf } .pink { color: #db61a2 } .grey { color: #9198a1 }
  }
</style>
<rect class="back" width="%[1]d" height="%[2]d"/>
`
)

var palette = []string{"blue", "orange", "green", "purple", "red", "teal", "yellow", "pink", "grey"}

// picture is the drawing of a dashboard over a time range.
type picture struct {
	bytes.Buffer
	from, to time.Time
}

// draw runs every query of the dashboard and draws the results as SVG.
func draw(d dashboard, from, to time.Time) []byte {
	p := &picture{from: from, to: to}
	height := 0
	for _, panel := range d.Panels {
		height = max(height, panel.GridPos.Y+panel.GridPos.H)
	}
	fmt.Fprintf(p, pictureHeader, 24*column+gap, height*line+gap)
	for i := range d.Panels {
		p.panel(&d.Panels[i])
	}
	p.WriteString("</svg>\n")
	return p.Bytes()
}

func (p *picture) text(x, y float64, attributes, text string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, attributes, html.EscapeString(text))
}

// box is the area of a panel.
type box struct{ left, top, width, height float64 }

func (p *picture) panel(panel *panel) {
	g := panel.GridPos
	b := box{float64(g.X*column + gap), float64(g.Y*line + gap), float64(g.W*column - gap), float64(g.H*line - gap)}
	if panel.Type == "row" {
		p.text(b.left+2, b.top+14, `font-size="13" font-weight="600"`, "▾ "+panel.Title)
		return
	}
	fmt.Fprintf(p, `<rect class="frame" x="%g" y="%g" width="%g" height="%g" rx="3"/>`+"\n", b.left, b.top, b.width, b.height)
	p.text(b.left+8, b.top+18, `font-size="12" font-weight="600"`, panel.Title)
	switch panel.Type {
	case "stat":
		p.stat(panel, b)
	case "table":
		p.table(panel, b)
	case "timeseries":
		p.timeseries(panel, b)
	default:
		panic("unknown panel type " + panel.Type)
	}
}

// lastSamples returns a target's result at the end of the time range.
func (p *picture) lastSamples(t target) []sample {
	r, err := get[result]("query", url.Values{"query": {withVariables(t.Expr)}, "time": {fmt.Sprint(p.to.Unix())}})
	Expect(err).NotTo(HaveOccurred())
	return r.Result
}

// stat draws a value in the color of the last threshold that it reaches.
func (p *picture) stat(panel *panel, b box) {
	value := p.lastSamples(panel.Targets[0])[0].Value.value
	color := ""
	for _, step := range panel.FieldConfig.Defaults.Thresholds.Steps {
		if step.Value == nil || value >= *step.Value {
			color = step.Color
		}
	}
	p.text(b.left+b.width/2, b.top+b.height/2+22, fmt.Sprintf(`class="value %s" text-anchor="middle"`, color), formatted(value, panel.FieldConfig.Defaults.Unit))
}

// table draws a table with one column for each label.
func (p *picture) table(panel *panel, b box) {
	rows := p.lastSamples(panel.Targets[0])
	names := slices.Sorted(maps.Keys(rows[0].Metric))
	width := (b.width - 16) / float64(len(names))
	var lines []string
	for _, row := range rows {
		var cells []string
		for _, name := range names {
			cells = append(cells, row.Metric[name])
		}
		lines = append(lines, strings.Join(cells, "\t"))
	}
	slices.Sort(lines)
	for i, row := range append([]string{strings.Join(names, "\t")}, lines...) {
		class := ""
		if i == 0 {
			class = `class="dim"`
		}
		for j, cell := range strings.Split(row, "\t") {
			p.text(b.left+8+float64(j)*width, b.top+42+float64(18*i), class, cell)
		}
	}
}

// curve is one series of a panel.
type curve struct {
	name, color string
	points      []point
}

// curves returns the results of the targets, sorted by name.
func (p *picture) curves(panel *panel) (all []curve) {
	fixed := map[string]string{}
	for _, o := range panel.FieldConfig.Overrides {
		fixed[o.Matcher.Options] = o.Properties[0].Value.FixedColor
	}
	for _, t := range panel.Targets {
		r, err := get[result]("query_range", url.Values{"query": {withVariables(t.Expr)}, "step": {"2"},
			"start": {fmt.Sprint(p.from.Unix())}, "end": {fmt.Sprint(p.to.Unix())}})
		Expect(err).NotTo(HaveOccurred())
		for _, s := range r.Result {
			name := regexp.MustCompile(`{{(\w+)}}`).ReplaceAllStringFunc(t.LegendFormat, func(label string) string {
				return s.Metric[strings.Trim(label, "{}")]
			})
			all = append(all, curve{name: name, color: fixed[name],
				points: slices.DeleteFunc(s.Values, func(v point) bool { return math.IsNaN(v.value) })})
		}
	}
	slices.SortStableFunc(all, func(a, b curve) int { return strings.Compare(a.name, b.name) })
	for i := range all {
		if all[i].color == "" {
			all[i].color = palette[i%len(palette)]
		}
	}
	return all
}

// timeseries draws curves or stacked areas.
func (p *picture) timeseries(panel *panel, b box) {
	curves := p.curves(panel)
	stacked := panel.FieldConfig.Defaults.Custom.Stacking.Mode == "normal"
	base := map[float64]float64{} // lower edge of the next area, by time
	highest := 0.0
	for _, c := range curves {
		for i := range c.points {
			if v := &c.points[i]; stacked {
				v.value += base[v.at]
				base[v.at] = v.value
			}
			highest = max(highest, c.points[i].value)
		}
	}
	top := niceTop(highest, panel.FieldConfig.Defaults.Unit)
	x := func(at float64) float64 {
		return b.left + chartLeft + (b.width-chartLeft-12)*(at-float64(p.from.Unix()))/p.to.Sub(p.from).Seconds()
	}
	y := func(v float64) float64 { return b.top + b.height - chartBottom - (b.height-charTop-chartBottom)*v/top }
	for i := range 5 {
		v := top * float64(i) / 4
		fmt.Fprintf(p, `<line class="faint" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1[3]f"/>`, b.left+chartLeft, b.left+b.width-12, y(v))
		p.text(b.left+chartLeft-6, y(v)+4, `class="dim" text-anchor="end" font-size="10"`, formatted(v, panel.FieldConfig.Defaults.Unit))
	}
	for after := time.Duration(0); after <= p.to.Sub(p.from); after += 30 * time.Second {
		p.text(x(float64(p.from.Add(after).Unix())), b.top+b.height-chartBottom+14, `class="dim" text-anchor="middle" font-size="10"`,
			fmt.Sprintf("%d:%02d", int(after.Minutes()), int(after.Seconds())%60))
	}
	for _, c := range slices.Backward(curves) { // the top area first, because later ones cover it
		if len(c.points) == 0 {
			continue
		}
		line := ""
		for i, v := range c.points {
			if i == 0 || i == len(c.points)-1 || v.value != c.points[i-1].value || v.value != c.points[i+1].value { // omits points within a flat line
				line += fmt.Sprintf("%.1f,%.1f ", x(v.at), y(v.value))
			}
		}
		if stacked {
			area := line + fmt.Sprintf("%.1f,%.1f %.1f,%.1f", x(c.points[len(c.points)-1].at), y(0), x(c.points[0].at), y(0))
			fmt.Fprintf(p, `<polygon class="frame" points="%s"/><polygon class="area %s" points="%[1]s"/>`, area, c.color)
		}
		fmt.Fprintf(p, `<polyline class="%s" points="%s"/>`+"\n", c.color, strings.TrimSpace(line))
	}
	p.legend(curves, b)
}

// legend draws as many names of curves as fit.
func (p *picture) legend(curves []curve, b box) {
	left, y := b.left+10, b.top+b.height-10
	for i, c := range curves {
		width := 22 + character*float64(len(c.name))
		room := b.left + b.width
		if i < len(curves)-1 {
			room -= 24 // for the number of omitted names
		}
		if left+width > room {
			p.text(left, y, `class="dim"`, fmt.Sprintf("+%d", len(curves)-i))
			return
		}
		fmt.Fprintf(p, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"/>`, c.color, left+4, y-4)
		p.text(left+12, y, "", c.name)
		left += width
	}
}

// niceTop returns a round maximum, or 100 %, for an axis with four intervals.
func niceTop(highest float64, unit string) float64 {
	if highest <= 0 {
		return 1
	}
	if unit == "percentunit" && highest > 0.5 && highest <= 1 {
		return 1
	}
	scale := 1.0
	if unit == "bytes" {
		scale = mebi
	}
	power := scale * math.Pow(10, math.Floor(math.Log10(highest/scale)))
	for _, step := range []float64{1, 2, 4, 6, 8} {
		if highest <= step*power {
			return step * power
		}
	}
	return 10 * power
}

const mebi = 1 << 20

// formatted returns a value in one of Grafana's units.
func formatted(v float64, unit string) string {
	number := fmt.Sprintf("%.3g", v)
	switch unit {
	case "percentunit":
		return fmt.Sprintf("%.3g %%", 100*v)
	case "s":
		if v > 0 && v < 1 {
			return fmt.Sprintf("%.3g ms", 1000*v)
		}
		return number + " s"
	case "reqps":
		return number + " req/s"
	case "ops":
		return number + " ops/s"
	case "bytes":
		return fmt.Sprintf("%.3g MiB", v/mebi)
	default:
		return number
	}
}
