// SPDX-License-Identifier: Apache-2.0

package release

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

// newKey creates a key pair of cosign without a password, and returns the path of the
// private key.
func newKey(t *testing.T) string {
	t.Helper()
	t.Setenv("COSIGN_PASSWORD", "") // cosign asks for it if the variable is not set
	dir := t.TempDir()
	run(t, dir, cosign(t), "generate-key-pair")
	return filepath.Join(dir, "cosign.key")
}

// checkSignature checks whether the signature of checksums.txt is one of the key.
func checkSignature(t *testing.T, dist, key string, want bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), cosign(t), "verify-blob", "--key", strings.TrimSuffix(key, ".key")+".pub",
		"--insecure-ignore-tlog", "--bundle", "checksums.txt.sigstore.json", "checksums.txt")
	cmd.Dir = dist
	out, err := cmd.CombinedOutput()
	words := map[bool]string{true: "Verified OK", false: "invalid signature"}[want]
	if !strings.Contains(string(out), words) || (err == nil) != want {
		t.Errorf("got %v, %s; want %s", err, out, words)
	}
}

func cosign(t *testing.T) string {
	t.Helper()
	path, err := controlplane.Tool("cosign")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
