package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

var _ = Describe("A policy that the Account does not allow", func() {
	const refused = "False/PolicyNotAllowed"
	orphaned := func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan }
	cascading := func(s *v1alpha1.Subaccount) { s.Spec.CascadePolicy = v1alpha1.CascadePolicyDelete }
	setAllowed := func(w *world, deletion []v1alpha1.DeletionPolicy, cascade []v1alpha1.CascadePolicy) {
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, func(a *v1alpha1.Account) {
			a.Spec.AllowedDeletionPolicies, a.Spec.AllowedCascadePolicies = deletion, cascade
		})
	}
	deletes, reassigns := []v1alpha1.DeletionPolicy{v1alpha1.DeletionPolicyDelete}, []v1alpha1.CascadePolicy{v1alpha1.CascadePolicyReassign}

	It("creates nothing until the spec changes", func() {
		w := newWorld(func(a *v1alpha1.Account) { a.Spec.AllowedDeletionPolicies = deletes })
		s := w.apply("a", orphaned)
		Eventually(reason(s)).Should(Equal(refused))
		Expect(w.calls(plivosim.OpCreate)).To(BeZero())
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete })
		expectReady(s)
	})

	It("leaves nothing behind at Plivo, until the Account allows it", func() {
		w := newWorld()
		s := w.apply("a", orphaned)
		expectReady(s)
		setAllowed(w, deletes, nil)
		Eventually(reason(s)).Should(Equal(refused))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Consistently(gone(s)).Should(BeFalse())
		Eventually(reason(s)).Should(Equal(refused))
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
		setAllowed(w, nil, nil)
		Eventually(gone(s)).Should(BeTrue())
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
		Expect(w.names()).To(HaveLen(1))
	})

	It("deletes no numbers along, until the tenant has them reassigned", func() {
		w := newWorld()
		s := w.apply("a", cascading)
		expectReady(s)
		setAllowed(w, nil, reassigns)
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(reason(s)).Should(Equal(refused))
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.CascadePolicy = v1alpha1.CascadePolicyReassign })
		Eventually(gone(s)).Should(BeTrue())
		Expect(w.calls(plivosim.OpDelete)).To(Equal(1))
		Expect(w.names()).To(BeEmpty())
	})
})
