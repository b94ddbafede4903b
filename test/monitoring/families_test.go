// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// family is one metric with its metadata.
type family struct {
	name, kind, help string
	labels           map[string]bool
}

// ownMetrics are the operator's own metrics, as text and by name.
type ownMetrics struct {
	text   string
	byName map[string]*family
}

var (
	metadata  = regexp.MustCompile(`^# (HELP|TYPE) (\w+) (.*)\n$`)
	sampled   = regexp.MustCompile(`^(\w+?)(_bucket|_sum|_count)?(?:\{(.*)\})? \S+\n$`)
	labelName = regexp.MustCompile(`(\w+)="`)
)

// parseMetrics parses the text format.
func parseMetrics(text string) ownMetrics {
	s := ownMetrics{byName: map[string]*family{}}
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "subaccount_operator_") {
			continue
		}
		s.text += line
		if m := metadata.FindStringSubmatch(line); m != nil {
			f := s.byName[m[2]]
			if f == nil {
				f = &family{name: m[2], labels: map[string]bool{}}
				s.byName[m[2]] = f
			}
			if m[1] == "HELP" {
				f.help = m[3]
			} else {
				f.kind = m[3]
			}
			continue
		}
		m := sampled.FindStringSubmatch(line)
		f := s.byName[m[1]]
		if f == nil {
			f = s.byName[m[1]+m[2]]
		}
		for _, label := range labelName.FindAllStringSubmatch(m[3], -1) {
			if label[1] != "le" {
				f.labels[label[1]] = true
			}
		}
	}
	return s
}

// rows returns the rows of the table in docs/monitoring.md.
func (s ownMetrics) rows() (rows []string) {
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		f := s.byName[name]
		labels := ""
		for i, label := range slices.Sorted(maps.Keys(f.labels)) {
			if i > 0 {
				labels += ", "
			}
			labels += "`" + label + "`"
		}
		rows = append(rows, fmt.Sprintf("| %#q | %s | %s | %s |", f.name, f.kind, labels, f.help))
	}
	return rows
}
