// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

var _ = Describe("Reconciliation is blocked", func() {
	It("by a lost status: nothing is created, and Orphan allows deletion", func() {
		w := newWorld()
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Finalizers = []string{v1alpha1.Finalizer} })
		Eventually(func() string { readyState(s)(); return readyReason(s) }).Should(Equal(v1alpha1.ReasonStatusLost))
		w.sweep(1)
		Expect(w.names()).To(BeEmpty())
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Consistently(isGone(s)).Should(BeFalse())
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Eventually(isGone(s)).Should(BeTrue())
	})

	It("by another owner's Secret, which stays untouched", func() {
		w := newWorld()
		foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "a-plivo"}, StringData: map[string]string{"mine": "x"}}
		Expect(k8s.Create(ctx, foreign)).To(Succeed())
		s := w.apply("a")
		Eventually(readyState(s)).Should(Equal("False/SecretConflict"))
		Expect(w.names()).To(BeEmpty())
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name = "free" })
		expectReady(s)
		w.expectExact(s)
		version := foreign.ResourceVersion
		Expect(isGone(foreign)()).To(BeFalse())
		Expect(foreign.ResourceVersion).To(Equal(version))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
	})

	It("by a missing Account or credentials, and recovers without a restart", func() {
		w := newWorld()
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Spec.AccountRef.Name = w.name + "-later" })
		Eventually(readyState(s)).Should(Equal("False/AccountNotFound"))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-later"}, Spec: v1alpha1.AccountSpec{
			CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: w.name + "-later"}, NamespaceSelector: &metav1.LabelSelector{}}}
		Expect(k8s.Create(ctx, a)).To(Succeed())
		Eventually(readyState(a)).Should(Equal("False/CredentialsNotFound"))
		Eventually(readyState(s)).Should(Equal("False/AccountNotReady"))
		// Another main account, because two Accounts of one main account conflict.
		later := &world{name: w.name + "-later"}
		later.main, later.token = sim.AddAccount()
		later.credentials(later.main, "wrong-"+later.token)
		Eventually(readyState(a)).Should(Equal("False/CredentialsRejected"))
		Eventually(readyState(s)).Should(Equal("False/CredentialsRejected"))
		Expect(later.names()).To(BeEmpty())
		later.credentials(later.main, later.token)
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		expectReady(s)
		Expect(later.names()).To(Equal([]string{"Name of a"}))

		By("credentials of another main account")
		otherMain, otherToken := sim.AddAccount()
		later.credentials(otherMain, otherToken)
		Eventually(readyState(a)).Should(Equal("False/AccountChanged"))
		Consistently(func() bool {
			return slices.ContainsFunc(sim.Calls(), func(c plivosim.Call) bool { return c.Account == otherMain && c.Op != plivosim.OpList })
		}).Should(BeFalse(), "a stale cache may cause a list call, and no other call")
		later.credentials(later.main, later.token)
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		expectReady(s)

		By("another main account, after the last Subaccount of the old one is gone")
		later.credentials(otherMain, otherToken)
		Eventually(readyState(a)).Should(Equal("False/AccountChanged"))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		Expect(later.names()).To(Equal([]string{"Name of a"}))
	})

	It("by a second Account of one main account, until the older one is deleted", func() {
		w := newWorld()
		kept := w.apply("kept")
		expectReady(kept)
		older := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(older), older)).To(Succeed())
		// creationTimestamp has a precision of one second. Within one second the UID decides.
		Eventually(time.Now).Should(BeTemporally(">", older.CreationTimestamp.Add(time.Second)))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-younger"}, Spec: v1alpha1.AccountSpec{
			CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: w.name}, NamespaceSelector: &metav1.LabelSelector{}}}
		Expect(k8s.Create(ctx, a)).To(Succeed())
		Eventually(readyState(a)).Should(Equal("False/DuplicateAccount"))
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Spec.AccountRef.Name = a.Name })
		Eventually(readyState(s)).Should(Equal("False/AccountNotReady"))
		w.sweep(1)
		Expect(w.names()).To(Equal([]string{"Name of kept"}))
		expectReady(kept)

		edit(kept, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Expect(k8s.Delete(ctx, kept)).To(Succeed())
		Expect(k8s.Delete(ctx, older)).To(Succeed())
		Eventually(isGone(older)).Should(BeTrue())
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		expectReady(s)
		Expect(w.names()).To(ConsistOf("Name of kept", "Name of a"))
	})

	It("in a namespace that the Account does not select", func() {
		w := newWorld(func(a *v1alpha1.Account) { a.Spec.NamespaceSelector.MatchLabels = map[string]string{"plivo": "yes"} })
		s := w.apply("a")
		Eventually(readyState(s)).Should(Equal("False/NamespaceNotAllowed"))
		Expect(w.names()).To(BeEmpty())
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		edit(ns, func(ns *corev1.Namespace) { ns.Labels["plivo"] = "yes" })
		expectReady(s)
		edit(ns, func(ns *corev1.Namespace) { delete(ns.Labels, "plivo") })
		Eventually(readyState(s)).Should(Equal("False/NamespaceNotAllowed"))
		Expect(w.names()).To(Equal([]string{"Name of a"}))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(isGone(s)).Should(BeTrue())
		Expect(w.names()).To(BeEmpty())
	})

	It("by a rejection: one call, Plivo's message, and the last good state stays", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Account: w.main, Status: http.StatusBadRequest,
			Text: `{"api_id":"x","error":"that name is not to our liking"}`})
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Bad") })
		Eventually(readyState(s)).Should(Equal("False/Rejected"))
		stalled := s.Status.Conditions[slices.IndexFunc(s.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionStalled })]
		Expect(stalled.Status).To(Equal(metav1.ConditionTrue))
		Expect(stalled.Message).To(ContainSubstring("that name is not to our liking"))
		w.sweep(2)
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(2), "one update for the creation and one that Plivo rejected")
		Expect(w.names()).To(Equal([]string{"Name of a"}))
		sim.ClearFaults()
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Good") })
		expectReady(s)
		w.expectExact(s)
	})
})

var _ = Describe("Adoption", func() {
	It("needs a grant, keeps omitted fields, and keeps the subaccount with Orphan", func() {
		w := newWorld()
		console := sim.Add(w.main, "Made by hand", true)
		s := w.apply("a", adopting(console.AuthID))
		Eventually(readyState(s)).Should(Equal("False/AdoptionForbidden"))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		edit(a, granting(w.name, console.AuthID))
		expectReady(s)
		w.expectExact(s)
		edit(a, func(a *v1alpha1.Account) { a.Spec.Adoption = nil })
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(isGone(s)).Should(BeTrue())
		Expect(w.names()).To(Equal([]string{"Made by hand"}))
		Expect(w.calls(plivosim.OpCreate) + w.calls(plivosim.OpUpdate) + w.calls(plivosim.OpDelete)).To(BeZero())
	})

	It("keeps a change made at Plivo to a field that the spec omits", func() {
		w := newWorld()
		console := sim.Add(w.main, "Made by hand", true)
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, granting(w.name, console.AuthID))
		s := w.apply("a", adopting(console.AuthID), func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Adopted") })
		expectReady(s)
		sim.Edit(w.main, console.AuthID, func(x *plivosim.Subaccount) { x.Enabled = false })
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Renamed") })
		expectReady(s)
		remote, _ := sim.Subaccount(w.main, console.AuthID)
		Expect(remote.Name).To(Equal("Renamed"))
		Expect(remote.Enabled).To(BeFalse(), "the operator must not enable it again")
	})

	It("of one authID by two Subaccounts succeeds once; the other gets nothing", func() {
		w := newWorld()
		console := sim.Add(w.main, "Made by hand", true)
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, granting(w.name, "*"))
		// The first get is slow, so that both Subaccounts read the authID before either claims it.
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpGet}, Account: w.main, Delay: time.Second, Times: 1})
		x, y := w.apply("x", adopting(console.AuthID)), w.apply("y", adopting(console.AuthID))
		var winner, loser *v1alpha1.Subaccount
		Eventually(func() []string {
			reasons := []string{readyState(x)(), readyState(y)()}
			if winner, loser = x, y; reasons[1] == "True/Ready" {
				winner, loser = y, x
			}
			slices.Sort(reasons)
			return reasons
		}).Should(Equal([]string{"False/AlreadyManaged", "True/Ready"}))
		w.expectExact(winner)
		Expect(isGone(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: loser.Name + "-plivo"}})()).To(BeTrue())
		Eventually(eventReasons(loser)).Should(Equal([]string{"AlreadyManaged"}), "it never had a Secret")
		edit(loser, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete })
		Expect(k8s.Delete(ctx, loser)).To(Succeed())
		Eventually(isGone(loser)).Should(BeTrue())
		Expect(w.names()).To(Equal([]string{"Made by hand"}))
	})

	It("reports a missing subaccount and refuses one whose name is a marker", func() {
		w := newWorld()
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, granting(w.name, "*"))
		marked := sim.Add(w.main, "k8s-01234567-89ab-cdef-0123-456789abcdef-0123", false)
		none := w.apply("none", adopting("SANONENONENONENONEXX"))
		marker := sim.Add(w.main, "k8s-01234567-01234567-89ab-cdef-0123-456789abcdef", false)
		takesMarker := w.apply("marker", adopting(marker.AuthID))
		likeOne := w.apply("like", adopting(marked.AuthID))
		Eventually(readyState(none)).Should(Equal("False/RemoteNotFound"))
		Eventually(readyState(takesMarker)).Should(Equal("False/AdoptionForbidden"))
		expectReady(likeOne) // its name only resembles a marker
	})
})

func readyReason(s *v1alpha1.Subaccount) string {
	for _, c := range s.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return c.Reason
		}
	}
	return ""
}
