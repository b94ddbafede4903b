// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Tool is a program that a go.mod in or below hack/tools pins.
type Tool struct {
	Name    string
	Module  string // the folder of that go.mod, below hack/tools
	Package string
	Flags   []string
	// Cgo is true if the build needs a C compiler.
	Cgo bool
	// BuildTime is how long the build takes at most, on two cores and with a cold
	// Go build cache.
	BuildTime time.Duration
}

var tools = map[string]Tool{
	// The linter includes kube-api-linter.
	"golangci-lint": {Package: "sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter", BuildTime: 5 * time.Minute},
	"addlicense":    {Module: "addlicense", Package: "github.com/google/addlicense", BuildTime: time.Minute},
	"actionlint":    {Module: "actionlint", Package: "github.com/rhysd/actionlint/cmd/actionlint", BuildTime: time.Minute},
	"cosign":        {Module: "cosign", Package: "github.com/sigstore/cosign/v3/cmd/cosign", BuildTime: 8 * time.Minute},
	"crd-ref-docs":  {Module: "crd-ref-docs", Package: "github.com/elastic/crd-ref-docs", BuildTime: time.Minute},
	"helm":          {Module: "helm", Package: "helm.sh/helm/v4/cmd/helm", BuildTime: 5 * time.Minute},
	"kubeconform":   {Module: "kubeconform", Package: "github.com/yannh/kubeconform/cmd/kubeconform", BuildTime: time.Minute},
	"helm-docs":     {Module: "helm-docs", Package: "github.com/norwoodj/helm-docs/cmd/helm-docs", BuildTime: 2 * time.Minute},
	"prometheus":    {Module: "prometheus", Package: "github.com/prometheus/prometheus/cmd/prometheus", Flags: noDiscovery, BuildTime: 5 * time.Minute},
	"promtool":      {Module: "prometheus", Package: "github.com/prometheus/prometheus/cmd/promtool", Flags: noDiscovery, BuildTime: 3 * time.Minute},
	// The module of golangci-lint includes misspell.
	"misspell": {Package: "github.com/golangci/misspell/cmd/misspell", BuildTime: time.Minute},
	// Vale finds the comments in Go files with tree-sitter, which is written in C.
	"vale": {Module: "vale", Package: "github.com/vale-cli/vale/v3/cmd/vale", Cgo: true, BuildTime: 3 * time.Minute},
}

// Service discovery in clouds is most of Prometheus' code.
var noDiscovery = []string{"-tags", "remove_all_sd"}

// ToolByName is the tool of that name.
func ToolByName(name string) (Tool, error) {
	tool, ok := tools[name]
	if !ok {
		return Tool{}, fmt.Errorf("no tool is named %q; the tools are: %s", name, strings.Join(slices.Sorted(maps.Keys(tools)), ", "))
	}
	tool.Name = name
	return tool, nil
}

// Dir is the folder of the module that pins the tool.
func (t Tool) Dir(root string) string { return filepath.Join(root, "hack", "tools", t.Module) }

// Path is the tool's file in the cache. Its name ends with a hash of the module
// and of the Go version: the linter reads files of the Go compiler, so the same
// Go must build both.
func (t Tool) Path(root string) (string, error) {
	dir, err := folder("tools")
	if err != nil {
		return "", err
	}
	var key bytes.Buffer
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(t.Dir(root), name))
		if err != nil {
			return "", err
		}
		key.Write(content)
	}
	fmt.Fprintln(&key, runtime.Version())
	// The hash is git's of a file with this content.
	hash := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", key.Len(), key.Bytes()))
	return filepath.Join(dir, fmt.Sprintf("%s-%x", t.Name, hash[:8])), nil
}
