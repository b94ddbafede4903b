// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestPinnedKubernetes_MinorVersions_ReturnsPinnedVersion(t *testing.T) {
	root := t.TempDir()
	pin(t, filepath.Join(root, "hack", "controlplane"), "tool k8s.io/kubernetes/cmd/kubectl\n\nrequire (\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n")
	pin(t, filepath.Join(root, "hack", "controlplane", "v1.32"), "require k8s.io/kubernetes v1.32.13\n")
	pin(t, filepath.Join(root, "hack", "controlplane", "v1.33"), "require k8s.io/klog/v2 v2.140.0\n")
	for minor, want := range map[string]string{"": "v1.37.2", "1.37": "v1.37.2", "v1.37": "v1.37.2", "1.32": "v1.32.13"} {
		if got, err := PinnedKubernetes(root, minor); err != nil || got.Version != want {
			t.Errorf("PinnedKubernetes(%q) = %+v, %v, want %s", minor, got, err, want)
		}
	}
	for minor, want := range map[string]string{
		"1.31":    filepath.Join("hack", "controlplane", "v1.31") + " is missing",
		"1.33":    "does not require k8s.io/kubernetes",
		"1.32.13": "not a minor version",
		"../x":    "not a minor version",
	} {
		if _, err := PinnedKubernetes(root, minor); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("PinnedKubernetes(%q): got the error %v, want %q in it", minor, err, want)
		}
	}
}

func TestKubernetesDir_Default_IsInTheUserCache(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	t.Setenv("XDG_CACHE_HOME", "")
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	want := base + "/subaccount-operator/devplane/v1.37.2-" + runtime.GOOS + "-" + runtime.GOARCH
	if got, err := (Kubernetes{Version: "v1.37.2"}).Dir(); err != nil || got != want {
		t.Errorf("Dir() = %s, %v, want %s", got, err, want)
	}
}

func TestMissing_NotExecutable_IsListed(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"etcd": 0o755, "kubectl": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "kube-apiserver"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(Missing(dir, ControlPlane), " "); got != "kube-apiserver kubectl kube-controller-manager" {
		t.Errorf("got missing %s", got)
	}
}

func TestToolPath_ModuleChanges_ChangesPath(t *testing.T) {
	root := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	tool, err := ToolByName("helm")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, content := range []string{"one", "two"} {
		pin(t, tool.Dir(root), content)
		if err := os.WriteFile(filepath.Join(tool.Dir(root), "go.sum"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := tool.Path(root)
		if err != nil || !strings.HasPrefix(filepath.Base(path), "helm-") || seen[path] {
			t.Errorf("Path() = %s, %v", path, err)
		}
		seen[path] = true
	}
	if _, err := ToolByName("hammer"); err == nil || !strings.Contains(err.Error(), "crd-ref-docs, golangci-lint, helm") {
		t.Errorf("got the error %v", err)
	}
}

func pin(t *testing.T, dir, goMod string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(goMod), 0o600); err != nil {
		t.Fatal(err)
	}
}
