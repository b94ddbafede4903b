// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

var errBuild = errors.New("it does not compile")

// newPlane has a control plane that writes "downloaded" or "built".
func newPlane(t *testing.T) (plane *controlPlane, built *[]string) {
	t.Helper()
	built = &[]string{}
	return &controlPlane{
		dir:      filepath.Join(t.TempDir(), "cache", "v1.37.2-linux-amd64"),
		download: func(_ context.Context, _, file string) error { return os.WriteFile(file, []byte("downloaded"), 0o600) },
		build: func(_ context.Context, name, file string) error {
			*built = append(*built, name)
			return os.WriteFile(file, []byte("built"), 0o600)
		},
		poll: time.Millisecond, log: &bytes.Buffer{},
	}, built
}

func TestComplete_EmptyCache_DownloadsOnce(t *testing.T) {
	plane, built := newPlane(t)
	names := []string{"etcd", "kubectl"}
	if err := plane.complete(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	plane.download = nil
	if err := plane.complete(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	wantContent(t, filepath.Join(plane.dir, "etcd"), "downloaded")
	wantFiles(t, plane.dir, names...)
	wantFiles(t, filepath.Dir(plane.dir), filepath.Base(plane.dir))
	if missing := cache.Missing(plane.dir, names); missing != nil || len(*built) != 0 {
		t.Errorf("missing: %v, built: %v", missing, *built)
	}
}

func TestComplete_DownloadFails_Builds(t *testing.T) {
	unreachable := newReleases(t, nil)
	unreachable.kubernetesURL = "http://127.0.0.1:0"
	for name, from := range map[string]*releases{
		"unreachable": unreachable,
		"not found":   newReleases(t, nil),
		"stall":       stallingReleases(t),
		"wrong checksum": newReleases(t, map[string]string{
			"/release/v1.37.2/bin/linux/amd64/kubectl":        "something else",
			"/release/v1.37.2/bin/linux/amd64/kubectl.sha256": sum(binary),
		}),
	} {
		t.Run(name, func(t *testing.T) {
			plane, built := newPlane(t)
			plane.download = from.download
			if err := plane.complete(t.Context(), []string{"kubectl"}); err != nil {
				t.Fatal(err)
			}
			wantContent(t, filepath.Join(plane.dir, "kubectl"), "built")
			wantFiles(t, plane.dir, "kubectl")
			if !slices.Equal(*built, []string{"kubectl"}) {
				t.Errorf("built: %v", *built)
			}
		})
	}
}

func TestComplete_BuildFails_LeavesNothing(t *testing.T) {
	plane, _ := newPlane(t)
	plane.download = func(context.Context, string, string) error { return errors.New("the host is unreachable") }
	plane.build = func(_ context.Context, _, file string) error {
		return errors.Join(os.WriteFile(file, []byte("half"), 0o600), errBuild)
	}
	if err := plane.complete(t.Context(), []string{"kubectl"}); !errors.Is(err, errBuild) {
		t.Errorf("the error is %v", err)
	}
	wantFiles(t, plane.dir)
	wantFiles(t, filepath.Dir(plane.dir), filepath.Base(plane.dir))
}

func TestComplete_Interrupted_DoesNotBuild(t *testing.T) {
	plane, built := newPlane(t)
	ctx, cancel := context.WithCancel(t.Context())
	plane.download = func(context.Context, string, string) error { cancel(); return ctx.Err() }
	if err := plane.complete(ctx, []string{"kubectl"}); !errors.Is(err, context.Canceled) || len(*built) != 0 {
		t.Errorf("the error is %v, built: %v", err, *built)
	}
}

func TestCompletedFolder_GivenHoldsAll_IsTheGivenFolder(t *testing.T) {
	given, cached := t.TempDir(), filepath.Join(t.TempDir(), "cached")
	program(t, given, "etcd")
	if dir, err := completedFolder(given, cached, []string{"etcd"}); dir != given || err != nil {
		t.Errorf("the folder is %s, %v", dir, err)
	}
	wantFiles(t, filepath.Dir(cached))
}

func TestCompletedFolder_GivenLacksSome_LinksToTheOthers(t *testing.T) {
	given, cached := t.TempDir(), filepath.Join(t.TempDir(), "cached")
	program(t, given, "etcd")
	program(t, cached, "etcd")
	program(t, cached, "kubectl")
	names := []string{"etcd", "kube-apiserver", "kubectl"}
	var dir string
	for range 2 { // the second time, the links are there
		var err error
		if dir, err = completedFolder(given, cached, names); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(dir, cached+"-with-") {
		t.Errorf("the folder is %s", dir)
	}
	wantContent(t, filepath.Join(dir, "etcd"), given)
	wantContent(t, filepath.Join(dir, "kubectl"), cached)
	if missing := cache.Missing(dir, names); !slices.Equal(missing, []string{"kube-apiserver"}) {
		t.Errorf("missing: %v", missing)
	}
}

func TestNewControlPlane_VersionRequested_IgnoresKUBEBUILDER_ASSETS(t *testing.T) {
	root, err := cache.Root()
	if err != nil {
		t.Fatal(err)
	}
	given := t.TempDir()
	program(t, given, "etcd")
	t.Setenv("KUBEBUILDER_ASSETS", given)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for minor, want := range map[string]string{"": given, "1.32": "v1.32."} {
		plane, err := newControlPlane(root, minor, []string{"etcd"}, &bytes.Buffer{})
		if err != nil || !strings.Contains(plane.dir, want) {
			t.Errorf("version %q: %+v, %v, want %s", minor, plane, err, want)
		}
	}
	if _, err := newControlPlane(root, "", []string{"kube-proxy"}, &bytes.Buffer{}); err == nil {
		t.Error("kube-proxy was accepted")
	}
}

func TestLock_HolderIsDead_IsTakenOver(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{dead.Process.Pid, os.Getpid()} {
		path := lockOf(t, strconv.Itoa(pid)+"\n")
		unlock, err := lock(t.Context(), path, time.Hour, &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		wantContent(t, filepath.Join(path, "pid"), strconv.Itoa(os.Getpid()))
		unlock()
		wantFiles(t, filepath.Dir(path))
	}
}

func TestLock_HolderLives_WaitsUntilItReleases(t *testing.T) {
	path := lockOf(t, strconv.Itoa(os.Getppid()))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, path, time.Millisecond, &bytes.Buffer{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the error is %v", err)
	}
	wantFiles(t, filepath.Dir(path), "a.lock")
	release := &onWrite{f: func() { _ = os.RemoveAll(path) }} // the message says that it waits
	unlock, err := lock(t.Context(), path, time.Millisecond, release)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if want := "process " + strconv.Itoa(os.Getppid()); !strings.Contains(release.String(), want) {
		t.Errorf("the message is %q, want %q in it", release, want)
	}
}

type onWrite struct {
	bytes.Buffer
	f func()
}

func (w *onWrite) Write(b []byte) (int, error) {
	w.f()
	return w.Buffer.Write(b)
}

func lockOf(t *testing.T, pid string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.lock")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "pid"), []byte(pid), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// program writes an executable file that holds the name of its folder.
func program(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(dir), 0o755); err != nil {
		t.Fatal(err)
	}
}
