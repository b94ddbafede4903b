// SPDX-License-Identifier: Apache-2.0

// Package install installs the operator on a real control plane, with the Helm chart and
// with the manifests of a release. It checks that installation, upgrade, rollback and
// uninstallation keep the resources of tenants. There is no kubelet: the tests run the
// manager as a process with the Deployment's arguments and ServiceAccount.
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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

var (
	ctx = context.Background()

	root, chart   string              // paths of the repository and of its chart
	dryPlane      *controlplane.Plane // for dry runs, with all CRDs and without the operator
	dryClient     client.Client       // of dryPlane; like kubectl, it rejects unknown fields
	plane         *controlplane.Plane // for installations; each world removes its own
	home          string              // helm's home folder, which also keeps what dist has built
	managerBinary string
	helmBinary    string
)

func TestInstall(t *testing.T) {
	RegisterFailHandler(Fail)
	ctrl.SetLogger(GinkgoLogr) // for envtest and the client
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(200 * time.Millisecond)
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
	dryClient, err = client.New(dryPlane.Config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	dryClient = client.WithFieldValidation(dryClient, metav1.FieldValidationStrict)
	plane = startPlane(controlplane.Options{CRDs: []string{}, ControllerManager: true})
})

// run runs a program and returns its output.
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

// helm runs helm for a cluster. It passes values as stdin, for `--values -`.
func helm(kubeconfig, values string, args ...string) (string, error) {
	return run([]string{
		"KUBECONFIG=" + kubeconfig, "KUBECACHEDIR=" + home,
		"HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home,
	}, values, helmBinary, args...)
}

// template renders a release without a cluster. A duplicate key in a map is an error,
// because kustomize and Flux reject it.
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
