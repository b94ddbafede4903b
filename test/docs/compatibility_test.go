// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

var (
	rowOfVersion = regexp.MustCompile(`(?m)^\| (1\.\d+) \| yes \| (.+) \|$`)
	claim        = regexp.MustCompile(`Kubernetes (1\.\d+) or newer`)
	tested       = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}, [0-9a-f]{7,}$`)
)

// TestCompatibility_EveryClaim_MatchesTable compares the oldest Kubernetes version in
// Chart.yaml, README.md and all pages with docs/compatibility.md.
func TestCompatibility_EveryClaim_MatchesTable(t *testing.T) {
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := rowOfVersion.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 2 {
		t.Fatalf("got the rows %v in docs/compatibility.md, want at least 2", rows)
	}
	oldest, newest := rows[0], rows[len(rows)-1]
	for _, row := range [][]string{oldest, newest} {
		if !tested.MatchString(row[2]) {
			t.Errorf("Kubernetes %s: got %q, want the date and commit of a test", row[1], row[2])
		}
		if _, err := cache.PinnedKubernetes(root, row[1]); err != nil {
			t.Error(err)
		}
	}
	if pinned, err := cache.PinnedKubernetes(root, ""); err != nil || pinned.Minor() != newest[1] {
		t.Errorf("got Kubernetes %s (%v) for make test, want the table's newest, %s", pinned.Minor(), err, newest[1])
	}

	var chart struct{ KubeVersion string }
	text, err := os.ReadFile(filepath.Join(root, "charts", "subaccount-operator", "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		t.Fatal(err)
	}
	if want := ">=" + oldest[1] + ".0-0"; chart.KubeVersion != want {
		t.Errorf("got kubeVersion %q in Chart.yaml, want %q as in docs/compatibility.md", chart.KubeVersion, want)
	}

	claims := 0
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(pages, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// A line break may split a claim.
		for _, m := range claim.FindAllStringSubmatch(strings.Join(strings.Fields(string(text)), " "), -1) {
			if claims++; m[1] != oldest[1] {
				t.Errorf("%s: got \"Kubernetes %s or newer\", want %s as in docs/compatibility.md", filepath.Base(path), m[1], oldest[1])
			}
		}
	}
	if claims < 2 {
		t.Errorf("got %d claims in the pages, want at least 2", claims)
	}
}
