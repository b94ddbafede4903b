// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

// The module path ends without "/v1.32", which Go reserves for major versions.
var pinnedModule = template.Must(template.New("go.mod").Parse(`// The control plane of Kubernetes {{.Minor}}, written by ` + "`go run ./hack/assets pin`" + `.
module github.com/subaccount-operator/subaccount-operator/hack/controlplane/kubernetes-{{.Minor}}

go {{.Go}}

// As in k8s.io/kubernetes' own go.mod.
{{range .GoDebug}}godebug {{.Key}}={{.Value}}
{{end}}
tool (
	k8s.io/kubernetes/cmd/kube-apiserver
	k8s.io/kubernetes/cmd/kube-controller-manager
	k8s.io/kubernetes/cmd/kubectl
)

require k8s.io/kubernetes {{.Version}}

// The replace block of k8s.io/kubernetes' own go.mod, its staging folders named by their published version, or by the
// latest earlier one that the module proxy serves.
replace (
{{range .Staging}}	{{.Path}} => {{.Path}} {{.Version}}
{{end}})
`))

// goMod is what `go mod edit -json` prints, as far as it is used.
type goMod struct {
	Go      string
	GoDebug []struct{ Key, Value string }
	Replace []struct {
		Old, New struct{ Path string }
	}
}

// pin writes the module that pins a version of Kubernetes, and returns its folder.
func pin(ctx context.Context, root, version string) (string, error) {
	version = "v" + strings.TrimPrefix(version, "v")
	if !regexp.MustCompile(`^v1\.\d+\.\d+$`).MatchString(version) {
		return "", fmt.Errorf("%q is not a version of Kubernetes such as 1.34.4", version)
	}
	var download struct{ GoMod string }
	if err := readJSON(ctx, root, &download, "mod", "download", "-json", "k8s.io/kubernetes@"+version); err != nil {
		return "", err
	}
	var published, own goMod
	if err := readJSON(ctx, root, &published, "mod", "edit", "-json", download.GoMod); err != nil {
		return "", err
	}
	if err := readJSON(ctx, root, &own, "mod", "edit", "-json", filepath.Join("hack", "controlplane", "go.mod")); err != nil {
		return "", err
	}
	minor := cache.Kubernetes{Version: version}.Minor()
	dir := filepath.Join(root, "hack", "controlplane", "v"+minor)
	var content bytes.Buffer
	if err := pinnedModule.Execute(&content, map[string]any{
		"Minor": minor, "Version": version, "Go": own.Go, "GoDebug": published.GoDebug,
		"Staging": stagingModules(ctx, published, strings.TrimPrefix(version, "v1.")),
	}); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), content.Bytes(), 0o644); err != nil {
		return "", err
	}
	tidy := exec.CommandContext(ctx, "go", "mod", "tidy")
	tidy.Dir, tidy.Stdout, tidy.Stderr = dir, os.Stderr, os.Stderr
	return dir, tidy.Run()
}

type module struct{ Path, Version string }

// stagingModules names the published modules of Kubernetes' staging folders.
// The module proxy lacks some of them at some patch versions; `go mod tidy`
// fails if it lacks one that is needed at all versions that are tried.
func stagingModules(ctx context.Context, kubernetes goMod, version string) []module {
	minor, number, _ := strings.Cut(version, ".")
	patch, _ := strconv.Atoi(number)
	var staging []module
	for _, r := range kubernetes.Replace {
		if !strings.HasPrefix(r.New.Path, "./staging/") {
			continue
		}
		m := module{Path: r.Old.Path, Version: "v0." + version}
		for p := patch; p >= 0 && p > patch-4; p-- {
			published := fmt.Sprintf("v0.%s.%d", minor, p)
			if exec.CommandContext(ctx, "go", "mod", "download", m.Path+"@"+published).Run() == nil {
				m.Version = published
				break
			}
		}
		staging = append(staging, m)
	}
	return staging
}

// readJSON runs the go command and decodes what it prints.
func readJSON(ctx context.Context, dir string, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return json.Unmarshal(out, into)
}
