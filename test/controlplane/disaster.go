// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// The servers that Kill can end.
const (
	Etcd      = "etcd"
	APIServer = "kube-apiserver"
)

// Kill ends servers by SIGKILL, one after the other, and waits for their end. Afterwards
// the caller can call Revive or Stop.
func (p *Plane) Kill(names ...string) error {
	for _, name := range names {
		content, err := os.ReadFile(p.pidFile(name))
		if err != nil {
			return fmt.Errorf("%s does not run: %w", name, err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("killing %s: %w", name, err)
		}
		isGone := func(context.Context) (bool, error) { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH), nil }
		if err := wait.PollUntilContextTimeout(context.Background(), 10*time.Millisecond, startTimeout, true, isGone); err != nil {
			return fmt.Errorf("waiting for the end of %s: %w", name, err)
		}
		if err := os.Remove(p.pidFile(name)); err != nil {
			return err
		}
	}
	return nil
}

// Revive starts the servers that Kill has ended, with the same ports, flags, certificates
// and data. It returns when they are ready.
func (p *Plane) Revive() error {
	servers := p.Env.ControlPlane
	for _, server := range []struct {
		name  string
		start func() error
	}{{Etcd, servers.Etcd.Start}, {APIServer, servers.APIServer.Start}} {
		if _, err := os.Stat(p.pidFile(server.name)); err == nil {
			continue
		}
		if err := server.start(); err != nil {
			return errors.Join(fmt.Errorf("reviving %s: %w", server.name, err), p.lastOutput())
		}
	}
	return nil
}

// Backup copies etcd's data to dir, which must not exist. It kills and revives etcd, which
// takes one second.
func (p *Plane) Backup(dir string) error {
	if err := p.Kill(Etcd); err != nil {
		return err
	}
	return errors.Join(os.CopyFS(dir, os.DirFS(p.etcdData())), p.Revive())
}

// Restore restores etcd's data from a backup. It restarts the servers and
// kube-controller-manager. The caller must restart all other clients that watch, because
// resource versions continue from the older one.
func (p *Plane) Restore(dir string) error {
	if p.stopManager != nil {
		if err := p.stopManager(); err != nil {
			return err
		}
		p.stopManager = nil
	}
	if err := errors.Join(p.Kill(APIServer, Etcd), os.RemoveAll(p.etcdData())); err != nil {
		return err
	}
	if err := errors.Join(os.CopyFS(p.etcdData(), os.DirFS(dir)), p.Revive()); err != nil {
		return err
	}
	if p.startManager == nil {
		return nil
	}
	return p.startManager()
}

func (p *Plane) etcdData() string { return filepath.Join(p.dir, "etcd") }
