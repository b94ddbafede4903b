// Package controlplane starts a control plane on this machine, without containers
// and without a kubelet, for the tests and the demo: etcd, kube-apiserver and,
// when asked for, kube-controller-manager.
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

// startTimeout is what each program may take: far more than the 4 s that all
// of them need on a machine with nothing else to do.
const startTimeout = 60 * time.Second

// Options of a control plane; the zero value serves most tests.
type Options struct {
	// CRDs are files and folders of CustomResourceDefinitions to install. Nil
	// means the repository's config/crd/bases; empty means none.
	CRDs []string
	// ControllerManager runs kube-controller-manager too: without it no garbage
	// is collected and no terminating namespace ever goes.
	ControllerManager bool
	// Controllers that it runs beside those of namespaces, garbage collection
	// and service accounts, by their names in kube-controller-manager's
	// --controllers.
	Controllers []string
	// Log gets what the programs print; several write at once, as an *os.File
	// allows. Nil means that only a start that fails tells it.
	Log io.Writer
	// AuditUser is somebody whose requests are written to Plane.AuditLog, as
	// metadata.
	AuditUser string
	// Dir is where the plane makes its own folder; default: os.TempDir().
	Dir string
}

// Plane is a running control plane.
type Plane struct {
	// Config is the administrator's.
	Config *rest.Config
	// Kubeconfig is the path of a kubeconfig file with the administrator's
	// credentials.
	Kubeconfig string
	// Kubectl is the path of a kubectl of the control plane's version.
	Kubectl string
	// Assets is the folder that the programs come from.
	Assets string
	// AuditLog is the path of the API server's log of what Options.AuditUser did.
	AuditLog string
	// Env is what runs underneath, for AddUser and the like.
	Env *envtest.Environment

	dir          string
	log          io.Writer
	logFile      *os.File // nil when Options.Log is given
	startManager func() error
	stopManager  func() error // nil: it does not run
	stop         func() error
}

// Start starts a control plane of its own, with nothing in it but the CRDs. It
// fails if `make ready` has not yet downloaded or built the programs.
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

// Stop ends all programs and removes everything that the plane wrote. A second
// Stop does nothing.
func (p *Plane) Stop() error { return p.stop() }

func (p *Plane) stopAll() error {
	var errs []error
	if p.stopManager != nil {
		errs = append(errs, p.stopManager())
	}
	if p.Env != nil {
		err := p.Env.Stop()
		if errors.Is(err, syscall.ESRCH) || errors.Is(err, os.ErrProcessDone) {
			err = nil // a server that Kill ended a moment ago
		}
		errs = append(errs, err)
	}
	if p.logFile != nil {
		errs = append(errs, p.logFile.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}

// Main is the body of a TestMain whose tests share one plane: it starts it,
// hands it to set, runs the tests, stops it and returns the exit code.
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

// Root is the folder of the go.mod that the working directory belongs to.
func Root() (string, error) { return cache.Root() }

// startServers starts etcd and kube-apiserver, with the CRDs served.
func (p *Plane) startServers(opts Options) error {
	p.Env = &envtest.Environment{
		// Without this a variable in the environment could send tests to a real cluster.
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
	// There is nothing behind the kubernetes Service here that would want endpoints.
	server.Configure().Set("endpoint-reconciler-type", "none")
	// Makes a stop wait 2 s for clients that still watch, and not 60.
	server.Configure().Set("shutdown-send-retry-after", "true")
	plane.Etcd.Configure().Set("unsafe-no-fsync", "true")
	// Many clusters have it: who sets an owner reference that blocks a deletion
	// needs a right on the owner's finalizers.
	server.Configure().Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
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
		if p.Env.Config == nil { // else it is the CRDs that were refused
			return errors.Join(err, p.lastOutput())
		}
		return err
	}
	return os.WriteFile(p.Kubeconfig, p.Env.KubeConfig, 0o600)
}

// program is the path of a wrapper to run a program by: envtest leaves no say
// in how it starts its programs. The wrapper writes down the program's process
// ID, for Kill, and sees to it that the program does not outlive this process
// however that ends: a test that times out stops nothing. (Where there is no
// setpriv, as outside Linux, it may.)
func (p *Plane) program(name string) (string, error) {
	command := fmt.Sprintf("'%s'", filepath.Join(p.Assets, name))
	if setpriv, err := exec.LookPath("setpriv"); err == nil {
		command = fmt.Sprintf("'%s' --pdeathsig KILL -- %s", setpriv, command)
	}
	wrapper := filepath.Join(p.dir, name+".sh")
	script := fmt.Sprintf("#!/bin/sh\necho $$ > '%s'\nexec %s \"$@\"\n", p.pidFile(name), command)
	return wrapper, os.WriteFile(wrapper, []byte(script), 0o700)
}

func (p *Plane) pidFile(name string) string { return filepath.Join(p.dir, name+".pid") }

// lastOutput is the end of what the programs printed, for who has to find out
// why one did not start.
func (p *Plane) lastOutput() error {
	if p.logFile == nil {
		return nil
	}
	content, err := os.ReadFile(p.logFile.Name())
	if err != nil {
		return err
	}
	const enough = 4000
	return fmt.Errorf("the programs' last words:\n%s", content[max(0, len(content)-enough):])
}
