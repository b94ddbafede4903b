// SPDX-License-Identifier: Apache-2.0

// Package docs runs the commands and manifests in the documentation.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The test runs the ```sh and ```yaml blocks of a page in order, as one shell script, in a
// copy of the project. It does not run other blocks, such as ```console. A YAML block is a
// manifest, which the test applies as a server-side dry run. A comment on the line before a
// block changes this:
//
//	<!-- apply -->                   apply the manifest
//	<!-- patch: account/default -->  pass the block to kubectl patch, as a dry run
//	<!-- not run: why -->            skip the block
//
// Two comments apply to the page. The first continues the last script of another page, on
// its cluster. The second starts a new script on a new cluster:
//
//	<!-- after: getting-started.md -->
//	<!-- on another cluster -->
const elsewhere = "<!-- on another cluster -->"

var (
	fence  = regexp.MustCompile("^```([a-z]*)$")
	after  = regexp.MustCompile(`^<!-- after: (\S+) -->$`)
	patch  = regexp.MustCompile(`^<!-- patch: (.+) -->$`)
	notRun = regexp.MustCompile(`^<!-- not run: (.+) -->$`)
	shown  = map[string]bool{"": true, "console": true, "text": true, "lua": true, "json": true, "go": true, "mermaid": true}
)

// scriptsOf returns the scripts of a page, one for each cluster, and the path of the page
// whose last script the first one contains.
func scriptsOf(path string) (scripts []string, continued string, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	var b strings.Builder
	lines := strings.Split(string(content), "\n")
	previous := ""
	for i := 0; i < len(lines); i++ {
		if m := after.FindStringSubmatch(lines[i]); m != nil {
			continued = filepath.Join(filepath.Dir(path), m[1])
			before, _, err := scriptsOf(continued)
			if err != nil {
				return nil, "", err
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
				return nil, "", fmt.Errorf("%s:%d: got a block without an end, want a line ```", path, start)
			}
			step, err := command(m[1], previous, lines[start:i])
			if err != nil {
				return nil, "", fmt.Errorf("%s:%d: %w", path, start, err)
			}
			if step != "" {
				fmt.Fprintf(&b, "echo '### %s:%d' >&2\n%s\n", path, start, step)
			}
		}
		if strings.TrimSpace(lines[i]) != "" {
			previous = lines[i]
		}
	}
	return append(scripts, b.String()), continued, nil
}

// command returns the shell command for a block; previous is the line before the block.
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
		return "", fmt.Errorf("got a block of %q, want sh, yaml or a language that is only shown", language)
	}
}
