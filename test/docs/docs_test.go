package docs

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/devplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const (
	mainID    = "MADOCSDOCSDOCSDOCSDO"
	mainToken = "token-of-the-documents"
	version   = "v1.2.3"
)

// TestDocuments runs each page on a new cluster, with an operator that runs
// beside it: there is no kubelet.
func TestDocuments(t *testing.T) {
	root, err := devplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for name, source := range map[string]string{"manager": "./cmd", "kubectl-plivo.real": "./cmd/kubectl-plivo"} {
		if _, err := process.Build(source, bin, name); err != nil {
			t.Fatal(err)
		}
	}
	work := copyOf(t, root)
	shell(t, work, nil, "make --no-print-directory dist VERSION="+version)
	helm := strings.TrimSpace(shell(t, root, nil, "./hack/tools/tool.sh helm"))
	if err := os.Symlink(helm, filepath.Join(bin, "helm")); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/spec/*.md", "docs/runbooks/*.md"} {
		pages, err := filepath.Glob(filepath.Join(work, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			steps, err := script(page)
			if err != nil {
				t.Error(err)
			}
			if steps == "" {
				continue
			}
			ran++
			t.Run(strings.TrimPrefix(page, work+"/"), func(t *testing.T) {
				shell(t, work, newReader(t, bin), steps)
			})
		}
	}
	if ran == 0 {
		t.Error("no page has anything to run")
	}
}

// copyOf is what a clone would hold.
func copyOf(t *testing.T, root string) string {
	t.Helper()
	work := t.TempDir()
	shell(t, root, nil, `git ls-files -z -co --exclude-standard --deduplicate | while IFS= read -r -d '' f; do
		if [ -f "$f" ]; then printf '%s\0' "$f"; fi
	done | tar --null -T - -cf - | tar -xf - -C `+work)
	return work
}

// newReader is a reader's environment: a cluster, with three subaccounts at
// Plivo that nobody manages. Where no address of Plivo is given, the plugin is
// sent to the simulator.
func newReader(t *testing.T, bin string) []string {
	t.Helper()
	plane, err := devplane.Start(devplane.Options{
		ControllerManager: true,
		Controllers:       []string{"clusterrole-aggregation-controller", "deployment-controller", "replicaset-controller"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	sim := plivosim.New(plivosim.Options{Accounts: map[string]string{mainID: mainToken}, RateLimit: 300})
	for _, name := range []string{"Team X", "Team Y", "Team Z"} {
		sim.Add(mainID, name, true)
	}
	plivo := httptest.NewServer(sim)
	t.Cleanup(plivo.Close)
	logs := &process.Log{}
	manager, err := process.Start(logs, []string{"KUBECONFIG=" + plane.Kubeconfig}, filepath.Join(bin, "manager"),
		"--plivo-base-url", plivo.URL, "--operator-namespace", "subaccount-operator-system", "--health-probe-bind-address", "0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _ = manager.Stop(syscall.SIGTERM); t.Failed() {
			t.Logf("the manager's log:\n%s", logs)
		}
	})
	own := t.TempDir()
	plugin := "#!/bin/sh\nexec " + bin + "/kubectl-plivo.real \"$@\" --plivo-base-url " + plivo.URL + "\n"
	if err := os.WriteFile(filepath.Join(own, "kubectl-plivo"), []byte(plugin), 0o755); err != nil { //nolint:gosec // to be run
		t.Fatal(err)
	}
	return []string{
		"PATH=" + strings.Join([]string{own, bin, filepath.Dir(plane.Kubectl), os.Getenv("PATH")}, ":"),
		"KUBECONFIG=" + plane.Kubeconfig, "MAIN_AUTH_ID=" + mainID, "MAIN_AUTH_TOKEN=" + mainToken, "VERSION=" + version,
	}
}

// shell runs a script, and returns what it prints.
func shell(t *testing.T, dir string, env []string, steps string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", steps) //nolint:gosec // the project's own words
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, told.Bytes(), out.Bytes())
	}
	return out.String()
}
