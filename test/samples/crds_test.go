// SPDX-License-Identifier: Apache-2.0

package samples

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// copies are CRDs of other projects, compressed in testdata/crds and otherwise unchanged.
// They are copies because the zips of their modules have 90 MB together, and because two
// of the modules require a newer Go than this one, so that no go.mod here can pin them.
// All four projects have the Apache License 2.0.
var copies = []struct{ module, sum, path, sha256 string }{
	{
		module: "github.com/argoproj/argo-cd/v3@v3.6.1", sum: "h1:OmhqeKiR3C//awbFrhQqFdtRI+Qiv17j8vqm3UkMj/g=",
		path:   "manifests/crds/applicationset-crd.yaml",
		sha256: "980128848a8d2152b946aec6a11cdd1174b38b04587f4fba94537c040fd84202",
	},
	{
		module: "github.com/external-secrets/external-secrets@v0.16.2", sum: "h1:iNY+gIgSyL5higXTfnz+hdPCaiB/43UiHLqE7HBpj68=",
		path:   "config/crds/bases/external-secrets.io_pushsecrets.yaml",
		sha256: "dcef443658e8790a2aa740603ad707595dbca0e75a82e996fc59d3a828c2a7ba",
	},
	{
		module: "github.com/fluxcd/kustomize-controller@v1.10.1", sum: "h1:IjTnrkIy0ULJoTNC2ZKuMb32vkqj7dJ6zt6UqbTFxKA=",
		path:   "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
		sha256: "dec77e391bff9307e47898d2d7448c5083a49b85700f6f870c7849449e11aad0",
	},
	{
		module: "github.com/kyverno/kyverno@v1.19.1", sum: "h1:/MkgFii3/VlQfKR1JpC9tVwNNVNQTt2S4U6qCsafsTU=",
		path:   "config/crds/policies.kyverno.io/policies.kyverno.io_generatingpolicies.yaml",
		sha256: "aa44610859284bdb3c6de6b0d7a00d1d67bc8d0970704499c53c1f9266bf4a52",
	},
}

// To update a copy, change its module and its path above, and run
//
//	UPDATE=1 go test ./test/samples
//
// which downloads the module and prints the checksums for the table.
func TestCopies_EachFile_HasItsChecksum(t *testing.T) {
	for _, c := range copies {
		name := copyOf(c.path)
		if os.Getenv("UPDATE") != "" {
			sum, content, err := download(t.Context(), c.module, c.path)
			if err != nil {
				t.Fatal(err)
			}
			if sum != c.sum {
				t.Errorf("%s: got sum %s, want %s", c.module, sum, c.sum)
			}
			if err := os.WriteFile(name, compress(t, content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(decompress(t, name))); got != c.sha256 {
			t.Errorf("%s: got sha256 %s, want %s", name, got, c.sha256)
		}
	}
}

func copyOf(path string) string {
	return filepath.Join("testdata", "crds", filepath.Base(path)+".gz")
}

// download returns the checksum of a module and one of its files.
func download(ctx context.Context, module, path string) (sum string, content []byte, err error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir()   // this repository's go.mod does not require the module
	out, err := cmd.Output() // an error also if the module requires a newer Go and its zip is there
	var info struct{ Sum, Zip string }
	if json.Unmarshal(out, &info) != nil || info.Zip == "" {
		return "", nil, fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	archive, err := zip.OpenReader(info.Zip)
	if err != nil {
		return "", nil, err
	}
	defer archive.Close()
	file, err := archive.Open(module + "/" + path)
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	content, err = io.ReadAll(file)
	return info.Sum, content, err
}

func compress(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decompress(t *testing.T, name string) []byte {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
