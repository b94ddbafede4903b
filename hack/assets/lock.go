// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lock creates a folder that keeps other processes from the same work, and
// returns the function that removes it. It waits while another process holds
// the lock. Two waiters may both take over the lock of a dead process; then
// they do the work twice, and each renames complete files into place.
func lock(ctx context.Context, path string, poll time.Duration, log io.Writer) (func(), error) {
	own, err := os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(own) }() // there only if the rename failed
	if err := os.WriteFile(filepath.Join(own, "pid"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return nil, err
	}
	for reported := false; ; {
		err := os.Rename(own, path)
		if err == nil {
			return func() { _ = os.RemoveAll(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		holder, _ := os.ReadFile(filepath.Join(path, "pid"))
		pid := strings.TrimSpace(string(holder))
		if isDead(pid) {
			if err := os.RemoveAll(path); err != nil {
				return nil, err
			}
			continue
		}
		if !reported {
			reported = true
			say(log, "Waiting for process %s, which holds %s; if no such process runs, remove that folder", pid, path)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(poll):
		}
	}
}

// isDead reports whether no other process has this ID. A lock with the ID of
// this process is from before a restart or of another container.
func isDead(holder string) bool {
	pid, err := strconv.Atoi(holder)
	if err != nil {
		return false
	}
	if pid == os.Getpid() {
		return true
	}
	process, err := os.FindProcess(pid)
	return err == nil && errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
