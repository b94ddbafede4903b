// Package install installs the operator as its users do, by the Helm chart and
// by the manifests of a release, on a real control plane, and looks at what
// that, an upgrade, a rollback and an uninstall do to tenants. There is no
// kubelet: the manager runs as a process with what the Deployment would give it.
package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

var (
	ctx = context.Background()

	root, chart   string              // of the repository
	dryPlane      *controlplane.Plane // for dry runs, with all CRDs and nothing installed
	home          string              // of helm
	managerBinary string
	helmBinary    string
)

func TestInstall(t *testing.T) {
	RegisterFailHandler(Fail)
	ctrl.SetLogger(GinkgoLogr) // envtest's and the client's
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	RunSpecs(t, "Install")
}

var _ = BeforeSuite(func() {
	var err error
	root, err = controlplane.Root()
	Expect(err).NotTo(HaveOccurred())
	chart = filepath.Join(root, "charts", "subaccount-operator")
	home = GinkgoT().TempDir()
	managerBinary, err = process.Program("manager", GinkgoT().TempDir())
	Expect(err).NotTo(HaveOccurred())
	helmBinary, err = controlplane.Tool("helm")
	Expect(err).NotTo(HaveOccurred())
	dryPlane = startPlane(controlplane.Options{CRDs: []string{filepath.Join(root, "config", "crd", "bases"), "testdata"}})
})

// run runs a program of the machine and returns what it prints.
func run(env []string, stdin, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = root, append(os.Environ(), env...), strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// helm runs helm against a cluster; values come from stdin, for `-f -`.
func helm(kubeconfig, values string, args ...string) (string, error) {
	return run([]string{
		"KUBECONFIG=" + kubeconfig, "KUBECACHEDIR=" + home,
		"HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home,
	}, values, helmBinary, args...)
}

// template is what a release consists of, rendered without a cluster. A key that
// a map has twice is an error, as it is for kustomize and Flux.
func template(release, namespace, values string) (string, error) {
	text, err := helm(os.DevNull, values, "template", release, chart, "--namespace", namespace, "--values", "-")
	for _, object := range strings.Split(text, "\n---\n") {
		var fields map[string]any
		err = errors.Join(err, yaml.UnmarshalStrict([]byte(object), &fields))
	}
	return text, err
}

func startPlane(options controlplane.Options) *controlplane.Plane {
	GinkgoHelper()
	plane, err := controlplane.Start(options)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })
	return plane
}
