// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

// The program replaces the text between these lines in docs/benchmarks.md and keeps
// the text around them.
const (
	measuredBegins = "<!-- measured: make bench writes what follows -->"
	measuredEnds   = "<!-- measured: end -->"
)

// write writes the document and the chart.
func write(s settings, tables []*table) error {
	root, err := controlplane.Root()
	if err != nil {
		return err
	}
	dir := s.out
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root, dir)
	}
	if err := os.WriteFile(filepath.Join(dir, "benchmarks.svg"), chart(tables), 0o644); err != nil {
		return err
	}
	path := filepath.Join(dir, "benchmarks.md")
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	before, rest, marked := strings.Cut(string(text), measuredBegins)
	if !marked {
		before += "# Benchmarks\n\n"
	}
	_, after, _ := strings.Cut(rest, measuredEnds)
	return os.WriteFile(path, []byte(before+measuredBegins+"\n"+measured(s, tables)+measuredEnds+after), 0o644)
}

// measured is the part of the document that this program writes.
func measured(s settings, tables []*table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nMeasured on %s: %s, %s; %s; commit %s.\n", time.Now().UTC().Format("2 January 2006"),
		processor(), memory(), runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH, commit())
	fmt.Fprintf(&b, "The simulator answered after %s and allowed %d requests in 5 s; the Accounts' budget was %d. The control plane, the simulator, "+
		"the manager and the benchmark shared the machine.\n\n", s.latency, budget, budget)
	fmt.Fprintf(&b, "![Time to Ready and remote calls against the number of Subaccounts](benchmarks.svg)\n\n")
	for _, t := range tables {
		b.WriteString(t.String() + "\n")
	}
	if missed := missed(tables); missed != "" {
		b.WriteString("### Missed\n\n" + missed + "\n")
	}
	return b.String()
}

// missed lists the bounds that do not hold, with the measured values.
func missed(tables []*table) string {
	var b strings.Builder
	for _, t := range tables {
		for _, f := range figures {
			all := t.values(f.key)
			if bound, ok := f.most(t.load); ok && len(all) > 0 && !f.holds(t.load, all) {
				fmt.Fprintf(&b, "- N = %s, %s: %s to %s, in place of %s.\n",
					thousands(t.load.n), f.what, f.text(all[0]), f.text(all[len(all)-1]), f.text(bound))
			}
		}
	}
	return b.String()
}

func processor() string {
	model := "unknown processor"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%d cores, %s", runtime.NumCPU(), model)
}

func memory() string {
	info, _ := os.ReadFile("/proc/meminfo")
	var kib int
	_, _ = fmt.Sscanf(string(info), "MemTotal: %d kB", &kib) // stays 0 if unknown
	return fmt.Sprintf("%d GiB", (kib+1<<19)>>20)
}

func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(out))
}
