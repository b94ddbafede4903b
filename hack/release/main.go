// SPDX-License-Identifier: Apache-2.0

// Command release packs the files of a release: archives of the kubectl plugin for
// each platform, its krew manifest, and the checksums of all files in the folder. The
// same input gives the same bytes.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

const (
	program   = "kubectl-plivo"
	checksums = "checksums.txt"
)

func main() {
	version := flag.String("version", "", "the release's `version`, v1.2.3")
	binaries := flag.String("binaries", "", "`folder` with one folder for each platform: linux_amd64, windows_arm64")
	dist := flag.String("dist", "dist", "`folder` to write to")
	flag.Parse()
	if err := run(*version, *binaries, *dist); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(version, binaries, dist string) error {
	platforms, err := os.ReadDir(binaries)
	if err != nil {
		return err
	}
	var archives []archive
	for _, platform := range platforms {
		goos, arch, _ := strings.Cut(platform.Name(), "_")
		a := archive{OS: goos, Arch: arch, Name: fmt.Sprintf("%s_%s_%s.tar.gz", program, version, platform.Name()), Program: program}
		pack := tarball
		if goos == "windows" {
			a.Name, a.Program, pack = strings.Replace(a.Name, ".tar.gz", ".zip", 1), program+".exe", zipped
		}
		files, err := read(filepath.Join(binaries, platform.Name()), "LICENSE")
		if err != nil {
			return err
		}
		content, err := pack(files)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dist, a.Name), content, 0o644); err != nil {
			return err
		}
		a.Sum = fmt.Sprintf("%x", sha256.Sum256(content))
		archives = append(archives, a)
	}
	if err := krew(version, archives, filepath.Join(dist, "plivo.yaml")); err != nil {
		return err
	}
	return sumUp(dist)
}

// archive is an archive with the plugin for one platform.
type archive struct{ OS, Arch, Name, Program, Sum string }

// file is a file of an archive.
type file struct {
	name    string
	content []byte
	mode    os.FileMode
}

// read reads the program in a folder, and other files.
func read(folder string, others ...string) ([]file, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []file
	add := func(path string, mode os.FileMode) error {
		content, err := os.ReadFile(path)
		files = append(files, file{filepath.Base(path), content, mode})
		return err
	}
	for _, e := range entries {
		if err := add(filepath.Join(folder, e.Name()), 0o755); err != nil {
			return nil, err
		}
	}
	for _, path := range others {
		if err := add(path, 0o644); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func tarball(files []file) ([]byte, error) {
	var b bytes.Buffer
	compressed := gzip.NewWriter(&b)
	w := tar.NewWriter(compressed)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: int64(f.mode), Size: int64(len(f.content))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	err := compressed.Close()
	return b.Bytes(), err
}

func zipped(files []file) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		header.SetMode(f.mode)
		entry, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// krew renders krew.yaml, the template in this folder.
func krew(version string, archives []archive, path string) error {
	t, err := template.ParseFiles("hack/release/krew.yaml")
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := t.Execute(&b, struct {
		Version  string
		Archives []archive
	}{version, archives}); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// sumUp writes the checksums of all the files in a folder, as sha256sum does. It omits the
// checksums themselves and their signature, checksums.txt.sigstore.json.
func sumUp(dist string) error {
	entries, err := os.ReadDir(dist)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), checksums) || e.IsDir() {
			continue
		}
		sum, err := sha256sum(filepath.Join(dist, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, e.Name())
	}
	return os.WriteFile(filepath.Join(dist, checksums), []byte(b.String()), 0o644)
}

func sha256sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}
