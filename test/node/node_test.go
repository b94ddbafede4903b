// SPDX-License-Identifier: Apache-2.0

//go:build node

// Package node runs the released chart and image on a real node: containerd, runc and a
// kubelet on this machine, without a registry. A simulator on the same machine is Plivo.
package node

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	certutil "k8s.io/client-go/util/cert"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

const (
	operatorNamespace = "subaccount-operator-system"
	tenantNamespace   = "team-a"
	deployment        = "subaccount-operator-controller-manager"
)

// world is a cluster with one node, and a simulated Plivo.
type world struct {
	*node
	*WithT
	k8s       client.Client
	sim       *plivosim.Server
	main, url string
	helmPath  string
}

func TestNode_ReleasedChart_ServesTenantThroughUpdateAndCrash(t *testing.T) {
	skipUnlessPossible(t)
	w := newWorld(t)

	t.Log("installing the chart; helm waits for the operator's Pod")
	w.mustHelm("upgrade", "--install", "--create-namespace", "--set", "extraEnv[1].value="+hostIP)
	w.kubectl(tenant, "apply", "--filename", "-")
	w.expectTenantServed()
	first := w.operatorPod()

	t.Log("updating to Pods that cannot reach the API server: they never become ready, and the old Pod stays")
	out, err := w.helm("upgrade", "--timeout=40s", "--set", "extraEnv[1].value=10.243.7.254")
	w.Expect(err).To(HaveOccurred(), out)
	w.Expect(w.operatorPods()).To(HaveLen(2))
	w.Expect(w.operatorPod().UID).To(Equal(first.UID), "the old Pod is the only ready one")
	w.expectChangeServed()

	t.Log("updating to Pods that become ready: they replace the old Pod")
	w.mustHelm("upgrade", "--set", "extraEnv[1].value="+hostIP, "--set", "podAnnotations.changed=yes")
	w.Eventually(w.operatorPods).WithTimeout(2 * time.Minute).Should(HaveLen(1))
	second := w.operatorPod()
	w.Expect(second.UID).NotTo(Equal(first.UID))
	w.expectChangeServed()

	t.Log("crashing the node: the same Pods start again")
	w.crash()
	w.startContainerd()
	w.startKubelet()
	w.Eventually(func() int32 {
		if pods := w.operatorPods(); len(pods) == 1 && pods[0].UID == second.UID && isReady(&pods[0]) {
			return pods[0].Status.ContainerStatuses[0].RestartCount
		}
		return 0
	}).WithTimeout(5 * time.Minute).Should(BeNumerically(">=", 1))
	w.expectChangeServed()
	w.expectTenantServed()
	w.Expect(w.sim.Subaccounts(w.main)).To(HaveLen(1))
	w.Expect(w.calls(plivosim.OpCreate)).To(Equal(1))

	t.Log("removing the tenant and the operator")
	w.kubectl("", "delete", "namespace", tenantNamespace, "--timeout=3m")
	w.Expect(w.sim.Subaccounts(w.main)).To(BeEmpty())
	w.kubectl("", "delete", "namespace", operatorNamespace, "--timeout=3m")
}

// newWorld starts the node, the control plane on an address that Pods can reach, and the
// simulator, with the credentials of a main account.
func newWorld(t *testing.T) *world {
	t.Helper()
	ctrl.SetLogger(logr.Discard()) // for envtest
	w := &world{WithT: NewWithT(t), node: startNode(t)}
	var err error
	w.plane, err = controlplane.Start(controlplane.Options{
		CRDs: []string{}, ControllerManager: true, PodAddress: hostIP,
		Controllers: []string{
			"deployment-controller", "replicaset-controller", "root-ca-certificate-publisher-controller", "clusterrole-aggregation-controller",
		},
	})
	w.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = w.plane.Stop() })
	scheme := runtime.NewScheme()
	w.Expect(errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))).To(Succeed())
	w.k8s, err = client.New(w.plane.Config, client.Options{Scheme: scheme})
	w.Expect(err).NotTo(HaveOccurred())
	w.helmPath, err = controlplane.Tool("helm")
	w.Expect(err).NotTo(HaveOccurred())
	ca := w.startSimulator()
	w.startKubelet()
	w.expectReady(w.k8s)
	go w.schedule(t.Context(), w.k8s)

	var token string
	w.main, token = w.sim.AddAccount()
	for namespace, data := range map[string]map[string]string{
		operatorNamespace: {"auth_id": w.main, "auth_token": token}, tenantNamespace: nil,
	} {
		w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		w.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "plivo-ca"}, Data: map[string]string{"ca.crt": ca, "url": w.url}})
		if data != nil {
			w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "plivo-main"}, StringData: data})
		}
	}
	return w
}

// startSimulator serves Plivo with TLS, because the operator sends credentials only over
// TLS or to its own machine. It returns the certificate.
func (w *world) startSimulator() (ca string) {
	w.t.Helper()
	cert, key, err := certutil.GenerateSelfSignedCertKey(hostIP, []net.IP{net.ParseIP(hostIP)}, nil)
	w.Expect(err).NotTo(HaveOccurred())
	pair, err := tls.X509KeyPair(cert, key)
	w.Expect(err).NotTo(HaveOccurred())
	w.sim = plivosim.New(plivosim.Options{RateLimit: 300})
	server := httptest.NewUnstartedServer(w.sim)
	_ = server.Listener.Close()
	server.Listener, err = (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", hostIP+":0")
	w.Expect(err).NotTo(HaveOccurred())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	w.t.Cleanup(server.CloseClientConnections)
	w.url = server.URL
	return string(cert)
}

func (w *world) create(object client.Object) {
	w.t.Helper()
	w.Expect(w.k8s.Create(w.t.Context(), object)).To(Succeed())
}

// helm installs or upgrades the chart and waits. There is no kube-proxy: the Pods reach the
// API server at its own address, not at that of its Service.
func (w *world) helm(args ...string) (string, error) {
	root, err := controlplane.Root()
	w.Expect(err).NotTo(HaveOccurred())
	_, port, err := net.SplitHostPort(strings.TrimPrefix(w.plane.Config.Host, "https://"))
	w.Expect(err).NotTo(HaveOccurred())
	values := strings.NewReplacer("<url>", w.url, "<port>", port).Replace(values)
	args = append([]string{args[0], "subaccount-operator", filepath.Join(root, "charts", "subaccount-operator"),
		"--namespace", operatorNamespace, "--wait", "--values", "-"}, args[1:]...)
	cmd := exec.CommandContext(w.t.Context(), w.helmPath, args...)
	cmd.Stdin = strings.NewReader(values)
	cmd.Env = append(w.plane.KubectlEnv(), "HELM_CACHE_HOME="+w.dir, "HELM_CONFIG_HOME="+w.dir, "HELM_DATA_HOME="+w.dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w *world) mustHelm(args ...string) {
	w.t.Helper()
	out, err := w.helm(args...)
	w.Expect(err).NotTo(HaveOccurred(), out)
}

func (w *world) kubectl(stdin string, args ...string) {
	w.t.Helper()
	_, err := w.plane.RunKubectl(w.t.Context(), stdin, args...)
	w.Expect(err).NotTo(HaveOccurred())
}

func (w *world) operatorPods() []corev1.Pod {
	pods := &corev1.PodList{}
	w.Expect(w.k8s.List(w.t.Context(), pods, client.InNamespace(operatorNamespace))).To(Succeed())
	return pods.Items
}

// operatorPod returns the operator's only ready Pod.
func (w *world) operatorPod() *corev1.Pod {
	w.t.Helper()
	var ready []corev1.Pod
	for _, p := range w.operatorPods() {
		if isReady(&p) {
			ready = append(ready, p)
		}
	}
	w.Expect(ready).To(HaveLen(1))
	return &ready[0]
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// expectTenantServed waits until the tenant's Pod is ready: Plivo knows its credentials.
func (w *world) expectTenantServed() {
	w.t.Helper()
	w.kubectl("", "wait", "--namespace", tenantNamespace, "--for=condition=Available", "--timeout=3m", "deployment/app")
}

// expectChangeServed changes the Subaccount and waits until Plivo has the change.
func (w *world) expectChangeServed() {
	w.t.Helper()
	s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: tenantNamespace, Name: "plivo"}}
	w.Expect(w.k8s.Get(w.t.Context(), client.ObjectKeyFromObject(s), s)).To(Succeed())
	before := s.DeepCopy()
	changed := *s.Spec.Name + " changed"
	s.Spec.Name = &changed
	w.Expect(w.k8s.Patch(w.t.Context(), s, client.MergeFrom(before))).To(Succeed())
	w.Eventually(func() string { return w.sim.Subaccounts(w.main)[0].Name }).WithTimeout(2 * time.Minute).Should(Equal(changed))
}

func (w *world) calls(op plivosim.Op) (n int) {
	for _, c := range w.sim.Calls() {
		if c.Op == op {
			n++
		}
	}
	return n
}
