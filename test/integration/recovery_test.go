// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"net/http"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// These specs cover the classes of bugs that the studies Sieve and Acto found in
// operators, and the ones that Cluster API's own tests check.
var _ = Describe("A Subaccount", func() {
	It("ends in the same state on every path of spec edits", func() {
		w := newWorld()
		path := []func(*v1alpha1.SubaccountSpec){
			func(spec *v1alpha1.SubaccountSpec) {
				spec.Name, spec.Enabled, spec.CascadePolicy = ptr.To("A"), nil, v1alpha1.CascadePolicyDelete
				spec.Secret = v1alpha1.SubaccountSecret{Name: "first", Labels: map[string]string{"team": "a", "only": "a"},
					Keys: v1alpha1.SecretKeys{AuthID: "PLIVO_AUTH_ID", AuthToken: "PLIVO_AUTH_TOKEN"}}
			},
			func(spec *v1alpha1.SubaccountSpec) {
				spec.Name, spec.Enabled, spec.Suspend = ptr.To("B"), ptr.To(false), ptr.To(true)
				spec.Secret = v1alpha1.SubaccountSecret{Name: "second", Annotations: map[string]string{"only": "b"}}
			},
			func(spec *v1alpha1.SubaccountSpec) {
				spec.Name, spec.Enabled, spec.Suspend, spec.CascadePolicy = ptr.To("C"), ptr.To(true), nil, v1alpha1.CascadePolicyReassign
				spec.Secret = v1alpha1.SubaccountSecret{Labels: map[string]string{"team": "c"}, Annotations: map[string]string{"note": "c"}}
			},
		}
		in := func(suffix string, begin func(*v1alpha1.SubaccountSpec)) *v1alpha1.Subaccount {
			w.namespace(w.name + suffix)
			return w.apply("s", func(s *v1alpha1.Subaccount) { s.Namespace = w.name + suffix; begin(&s.Spec) })
		}
		direct, quick, slow := in("-direct", path[2]), in("-quick", path[0]), in("-slow", path[0])
		for _, step := range path[1:] {
			edit(quick, func(s *v1alpha1.Subaccount) { step(&s.Spec) })
		}
		for _, step := range path[1:] {
			Eventually(readyState(slow)).Should(HavePrefix("True/"))
			edit(slow, func(s *v1alpha1.Subaccount) { step(&s.Spec) })
		}
		expectReady(direct, quick, slow)
		w.expectExact(direct)
		want := w.comparableState(direct)
		for _, s := range []*v1alpha1.Subaccount{quick, slow} {
			w.expectExact(s)
			Eventually(func() any { readyState(s)(); return w.comparableState(s) }).Should(Equal(want), s.Namespace)
		}
		Expect(w.names()).To(Equal([]string{"C", "C", "C"}))
	})

	It("recovers from a rejected creation or name once the spec is edited", func() {
		w := newWorld()
		text := `{"api_id": "x", "error": "invalid name"}`
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, Status: http.StatusBadRequest, Text: text, Times: 2})
		refused, abandoned := w.apply("refused"), w.apply("abandoned")
		for _, s := range []*v1alpha1.Subaccount{refused, abandoned} {
			Eventually(readyState(s)).Should(Equal("False/Rejected"))
			Expect(s.Status.PendingCreation).To(BeNil())
			Expect(s.Status.AuthID).To(BeEmpty())
		}
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Account: w.main, Status: http.StatusBadRequest, Text: text, Times: 1})
		unnamed := w.apply("unnamed")
		Eventually(readyState(unnamed)).Should(Equal("False/Rejected"))
		Expect(w.countMarkers()).To(Equal(1))
		Expect(k8s.Delete(ctx, abandoned)).To(Succeed())
		Eventually(isGone(abandoned)).Should(BeTrue())
		Expect(w.calls(plivosim.OpCreate)).To(Equal(3))
		Expect(w.history(unnamed.Status.AuthID)).To(Equal("create update"))
		for _, s := range []*v1alpha1.Subaccount{refused, unnamed} {
			Expect(readyState(s)()).To(Equal("False/Rejected"))
			Expect(isGone(secretOf(s))()).To(BeTrue(), "the operator creates no Secret before the credentials work")
			edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Better name of " + s.Name) })
			expectReady(s)
			w.expectExact(s)
		}
		Expect(w.names()).To(HaveLen(2))
		Expect(w.history(refused.Status.AuthID)).To(Equal("create update"))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(4))
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
	})

	It("has stripped metadata restored; a Secret without owner is a conflict", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		for _, obj := range []client.Object{s, a} {
			edit(obj, func(obj client.Object) { obj.SetFinalizers(nil) })
			Eventually(func() []string { readyState(obj)(); return obj.GetFinalizers() }).Should(ConsistOf(v1alpha1.Finalizer))
		}
		edit(w.secret(s), func(x *corev1.Secret) {
			x.Labels, x.OwnerReferences[0].Controller, x.OwnerReferences[0].BlockOwnerDeletion = nil, nil, nil
		})
		Eventually(func() bool { return metav1.IsControlledBy(w.secret(s), s) }).Should(BeTrue())
		w.expectExact(s)
		Expect(w.secret(s).OwnerReferences).To(HaveLen(1))
		Expect(w.history(s.Status.AuthID)).To(Equal("create update"), "restoring metadata needs no call to Plivo")

		edit(w.secret(s), func(x *corev1.Secret) { x.Labels, x.OwnerReferences = nil, nil })
		Eventually(readyState(s)).Should(Equal("False/SecretConflict"))
		foreign := w.secret(s)
		Expect(foreign.OwnerReferences).To(BeEmpty())
		Expect(k8s.Delete(ctx, foreign)).To(Succeed())
		Eventually(readyState(s)).Should(Equal("True/Ready"))
		w.expectExact(s)
		Expect(w.history(s.Status.AuthID)).To(Equal("create update get"))
	})

	It("recreated during downtime gets a new subaccount; without a status it waits", func() {
		w := newWorld()
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, granting(w.name, "*"))
		recreated, deleted, restored := w.apply("recreated"), w.apply("deleted"), w.apply("restored")
		expectReady(recreated, deleted, restored)
		old := map[string]string{"recreated": recreated.Status.AuthID, "deleted": deleted.Status.AuthID, "restored": restored.Status.AuthID}
		withOperatorDown(func() {
			for _, s := range []*v1alpha1.Subaccount{recreated, deleted, restored} {
				Expect(k8s.Delete(ctx, s)).To(Succeed())
				Expect(isGone(s)()).To(BeFalse())
			}
			for _, s := range []*v1alpha1.Subaccount{recreated, restored} {
				edit(s, func(s *v1alpha1.Subaccount) { s.Finalizers = nil })
				Eventually(isGone(s)).Should(BeTrue())
			}
			recreated = w.apply("recreated")
			restored = w.apply("restored", func(s *v1alpha1.Subaccount) { s.Finalizers = []string{v1alpha1.Finalizer} })
		})
		Eventually(isGone(deleted)).Should(BeTrue())
		deleted = w.apply("deleted")
		expectReady(recreated, deleted)
		Eventually(func() string { readyState(restored)(); return readyReason(restored) }).Should(Equal(v1alpha1.ReasonStatusLost))
		w.sweep(1)
		for _, s := range []*v1alpha1.Subaccount{recreated, deleted} {
			w.expectExact(s)
			Expect(s.Status.AuthID).NotTo(Equal(old[s.Name]))
			Expect(w.history(s.Status.AuthID)).To(Equal("create update"))
		}
		Expect(readyState(restored)()).To(Equal("not reconciled"), "the operator must leave observedGeneration unset, which shows that the status was lost")
		Expect(w.history(old["restored"])).To(Equal("create update"))

		By("adopting the subaccount of the one without a status, as docs/backup.md describes")
		edit(restored, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Expect(k8s.Delete(ctx, restored)).To(Succeed())
		Eventually(isGone(restored)).Should(BeTrue())
		restored = w.apply("restored", adopting(old["restored"]))
		expectReady(restored)
		w.expectExact(restored)
		Expect(w.history(old["restored"])).To(Equal("create update get"))
		Expect(w.history(old["recreated"])).To(Equal("create update"), "it has neither a resource nor a marker, so only a user may delete it")
		Expect(w.history(old["deleted"])).To(Equal("create update delete"))
		Expect(w.names()).To(Equal([]string{"Name of deleted", "Name of recreated", "Name of recreated", "Name of restored"}))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(5))
	})

	It("causes no writes and only list calls at rest, in any state and if reapplied", func() {
		w := newWorld()
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		edit(a, granting(w.name, "*"))
		console := sim.Add(w.main, "Made by hand", true)
		// kubectl 1.32 parses any text that begins with a brace as JSON.
		manifest := fmt.Sprintf(`{"apiVersion": "plivo.subaccount-operator.dev/v1alpha1", "kind": "Subaccount", "metadata": {"namespace": %q, "name": "applied"},
			"spec": {"name": "Name of applied", "accountRef": {"name": %q}, "secret": {"labels": {"team": "a"}}}}`, w.name, w.name)
		Expect(kubectl(manifest, "apply", "-f", "-")).To(ContainSubstring("created"))
		applied := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "applied"}}
		expectReady(applied, w.apply("ready"), w.apply("adopted", adopting(console.AuthID)))
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, Status: http.StatusBadRequest, Times: 1})
		states := map[*v1alpha1.Subaccount]string{
			applied:             "True/Ready",
			w.apply("rejected"): "False/Rejected",
			w.apply("taken", adopting(console.AuthID)):                                              "False/AlreadyManaged",
			w.apply("missing", adopting("SANONENONENONENONEXX")):                                    "False/RemoteNotFound",
			w.apply("no-account", func(s *v1alpha1.Subaccount) { s.Spec.AccountRef.Name = "none" }): "False/AccountNotFound",
			w.apply("suspended", func(s *v1alpha1.Subaccount) { s.Spec.Suspend = ptr.To(true) }):    "Unknown/Suspended",
		}
		for s, state := range states {
			Eventually(readyState(s)).Should(Equal(state), s.Name)
		}
		w.awaitLists(2)
		before, calls := w.resourceVersions(), w.callsExceptLists()
		Expect(before).To(HaveLen(len(states)+2+3+1), "Subaccounts, Secrets and the Account")
		Expect(kubectl(manifest, "apply", "-f", "-")).To(ContainSubstring("unchanged"))
		w.awaitLists(4) // the operator has processed the third list when it requests the fourth
		Expect(w.resourceVersions()).To(Equal(before))
		Expect(w.callsExceptLists()).To(Equal(calls))
		w.expectExact(applied)
	})
})

// withOperatorDown kills the operator, calls do, and starts the operator again.
func withOperatorDown(do func()) {
	_ = op.stop(syscall.SIGKILL)
	defer func() { op = startManager() }()
	do()
}

// comparableState returns a Subaccount, its subaccount and its Secrets without IDs,
// times and generations.
func (w *world) comparableState(s *v1alpha1.Subaccount) any {
	type shape struct {
		Name       string
		Enabled    bool
		Finalizers []string
		Spec       v1alpha1.SubaccountSpec
		Status     v1alpha1.SubaccountStatus
		Secrets    []corev1.Secret
	}
	remote, _ := sim.Subaccount(w.main, s.Status.AuthID)
	status := *s.Status.DeepCopy()
	status.AuthID, status.ObservedGeneration = "", 0
	for i := range status.Conditions {
		status.Conditions[i].LastTransitionTime, status.Conditions[i].ObservedGeneration = metav1.Time{}, 0
	}
	var secrets corev1.SecretList
	Expect(k8s.List(ctx, &secrets, client.InNamespace(s.Namespace))).To(Succeed())
	out := shape{remote.Name, remote.Enabled, s.Finalizers, s.Spec, status, nil}
	for _, secret := range secrets.Items {
		x := corev1.Secret{Type: secret.Type, Immutable: secret.Immutable, Data: secret.Data}
		for key := range maps.Keys(x.Data) {
			x.Data[key] = nil
		}
		x.Name, x.Labels, x.Annotations, x.OwnerReferences = secret.Name, secret.Labels, secret.Annotations, secret.OwnerReferences
		for i := range x.OwnerReferences {
			x.OwnerReferences[i].UID = ""
		}
		out.Secrets = append(out.Secrets, x)
	}
	return out
}

// resourceVersions returns the resource versions of the world's Account, Subaccounts
// and Secrets.
func (w *world) resourceVersions() map[string]string {
	GinkgoHelper()
	var subaccounts v1alpha1.SubaccountList
	var secrets corev1.SecretList
	a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	Expect(k8s.List(ctx, &subaccounts, client.InNamespace(w.name))).To(Succeed())
	Expect(k8s.List(ctx, &secrets, client.InNamespace(w.name))).To(Succeed())
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(a), a)).To(Succeed())
	out := map[string]string{"the Account": a.ResourceVersion}
	for _, s := range subaccounts.Items {
		out["Subaccount "+s.Name] = s.ResourceVersion
	}
	for _, s := range secrets.Items {
		out["Secret "+s.Name] = s.ResourceVersion
	}
	return out
}

func (w *world) callsExceptLists() int {
	n := 0
	for _, c := range sim.Calls() {
		if c.Account == w.main && c.Op != plivosim.OpList {
			n++
		}
	}
	return n
}
