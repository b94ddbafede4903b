// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
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

	It("blocks creation until the spec changes", func() {
		w := newWorld(func(a *v1alpha1.Account) { a.Spec.AllowedDeletionPolicies = deletes })
		s := w.apply("a", orphaned)
		Eventually(readyState(s)).Should(Equal(refused))
		Expect(w.calls(plivosim.OpCreate)).To(BeZero())
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete })
		expectReady(s)
	})

	It("blocks deletion with Orphan until the Account allows it", func() {
		w := newWorld()
		s := w.apply("a", orphaned)
		expectReady(s)
		setAllowed(w, deletes, nil)
		Eventually(readyState(s)).Should(Equal(refused))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Consistently(isGone(s)).Should(BeFalse())
		Eventually(readyState(s)).Should(Equal(refused))
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
		setAllowed(w, nil, nil)
		Eventually(isGone(s)).Should(BeTrue())
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
		Expect(w.names()).To(HaveLen(1))
	})

	It("blocks deletion with cascade until the spec says Reassign", func() {
		w := newWorld()
		s := w.apply("a", cascading)
		expectReady(s)
		setAllowed(w, nil, reassigns)
		Eventually(readyState(s)).Should(Equal(refused))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Consistently(isGone(s)).Should(BeFalse())
		Expect(w.calls(plivosim.OpDelete)).To(BeZero())
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.CascadePolicy = v1alpha1.CascadePolicyReassign })
		Eventually(isGone(s)).Should(BeTrue())
		Expect(w.calls(plivosim.OpDelete)).To(Equal(1))
		Expect(w.names()).To(BeEmpty())
	})
})
