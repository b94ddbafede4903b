// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

// controlPlane makes the binaries of one version of Kubernetes ready.
type controlPlane struct {
	dir             string
	download, build func(ctx context.Context, name, file string) error
	poll            time.Duration // of the lock
	log             io.Writer
}

// newControlPlane prefers the folder in KUBEBUILDER_ASSETS, unless the caller requests
// a version, because that folder may have any version.
func newControlPlane(root, minor string, names []string, log io.Writer) (*controlPlane, error) {
	for _, name := range names {
		if known := append(slices.Clone(cache.ControlPlane), cache.Kubelet); !slices.Contains(known, name) {
			return nil, fmt.Errorf("no binary of the control plane is named %q; the binaries are: %s", name, strings.Join(known, ", "))
		}
	}
	kubernetes, err := cache.PinnedKubernetes(root, minor)
	if err != nil {
		return nil, err
	}
	etcdModule := filepath.Join(root, "hack", "controlplane", "etcd")
	etcd, err := cache.PinnedVersion(etcdModule, "go.etcd.io/etcd/server/v3")
	if err != nil {
		return nil, err
	}
	dir, err := kubernetes.Dir()
	if err != nil {
		return nil, err
	}
	if given := os.Getenv("KUBEBUILDER_ASSETS"); given != "" && minor == "" {
		if dir, err = completedFolder(given, dir, names); err != nil {
			return nil, err
		}
	}
	published := &releases{
		fetcher: fetcher{
			client: &http.Client{}, connectLimit: 5 * time.Second, stallLimit: 15 * time.Second, reportEvery: 5 * time.Second,
			log: log, unreachable: map[string]error{},
		},
		kubernetesURL: "https://dl.k8s.io/release", kubernetesVersion: kubernetes.Version,
		etcdURL: "https://github.com/etcd-io/etcd/releases/download", etcdVersion: etcd,
		goos: runtime.GOOS, goarch: runtime.GOARCH,
	}
	return &controlPlane{
		dir: dir, download: published.download, poll: time.Second, log: log,
		build: func(ctx context.Context, name, file string) error {
			return controlPlaneBuild(name, kubernetes, etcdModule).run(ctx, file, log)
		},
	}, nil
}

// completedFolder is the given folder, if it holds all binaries. If not, it is
// one with links to those that the given folder or the cache holds.
func completedFolder(given, cached string, names []string) (string, error) {
	given, err := filepath.Abs(given)
	if err != nil || len(cache.Missing(given, names)) == 0 {
		return given, err
	}
	sum := sha256.Sum256([]byte(given))
	dir := fmt.Sprintf("%s-with-%x", cached, sum[:4])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range names {
		for _, source := range []string{filepath.Join(given, name), filepath.Join(cached, name)} {
			if cache.IsExecutable(source) {
				if err := link(source, filepath.Join(dir, name)); err != nil {
					return "", err
				}
				break
			}
		}
	}
	return dir, nil
}

func link(source, path string) error {
	if target, err := os.Readlink(path); err == nil && target == source {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(source, path)
}

// complete downloads or builds the binaries that are missing.
func (c *controlPlane) complete(ctx context.Context, names []string) error {
	if len(cache.Missing(c.dir, names)) == 0 {
		return nil
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, c.dir+".lock", c.poll, c.log)
	if err != nil {
		return err
	}
	defer unlock()
	for _, name := range cache.Missing(c.dir, names) {
		if err := makeFile(filepath.Join(c.dir, name), func(file string) error { return c.make(ctx, name, file) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *controlPlane) make(ctx context.Context, name, file string) error {
	say(c.log, "Downloading %s for %s", name, c.dir)
	started := time.Now()
	err := c.download(ctx, name, file)
	if err == nil {
		say(c.log, "  %s downloaded in %s", name, seconds(started))
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	say(c.log, "  %s: download failed: %v", name, err)
	return c.build(ctx, name, file)
}

// makeFile writes a file under a temporary name and renames it, so that no process
// reads a part of it.
func makeFile(path string, write func(file string) error) error {
	tmp, err := os.MkdirTemp(filepath.Dir(path), ".build.")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	file := filepath.Join(tmp, filepath.Base(path))
	if err := write(file); err != nil {
		return err
	}
	if err := os.Chmod(file, 0o755); err != nil {
		return err
	}
	return os.Rename(file, path)
}

var buildTimes = map[string]time.Duration{
	"etcd": 2 * time.Minute, "kubectl": 2 * time.Minute,
	"kube-apiserver": 15 * time.Minute, "kube-controller-manager": 6 * time.Minute, cache.Kubelet: 6 * time.Minute,
}

func controlPlaneBuild(name string, kubernetes cache.Kubernetes, etcdModule string) build {
	if name == "etcd" {
		return build{name: name, module: etcdModule, pkg: "go.etcd.io/etcd/server/v3", longest: buildTimes[name]}
	}
	major, minor, _ := strings.Cut(kubernetes.Minor(), ".")
	const version = "-X k8s.io/component-base/version."
	return build{
		name: name, module: kubernetes.Module, pkg: "k8s.io/kubernetes/cmd/" + name, longest: buildTimes[name],
		ldflags: version + "gitVersion=" + kubernetes.Version + " " + version + "gitMajor=" + major + " " + version + "gitMinor=" + minor,
	}
}
