// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// releases downloads the published binaries of a control plane.
type releases struct {
	fetcher
	kubernetesURL, etcdURL         string
	kubernetesVersion, etcdVersion string
	goos, goarch                   string
}

// download writes the binary of that name to a file.
func (r *releases) download(ctx context.Context, name, file string) error {
	if name == "etcd" {
		return r.downloadEtcd(ctx, file)
	}
	url := strings.Join([]string{r.kubernetesURL, r.kubernetesVersion, "bin", r.goos, r.goarch, name}, "/")
	sum, err := r.fetchText(ctx, url+".sha256")
	if err != nil {
		return err
	}
	return r.fetchFile(ctx, url, file, strings.TrimSpace(sum))
}

func (r *releases) downloadEtcd(ctx context.Context, file string) error {
	folder := "etcd-" + r.etcdVersion + "-" + r.goos + "-" + r.goarch
	archive, extract := folder+".tar.gz", fromTarball
	if r.goos == "darwin" {
		archive, extract = folder+".zip", fromZip
	}
	base := r.etcdURL + "/" + r.etcdVersion + "/"
	sums, err := r.fetchText(ctx, base+"SHA256SUMS")
	if err != nil {
		return err
	}
	sum, err := sumOf(sums, archive)
	if err != nil {
		return err
	}
	packed := file + ".archive"
	defer func() { _ = os.Remove(packed) }()
	if err := r.fetchFile(ctx, base+archive, packed, sum); err != nil {
		return err
	}
	return extract(packed, folder+"/etcd", file)
}

// sumOf finds a file's checksum in the output of sha256sum.
func sumOf(sums, name string) (string, error) {
	for line := range strings.Lines(sums) {
		if fields := strings.Fields(line); len(fields) == 2 && strings.TrimPrefix(fields[1], "*") == name {
			return fields[0], nil
		}
	}
	return "", fmt.Errorf("SHA256SUMS has no checksum of %s", name)
}

func (r *releases) fetchText(ctx context.Context, url string) (string, error) {
	var text strings.Builder
	err := r.fetch(ctx, url, &text)
	return text.String(), err
}

// fetchFile downloads a file, and removes it again if it does not have the
// published checksum.
func (r *releases) fetchFile(ctx context.Context, url, file, published string) error {
	if sum, err := hex.DecodeString(published); err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("the server has no SHA-256 checksum of %s: it responds %.80q", path.Base(url), published)
	}
	hash := sha256.New()
	err := writeFile(file, func(w io.Writer) error { return r.fetch(ctx, url, io.MultiWriter(w, hash)) })
	if err != nil {
		return err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != published {
		return errors.Join(
			fmt.Errorf("wrong checksum of %s: the download has SHA-256 %s, the published one is %s", path.Base(url), sum, published),
			os.Remove(file))
	}
	return nil
}

// writeFile creates a file, and removes it again if write fails.
func writeFile(file string, write func(io.Writer) error) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

func fromTarball(archive, member, file string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	for r := tar.NewReader(unpacked); ; {
		header, err := r.Next()
		if err != nil {
			return fmt.Errorf("%s in %s: %w", member, filepath.Base(archive), err)
		}
		if header.Name == member {
			return writeFile(file, func(w io.Writer) error { return copyAll(w, r) })
		}
	}
}

func fromZip(archive, member, file string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	defer func() { _ = r.Close() }()
	f, err := r.Open(member)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	defer func() { _ = f.Close() }()
	return writeFile(file, func(w io.Writer) error { return copyAll(w, f) })
}

func copyAll(w io.Writer, r io.Reader) error {
	_, err := io.Copy(w, r)
	return err
}
