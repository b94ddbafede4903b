// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	reasonInCode = regexp.MustCompile(`v1alpha1\.Reason(\w+)`)
	reasonInRow  = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (?:True|False|as it was) \\|")
)

// The code sets the reasons of a Subaccount in internal/plan and in observe.go.
func TestSubaccountPage_Reasons_MatchCode(t *testing.T) {
	root := projectRoot(t)
	sources, err := filepath.Glob(filepath.Join(root, "internal", "plan", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	sources = slices.DeleteFunc(sources, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
	read := func(expression *regexp.Regexp, paths ...string) []string {
		found := map[string]bool{}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range expression.FindAllSubmatch(content, -1) {
				found[string(m[1])] = true
			}
		}
		return slices.Sorted(maps.Keys(found))
	}
	inCode := read(reasonInCode, append(sources, filepath.Join(root, "internal", "controller", "subaccount", "observe.go"))...)
	documented := read(reasonInRow, filepath.Join(root, "docs", "spec", "subaccount.md"))
	if diff := cmp.Diff(inCode, documented); diff != "" {
		t.Errorf("reasons: got those of docs/spec/subaccount.md (+), want those of the code (-):\n%s", diff)
	}
}
