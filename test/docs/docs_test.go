// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const (
	mainID    = "MADOCSDOCSDOCSDOCSDO"
	mainToken = "token-of-the-documents"
	version   = "v1.2.3"
)

// TestDocuments_EveryPage_CommandsSucceed runs the commands of each page, on a new cluster
// or on the one of the page before.
func TestDocuments_EveryPage_CommandsSucceed(t *testing.T) {
	ctrl.SetLogger(logr.Discard()) // for envtest
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := controlplane.Assets("kubectl"); err != nil { // for make dist
		t.Fatal(err)
	}
	helm, err := controlplane.Tool("helm")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	// Keeps Go's caches, although the pages run with another home folder.
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		t.Setenv(name, strings.TrimSpace(shell(t, root, nil, "go env "+name)))
	}
	original := filepath.Join(bin, "original") // the wrapper in newReader runs this plugin
	if err := os.Mkdir(original, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"manager": bin, "plivo-sim": bin, "kubectl-plivo": original} {
		if _, err := process.Program(name, dir); err != nil {
			t.Fatal(err)
		}
	}
	work := copyOf(t, root)
	shell(t, work, nil, "make --no-print-directory dist package VERSION="+version)
	if err := os.Symlink(helm, filepath.Join(bin, "helm")); err != nil {
		t.Fatal(err)
	}
	scripts := map[string][]string{} // by page
	isContinued := map[string]bool{} // the pages whose last script runs as a part of another page's
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/spec/*.md", "docs/runbooks/*.md"} {
		pages, err := filepath.Glob(filepath.Join(work, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			all, continued, err := scriptsOf(page)
			if err != nil {
				t.Error(err)
			}
			scripts[page], isContinued[continued] = all, true
		}
	}
	ran := 0
	for page, all := range scripts {
		for i, steps := range all {
			runsElsewhere := isContinued[page] && i == len(all)-1
			if steps == "" || runsElsewhere {
				continue
			}
			ran++
			t.Run(strings.TrimPrefix(page, work+"/"), func(t *testing.T) {
				if _, err := exec.LookPath("curl"); err != nil && strings.Contains(steps, "curl ") {
					t.Skip("curl is not installed")
				}
				t.Parallel() // each has its own folder, because pages write files
				own := t.TempDir()
				port, err := controlplane.FreePort()
				if err != nil {
					t.Fatal(err)
				}
				shell(t, work, nil, "cp -R . "+own)
				shell(t, own, newReader(t, bin, port), strings.ReplaceAll(steps, simulatorPort, port))
			})
		}
	}
	if ran == 0 {
		t.Error("got no page with commands, want at least one")
	}
}

// copyOf returns a folder with the files that a clone would contain.
func copyOf(t *testing.T, root string) string {
	t.Helper()
	work := t.TempDir()
	shell(t, root, nil, `git ls-files -z -co --exclude-standard --deduplicate | while IFS= read -r -d '' f; do
		if [ -f "$f" ]; then printf '%s\0' "$f"; fi
	done | tar --null -T - -cf - | tar -xf - -C `+work)
	return work
}

// newReader returns the environment variables of a reader. It starts a cluster with a node
// that runs the operator after its installation, and a simulated Plivo with three unmanaged
// subaccounts. Operator and plugin call the simulator. If the operator's Pod has a
// simulator of its own, that listens on port.
func newReader(t *testing.T, bin, port string) []string {
	t.Helper()
	plane, err := controlplane.Start(controlplane.Options{CRDs: []string{}, ControllerManager: true, Controllers: []string{"clusterrole-aggregation-controller"}})
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

	k8s, err := client.New(plane.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	node := &kubelet{plane: plane, k8s: k8s, bin: bin, plivoURL: plivo.URL, simulatorPort: port, logs: &process.Log{}}
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { node.run(ctx) })
	t.Cleanup(func() {
		stop()
		if ended.Wait(); t.Failed() {
			t.Logf("the operator's log:\n%s", node.logs)
		}
	})

	own := t.TempDir()
	local := filepath.Join(own, ".local", "bin")
	if err := os.MkdirAll(local, 0o755); err != nil {
		t.Fatal(err)
	}
	plugin := "#!/bin/sh\ncase $1 in list | export) set -- \"$@\" --plivo-base-url " + plivo.URL + ";; esac\nexec " + bin + "/original/kubectl-plivo \"$@\"\n"
	if err := os.WriteFile(filepath.Join(own, "kubectl-plivo"), []byte(plugin), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{
		"HOME=" + own, "PATH=" + strings.Join([]string{own, bin, local, filepath.Dir(plane.Kubectl), os.Getenv("PATH")}, ":"),
		"KUBECONFIG=" + plane.Kubeconfig, "MAIN_AUTH_ID=" + mainID, "MAIN_AUTH_TOKEN=" + mainToken, "VERSION=" + version,
	}
}

// shell runs a script and returns its output.
func shell(t *testing.T, dir string, env []string, steps string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", steps)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), env...), time.Second
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, stderr.Bytes(), out.Bytes())
	}
	return out.String()
}
