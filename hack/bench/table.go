// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// figure is a row of the table.
type figure struct {
	what, key string
	unit      string
	digits    int
	// most is the upper bound at a load, if there is one.
	most func(load) (bound float64, ok bool)
	// exact says that the value must equal the bound.
	exact bool
}

// figures are the rows of the table.
var figures = []figure{
	{what: "time to Ready", key: "seconds", unit: "s", digits: 1, most: func(l load) (float64, bool) {
		return 1.1 * l.floor().Seconds(), true
	}},
	{what: "the same as a ratio to the floor", key: "ratio", unit: "×", digits: 2, most: always(1.1)},
	{what: "remote calls for each, beside lists", key: "calls", digits: 3, most: always(2), exact: true},
	{what: "of these creates", key: "creates", digits: 3, most: always(1), exact: true},
	{what: "of these updates", key: "updates", digits: 3, most: always(1), exact: true},
	{what: "answers 429", key: "429", most: always(0), exact: true},
	{what: "Kubernetes writes for each", key: "writesEach", digits: 2, most: never},
	{what: "CPU for each, user and system", key: "cpu", unit: "ms", digits: 1, most: always(10)},
	{what: "quiet, each sweep: lists", key: "quietLists", most: load.sweep, exact: true},
	{what: "quiet: other remote calls", key: "quietCalls", most: always(0), exact: true},
	{what: "quiet: Kubernetes writes", key: "quietWrites", most: always(0), exact: true},
	{what: "quiet: reconciles", key: "quietReconciles", most: always(0), exact: true},
	{what: "restart: lists", key: "restartLists", most: load.sweep, exact: true},
	{what: "restart: other remote calls", key: "restartCalls", most: always(0), exact: true},
	{what: "restart: Kubernetes writes", key: "restartWrites", most: always(0), exact: true},
	{what: "resident memory, at rest", key: "memory", unit: "MiB", most: load.memory},
	{what: "resident memory, after the restart", key: "memoryRestart", unit: "MiB", most: load.memory},
	{what: "resident memory, the peak of all that", key: "peak", unit: "MiB", most: never},
	{what: "resident memory, after a restart beside large objects of others", key: "bulk", unit: "MiB", most: load.memory},
	{what: "of these, for the large objects", key: "bulkMore", unit: "MiB", most: always(20)},
	{what: "the peak of that", key: "bulkPeak", unit: "MiB", most: never},
	{what: "new while a sweep runs, until its Secret: median", key: "newcomerMedian", unit: "s", digits: 2, most: always(2)},
	{what: "the same: worst", key: "newcomerWorst", unit: "s", digits: 2, most: always(5)},
	{what: "the same at the default budget of 150: median", key: "newcomer150Median", unit: "s", digits: 2, most: always(2)},
	{what: "the same at the default budget of 150: worst", key: "newcomer150Worst", unit: "s", digits: 2, most: always(5)},
}

func always(bound float64) func(load) (float64, bool) {
	return func(load) (float64, bool) { return bound, true }
}

func never(load) (float64, bool) { return 0, false }

func (l load) sweep() (float64, bool) { return float64(l.lists()), true }

// memory is the bound of the memory in MiB, by N.
func (l load) memory() (bound float64, ok bool) {
	bound, ok = map[int]float64{1000: 64, 10000: 160}[l.n]
	return bound, ok
}

// table has the results of all runs at one size.
type table struct {
	load load
	runs []result
}

// values returns the sorted values of a figure; none if it was not measured.
func (t *table) values(key string) []float64 {
	var all []float64
	for _, r := range t.runs {
		if v, ok := r[key]; ok {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	return all
}

func (t *table) median(key string) float64 {
	all := t.values(key)
	return all[len(all)/2]
}

// holds reports whether all values are within the bound.
func (f *figure) holds(l load, sorted []float64) bool {
	bound, ok := f.most(l)
	switch {
	case !ok:
		return true
	case f.exact && sorted[0] != bound:
		return false
	default:
		return sorted[len(sorted)-1] <= bound
	}
}

// off returns the counts that differ from their exact bound.
func (t *table) off() []figure {
	var off []figure
	for _, f := range figures {
		if all := t.values(f.key); f.exact && len(all) > 0 && !f.holds(t.load, all) {
			off = append(off, f)
		}
	}
	return off
}

// String returns the table in Markdown.
func (t *table) String() string {
	rows := [][]string{{"what", "must be", "min", "median", "max", ""}}
	for _, f := range figures {
		all := t.values(f.key)
		if len(all) == 0 {
			continue
		}
		must, verdict := "", ""
		if bound, ok := f.most(t.load); ok {
			must, verdict = "at most "+f.text(bound), "holds"
			if f.exact {
				must = "exactly " + f.text(bound)
			}
		}
		if !f.holds(t.load, all) {
			verdict = "**missed**"
		}
		rows = append(rows, []string{f.what, must, f.text(all[0]), f.text(all[len(all)/2]), f.text(all[len(all)-1]), verdict})
	}
	return t.title() + "\n\n" + markdown(rows)
}

func (t *table) title() string {
	accounts := "one main account"
	if t.load.accounts > 1 {
		accounts = fmt.Sprintf("%d main accounts", t.load.accounts)
	}
	return fmt.Sprintf("### N = %s\n\nThe floor is %.1f s: two calls each, at %d in 5 s, %s. Runs: %d.",
		thousands(t.load.n), t.load.floor().Seconds(), budget, accounts, len(t.runs))
}

func (f *figure) text(v float64) string {
	text := strconv.FormatFloat(v, 'f', f.digits, 64)
	if f.exact && v == float64(int(v)) {
		text = thousands(int(v))
	}
	return strings.TrimSpace(text + " " + f.unit)
}

// markdown aligns the columns; the first row is the heading.
func markdown(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)), 3)
		}
	}
	var b strings.Builder
	for r, row := range rows {
		for i, cell := range row {
			fmt.Fprintf(&b, "| %-*s ", widths[i], cell)
		}
		b.WriteString("|\n")
		if r > 0 {
			continue
		}
		for _, width := range widths {
			b.WriteString("|" + strings.Repeat("-", width+2))
		}
		b.WriteString("|\n")
	}
	return b.String()
}

func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
