// SPDX-License-Identifier: Apache-2.0

// Package controlplane starts a control plane on this machine for the tests and the demo:
// etcd, kube-apiserver and, optionally, kube-controller-manager. It needs no containers,
// and there is no kubelet.
package controlplane

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

// startTimeout is the limit for the start of each program. All of them together need 4 s
// on an idle machine.
const startTimeout = 3 * time.Minute

// Options of a control plane; the zero value serves most tests.
type Options struct {
	// CRDs are files and folders of CustomResourceDefinitions to install. Nil
	// means the repository's config/crd/bases; empty means none.
	CRDs []string
	// ControllerManager also runs kube-controller-manager. Without it there is no garbage
	// collection, and terminating namespaces stay forever.
	ControllerManager bool
	// Controllers are additional controllers, by their names in kube-controller-manager's
	// --controllers. The controllers of namespaces, garbage collection and service
	// accounts always run.
	Controllers []string
	// Log gets the programs' output. It must support concurrent writes, as *os.File does.
	// If nil, only the error of a failed start contains the output.
	Log io.Writer
	// AuditUser is the user whose requests the API server logs to Plane.AuditLog, without
	// bodies.
	AuditUser string
	// Dir is the folder in which the plane creates its own folder. If omitted, it defaults
	// to os.TempDir().
	Dir string
	// PodAddress is an address of this machine that Pods of a real node can reach. The API
	// server listens there, and gives Pods the tokens of their ServiceAccounts. If omitted,
	// the API server listens on a loopback address.
	PodAddress string
}

// Plane is a running control plane.
type Plane struct {
	// Config is the administrator's client configuration.
	Config *rest.Config
	// Kubeconfig is the path of a kubeconfig file with the administrator's
	// credentials.
	Kubeconfig string
	// Kubectl is the path of a kubectl of the control plane's version.
	Kubectl string
	// Assets is the folder with the control plane's programs.
	Assets string
	// AuditLog is the path of the API server's log of the requests of Options.AuditUser.
	AuditLog string
	// Env is the underlying environment, for methods such as AddUser.
	Env *envtest.Environment

	dir          string
	log          io.Writer
	logFile      *os.File // nil if Options.Log is set
	startManager func() error
	stopManager  func() error // nil if kube-controller-manager does not run
	stop         func() error
}

// Start starts a control plane that contains only the CRDs. It returns an error if
// `make ready` has not downloaded or built the programs yet.
func Start(opts Options) (_ *Plane, err error) {
	need := []string{"etcd", "kube-apiserver", "kubectl"}
	if opts.ControllerManager {
		need = append(need, "kube-controller-manager")
	}
	assets, err := Assets(need...)
	if err != nil {
		return nil, err
	}
	if opts.CRDs == nil {
		root, err := Root()
		if err != nil {
			return nil, err
		}
		opts.CRDs = []string{filepath.Join(root, "config", "crd", "bases")}
	}

	dir, err := os.MkdirTemp(opts.Dir, "controlplane-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	p := &Plane{
		Kubeconfig: filepath.Join(dir, "kubeconfig"),
		Kubectl:    filepath.Join(assets, "kubectl"),
		Assets:     assets,
		dir:        dir,
	}
	p.stop = sync.OnceValue(p.stopAll)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	if p.log = opts.Log; p.log == nil {
		if p.logFile, err = os.Create(filepath.Join(dir, "log")); err != nil {
			return nil, err
		}
		p.log = p.logFile
	}
	if err := p.startServers(opts); err != nil {
		return nil, err
	}
	if opts.ControllerManager {
		p.startManager = func() error { return p.startControllerManager(opts.Controllers) }
		if err := p.startManager(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Stop ends all programs and removes all files of the plane. A second Stop does nothing.
func (p *Plane) Stop() error { return p.stop() }

func (p *Plane) stopAll() error {
	var errs []error
	if p.stopManager != nil {
		errs = append(errs, p.stopManager())
	}
	if p.Env != nil {
		err := p.Env.Stop()
		if errors.Is(err, syscall.ESRCH) || errors.Is(err, os.ErrProcessDone) {
			err = nil // Kill has ended the server before
		}
		errs = append(errs, err)
	}
	if p.logFile != nil {
		errs = append(errs, p.logFile.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}

// Main is the body of a TestMain whose tests share one plane. It starts the plane, calls
// set with it, runs the tests, stops the plane and returns the exit code.
func Main(m *testing.M, opts Options, set func(*Plane)) (code int) {
	plane, err := Start(opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the control plane:", err)
		return 1
	}
	defer func() {
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the control plane:", err)
			code = 1
		}
	}()
	set(plane)
	return m.Run()
}

// Root returns the folder of the go.mod file of the working directory.
func Root() (string, error) { return cache.Root() }

// startServers starts etcd and kube-apiserver and installs the CRDs.
func (p *Plane) startServers(opts Options) error {
	p.Env = &envtest.Environment{
		// Without this, the environment variable USE_EXISTING_CLUSTER could direct tests to a real cluster.
		UseExistingCluster:       new(false),
		CRDDirectoryPaths:        opts.CRDs,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: startTimeout,
	}
	plane := &p.Env.ControlPlane
	plane.KubectlPath = p.Kubectl
	plane.Etcd = &envtest.Etcd{DataDir: p.etcdData(), Out: p.log, Err: p.log}
	server := plane.GetAPIServer()
	server.CertDir, server.Out, server.Err = filepath.Join(p.dir, "apiserver"), p.log, p.log
	// No test uses the kubernetes Service, so it needs no endpoints.
	server.Configure().Set("endpoint-reconciler-type", "none")
	// Reduces the time that a stop waits for watches from 60 s to 2 s.
	server.Configure().Set("shutdown-send-retry-after", "true")
	// Costs a fifth of the CPU time of a start, and no test overloads the API server.
	server.Configure().Set("enable-priority-and-fairness", "false")
	plane.Etcd.Configure().Set("unsafe-no-fsync", "true")
	// Many clusters enable it. A client that sets an owner reference which blocks a deletion
	// needs a right on the owner's finalizers.
	server.Configure().Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	if opts.PodAddress != "" {
		port, err := FreePort()
		if err != nil {
			return err
		}
		server.SecureServing.Address, server.SecureServing.Port = opts.PodAddress, port
		server.Configure().Disable("disable-admission-plugins") // envtest disables ServiceAccount
	}
	if opts.AuditUser != "" {
		if err := p.audit(server, opts.AuditUser); err != nil {
			return err
		}
	}
	for _, dir := range []string{plane.Etcd.DataDir, server.CertDir} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	var err error
	if plane.Etcd.Path, err = p.program("etcd"); err != nil {
		return err
	}
	if server.Path, err = p.program("kube-apiserver"); err != nil {
		return err
	}
	if p.Config, err = p.Env.Start(); err != nil {
		if p.Env.Config == nil { // otherwise the API server has started and rejected the CRDs
			return errors.Join(err, p.lastOutput())
		}
		return err
	}
	return os.WriteFile(p.Kubeconfig, p.Env.KubeConfig, 0o600)
}

// program writes a script that runs a program and returns its path. The script is needed
// because envtest does not configure how it starts programs. The script stores the
// program's process ID for Kill. With setpriv, the program ends with this process, even if
// a test times out and stops nothing. Without setpriv, as outside Linux, it may not.
//
// envtest searches the output of --help for two flags: one that startServers sets, and one
// that no supported version has. So the script prints nothing, which is right and saves the
// time of two starts.
func (p *Plane) program(name string) (string, error) {
	command := fmt.Sprintf("'%s'", filepath.Join(p.Assets, name))
	if setpriv, err := exec.LookPath("setpriv"); err == nil {
		command = fmt.Sprintf("'%s' --pdeathsig KILL -- %s", setpriv, command)
	}
	wrapper := filepath.Join(p.dir, name+".sh")
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = --help ]; then exit; fi\necho $$ > '%s'\nexec %s \"$@\"\n", p.pidFile(name), command)
	return wrapper, os.WriteFile(wrapper, []byte(script), 0o700)
}

func (p *Plane) pidFile(name string) string { return filepath.Join(p.dir, name+".pid") }

// lastOutput returns the end of the programs' output as an error, which explains a failed
// start.
func (p *Plane) lastOutput() error {
	if p.logFile == nil {
		return nil
	}
	content, err := os.ReadFile(p.logFile.Name())
	if err != nil {
		return err
	}
	const enough = 4000
	return fmt.Errorf("last output of the programs:\n%s", content[max(0, len(content)-enough):])
}
