// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

var (
	rowOfVersion = regexp.MustCompile(`(?m)^\| (1\.\d+) \| yes \| (.+) \|$`)
	claim        = regexp.MustCompile(`(?i)(?:(?:at least|from|since|>=) Kubernetes v?(1\.\d+)|Kubernetes (?:at least |from |>= ?)?v?(1\.\d+) ?(?:\+|or (?:newer|later|higher|above)))`)
	tested       = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}, [0-9a-f]{7,}$`)
)

// TestCompatibility_EveryClaim_MatchesTable compares the oldest Kubernetes version in
// Chart.yaml, README.md and all pages with docs/compatibility.md.
func TestCompatibility_EveryClaim_MatchesTable(t *testing.T) {
	root := projectRoot(t)
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
	check := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// A line break may split a claim.
		for _, m := range claim.FindAllStringSubmatch(strings.Join(strings.Fields(string(text)), " "), -1) {
			if claims++; m[1]+m[2] != oldest[1] {
				t.Errorf("%s: got %q, want Kubernetes %s as in docs/compatibility.md", path, m[0], oldest[1])
			}
		}
		return nil
	}
	for _, path := range []string{"README.md", "AGENTS.md", "CHANGELOG.md", "docs", "charts"} {
		if err := filepath.WalkDir(filepath.Join(root, path), check); err != nil {
			t.Fatal(err)
		}
	}
	if claims < 3 {
		t.Errorf("got %d claims, want at least 3", claims)
	}
}
