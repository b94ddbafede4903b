// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link      = regexp.MustCompile(`\]\(([^()\s]*)\)`)
	block     = regexp.MustCompile("(?s)\n```.*?\n```")
	code      = regexp.MustCompile("`[^`\n]*`")
	heading   = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	pageName  = regexp.MustCompile(`docs/[a-z0-9/-]+\.md`)
	inHeading = regexp.MustCompile(`[^\p{L}\p{N} _-]`) // characters that GitHub omits in an anchor
)

func TestLinks_RelativeLinks_HaveTargets(t *testing.T) {
	root := projectRoot(t)
	pages := []string{filepath.Join(root, "README.md")}
	if err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(code.ReplaceAll(block.ReplaceAll(content, nil), nil), -1) {
			to := string(m[1])
			if strings.Contains(to, "://") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(to, "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if err := checkTarget(target, anchor); err != nil {
				t.Errorf("%s: %s: %v", strings.TrimPrefix(page, root+"/"), to, err)
			}
		}
	}
	if links < 100 {
		t.Errorf("got %d links, want at least 100", links)
	}
}

func TestCode_NamedPages_Exist(t *testing.T) {
	root := projectRoot(t)
	named := 0
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-co", "--exclude-standard", "--deduplicate", "*.go", "*.yaml", "*.yml", "*.tpl", "*.sh", "Makefile")
	list.Dir = root
	files, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for file := range strings.Lines(string(files)) {
		file = strings.TrimSuffix(file, "\n")
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue // git still lists a file that is deleted but not committed
		}
		for _, page := range pageName.FindAllString(string(content), -1) {
			named++
			if _, err := os.Stat(filepath.Join(root, page)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if named < 20 {
		t.Errorf("got %d names of pages, want at least 20", named)
	}
}

func checkTarget(target, anchor string) error {
	if anchor == "" {
		_, err := os.Stat(target)
		return err
	}
	content, err := os.ReadFile(target)
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for _, m := range heading.FindAllSubmatch(block.ReplaceAll(content, nil), -1) {
		id := strings.ReplaceAll(inHeading.ReplaceAllString(strings.ToLower(string(m[1])), ""), " ", "-")
		if n := seen[id]; n > 0 { // GitHub adds a number to repeated anchors
			seen[id]++
			id = fmt.Sprintf("%s-%d", id, n)
		}
		if seen[id]++; id == anchor {
			return nil
		}
	}
	return fmt.Errorf("got no heading for the anchor #%s in %s, want one", anchor, filepath.Base(target))
}
