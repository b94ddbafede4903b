// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

// Assets returns the folder with the named programs of a control plane: KUBEBUILDER_ASSETS
// if it contains all of them, else the folder that hack/assets fills. It returns an error
// if a program is missing, because a test must not download or build it.
func Assets(names ...string) (string, error) {
	if given := os.Getenv("KUBEBUILDER_ASSETS"); given != "" && len(cache.Missing(given, names)) == 0 {
		return filepath.Abs(given)
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	kubernetes, err := cache.PinnedKubernetes(root, "")
	if err != nil {
		return "", err
	}
	dir, err := kubernetes.Dir()
	if err != nil {
		return "", err
	}
	if missing := cache.Missing(dir, names); len(missing) > 0 {
		return "", fmt.Errorf("%s not found in KUBEBUILDER_ASSETS or %s; run `make ready`", strings.Join(missing, ", "), dir)
	}
	return dir, nil
}

// Tool returns the path of a tool that hack/tools pins and hack/assets builds.
func Tool(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	tool, err := cache.ToolByName(name)
	if err != nil {
		return "", err
	}
	path, err := tool.Path(root)
	if err == nil && !cache.IsExecutable(path) {
		err = fmt.Errorf("%s not found: %s is missing; run `make ready`", name, path)
	}
	return path, err
}
