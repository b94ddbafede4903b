// SPDX-License-Identifier: Apache-2.0

// Package process runs the project's programs as processes that tests can start, freeze,
// stop and kill.
package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

// Version is the version of the programs that Program returns.
const Version = "v9.8.7"

// sources are the main packages of the project's programs.
var sources = map[string]string{"manager": "./cmd", "plivo-sim": "./cmd/plivo-sim", "kubectl-plivo": "./cmd/kubectl-plivo"}

// Program puts one of the project's programs into a folder and returns its path.
// `make test` builds them once, before the first test, into the folder that
// TEST_PROGRAMS names. If that is not set, Program builds it.
func Program(name, dir string) (string, error) {
	path := filepath.Join(dir, name)
	if built := os.Getenv("TEST_PROGRAMS"); built != "" {
		return path, os.Symlink(filepath.Join(built, name), path)
	}
	return path, Build(name, path, "-ldflags=-X github.com/subaccount-operator/subaccount-operator/internal/version.version="+Version)
}

// Build builds one of the project's programs at the given path, with flags for go build.
func Build(name, path string, flags ...string) error {
	root, err := controlplane.Root()
	if err != nil {
		return err
	}
	build := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), sources[name])...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", build, err, out)
	}
	return nil
}

// Process is a running program.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // exit error, valid after done is closed
}

// Start runs a program. It adds env to this process's environment and writes the program's
// output to out. With setpriv, the program ends with this process, even if a test times
// out and stops nothing. Without setpriv, as outside Linux, it may not.
func Start(out io.Writer, env []string, program string, args ...string) (*Process, error) {
	if setpriv, err := exec.LookPath("setpriv"); err == nil {
		program, args = setpriv, append([]string{"--pdeathsig", "KILL", "--", program}, args...)
	}
	p := &Process{cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// PID returns the process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal. It does nothing if the process has ended.
func (p *Process) Signal(signal os.Signal) { _ = p.cmd.Process.Signal(signal) }

// Wait waits for the end of the process and returns its exit error. Callers can call it
// more than once.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Exited returns a channel that is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.done }

// Stop sends a signal, waits for the end of the process and returns its exit error.
func (p *Process) Stop(signal os.Signal) error {
	p.Signal(signal)
	return p.Wait()
}

// Log stores the output of processes. Several processes may write to it at once.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns the output so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
