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

// What Kill takes.
const (
	Etcd      = "etcd"
	APIServer = "kube-apiserver"
)

// Kill ends servers by kill -9, one after the other, and returns when they are
// gone. Stop and Revive take it from there.
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
		gone := func(context.Context) (bool, error) { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH), nil }
		if err := wait.PollUntilContextTimeout(context.Background(), 10*time.Millisecond, startTimeout, true, gone); err != nil {
			return fmt.Errorf("waiting for the end of %s: %w", name, err)
		}
		if err := os.Remove(p.pidFile(name)); err != nil {
			return err
		}
	}
	return nil
}

// Revive starts the servers that Kill ended, with the same ports, flags,
// certificates and data, and returns when they are ready.
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

// Backup copies etcd's data to dir, which must not exist yet. etcd is killed
// for that and revived, which takes it a second.
func (p *Plane) Backup(dir string) error {
	if err := p.Kill(Etcd); err != nil {
		return err
	}
	return errors.Join(os.CopyFS(dir, os.DirFS(p.etcdData())), p.Revive())
}

// Restore brings the cluster back to what it was when Backup wrote dir. Like
// the servers, kube-controller-manager is started anew, and so must everything
// else be that watches: resource versions begin again at an older one.
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
