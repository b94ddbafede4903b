// SPDX-License-Identifier: Apache-2.0

//go:build image

// Package image runs `make docker-build` and `make docker-build-simulator` with buildah,
// which needs neither a daemon nor a registry, and runs the images.
package image

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const version = "v9.8.7"

func TestImage_BothPlatforms_BuildsAndBecomesReady(t *testing.T) {
	checkHealth(t, build(t, "docker-build", "IMG=localhost/subaccount-operator:test", "/manager", "subaccount-operator "+version))
}

func TestSimulatorImage_BothPlatforms_BuildsAndServes(t *testing.T) {
	container := build(t, "docker-build-simulator", "SIM_IMG=localhost/plivo-sim:test", "/plivo-sim", "plivo-sim "+version)
	serve(t, []string{container, "--", "/plivo-sim", "--listen"}, "/_sim/accounts")
}

// build builds an image for two platforms and returns a container of it.
func build(t *testing.T, target, variable, entrypoint, printed string) (container string) {
	t.Helper()
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	_, image, _ := strings.Cut(variable, "=")
	run(t, "make", "-C", root, target, "CONTAINER_TOOL=buildah", "PLATFORMS=linux/amd64,linux/arm64", variable, "VERSION="+version)

	var index struct {
		Manifests []struct {
			Platform struct{ OS, Architecture string }
		}
	}
	decode(t, run(t, "buildah", "manifest", "inspect", image), &index)
	var platforms []string
	for _, m := range index.Manifests {
		platforms = append(platforms, m.Platform.OS+"/"+m.Platform.Architecture)
	}
	slices.Sort(platforms)
	if got := strings.Join(platforms, ","); got != "linux/amd64,linux/arm64" {
		t.Errorf("got the platforms %s, want linux/amd64,linux/arm64", got)
	}

	container = strings.TrimSpace(run(t, "buildah", "from", image))
	t.Cleanup(func() { _ = exec.CommandContext(context.Background(), "buildah", "rm", container).Run() })
	var built struct {
		OCIv1 struct {
			Config struct {
				User       string
				Entrypoint []string
				Labels     map[string]string
			} `json:"config"`
		}
	}
	decode(t, run(t, "buildah", "inspect", container), &built)
	config := built.OCIv1.Config
	if config.User != "65532:65532" || !slices.Equal(config.Entrypoint, []string{entrypoint}) {
		t.Errorf("got entrypoint %q and user %q, want %s and 65532:65532", config.Entrypoint, config.User, entrypoint)
	}
	if label := config.Labels["org.opencontainers.image.version"]; label != version {
		t.Errorf("got the version label %q, want %q", label, version)
	}
	if out := run(t, "buildah", "run", "--isolation", "chroot", container, "--", entrypoint, "--version"); strings.TrimSpace(out) != printed {
		t.Errorf("got the version %q, want %q", out, printed)
	}
	return container
}

// checkHealth runs the manager in the container with a control plane, and waits until it
// is healthy and ready.
func checkHealth(t *testing.T, container string) {
	t.Helper()
	plane, err := controlplane.Start(controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	folder := t.TempDir()
	kubeconfig, err := os.ReadFile(plane.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "config"), kubeconfig, 0o644); err != nil { //nolint:gosec // another user runs the manager
		t.Fatal(err)
	}
	serve(t, []string{"--volume", folder + ":/kube:ro", "--env", "KUBECONFIG=/kube/config", container, "--", "/manager", "--health-probe-bind-address"},
		"/healthz", "/readyz")
}

// serve runs a program in a container, with a free address as its last argument, until
// it answers each path with 200.
func serve(t *testing.T, args []string, paths ...string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	logs := &process.Log{}
	p, err := process.Start(logs, nil, "buildah", append(append([]string{"run", "--isolation", "chroot"}, args...), address)...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Stop(syscall.SIGTERM) }() // buildah kills the container's processes
	for _, path := range paths {
		err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			select {
			case <-p.Exited():
				return false, fmt.Errorf("the program has ended: %w", p.Wait())
			default:
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, http.NoBody)
			if err != nil {
				return false, err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return false, nil //nolint:nilerr // the program does not listen yet
			}
			_ = resp.Body.Close()
			return resp.StatusCode == http.StatusOK, nil
		})
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, logs)
		}
	}
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).Output() //nolint:gosec // the arguments are constants of the test
	if err != nil {
		var stderr []byte
		if e, ok := err.(*exec.ExitError); ok {
			stderr = e.Stderr
		}
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, stderr)
	}
	return string(out)
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}
