// Package docs runs what the documents tell their readers to run.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A page's blocks are run in order, as one shell script, in a copy of the
// project. What stands before a block, on a line of its own, says otherwise:
//
//	<!-- apply -->                   a manifest is applied; else it is a dry run at the server
//	<!-- patch: account/default -->  a part of a manifest is given to kubectl patch, as a dry run
//	<!-- not run: why -->            it needs something that no test has
//
// What stands at the top of a page says what its reader has done before, and
// what stands further down, that the rest is for another reader, who has done
// nothing:
//
//	<!-- after: getting-started.md -->
//	<!-- on another cluster -->
//
// Blocks of ```sh and ```yaml are run; ```console shows what may be printed.
const elsewhere = "<!-- on another cluster -->"

var (
	fence  = regexp.MustCompile("^```([a-z]*)$")
	after  = regexp.MustCompile(`^<!-- after: (\S+) -->$`)
	patch  = regexp.MustCompile(`^<!-- patch: (.+) -->$`)
	notRun = regexp.MustCompile(`^<!-- not run: (.+) -->$`)
	shown  = map[string]bool{"": true, "console": true, "text": true, "lua": true, "json": true, "go": true, "mermaid": true}
)

// scriptsOf are what a page's readers do, and what they have done before.
func scriptsOf(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var scripts []string
	var b strings.Builder
	lines := strings.Split(string(content), "\n")
	previous := ""
	for i := 0; i < len(lines); i++ {
		if m := after.FindStringSubmatch(lines[i]); m != nil {
			before, err := scriptsOf(filepath.Join(filepath.Dir(path), m[1]))
			if err != nil {
				return nil, err
			}
			b.WriteString(before[len(before)-1])
		}
		if lines[i] == elsewhere {
			scripts = append(scripts, b.String())
			b.Reset()
		}
		if m := fence.FindStringSubmatch(lines[i]); m != nil {
			start := i + 1
			for i++; i < len(lines) && lines[i] != "```"; i++ {
			}
			if i == len(lines) {
				return nil, fmt.Errorf("%s:%d: a block without an end", path, start)
			}
			step, err := command(m[1], previous, lines[start:i])
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, start, err)
			}
			if step != "" {
				fmt.Fprintf(&b, "echo '### %s:%d' >&2\n%s\n", path, start, step)
			}
		}
		if strings.TrimSpace(lines[i]) != "" {
			previous = lines[i]
		}
	}
	return append(scripts, b.String()), nil
}

// command is what a block has its reader do; previous is the line before it.
func command(language, previous string, block []string) (string, error) {
	text := strings.Join(block, "\n")
	switch {
	case shown[language], notRun.MatchString(previous):
		return "", nil
	case language == "sh":
		return text, nil
	case language == "yaml" && previous == "<!-- apply -->":
		return "kubectl apply --server-side -f - <<'END'\n" + text + "\nEND", nil
	case language == "yaml" && patch.MatchString(previous):
		return "kubectl patch --type=merge --dry-run=server " + patch.FindStringSubmatch(previous)[1] + " --patch-file=/dev/stdin <<'END'\n" + text + "\nEND", nil
	case language == "yaml":
		return "kubectl apply --server-side --dry-run=server -f - <<'END'\n" + text + "\nEND", nil
	default:
		return "", fmt.Errorf("nobody knows how to run %q", language)
	}
}
