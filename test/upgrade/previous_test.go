// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// acceptedBreak is an incompatible change, as Breaks reports it, and words of its instruction in
// CHANGELOG.md, "Action required".
type acceptedBreak struct{ file, change, action string }

// accepted are the incompatible changes since the previous release. After a release it is empty.
var accepted = []acceptedBreak{
	{accountsCRD, "v1alpha1.spec.requestBudget: field removed", "`Account.spec.requestBudget` is now `requestsPer5Seconds`"},
}

const accountsCRD = "plivo.subaccount-operator.dev_accounts.yaml"

const bases = "../../config/crd/bases"

// TestCRDs_IncompatibleChange_HasActionInChangelog compares the CRDs with those of the previous
// release's chart.
func TestCRDs_IncompatibleChange_HasActionInChangelog(t *testing.T) {
	files, err := filepath.Glob("previous/files/crds/*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("got the CRDs %v (%v), want 2", files, err)
	}
	actions := requiredActions(t)
	found := make([]bool, len(accepted))
	for _, path := range files {
		file := filepath.Base(path)
		for _, change := range Breaks(read(t, path), read(t, filepath.Join(bases, file))) {
			i := slices.IndexFunc(accepted, func(a acceptedBreak) bool { return a.file == file && a.change == change })
			if i < 0 {
				t.Errorf("%s: %s\nThis is incompatible with the previous release. Undo it, or add it to accepted and to CHANGELOG.md, \"Action required\".", file, change)
				continue
			}
			found[i] = true
			if !strings.Contains(actions, accepted[i].action) {
				t.Errorf("%s: %s\nCHANGELOG.md has no %q in \"Action required\" since the previous release", file, change, accepted[i].action)
			}
		}
	}
	for i, a := range accepted {
		if !found[i] {
			t.Errorf("%s: %s\nThis is accepted, but it is no change since the previous release. Remove it from accepted.", a.file, a.change)
		}
	}
}

func read(t *testing.T, path string) *crd {
	t.Helper()
	c := &crd{}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, c); err != nil {
		t.Fatal(path, err)
	}
	return c
}

var actionRequired = regexp.MustCompile(`(?s)### Action required\n(.*?)\n##`)

// requiredActions returns what CHANGELOG.md requires of users of the previous release.
func requiredActions(t *testing.T) string {
	t.Helper()
	var chart struct{ Version string }
	text, err := os.ReadFile("previous/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		t.Fatal(err)
	}
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	since, _, _ := strings.Cut(string(changelog), "\n## ["+chart.Version+"]")
	var actions []string
	for _, m := range actionRequired.FindAllStringSubmatch(since, -1) {
		actions = append(actions, m[1])
	}
	return strings.Join(actions, "\n")
}
