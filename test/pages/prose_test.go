// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

// vale returns the path of Vale, which `make lint` builds. `make test` does not
// build it, because it needs a C compiler.
func vale(t *testing.T, root string) string {
	t.Helper()
	tool, err := cache.ToolByName("vale")
	if err != nil {
		t.Fatal(err)
	}
	path, err := tool.Path(root)
	if err != nil {
		t.Fatal(err)
	}
	if !cache.IsExecutable(path) {
		t.Skip("Vale is not built; run: make lint")
	}
	return path
}

func TestVale_OldReadme_Fails(t *testing.T) {
	root := projectRoot(t)
	out, err := valeCommand(t, root, "test/pages/testdata/README-before.md").Output()
	if err == nil {
		t.Error("Vale accepts the README of commit f6b2bbb")
	}
	for _, rule := range []string{"Avoid", "SentenceLength", "Terms"} {
		if !strings.Contains(string(out), "Project."+rule) {
			t.Errorf("rule %s finds nothing:\n%s", rule, out)
		}
	}
}

func TestVale_ReadmeAndDocs_Pass(t *testing.T) {
	root := projectRoot(t)
	if out, err := valeCommand(t, root, "README.md", "docs").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func valeCommand(t *testing.T, root string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), vale(t, root), append([]string{"--output=line"}, args...)...)
	cmd.Dir = root
	return cmd
}

// TestVale_EachRule_FindsItsExample shows that no rule is without effect.
func TestVale_EachRule_FindsItsExample(t *testing.T) {
	root := projectRoot(t)
	for name, test := range map[string]struct{ file, text, rule string }{
		"word to avoid":       {"page.md", "The operator bears a name.", "Avoid"},
		"term":                {"page.md", "The operator fixes it in the next pass.", "Terms"},
		"cleft":               {"page.md", "What the operator deletes, is gone.", "Clefts"},
		"long sentence":       {"page.md", strings.Repeat("word ", 31) + "end.", "SentenceLength"},
		"heading":             {"page.md", "# Delete The Subaccount", "Headings"},
		"comment in Go":       {"code.go", "// Package code tells a name.\npackage code\n", "Avoid"},
		"cleft in Go comment": {"code.go", "package code\n\nfunc f() {\n\t// What is deleted, is gone.\n}\n", "Clefts"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, test.file), []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := valeCommand(t, root, "--config="+filepath.Join(root, ".vale.ini"), filepath.Join(dir, test.file)).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "Project."+test.rule) {
				t.Errorf("Vale does not report %s: %v\n%s", test.rule, err, out)
			}
		})
	}
}
