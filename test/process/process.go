// Package process runs the project's programs as what they are to their users:
// processes, that tests start, freeze, end and kill.
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

// Version is the version that Program's programs have.
const Version = "v9.8.7"

// sources are the project's programs.
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

// Build builds one of the project's programs as the given path; flags are go
// build's.
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
	err  error // what it exited with, once done is closed
}

// Start runs a program; env is added to this process's environment, and out
// gets all that it prints. It does not outlive this process, however that ends:
// a test that times out stops nothing. (Where there is no setpriv, as outside
// Linux, it may.)
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

// PID is the process's ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal; one that has ended gets none.
func (p *Process) Signal(signal os.Signal) { _ = p.cmd.Process.Signal(signal) }

// Wait returns what the process exits with, once it has. It can be called more
// than once.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.done }

// Stop ends the process by a signal and returns what it exits with.
func (p *Process) Stop(signal os.Signal) error {
	p.Signal(signal)
	return p.Wait()
}

// Log keeps what processes print; several may write to it at once.
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

// String is what was printed so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
