package integration

import (
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

// docs/backup.md says how, and runs the way back from a restore without the status.
var _ = Describe("A restore as Velero does it, with the status", func() {
	It("goes on with the same subaccounts, once no restored Secret without its owner is in the way", func() {
		w := newWorld()
		a, b := w.apply("a"), w.apply("b")
		expectReady(a, b)
		before := sim.Subaccounts(w.main)
		inTheWay := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "b-plivo"}, Data: w.secret(b).Data}

		Expect(op.stop(syscall.SIGTERM)).To(Succeed())
		restored := []*v1alpha1.Subaccount{w.restored(a), w.restored(b)}
		Expect(k8s.Create(ctx, inTheWay)).To(Succeed())
		for _, s := range restored {
			status := s.Status
			Expect(k8s.Create(ctx, s)).To(Succeed())
			statusless := s.DeepCopy()
			s.Status = status
			Expect(forger.Status().Patch(ctx, s, client.MergeFrom(statusless))).To(Succeed())
		}
		op = startManager()

		Eventually(gone(secretOf(restored[0]))).Should(BeFalse()) // its status has said Ready all along
		expectReady(restored[0])
		w.expectExact(restored[0])
		Eventually(reason(restored[1])).Should(Equal("False/SecretConflict"))
		Expect(k8s.Delete(ctx, inTheWay)).To(Succeed())
		Eventually(reason(restored[1]), "90s").Should(Equal("True/Ready")) // it is looked at every minute
		w.expectExact(restored[1])
		Expect(sim.Subaccounts(w.main)).To(Equal(before))
		Expect(w.calls(plivosim.OpCreate) + w.calls(plivosim.OpUpdate)).To(Equal(4))
	})
})

// restored takes a Subaccount away behind everybody's back, and returns it as
// a restore makes it: with its finalizer, under another UID.
func (w *world) restored(s *v1alpha1.Subaccount) *v1alpha1.Subaccount {
	GinkgoHelper()
	again := &v1alpha1.Subaccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, Finalizers: s.Finalizers}, Spec: s.Spec, Status: s.Status}
	edit(s, func(s *v1alpha1.Subaccount) { s.Finalizers = nil })
	Expect(k8s.Delete(ctx, s)).To(Succeed())
	Expect(client.IgnoreNotFound(k8s.Delete(ctx, secretOf(s)))).To(Succeed()) // or the garbage collector has
	return again
}
