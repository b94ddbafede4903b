// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// world is what one spec owns: a main account at Plivo, and an Account, a
// credentials Secret and a namespace of the same name.
type world struct {
	name, main, token string
}

var worlds int

func newWorld(change ...func(*v1alpha1.Account)) *world {
	worlds++
	w := &world{name: fmt.Sprintf("world-%d", worlds)}
	w.main, w.token = sim.AddAccount()
	w.namespace(w.name)
	w.credentials(w.main, w.token)
	a := &v1alpha1.Account{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec: v1alpha1.AccountSpec{
			CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: w.name},
			NamespaceSelector:    &metav1.LabelSelector{},
			SweepInterval:        metav1.Duration{Duration: 10e9},
		},
	}
	for _, c := range change {
		c(a)
	}
	Expect(k8s.Create(ctx, a)).To(Succeed())
	DeferCleanup(func() {
		sim.ClearFaults()
		// Without credentials the operator stops working for this world, and the next spec finds it idle.
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: w.name}}
		Expect(client.IgnoreNotFound(k8s.Delete(ctx, secret))).To(Succeed())
	})
	return w
}

// eventReasons returns the reasons of a Subaccount's events, sorted and without duplicates.
func eventReasons(s *v1alpha1.Subaccount) func() []string {
	return func() []string {
		var all corev1.EventList
		Expect(k8s.List(ctx, &all, client.InNamespace(s.Namespace))).To(Succeed())
		var reasons []string
		for _, e := range all.Items {
			if e.InvolvedObject.UID == s.UID {
				reasons = append(reasons, e.Reason)
			}
		}
		slices.Sort(reasons)
		return slices.Compact(reasons)
	}
}

func (w *world) namespace(name string) {
	Expect(k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
}

// credentials writes a main account's credentials to the Account's Secret.
func (w *world) credentials(id, token string) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: w.name}}
	err := k8s.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	secret.StringData = map[string]string{"auth_id": id, "auth_token": token}
	if apierrors.IsNotFound(err) {
		Expect(k8s.Create(ctx, secret)).To(Succeed())
		return
	}
	Expect(err).NotTo(HaveOccurred())
	Expect(k8s.Update(ctx, secret)).To(Succeed())
}

// newSubaccount returns an enabled Subaccount that is not created yet.
func (w *world) newSubaccount(name string) *v1alpha1.Subaccount {
	return &v1alpha1.Subaccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name},
		Spec: v1alpha1.SubaccountSpec{
			Name: ptr.To("Name of " + name), Enabled: ptr.To(true),
			AccountRef: v1alpha1.AccountReference{Name: w.name},
		},
	}
}

// apply creates a Subaccount in the world's namespace.
func (w *world) apply(name string, change ...func(*v1alpha1.Subaccount)) *v1alpha1.Subaccount {
	s := w.newSubaccount(name)
	for _, c := range change {
		c(s)
	}
	Expect(k8s.Create(ctx, s)).To(Succeed())
	return s
}

func adopting(authID string) func(*v1alpha1.Subaccount) {
	return func(s *v1alpha1.Subaccount) {
		s.Spec.AuthID, s.Spec.Name, s.Spec.Enabled = &authID, nil, nil
		s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	}
}

func granting(namespace string, authIDs ...string) func(*v1alpha1.Account) {
	return func(a *v1alpha1.Account) {
		a.Spec.Adoption = append(a.Spec.Adoption, v1alpha1.AdoptionGrant{Namespace: namespace, AuthIDs: authIDs})
	}
}

// edit changes an object and retries on a conflict.
func edit[T client.Object](obj T, change func(T)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		change(obj)
		return k8s.Update(ctx, obj)
	}).Should(Succeed())
}

// readyState returns the status and reason of Ready, such as "True/Ready", once the
// condition is of the current generation.
func readyState(obj client.Object) func() string {
	return func() string {
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err.Error()
		}
		var conditions []metav1.Condition
		var observed int64
		switch o := obj.(type) {
		case *v1alpha1.Subaccount:
			conditions, observed = o.Status.Conditions, o.Status.ObservedGeneration
		case *v1alpha1.Account:
			conditions, observed = o.Status.Conditions, o.Status.ObservedGeneration
		}
		c := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
		if c != nil && c.Reason == v1alpha1.ReasonSuspended {
			// While suspended, the operator does not apply the spec and keeps
			// status.observedGeneration. The condition has the current generation.
			observed = meta.FindStatusCondition(conditions, v1alpha1.ConditionReconciling).ObservedGeneration
		}
		if c == nil || observed != obj.GetGeneration() {
			return "not reconciled"
		}
		return string(c.Status) + "/" + c.Reason
	}
}

func expectReady(all ...*v1alpha1.Subaccount) {
	GinkgoHelper()
	for _, s := range all {
		Eventually(readyState(s)).Should(Equal("True/Ready"), s.Name)
	}
}

// expectExact compares a Subaccount, its subaccount at Plivo and its Secret.
func (w *world) expectExact(s *v1alpha1.Subaccount) plivosim.Subaccount {
	GinkgoHelper()
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
	remote, ok := sim.Subaccount(w.main, s.Status.AuthID)
	Expect(ok).To(BeTrue(), "the subaccount exists at Plivo")
	if s.Spec.Name != nil {
		Expect(remote.Name).To(Equal(*s.Spec.Name))
		Expect(remote.Enabled).To(Equal(ptr.Deref(s.Spec.Enabled, false)))
	}
	Expect(s.Status.AccountID).To(Equal(w.main))
	Expect(s.Status.PendingCreation).To(BeNil())
	Expect(s.Status.Name).To(HaveValue(Equal(remote.Name)))
	Expect(s.Status.Enabled).To(HaveValue(Equal(remote.Enabled)))
	Expect(s.Status.Binding).To(HaveValue(Equal(v1alpha1.SecretBinding{Name: plan.SecretName(s)})))
	secret := w.secret(s)
	Expect(secret.Type).To(Equal(corev1.SecretTypeOpaque))
	Expect(secret.Labels).To(HaveKeyWithValue(v1alpha1.ManagedByLabel, v1alpha1.ManagedByValue))
	Expect(metav1.IsControlledBy(secret, s)).To(BeTrue())
	Expect(secret.Data).To(Equal(map[string][]byte{
		s.Spec.Secret.Keys.AuthID:    []byte(remote.AuthID),
		s.Spec.Secret.Keys.AuthToken: []byte(remote.AuthToken),
	}))
	return remote
}

func (w *world) secret(s *v1alpha1.Subaccount) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(k8s.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: plan.SecretName(s)}, secret)).To(Succeed())
	return secret
}

func isGone(obj client.Object) func() bool {
	return func() bool { return apierrors.IsNotFound(k8s.Get(ctx, client.ObjectKeyFromObject(obj), obj)) }
}

// calls counts the main account's requests of one operation.
func (w *world) calls(op plivosim.Op) int {
	n := 0
	for _, c := range sim.Calls() {
		if c.Account == w.main && c.Op == op {
			n++
		}
	}
	return n
}

// maxInFlight is the highest number of simultaneous calls of the main account.
func (w *world) maxInFlight() int {
	most := 0
	for _, c := range sim.Calls() {
		if c.Account == w.main {
			most = max(most, c.InFlight)
		}
	}
	return most
}

// names returns the names of the main account's subaccounts, sorted.
func (w *world) names() []string {
	var names []string
	for _, s := range sim.Subaccounts(w.main) {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// countMarkers counts the subaccounts that have a marker as their name.
func (w *world) countMarkers() int {
	return len(slices.DeleteFunc(w.names(), func(n string) bool { return !strings.HasPrefix(n, "k8s-") }))
}

// sweep requests n sweeps, one after the other. After each it waits until the
// manager has finished the reconciliations that the sweep caused.
func (w *world) sweep(n int) {
	GinkgoHelper()
	a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	for range n {
		requests++
		at := fmt.Sprint(requests)
		Expect(k8s.Patch(ctx, a, client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
			`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ReconcileRequestedAtAnnotation, at)))).To(Succeed())
		Eventually(func() string {
			Expect(k8s.Get(ctx, client.ObjectKeyFromObject(a), a)).To(Succeed())
			return a.Status.LastHandledReconcileAt
		}).Should(Equal(at))
		Eventually(checkIdle).Should(Succeed())
	}
}

var requests int // of sweeps, so that each has its own annotation value

// awaitLists waits until the operator has sent n more list calls on its own schedule.
func (w *world) awaitLists(n int) {
	GinkgoHelper()
	before := w.calls(plivosim.OpList)
	Eventually(func() int { return w.calls(plivosim.OpList) - before }).Should(BeNumerically(">=", n))
}

func clusterUID() string {
	ns := &corev1.Namespace{}
	Expect(k8s.Get(ctx, types.NamespacedName{Name: "kube-system"}, ns)).To(Succeed())
	return string(ns.UID)
}
