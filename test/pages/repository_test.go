// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// renovate.json updates every manifest in the repository. Its preset config:recommended
// ignores folders named test, unless ignorePaths is set.
func TestRenovate_EachManifest_IsUpdated(t *testing.T) {
	root := projectRoot(t)
	content, err := os.ReadFile(filepath.Join(root, "renovate.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		EnabledManagers []string `json:"enabledManagers"`
		IgnorePaths     []string `json:"ignorePaths"`
	}
	if err := json.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard", "*go.mod", "*package.json", ".github/workflows/*", "*Dockerfile")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, path := range strings.Fields(string(out)) {
		manager := map[string]string{"go.mod": "gomod", "package.json": "npm", "Dockerfile": "dockerfile"}[filepath.Base(path)]
		if manager == "" {
			manager = "github-actions"
		}
		counts[manager]++
		if !slices.Contains(config.EnabledManagers, manager) {
			t.Errorf("got no manager %s for %s", manager, path)
		}
	}
	if !slices.Equal(config.IgnorePaths, []string{"**/node_modules/**"}) || len(counts) != len(config.EnabledManagers) || counts["gomod"] < 9 {
		t.Errorf("got ignorePaths %v, manifests %v, managers %v", config.IgnorePaths, counts, config.EnabledManagers)
	}
}
