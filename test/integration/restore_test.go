// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// docs/backup.md describes this restore. The tests of the docs cover a restore without
// the status.
var _ = Describe("A restore with the status, as Velero does it,", func() {
	It("continues with the same subaccounts after a Secret without owner is deleted", func() {
		w := newWorld()
		a, b := w.apply("a"), w.apply("b")
		expectReady(a, b)
		before := sim.Subaccounts(w.main)
		conflicting := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "b-plivo"}, Data: w.secret(b).Data}

		Expect(op.stop(syscall.SIGTERM)).To(Succeed())
		restored := []*v1alpha1.Subaccount{w.removeForRestore(a), w.removeForRestore(b)}
		Expect(k8s.Create(ctx, conflicting)).To(Succeed())
		for _, s := range restored {
			status := s.Status
			Expect(k8s.Create(ctx, s)).To(Succeed())
			statusless := s.DeepCopy()
			s.Status = status
			Expect(asOperator.Status().Patch(ctx, s, client.MergeFrom(statusless))).To(Succeed())
		}
		op = startManager()

		// The restored status says Ready before the operator has run, so wait for the Secret.
		Eventually(isGone(secretOf(restored[0]))).Should(BeFalse())
		expectReady(restored[0])
		w.expectExact(restored[0])
		Eventually(readyState(restored[1])).Should(Equal("False/SecretConflict"))
		Expect(k8s.Delete(ctx, conflicting)).To(Succeed())
		Eventually(readyState(restored[1])).Should(Equal("True/Ready")) // the operator retries every minute
		w.expectExact(restored[1])
		Expect(sim.Subaccounts(w.main)).To(Equal(before))
		Expect(w.calls(plivosim.OpCreate) + w.calls(plivosim.OpUpdate)).To(Equal(4))
	})
})

// removeForRestore deletes a Subaccount and its Secret without the operator. It returns
// the object that a restore would create: with the finalizer and without a UID.
func (w *world) removeForRestore(s *v1alpha1.Subaccount) *v1alpha1.Subaccount {
	GinkgoHelper()
	again := &v1alpha1.Subaccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, Finalizers: s.Finalizers}, Spec: s.Spec, Status: s.Status}
	edit(s, func(s *v1alpha1.Subaccount) { s.Finalizers = nil })
	Expect(k8s.Delete(ctx, s)).To(Succeed())
	Expect(client.IgnoreNotFound(k8s.Delete(ctx, secretOf(s)))).To(Succeed()) // the garbage collector may be faster
	return again
}
