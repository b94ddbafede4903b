//go:build image

// Package image runs `make docker-build` with buildah, which needs neither a daemon nor a
// registry, and runs the image.
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

const (
	image   = "localhost/subaccount-operator:test"
	version = "v9.8.7"
)

func TestImage_BothPlatforms_BuildsAndBecomesReady(t *testing.T) {
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	run(t, "make", "-C", root, "docker-build", "CONTAINER_TOOL=buildah", "PLATFORMS=linux/amd64,linux/arm64", "IMG="+image, "VERSION="+version)

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

	container := strings.TrimSpace(run(t, "buildah", "from", image))
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
	if config.User != "65532:65532" || len(config.Entrypoint) != 1 || config.Entrypoint[0] != "/manager" {
		t.Errorf("got entrypoint %q and user %q, want /manager and 65532:65532", config.Entrypoint, config.User)
	}
	if label := config.Labels["org.opencontainers.image.version"]; label != version {
		t.Errorf("got the version label %q, want %q", label, version)
	}
	if out := run(t, "buildah", "run", "--isolation", "chroot", container, "--", "/manager", "--version"); strings.TrimSpace(out) != "subaccount-operator "+version {
		t.Errorf("got the version %q, want subaccount-operator %s", out, version)
	}
	checkHealth(t, container)
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	folder := t.TempDir()
	kubeconfig, err := os.ReadFile(plane.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "config"), kubeconfig, 0o644); err != nil { //nolint:gosec // another user runs the manager
		t.Fatal(err)
	}
	logs := &process.Log{}
	p, err := process.Start(logs, nil, "buildah", "run", "--isolation", "chroot", "--volume", folder+":/kube:ro",
		"--env", "KUBECONFIG=/kube/config", container, "--", "/manager", "--health-probe-bind-address", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Stop(syscall.SIGTERM) }() // buildah kills the container's processes
	for _, path := range []string{"/healthz", "/readyz"} {
		err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			select {
			case <-p.Exited():
				return false, fmt.Errorf("the manager has ended: %w", p.Wait())
			default:
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, http.NoBody)
			if err != nil {
				return false, err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return false, nil //nolint:nilerr // the manager does not listen yet
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
