// SPDX-License-Identifier: Apache-2.0

// Package release runs `make release` and checks each of the released files.
package release

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

const version = "v9.8.7"

var (
	image = regexp.MustCompile(`(?m)^ *image: "?([^"\s]+)`)

	tarball = "kubectl-plivo_" + version + "_" + runtime.GOOS + "_" + runtime.GOARCH + ".tar.gz"
	zipped  = "kubectl-plivo_" + version + "_windows_amd64.zip"
	chart   = "subaccount-operator-" + version[1:] + ".tgz"
)

func TestRelease_ThisPlatform_FilesAreComplete(t *testing.T) {
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := controlplane.Assets("kubectl"); err != nil { // for make release
		t.Fatal(err)
	}
	helm, err := controlplane.Tool("helm")
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	dist := filepath.Join(out, "dist")
	if err := os.Mkdir(dist, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dist, "of-the-last-release"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Builds for this platform only, because each other platform takes minutes. The version
	// without "v" must have the same effect as one with it.
	bin, changelog := filepath.Join(out, "bin"), filepath.Join(out, "CHANGELOG.md")
	if err := os.WriteFile(changelog, []byte("# Changelog\n\n## ["+version[1:]+"]\n\n### Added\n\n- A field.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// go build sees that these are current, and does not link them again.
	if built := os.Getenv("TEST_PROGRAMS"); built != "" {
		if err := os.CopyFS(bin, os.DirFS(built)); err != nil {
			t.Fatal(err)
		}
	}
	key := newKey(t)
	run(t, root, "make", "--no-print-directory", "release", "VERSION="+version[1:], "DIST="+dist, "BIN="+bin, "CHANGELOG="+changelog,
		"PLUGIN_PLATFORMS="+runtime.GOOS+"/"+runtime.GOARCH, "COSIGN_KEY="+key)
	checkSignature(t, dist, key, true)
	// Windows has another kind of archive. Its content need not be a program here.
	windows := filepath.Join(bin, "release", "windows_amd64")
	if err := os.Mkdir(windows, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(windows, "kubectl-plivo.exe"), []byte("a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, root, "go", "run", "./hack/release", "-version", version, "-binaries", filepath.Dir(windows), "-dist", dist)

	checkSignature(t, dist, key, false) // checksums.txt has another archive
	run(t, root, "make", "--no-print-directory", "sign", "DIST="+dist, "COSIGN_KEY="+key)
	checkSignature(t, dist, key, true)
	checkSignature(t, dist, newKey(t), false)

	sums := checkSums(t, dist)
	t.Run("plugin", func(t *testing.T) { checkPlugin(t, root, dist) })
	t.Run("krew", func(t *testing.T) { checkKrew(t, dist, sums) })
	t.Run("manifests", func(t *testing.T) {
		checkInstallation(t, read(t, dist, "install.yaml"))
		if crds := read(t, dist, "crds.yaml"); strings.Count(crds, "\nkind: CustomResourceDefinition\n") != 2 {
			t.Error("got another number of CRDs in crds.yaml, want 2")
		}
		for _, name := range []string{"subaccount-operator", "plivo-sim"} {
			if released := "image: ghcr.io/subaccount-operator/" + name + ":" + version + "\n"; strings.Count(read(t, dist, "simulator.yaml"), released) != 1 {
				t.Errorf("simulator.yaml: want %q once", released)
			}
		}
		checkInstallation(t, run(t, out, helm, "template", "a", filepath.Join(dist, chart), "--set", "crds.enabled=false"))
		checkAnnotations(t, run(t, out, helm, "show", "chart", filepath.Join(dist, chart)))
	})
	t.Run("sbom", func(t *testing.T) {
		checkSBOM(t, read(t, dist, "sbom.json"), "sigs.k8s.io/controller-runtime")
		checkSBOM(t, read(t, dist, "sbom-kubectl-plivo.json"), "k8s.io/cli-runtime")
		checkSBOM(t, read(t, dist, "sbom-plivo-sim.json"), "std")
	})
}

// checkSums checks that the folder contains exactly the files of a release with their
// checksums, and returns the checksums.
func checkSums(t *testing.T, dist string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(read(t, dist, "checksums.txt")), "\n") {
		sum, name, _ := strings.Cut(line, "  ")
		if got := fmt.Sprintf("%x", sha256.Sum256([]byte(read(t, dist, name)))); got != sum {
			t.Errorf("%s: got checksum %s in checksums.txt, want %s", name, sum, got)
		}
		sums[name] = sum
	}
	wanted := []string{"crds.yaml", "install.yaml", tarball, zipped,
		"plivo.subaccount-operator.dev_account_v1alpha1.json", "plivo.subaccount-operator.dev_subaccount_v1alpha1.json",
		"plivo.yaml", "sbom-kubectl-plivo.json", "sbom-plivo-sim.json", "sbom.json", "simulator.yaml", chart}
	if got := slices.Sorted(maps.Keys(sums)); !slices.Equal(got, wanted) {
		t.Errorf("got checksums of %v, want %v", got, wanted)
	}
	entries, err := os.ReadDir(dist)
	if err != nil || len(entries) != len(wanted)+2 {
		t.Errorf("got the files %v, %v; want checksums.txt, its signature and %v", entries, err, wanted)
	}
	return sums
}

// checkAnnotations checks what Artifact Hub shows of the chart.
func checkAnnotations(t *testing.T, text string) {
	t.Helper()
	var metadata struct{ Annotations map[string]string }
	if err := yaml.Unmarshal([]byte(text), &metadata); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"prerelease": "false", "images": ":" + version + "\n", "changes": "- description: A field.\n  kind: added\n"} {
		if got := metadata.Annotations["artifacthub.io/"+name]; !strings.Contains(got, want) {
			t.Errorf("got the annotation %s %q, want %q", name, got, want)
		}
	}
}

func checkPlugin(t *testing.T, root, dist string) {
	t.Helper()
	folder := t.TempDir()
	run(t, folder, "tar", "-xzf", filepath.Join(dist, tarball))
	if read(t, folder, "LICENSE") != read(t, root, "LICENSE") {
		t.Errorf("%s: got another LICENSE, want that of the repository", tarball)
	}
	if got := run(t, folder, "./kubectl-plivo", "version"); got != "kubectl-plivo "+version+"\n" {
		t.Errorf("got the version %q, want %s", got, version)
	}
	if got := unzip(t, filepath.Join(dist, zipped)); !slices.Equal(got, []string{"kubectl-plivo.exe", "LICENSE"}) {
		t.Errorf("%s: got the files %v, want kubectl-plivo.exe and LICENSE", zipped, got)
	}
}

func checkKrew(t *testing.T, dist string, sums map[string]string) {
	t.Helper()
	var manifest struct {
		Spec struct {
			Version   string
			Platforms []struct {
				Selector         struct{ MatchLabels struct{ OS, Arch string } }
				URI, Sha256, Bin string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, dist, "plivo.yaml")), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Spec.Version != version || len(manifest.Spec.Platforms) != 2 {
		t.Fatalf("got %+v, want version %s and 2 platforms", manifest.Spec, version)
	}
	for _, p := range manifest.Spec.Platforms {
		name, bin := tarball, "kubectl-plivo"
		if p.Selector.MatchLabels.OS == "windows" {
			name, bin = zipped, "kubectl-plivo.exe"
		}
		if !strings.HasSuffix(p.URI, "/releases/download/"+version+"/"+name) || p.Sha256 != sums[name] || p.Bin != bin {
			t.Errorf("got %+v, want the archive %s with checksum %s and program %s", p, name, sums[name], bin)
		}
	}
}

func checkSBOM(t *testing.T, text, module string) {
	t.Helper()
	var bom struct {
		BOMFormat  string
		Metadata   struct{ Component struct{ Version string } }
		Components []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(text), &bom); err != nil {
		t.Fatal(err)
	}
	named := func(c struct{ Name string }) bool { return c.Name == module }
	if bom.BOMFormat != "CycloneDX" || bom.Metadata.Component.Version != version || !slices.ContainsFunc(bom.Components, named) {
		t.Errorf("got %+v, want a CycloneDX document of %s with %s", bom, version, module)
	}
}

// checkInstallation checks that manifests contain no CRD and use the released image.
func checkInstallation(t *testing.T, manifests string) {
	t.Helper()
	if strings.Contains(manifests, "\nkind: CustomResourceDefinition\n") {
		t.Error("got a CRD in the installation manifests, want none")
	}
	if got := image.FindStringSubmatch(manifests); len(got) != 2 || got[1] != "ghcr.io/subaccount-operator/subaccount-operator:"+version {
		t.Errorf("got the image %q, want ghcr.io/subaccount-operator/subaccount-operator:%s", got, version)
	}
}

// run runs a program and returns its output.
func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "MAKEFLAGS=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", program, err, out, stderr.String())
	}
	return string(out)
}

func read(t *testing.T, folder, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// unzip reads all files of an archive, which verifies their checksums, and returns their
// names.
func unzip(t *testing.T, path string) (names []string) {
	t.Helper()
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	for _, f := range r.File {
		content, err := f.Open()
		if err == nil {
			_, err = io.Copy(io.Discard, content)
		}
		if err != nil {
			t.Fatal(f.Name, err)
		}
		names = append(names, f.Name)
	}
	return names
}

func TestRelease_VersionWithoutChangelogSection_IsRefused(t *testing.T) {
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	dist := t.TempDir()
	cmd := exec.Command("make", "--no-print-directory", "release", "VERSION="+version, "DIST="+dist)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if want := "CHANGELOG.md has no section ## [" + version[1:] + "]"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("got %s, %v; want %s", out, err, want)
	}
}
