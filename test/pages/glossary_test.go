// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	entry    = regexp.MustCompile(`(?m)^\| ([A-Za-z][^|]*) \| [^|]+ \| ([^|]+) \|$`)
	codeFile = regexp.MustCompile("`([^`]+)`")
)

// A newcomer must learn all entries before the first change, so there are at most 30.
func TestGlossary_Entries_AtMost30WithExistingFiles(t *testing.T) {
	root := projectRoot(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "glossary.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	for _, row := range entry.FindAllStringSubmatch(string(page), -1) {
		if row[1] == "term" {
			continue
		}
		entries++
		for _, file := range codeFile.FindAllStringSubmatch(row[2], -1) {
			if _, err := os.Stat(filepath.Join(root, file[1])); err != nil {
				t.Errorf("%s: %v", row[1], err)
			}
		}
	}
	if entries < 10 || entries > 30 {
		t.Errorf("got %d entries, want 10 to 30", entries)
	}
}
