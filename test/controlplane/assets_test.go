// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

func TestAssets_MissingPrograms_ErrorNamesMakeReady(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	_, planeErr := controlplane.Assets("etcd")
	_, toolErr := controlplane.Tool("helm")
	for name, err := range map[string]error{"etcd": planeErr, "helm": toolErr} {
		if err == nil || !strings.Contains(err.Error(), name+" not found") || !strings.Contains(err.Error(), "run `make ready`") {
			t.Errorf("%s: got the error %v, want one that says \"not found\" and \"run `make ready`\"", name, err)
		}
	}
}

func TestAssets_EnvironmentFolderHasAll_ReturnsIt(t *testing.T) {
	given := t.TempDir()
	if err := os.WriteFile(filepath.Join(given, "etcd"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBEBUILDER_ASSETS", given)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	if dir, err := controlplane.Assets("etcd"); dir != given || err != nil {
		t.Errorf("got %s, %v; want %s", dir, err, given)
	}
	if _, err := controlplane.Assets("etcd", "kubectl"); err == nil || !strings.Contains(err.Error(), "kubectl not found") {
		t.Errorf("got the error %v, want \"kubectl not found\"", err)
	}
}
