// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const binary = "a published binary"

func sum(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

// newReleases serves files by their paths; files with no content answer 404.
func newReleases(t *testing.T, files map[string]string) *releases {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		content, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, content)
	})
	return releasesOf(t, mux)
}

func releasesOf(t *testing.T, handler http.Handler) *releases {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &releases{
		fetcher: fetcher{
			client: server.Client(), connectLimit: 10 * time.Second, stallLimit: 10 * time.Second, reportEvery: time.Nanosecond,
			log: &bytes.Buffer{}, unreachable: map[string]error{},
		},
		kubernetesURL: server.URL + "/release", kubernetesVersion: "v1.37.2",
		etcdURL: server.URL + "/etcd", etcdVersion: "v3.7.3", goos: "linux", goarch: "amd64",
	}
}

func TestDownload_Kubectl_WritesItAndReportsProgress(t *testing.T) {
	r := newReleases(t, map[string]string{
		"/release/v1.37.2/bin/linux/amd64/kubectl":        binary,
		"/release/v1.37.2/bin/linux/amd64/kubectl.sha256": sum(binary) + "\n",
	})
	file := filepath.Join(t.TempDir(), "kubectl")
	if err := r.download(t.Context(), "kubectl", file); err != nil {
		t.Fatal(err)
	}
	wantContent(t, file, binary)
	if log := fmt.Sprint(r.log); !strings.Contains(log, "kubectl: 100% of") {
		t.Errorf("the log has no progress: %s", log)
	}
}

func TestDownload_Etcd_ExtractsItFromTheArchive(t *testing.T) {
	for goos, archive := range map[string]struct{ name, content string }{
		"linux":  {"etcd-v3.7.3-linux-amd64.tar.gz", tarball(t, "etcd-v3.7.3-linux-amd64/etcd", binary)},
		"darwin": {"etcd-v3.7.3-darwin-amd64.zip", zipArchive(t, "etcd-v3.7.3-darwin-amd64/etcd", binary)},
	} {
		t.Run(goos, func(t *testing.T) {
			r := newReleases(t, map[string]string{
				"/etcd/v3.7.3/SHA256SUMS":      sum("other") + "  other.tar.gz\n" + sum(archive.content) + "  " + archive.name + "\n",
				"/etcd/v3.7.3/" + archive.name: archive.content,
			})
			r.goos = goos
			dir := t.TempDir()
			if err := r.download(t.Context(), "etcd", filepath.Join(dir, "etcd")); err != nil {
				t.Fatal(err)
			}
			wantContent(t, filepath.Join(dir, "etcd"), binary)
			wantFiles(t, dir, "etcd")
		})
	}
}

func TestDownload_BadArchiveOfEtcd_FailsAndLeavesNothing(t *testing.T) {
	const archive = "etcd-v3.7.3-linux-amd64.tar.gz"
	other := tarball(t, "etcd-v3.7.3-linux-amd64/etcdctl", binary)
	for name, files := range map[string]map[string]string{
		"no etcd in it":    {"/etcd/v3.7.3/SHA256SUMS": sum(other) + "  " + archive, "/etcd/v3.7.3/" + archive: other},
		"no archive":       {"/etcd/v3.7.3/SHA256SUMS": sum(binary) + "  " + archive, "/etcd/v3.7.3/" + archive: binary},
		"no checksum":      {"/etcd/v3.7.3/SHA256SUMS": sum(other) + "  other.tar.gz", "/etcd/v3.7.3/" + archive: other},
		"another checksum": {"/etcd/v3.7.3/SHA256SUMS": sum(binary) + "  " + archive, "/etcd/v3.7.3/" + archive: other},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := newReleases(t, files).download(t.Context(), "etcd", filepath.Join(dir, "etcd")); err == nil {
				t.Error("it did not fail")
			}
			wantFiles(t, dir)
		})
	}
}

func TestDownload_WrongChecksum_NamesFileAndBothChecksums(t *testing.T) {
	r := newReleases(t, map[string]string{
		"/release/v1.37.2/bin/linux/amd64/kubectl":        "something else",
		"/release/v1.37.2/bin/linux/amd64/kubectl.sha256": sum(binary),
	})
	dir := t.TempDir()
	err := r.download(t.Context(), "kubectl", filepath.Join(dir, "kubectl"))
	for _, want := range []string{"wrong checksum of kubectl", sum(binary), sum("something else")} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q in it", err, want)
		}
	}
	wantFiles(t, dir)
}

func TestDownload_ChecksumIsAWebPage_Fails(t *testing.T) {
	r := newReleases(t, map[string]string{"/release/v1.37.2/bin/linux/amd64/kubectl.sha256": "<html>Log in to the proxy"})
	dir := t.TempDir()
	if err := r.download(t.Context(), "kubectl", filepath.Join(dir, "kubectl")); err == nil || !strings.Contains(err.Error(), "no SHA-256 checksum") {
		t.Errorf("the error is %v", err)
	}
	wantFiles(t, dir)
}

func TestDownload_NotFound_FailsAndLeavesNothing(t *testing.T) {
	r := newReleases(t, map[string]string{"/release/v1.37.2/bin/linux/amd64/kubectl.sha256": sum(binary)})
	dir := t.TempDir()
	if err := r.download(t.Context(), "kubectl", filepath.Join(dir, "kubectl")); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("the error is %v, want a 404", err)
	}
	wantFiles(t, dir)
}

func TestDownload_Stall_FailsAndLeavesNothing(t *testing.T) {
	r := stallingReleases(t)
	dir := t.TempDir()
	if err := r.download(t.Context(), "kubectl", filepath.Join(dir, "kubectl")); err == nil || !strings.Contains(err.Error(), "stalled") {
		t.Errorf("the error is %v, want a stall", err)
	}
	wantFiles(t, dir)
	if len(r.unreachable) != 0 {
		t.Errorf("unreachable hosts: %v", r.unreachable)
	}
}

// stallingReleases serves checksums, and the first bytes of each binary.
func stallingReleases(t *testing.T) *releases {
	t.Helper()
	ended := make(chan struct{})
	r := releasesOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			_, _ = io.WriteString(w, sum(binary))
			return
		}
		_, _ = io.WriteString(w, binary[:3])
		w.(http.Flusher).Flush()
		<-ended
	}))
	t.Cleanup(func() { close(ended) }) // before the server closes
	r.stallLimit = 50 * time.Millisecond
	return r
}

func TestDownload_HostDoesNotRespond_IsTriedOnce(t *testing.T) {
	ended, requests := make(chan struct{}), make(chan string, 10)
	r := releasesOf(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests <- r.URL.Path
		<-ended
	}))
	t.Cleanup(func() { close(ended) })
	r.connectLimit = 50 * time.Millisecond
	for _, name := range []string{"kube-apiserver", "kubectl", "etcd"} {
		err := r.download(t.Context(), name, filepath.Join(t.TempDir(), name))
		if err == nil || !strings.Contains(err.Error(), "is unreachable: no response within 50ms") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if len(requests) != 1 {
		t.Errorf("there were %d requests, want 1", len(requests))
	}
}

func TestDownload_ConnectionRefused_IsTriedOnce(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	r := releasesOf(t, http.NotFoundHandler())
	r.kubernetesURL = server.URL
	server.Close()
	first := r.download(t.Context(), "kubectl", filepath.Join(t.TempDir(), "kubectl"))
	second := r.download(t.Context(), "kube-apiserver", filepath.Join(t.TempDir(), "kube-apiserver"))
	if first == nil || first != second { //nolint:errorlint // the very same error is what shows that nothing was tried
		t.Errorf("the errors are %v and %v, want the same", first, second)
	}
}

func wantContent(t *testing.T, file, want string) {
	t.Helper()
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v, want %q", file, got, err, want)
	}
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
}

func tarball(t *testing.T, name, content string) string {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	for _, f := range []struct{ name, content string }{{"README.md", "first"}, {name, content}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.content)), Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zipArchive(t *testing.T, name, content string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
