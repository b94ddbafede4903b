// SPDX-License-Identifier: Apache-2.0

// Package plugin runs the plugin, and kubectl with the plugin on its PATH, between a real
// API server and the simulated Plivo.
package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const operatorNamespace = "subaccount-operator-system"

var (
	plane  *controlplane.Plane
	k8s    client.Client
	sim    *plivosim.Server
	simURL string
	agents = &userAgents{}
	path   string // a folder with kubectl and the plugin
	binary string // the manager
)

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{}, func(p *controlplane.Plane) {
		plane = p
		if err := prepare(); err != nil {
			panic(err)
		}
	}))
}

func prepare() (err error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if k8s, err = client.New(plane.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if err := createNamespace(operatorNamespace); err != nil {
		return err
	}
	sim = plivosim.New(plivosim.Options{RateLimit: 300})
	simURL = httptest.NewServer(agents.record(sim)).URL

	// The plane removes its folder at the end, and this one with it.
	path = filepath.Join(filepath.Dir(plane.Kubeconfig), "path")
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	if _, err := process.Program("kubectl-plivo", path); err != nil {
		return err
	}
	if binary, err = process.Program("manager", path); err != nil {
		return err
	}
	return os.Symlink(plane.Kubectl, filepath.Join(path, "kubectl"))
}

func createNamespace(name string) error {
	return k8s.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// world is what one test owns: a main account at Plivo, and an Account and a namespace of
// the same name.
type world struct {
	t                 *testing.T
	name, main, token string
	env               []string
}

func newWorld(t *testing.T, name string) *world {
	t.Helper()
	g := NewWithT(t)
	w := &world{t: t, name: name, env: []string{
		"KUBECONFIG=" + plane.Kubeconfig, "PATH=" + path + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + t.TempDir(),
	}}
	w.main, w.token = sim.AddAccount()
	t.Cleanup(sim.ClearFaults)
	g.Expect(createNamespace(name)).To(Succeed())
	g.Expect(k8s.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name},
		StringData: map[string]string{"auth_id": w.main, "auth_token": w.token},
	})).To(Succeed())
	g.Expect(k8s.Create(t.Context(), &v1alpha1.Account{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"served": name}},
		Spec: v1alpha1.AccountSpec{
			CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: name},
			NamespaceSelector:    &metav1.LabelSelector{},
		},
	})).To(Succeed())
	return w
}

// result contains the output and the exit code of a command.
type result struct {
	Out, Err string
	Code     int
}

func (w *world) run(program string, args ...string) result {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "env", append([]string{program}, args...)...) // env searches the program on w.env's PATH
	cmd.Env, cmd.Dir = w.env, w.t.TempDir()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exited *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exited) {
		w.t.Fatal(err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// plivo runs the plugin, as kubectl plivo does. Commands that call Plivo get the flags for
// the simulator.
func (w *world) plivo(args ...string) result {
	w.t.Helper()
	command := args[:1:1]
	if slices.Contains([]string{"list", "export", "check"}, args[0]) {
		command = append(command, "--account", w.name, "--plivo-base-url", simURL)
	}
	return w.run("kubectl-plivo", append(command, args[1:]...)...)
}

// mustRun runs kubectl plivo and returns its output. The test fails if the command does.
func (w *world) mustRun(args ...string) string {
	w.t.Helper()
	got := w.plivo(args...)
	if got.Code != 0 {
		w.t.Fatalf("kubectl plivo %s: got exit code %d, want 0: %s", strings.Join(args, " "), got.Code, got.Err)
	}
	return got.Out
}

// add creates subaccounts at Plivo.
func (w *world) add(names ...string) []plivosim.Subaccount {
	var all []plivosim.Subaccount
	for i, name := range names {
		all = append(all, sim.Add(w.main, name, i%2 == 0))
	}
	return all
}

// apply creates a Subaccount with the status that change sets.
func (w *world) apply(name string, change func(*v1alpha1.Subaccount)) *v1alpha1.Subaccount {
	w.t.Helper()
	g := NewWithT(w.t)
	s := &v1alpha1.Subaccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name},
		Spec:       v1alpha1.SubaccountSpec{Name: &name, AccountRef: v1alpha1.AccountReference{Name: w.name}},
	}
	change(s)
	status := s.Status
	g.Expect(k8s.Create(w.t.Context(), s)).To(Succeed())
	s.Status = status
	g.Expect(k8s.Status().Update(w.t.Context(), s)).To(Succeed())
	return s
}

// writes counts the requests that change subaccounts.
func (w *world) writes() (n int) {
	for _, c := range sim.Calls() {
		if c.Account == w.main && c.Op != plivosim.OpList && c.Op != plivosim.OpGet {
			n++
		}
	}
	return n
}

// listOffsets returns the offsets of the list requests.
func (w *world) listOffsets() (offsets []int) {
	for _, c := range sim.Calls() {
		if c.Account == w.main && c.Op == plivosim.OpList {
			offsets = append(offsets, c.Offset)
		}
	}
	return offsets
}

// haveFailed matches a command with this exit code and error output, and no other output.
func haveFailed(code int, words string) OmegaMatcher {
	return And(HaveField("Out", ""), HaveField("Code", code), HaveField("Err", ContainSubstring(words)))
}

func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("Team %04d", i))
	}
	return names
}
