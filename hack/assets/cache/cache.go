// SPDX-License-Identifier: Apache-2.0

// Package cache names the files that hack/assets downloads or builds, in the
// user's cache folder outside the clone. hack/assets writes them; the tests
// only read them.
package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// ControlPlane lists the binaries of a control plane.
var ControlPlane = []string{"etcd", "kube-apiserver", "kubectl", "kube-controller-manager"}

// Kubelet is a binary for test/node only.
const Kubelet = "kubelet"

// Root is the folder of the go.mod that the working directory belongs to.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod in %s or above it", start)
		}
	}
}

func folder(name string) (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "subaccount-operator", name), err
}

// Kubernetes is a version of Kubernetes that a module of this repository pins.
type Kubernetes struct {
	Module  string // the folder of that module
	Version string // v1.37.2
}

// PinnedKubernetes is the Kubernetes of a minor version (1.32, v1.32); "" means
// the one that hack/controlplane/go.mod requires.
func PinnedKubernetes(root, minor string) (Kubernetes, error) {
	module := filepath.Join(root, "hack", "controlplane")
	version, err := PinnedVersion(module, "k8s.io/kubernetes")
	if err != nil {
		return Kubernetes{}, err
	}
	standard := Kubernetes{Module: module, Version: version}
	minor = strings.TrimPrefix(minor, "v")
	if minor == "" || minor == standard.Minor() {
		return standard, nil
	}
	if !regexp.MustCompile(`^1\.\d+$`).MatchString(minor) {
		return Kubernetes{}, fmt.Errorf("%q is not a minor version of Kubernetes such as 1.32", minor)
	}
	module = filepath.Join(module, "v"+minor)
	if version, err = PinnedVersion(module, "k8s.io/kubernetes"); os.IsNotExist(err) {
		return Kubernetes{}, fmt.Errorf(
			"no module pins Kubernetes %s: the folder %s is missing; add it with `go run ./hack/assets pin %s.PATCH`", minor, module, minor)
	}
	return Kubernetes{Module: module, Version: version}, err
}

// Minor is the minor version: 1.37.
func (k Kubernetes) Minor() string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(k.Version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major + "." + minor
}

// Dir is the cache folder of this version's control plane.
func (k Kubernetes) Dir() (string, error) {
	dir, err := folder("devplane")
	return filepath.Join(dir, k.Version+"-"+runtime.GOOS+"-"+runtime.GOARCH), err
}

// PinnedVersion is the version at which the go.mod in a folder requires a module.
func PinnedVersion(dir, module string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", err
	}
	required := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(module) + ` (v\S+)`)
	match := required.FindSubmatch(content)
	if match == nil {
		return "", fmt.Errorf("%s/go.mod does not require %s", dir, module)
	}
	return string(match[1]), nil
}

// Missing lists the names that are not executable files in a folder.
func Missing(dir string, names []string) []string {
	var missing []string
	for _, name := range names {
		if !IsExecutable(filepath.Join(dir, name)) {
			missing = append(missing, name)
		}
	}
	return missing
}

// IsExecutable reports whether a path names an executable file.
func IsExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
