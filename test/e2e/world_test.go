// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const (
	operatorNamespace = "subaccount-operator-system"
	// The manager's flags. Their sum, the settle time, is longer than the time that Plivo is
	// cut off (cutOffTime) and than the delay of any late create call.
	plivoTimeout = 2 * time.Second
	settleMargin = 10 * time.Second
)

// world is what one spec owns: a control plane, a simulated Plivo, managers, the Account
// "default", and strangers: subaccounts that the operator must not change.
type world struct {
	plane     *controlplane.Plane
	k8s       client.Client
	plivo     *plivo
	strangers []plivosim.Subaccount
	recorder  *recorder
	rng       *rand.Rand
	dir       string // of logs and other evidence
	began     time.Time

	mu       sync.Mutex
	managers []*manager // including those that have ended

	kubeconfig string   // of the shipped ServiceAccount
	served     []string // --namespaces; nil means all
}

type manager struct {
	*process.Process
	metrics string // URL
	log     string // path
}

func (m *manager) isRunning() bool {
	select {
	case <-m.Exited():
		return false
	default:
		return true
	}
}

// newWorld creates a world with the given namespaces of tenants.
func newWorld(namespaces ...string) *world {
	// The title is part of the seed, so that the random choices do not depend on other specs.
	hash := fnv.New64()
	_, _ = hash.Write([]byte(CurrentSpecReport().LeafNodeText))
	w := &world{rng: rand.New(rand.NewPCG(seed, hash.Sum64())), began: time.Now()}
	var err error
	w.dir, err = os.MkdirTemp("", "subaccount-operator-e2e-")
	Expect(err).NotTo(HaveOccurred())
	w.plane, err = controlplane.Start(controlplane.Options{CRDs: []string{}, ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(w.plane.Stop()).To(Succeed()) })
	w.plivo = startPlivo(seed)
	DeferCleanup(func() { Expect(w.plivo.Stop(syscall.SIGTERM)).To(Succeed()) })

	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	config := rest.CopyConfig(w.plane.Config)
	config.QPS, config.Burst = 200, 400
	w.k8s, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	w.recorder = newRecorder(w)
	DeferCleanup(w.end)
	w.install(namespaces)
	w.createResources()
	return w
}

// install applies config/default, or with E2E_NAMESPACED config/namespaced, and creates
// the namespaces.
func (w *world) install(namespaces []string) {
	folder := "config/default"
	if os.Getenv("E2E_NAMESPACED") != "" {
		folder, w.served = "config/namespaced", namespaces
	}
	w.manifests("apply", "--server-side", "-k", folder)
	w.manifests("wait", "--for=condition=Established", "--timeout=3m", "crd", "--all")
	for _, name := range namespaces {
		w.namespace(name)
		if w.served != nil {
			w.manifests("apply", "-n", name, "-k", "config/tenant")
		}
	}
	var err error
	w.kubeconfig, err = w.plane.ServiceAccount(ctx, operatorNamespace, "subaccount-operator-manager")
	Expect(err).NotTo(HaveOccurred())
}

// manifests runs kubectl and resolves arguments that begin with config/ in the repository.
func (w *world) manifests(args ...string) {
	GinkgoHelper()
	root, err := controlplane.Root()
	Expect(err).NotTo(HaveOccurred())
	for i, arg := range args {
		if strings.HasPrefix(arg, "config/") {
			args[i] = filepath.Join(root, arg)
		}
	}
	_, err = w.plane.RunKubectl(ctx, "", args...)
	Expect(err).NotTo(HaveOccurred())
}

// createResources creates the strangers, the credentials and the Account.
func (w *world) createResources() {
	w.strangers = []plivosim.Subaccount{
		w.plivo.add("Made by hand", true),
		w.plivo.add("k8s-team", false),
		w.plivo.add("k8s-00000000-01234567-89ab-cdef-0123-456789abcdef", false), // the marker of another cluster
		w.plivo.add(w.marker("01234567-89ab-cdef-0123-456789abcdef")+"-mine", true),
	}
	Expect(w.k8s.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "plivo"},
		StringData: map[string]string{"auth_id": w.plivo.account, "auth_token": w.plivo.token},
	})).To(Succeed())
	Expect(w.k8s.Create(ctx, &v1alpha1.Account{
		ObjectMeta: metav1.ObjectMeta{Name: "default"},
		Spec: v1alpha1.AccountSpec{
			CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: "plivo"},
			NamespaceSelector:    &metav1.LabelSelector{},
			SweepInterval:        metav1.Duration{Duration: 10 * time.Second},
			RequestsPer5Seconds:  250,
		},
	})).To(Succeed())
}

// end stops the managers and searches their output for tokens. It keeps the evidence of a
// spec that failed.
func (w *world) end() {
	w.plivo.resume()
	if CurrentSpecReport().Failed() {
		w.writeEvidence()
	}
	w.recorder.stop()
	for _, m := range w.managers {
		if m.isRunning() {
			Expect(m.Stop(syscall.SIGTERM)).To(Succeed())
		}
	}
	w.recorder.expectNoTokens()
	if !CurrentSpecReport().Failed() {
		Expect(os.RemoveAll(w.dir)).To(Succeed())
	}
}

// startManager starts a manager. Other managers may run.
func (w *world) startManager(args ...string) *manager {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	metrics := listener.Addr().String()
	Expect(listener.Close()).To(Succeed())
	w.mu.Lock()
	defer w.mu.Unlock()
	m := &manager{
		metrics: "http://" + metrics + "/metrics",
		log:     filepath.Join(w.recorder.shown, fmt.Sprintf("manager-%d.log", len(w.managers)+1)),
	}
	log, err := os.Create(m.log)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = log.Close() }() // the manager has its own file descriptor
	m.Process, err = process.Start(log, []string{"KUBECONFIG=" + w.kubeconfig}, managerBinary, append([]string{
		"--plivo-base-url", w.plivo.URL, "--plivo-timeout", plivoTimeout.String(), "--plivo-settle-margin", settleMargin.String(), "--operator-namespace", operatorNamespace,
		"--health-probe-bind-address", "0", "--metrics-bind-address", metrics, "--metrics-secure=false",
		"--zap-log-level", "12", // the highest verbosity, which must not show tokens either
		"--namespaces", strings.Join(w.served, ","),
		"--leader-election-id", "subaccount-operator." + v1alpha1.Group, // the lease that the Role names
	}, args...)...)
	Expect(err).NotTo(HaveOccurred())
	w.managers = append(w.managers, m)
	return m
}

// logf writes a line with the time since the start of the spec.
func (w *world) logf(format string, args ...any) {
	GinkgoWriter.Printf("%6.1f s: %s\n", time.Since(w.began).Seconds(), fmt.Sprintf(format, args...))
}

func (w *world) namespace(name string) {
	Expect(w.k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
}

// marker returns the name of a subaccount of this cluster during its creation.
func (w *world) marker(owner types.UID) string {
	ns := &corev1.Namespace{}
	Expect(w.k8s.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, ns)).To(Succeed())
	return "k8s-" + string(ns.UID)[:8] + "-" + string(owner)
}

// remoteState is the desired state of a subaccount at Plivo.
type remoteState struct {
	name    string
	enabled bool
}

// wanted contains all Subaccounts that must exist at the end.
type wanted map[types.NamespacedName]remoteState

func (r remoteState) subaccount(key types.NamespacedName) *v1alpha1.Subaccount {
	return &v1alpha1.Subaccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Spec:       v1alpha1.SubaccountSpec{Name: ptr.To(r.name), Enabled: ptr.To(r.enabled)},
	}
}

// apply creates n Subaccounts in a namespace and adds them to all.
func (w *world) apply(all wanted, namespace, prefix string, n int) {
	for i := range n {
		key := types.NamespacedName{Namespace: namespace, Name: fmt.Sprintf("%s-%d", prefix, i)}
		all[key] = remoteState{name: key.String() + " v1", enabled: w.rng.IntN(2) == 0}
		Expect(w.k8s.Create(ctx, all[key].subaccount(key))).To(Succeed())
	}
}

// strangersExcept returns the strangers without the one that a Subaccount has adopted.
func (w *world) strangersExcept(adopted plivosim.Subaccount) []plivosim.Subaccount {
	return slices.DeleteFunc(w.strangers, func(s plivosim.Subaccount) bool { return s == adopted })
}
