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

// Chart.yaml, README.md and all pages claim the same oldest version of
// Kubernetes as docs/compatibility.md, which was tested, as the newest was.
func TestCompatibility_EveryClaimIsTheTables(t *testing.T) {
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
		t.Fatalf("the table of docs/compatibility.md has the rows %v", rows)
	}
	oldest, newest := rows[0], rows[len(rows)-1]
	for _, row := range [][]string{oldest, newest} {
		if !tested.MatchString(row[2]) {
			t.Errorf("Kubernetes %s is claimed and was not tested: %q", row[1], row[2])
		}
		if _, err := cache.PinnedKubernetes(root, row[1]); err != nil {
			t.Error(err)
		}
	}
	if pinned, err := cache.PinnedKubernetes(root, ""); err != nil || pinned.Minor() != newest[1] {
		t.Errorf("make test runs on %s (%v), the table ends with %s", pinned.Minor(), err, newest[1])
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
		t.Errorf("Chart.yaml claims kubeVersion %q, docs/compatibility.md %q", chart.KubeVersion, want)
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
		// A claim may be broken over two lines.
		for _, m := range claim.FindAllStringSubmatch(strings.Join(strings.Fields(string(text)), " "), -1) {
			if claims++; m[1] != oldest[1] {
				t.Errorf("%s claims Kubernetes %s or newer, docs/compatibility.md %s", filepath.Base(path), m[1], oldest[1])
			}
		}
	}
	if claims < 2 {
		t.Errorf("found %d claims in the pages", claims)
	}
}
