// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

var (
	rowOfReason = regexp.MustCompile("(?m)^\\| `(\\w+)` \\|")
	runbook     = regexp.MustCompile(`\]\((runbooks/\w+\.md)\)`)
)

func TestTroubleshooting_Reasons_AllListedWithRunbooks(t *testing.T) {
	root := projectRoot(t)
	docs := filepath.Join(root, "docs")
	page, err := os.ReadFile(filepath.Join(docs, "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range rowOfReason.FindAllSubmatch(page, -1) {
		documented = append(documented, string(m[1]))
	}
	slices.Sort(documented)
	if diff := cmp.Diff(v1alpha1.Reasons(), documented); diff != "" {
		t.Errorf("reasons: got those of the table (+), want those of the API (-):\n%s", diff)
	}
	for _, m := range runbook.FindAllSubmatch(page, -1) {
		if _, err := os.Stat(filepath.Join(docs, string(m[1]))); err != nil {
			t.Error(err)
		}
	}
}
