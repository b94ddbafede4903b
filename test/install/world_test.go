// SPDX-License-Identifier: Apache-2.0

package install

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

// quick are arguments that the tests add: short waits, and free ports, because all managers
// run on this machine.
var quick = []string{"--plivo-timeout=2s", "--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0"}

// clusterKinds are the kinds of the cluster-wide objects of an installation.
const clusterKinds = "crd,clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding"

// world is a cluster without the operator, a simulated Plivo, and namespaces of tenants.
// The specs run in sequence on one plane; each leaves it as it was.
type world struct {
	k8s     client.Client
	sim     *plivosim.Server
	simURL  string
	tenants []string
}

func newWorld(tenants ...string) *world {
	GinkgoHelper()
	w := &world{tenants: tenants, sim: plivosim.New(plivosim.Options{RateLimit: 300})}
	server := httptest.NewServer(w.sim)
	DeferCleanup(server.CloseClientConnections)
	w.simURL = server.URL
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		Expect(add(scheme)).To(Succeed())
	}
	var err error
	w.k8s, err = client.New(plane.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	Expect(w.leftovers()).To(BeEmpty())
	DeferCleanup(w.remove)
	for _, name := range tenants {
		w.kubectl("", "create", "namespace", name)
	}
	return w
}

// remove deletes all that a spec has installed.
func (w *world) remove() {
	GinkgoHelper()
	// Nothing else removes the finalizers, because the managers have ended.
	for _, kind := range []client.ObjectList{&v1alpha1.SubaccountList{}, &v1alpha1.AccountList{}} {
		err := w.k8s.List(ctx, kind)
		if isNotFound(err) {
			continue // a spec has deleted the CRDs
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(meta.EachListItem(kind, func(o runtime.Object) error {
			return client.IgnoreNotFound(w.k8s.Patch(ctx, o.(client.Object), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
		})).To(Succeed())
	}
	w.kubectl("", "delete", clusterKinds, "-l", "app.kubernetes.io/name=subaccount-operator")
	var all corev1.NamespaceList
	Expect(w.k8s.List(ctx, &all)).To(Succeed())
	remove := []string{"delete", "namespace", "--ignore-not-found"}
	for _, n := range all.Items {
		if n.Name != metav1.NamespaceDefault && !strings.HasPrefix(n.Name, "kube-") {
			remove = append(remove, n.Name)
		}
	}
	w.kubectl("", remove...)
}

// kubectl runs kubectl as the administrator and fails the spec on an error.
func (w *world) kubectl(stdin string, args ...string) string {
	GinkgoHelper()
	out, err := plane.RunKubectl(ctx, stdin, args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

func (w *world) helm(values string, args ...string) string {
	GinkgoHelper()
	out, err := helm(plane.Kubeconfig, values, args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// credentials creates a main account at Plivo and a Secret with its credentials.
func (w *world) credentials(namespace, name string) *corev1.Secret {
	GinkgoHelper()
	mainID, token := w.sim.AddAccount()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		StringData: map[string]string{"auth_id": mainID, "auth_token": token},
	}
	Expect(w.k8s.Create(ctx, secret.DeepCopy())).To(Succeed())
	return secret
}

// apply creates a Subaccount of an Account in the namespace of each tenant.
func (w *world) apply(name, account string, tenants ...string) {
	GinkgoHelper()
	for _, tenant := range tenants {
		Expect(w.k8s.Create(ctx, &v1alpha1.Subaccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name},
			Spec: v1alpha1.SubaccountSpec{
				Name: ptr.To(tenant + " " + name), Enabled: ptr.To(true), AccountRef: v1alpha1.AccountReference{Name: account},
			},
		})).To(Succeed())
	}
}

// expectReady waits until all Subaccounts are Ready in their current generation.
func (w *world) expectReady() {
	GinkgoHelper()
	for _, s := range w.subaccounts() {
		Eventually(func(g Gomega) {
			g.Expect(w.k8s.Get(ctx, client.ObjectKeyFromObject(&s), &s)).To(Succeed())
			ready := meta.FindStatusCondition(s.Status.Conditions, "Ready")
			g.Expect(ready).NotTo(BeNil())
			g.Expect(ready.Status).To(Equal(metav1.ConditionTrue), ready.Message)
			g.Expect(s.Status.ObservedGeneration).To(Equal(s.Generation))
		}).Should(Succeed(), s.Namespace+"/"+s.Name)
	}
}

// expectServed changes every Subaccount and checks that the operator applies it at Plivo.
func (w *world) expectServed() {
	GinkgoHelper()
	for _, s := range w.subaccounts() {
		was := s.DeepCopy()
		s.Spec.Enabled = ptr.To(!*s.Spec.Enabled)
		Expect(w.k8s.Patch(ctx, &s, client.MergeFrom(was))).To(Succeed())
	}
	w.expectReady()
	for _, s := range w.subaccounts() {
		remote, ok := w.sim.Subaccount(s.Status.AccountID, s.Status.AuthID)
		Expect(ok).To(BeTrue())
		Expect(remote.Enabled).To(Equal(*s.Spec.Enabled))
	}
}

// expectTerminating waits until all Subaccounts have a deletion timestamp. They stay until
// a manager removes their finalizers.
func (w *world) expectTerminating() {
	GinkgoHelper()
	for _, s := range w.subaccounts() {
		Eventually(func(g Gomega) {
			g.Expect(w.k8s.Get(ctx, client.ObjectKeyFromObject(&s), &s)).To(Succeed())
			g.Expect(s.DeletionTimestamp).NotTo(BeNil())
		}).Should(Succeed(), s.Namespace+"/"+s.Name)
	}
}

func (w *world) subaccounts() []v1alpha1.Subaccount {
	GinkgoHelper()
	var all v1alpha1.SubaccountList
	Expect(w.k8s.List(ctx, &all)).To(Succeed())
	Expect(all.Items).NotTo(BeEmpty())
	return all.Items
}

// kept returns what no installation, upgrade or uninstallation may change: the UIDs of the
// CRDs, Accounts and Subaccounts, the tenants' Secrets, and the subaccounts at Plivo.
func (w *world) kept() map[string]string {
	GinkgoHelper()
	all := map[string]string{}
	keep := func(o client.Object, kind, what string) {
		Expect(o.GetDeletionTimestamp()).To(BeNil())
		all[kind+" "+o.GetNamespace()+"/"+o.GetName()] = what
	}
	var crds apiextensionsv1.CustomResourceDefinitionList
	var accounts v1alpha1.AccountList
	Expect(w.k8s.List(ctx, &crds)).To(Succeed())
	Expect(w.k8s.List(ctx, &accounts)).To(Succeed())
	for i := range crds.Items {
		keep(&crds.Items[i], "CRD", string(crds.Items[i].UID))
	}
	for i := range accounts.Items {
		keep(&accounts.Items[i], "Account", string(accounts.Items[i].UID))
	}
	subaccounts := w.subaccounts()
	for i := range subaccounts {
		keep(&subaccounts[i], "Subaccount", string(subaccounts[i].UID)+" "+subaccounts[i].Status.AuthID)
	}
	for _, tenant := range w.tenants {
		var secrets corev1.SecretList
		Expect(w.k8s.List(ctx, &secrets, client.InNamespace(tenant))).To(Succeed())
		for i := range secrets.Items {
			keep(&secrets.Items[i], "Secret", fmt.Sprint(secrets.Items[i].UID, secrets.Items[i].Data))
		}
	}
	for _, account := range w.accountIDs() {
		for _, s := range w.sim.Subaccounts(account) {
			all["at Plivo "+s.AuthID] = s.AuthToken
		}
	}
	return all
}

func (w *world) accountIDs() []string {
	ids := map[string]bool{}
	for _, s := range w.subaccounts() {
		ids[s.Status.AccountID] = true
	}
	var all []string
	for id := range ids {
		all = append(all, id)
	}
	return all
}

// sent counts the calls of one operation.
func (w *world) sent(op plivosim.Op) int {
	n := 0
	for _, c := range w.sim.Calls() {
		if c.Op == op {
			n++
		}
	}
	return n
}

// manager is a running manager.
type manager struct {
	*process.Process
	log *process.Log
}

// start runs the container of a Deployment as a process with its ServiceAccount, as a
// kubelet would.
func (w *world) start(namespace, deployment string, more ...string) *manager {
	GinkgoHelper()
	return w.startProgram(managerBinary, namespace, deployment, more...)
}

func (w *world) startProgram(binary, namespace, deployment string, more ...string) *manager {
	GinkgoHelper()
	d := &appsv1.Deployment{}
	Expect(w.k8s.Get(ctx, client.ObjectKey{Namespace: namespace, Name: deployment}, d)).To(Succeed())
	pod := d.Spec.Template.Spec
	kubeconfig, err := plane.ServiceAccount(ctx, namespace, pod.ServiceAccountName)
	Expect(err).NotTo(HaveOccurred())
	env := []string{"KUBECONFIG=" + kubeconfig}
	for _, e := range pod.Containers[0].Env {
		if e.ValueFrom != nil {
			Expect(e.ValueFrom.FieldRef.FieldPath).To(Equal("metadata.namespace"))
			e.Value = namespace
		}
		env = append(env, e.Name+"="+e.Value)
	}
	m := &manager{log: &process.Log{}}
	m.Process, err = process.Start(m.log, env, binary, slices.Concat(pod.Containers[0].Args, quick, more)...)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		_ = m.Stop(syscall.SIGKILL)
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Println(m.log)
		}
	})
	return m
}

// end stops the manager as a kubelet does, and checks that the API server denied no request.
func (m *manager) end() {
	GinkgoHelper()
	Expect(m.Stop(syscall.SIGTERM)).To(Succeed())
	Expect(strings.Contains(m.log.String(), "is forbidden")).To(BeFalse(), m.log.String())
}

// isNotFound returns whether an error means that an object or its kind does not exist.
func isNotFound(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }
