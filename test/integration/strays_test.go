// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

var _ = Describe("Strays", func() {
	It("with this cluster's marker, unclaimed in two sweeps, are deleted; others stay", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		cluster, unknownUID := "k8s-"+clusterUID()[:8]+"-", "01234567-89ab-cdef-0123-456789abcdef"
		stray := sim.Add(w.main, cluster+string(s.UID), false)
		unclaimed := sim.Add(w.main, cluster+unknownUID, false)
		kept := []string{
			"k8s-00000000-" + unknownUID,
			cluster + string(s.UID) + "-mine",
			cluster + strings.ToUpper(unknownUID),
			strings.ToUpper(cluster) + unknownUID,
			"a " + cluster + unknownUID,
			"Name of a",
		}
		for _, name := range kept[:5] {
			sim.Add(w.main, name, false)
		}
		for _, x := range []plivosim.Subaccount{stray, unclaimed} {
			Eventually(func() bool { _, ok := sim.Subaccount(w.main, x.AuthID); return ok }).Should(BeFalse())
			Expect(w.history(x.AuthID)).To(Equal("delete"))
			// The operator logs after it has received Plivo's response, so the simulator shows the effect earlier.
			Eventually(logLines).WithArguments(map[string]any{"msg": "Removed a stray", "level": "info", logging.AuthID: x.AuthID}).
				Should(ConsistOf(HaveKeyWithValue("name", w.name)))
		}
		w.sweep(2)
		Expect(w.names()).To(ConsistOf(kept))
		Expect(w.calls(plivosim.OpDelete)).To(Equal(2))
		w.expectExact(s)
	})
})

var _ = Describe("Orphan", func() {
	It("never deletes a subaccount, even if its name is still the marker", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Account: w.main, Status: http.StatusBadRequest})
		s := w.apply("a")
		Eventually(readyState(s)).Should(Equal("False/Rejected"))
		Expect(w.countMarkers()).To(Equal(1))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(isGone(s)).Should(BeTrue())
		stray := sim.Add(w.main, "k8s-"+clusterUID()[:8]+"-01234567-89ab-cdef-0123-456789abcdef", false)
		Eventually(func() bool { _, ok := sim.Subaccount(w.main, stray.AuthID); return ok }).Should(BeFalse())
		killAndRestart()
		w.sweep(2)
		Expect(w.countMarkers()).To(Equal(1))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(isGone(a)()).To(BeFalse())
		Expect(a.Status.Orphaned).To(Equal([]string{s.Status.AuthID}))
	})
})

var _ = Describe("Two statuses with one authID", func() {
	It("are resolved by age: the younger loses its Secret and deletes nothing", func() {
		w := newWorld()
		a, b, c, d := w.apply("a"), w.apply("b"), w.apply("c"), w.apply("d")
		expectReady(a, b, c, d)
		elder, younger := byAge(a, b)
		thief, victim := byAge(c, d)
		left := []string{younger.Status.AuthID, thief.Status.AuthID}
		kept, taken := elder.Status.AuthID, victim.Status.AuthID
		w.forgeAuthID(younger, kept)
		w.forgeAuthID(thief, taken)
		losers := []*v1alpha1.Subaccount{younger, victim}
		for _, s := range losers {
			Eventually(readyState(s)).Should(Equal("False/AlreadyManaged"))
			Eventually(isGone(secretOf(s))).Should(BeTrue())
			Eventually(func() *v1alpha1.SecretBinding { readyState(s)(); return s.Status.Binding }).Should(BeNil())
		}
		expectReady(elder, thief)
		Eventually(func() string { return w.history(taken) }).Should(Equal("create update update get"), "an update to the new owner's name, and a get of the token for its Secret")
		expectReady(thief)
		w.expectExact(elder)
		w.expectExact(thief)
		Expect(elder.Status.AuthID).To(Equal(kept))
		Expect(thief.Status.AuthID).To(Equal(taken))

		for _, s := range losers {
			Expect(k8s.Delete(ctx, s)).To(Succeed())
			Eventually(isGone(s)).Should(BeTrue())
		}
		w.expectExact(elder)
		w.expectExact(thief)
		for _, id := range append(left, kept) {
			Expect(w.history(id)).To(Equal("create update"))
		}
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
		Expect(w.calls(plivosim.OpCreate)).To(Equal(4))
	})
})

// byAge returns first the Subaccount that keeps an authID that both statuses name:
// the one with the earlier creationTimestamp, then with the lower UID.
func byAge(x, y *v1alpha1.Subaccount) (owner, other *v1alpha1.Subaccount) {
	sameAge := y.CreationTimestamp.Equal(&x.CreationTimestamp)
	hasLowerUID := sameAge && y.UID < x.UID
	if y.CreationTimestamp.Before(&x.CreationTimestamp) || hasLowerUID {
		return y, x
	}
	return x, y
}

// forgeAuthID writes another Subaccount's authID to a status. The CRD's validation
// rules allow this only through a pending creation.
func (w *world) forgeAuthID(s *v1alpha1.Subaccount, authID string) {
	GinkgoHelper()
	editStatus(s, func(status *v1alpha1.SubaccountStatus) {
		status.PendingCreation = &v1alpha1.PendingCreation{Attempt: "forged", AccountID: w.main, Since: metav1.Now()}
		status.AuthID, status.AccountID = "", ""
	})
	editStatus(s, func(status *v1alpha1.SubaccountStatus) {
		status.AuthID, status.AccountID, status.PendingCreation = authID, w.main, nil
	})
}

func editStatus(s *v1alpha1.Subaccount, change func(*v1alpha1.SubaccountStatus)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		before := s.DeepCopy()
		change(&s.Status)
		return asOperator.Status().Patch(ctx, s, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}).Should(Succeed())
}

// secretOf returns an object with the name of a Subaccount's Secret, which may not exist.
func secretOf(s *v1alpha1.Subaccount) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name + "-plivo"}}
}
