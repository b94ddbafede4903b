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
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

var _ = Describe("Strays", func() {
	It("are removed: marked, claimed by nobody, seen twice; but no other cluster's and nothing like one", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		cluster, nobody := "k8s-"+clusterUID()[:8]+"-", "01234567-89ab-cdef-0123-456789abcdef"
		stray := sim.Add(w.main, cluster+string(s.UID), false)
		ofNobody := sim.Add(w.main, cluster+nobody, false)
		persons := []string{
			"k8s-00000000-" + nobody,
			cluster + string(s.UID) + "-mine",
			cluster + strings.ToUpper(nobody),
			strings.ToUpper(cluster) + nobody,
			"a " + cluster + nobody,
			"Name of a",
		}
		for _, name := range persons[:5] {
			sim.Add(w.main, name, false)
		}
		for _, x := range []plivosim.Subaccount{stray, ofNobody} {
			Eventually(func() bool { _, ok := sim.Subaccount(w.main, x.AuthID); return ok }, "90s").Should(BeFalse())
			Expect(w.history(x.AuthID)).To(Equal("delete"))
			// The operator logs once it has Plivo's response, and thus after the simulator shows the effect.
			Eventually(logLines).WithArguments(map[string]any{"msg": "Removed a stray", "level": "info", logging.AuthID: x.AuthID}).
				Should(ConsistOf(HaveKeyWithValue("name", w.name)))
		}
		w.sweep(2)
		Expect(w.names()).To(ConsistOf(persons))
		Expect(w.calls(plivosim.OpDelete)).To(Equal(2))
		w.expectExact(s)
	})
})

var _ = Describe("Orphan", func() {
	It("never deletes, not even what still has its marker as its name", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Account: w.main, Status: http.StatusBadRequest})
		s := w.apply("a")
		Eventually(reason(s)).Should(Equal("False/Rejected"))
		Expect(w.markers()).To(Equal(1))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(gone(s)).Should(BeTrue())
		stray := sim.Add(w.main, "k8s-"+clusterUID()[:8]+"-01234567-89ab-cdef-0123-456789abcdef", false)
		Eventually(func() bool { _, ok := sim.Subaccount(w.main, stray.AuthID); return ok }, "90s").Should(BeFalse())
		killAndRestart()
		w.sweep(2)
		Expect(w.markers()).To(Equal(1))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(gone(a)()).To(BeFalse())
		Expect(a.Status.Orphaned).To(Equal([]string{s.Status.AuthID}))
	})
})

var _ = Describe("Two statuses that name one authID", func() {
	It("are settled by age, whoever was forged: the loser loses its credentials, and deletes nothing", func() {
		w := newWorld()
		a, b, c, d := w.apply("a"), w.apply("b"), w.apply("c"), w.apply("d")
		expectReady(a, b, c, d)
		elder, younger := byAge(a, b)
		thief, victim := byAge(c, d)
		left := []string{younger.Status.AuthID, thief.Status.AuthID}
		kept, taken := elder.Status.AuthID, victim.Status.AuthID
		w.forge(younger, kept)
		w.forge(thief, taken)
		losers := []*v1alpha1.Subaccount{younger, victim}
		for _, s := range losers {
			Eventually(reason(s)).Should(Equal("False/AlreadyManaged"))
			Eventually(gone(secretOf(s))).Should(BeTrue())
			Expect(s.Status.Binding).To(BeNil())
		}
		expectReady(elder, thief)
		Eventually(func() string { return w.history(taken) }).Should(Equal("create update update get"), "its new holder's name, and the token for its Secret")
		expectReady(thief)
		w.expectExact(elder)
		w.expectExact(thief)
		Expect(elder.Status.AuthID).To(Equal(kept))
		Expect(thief.Status.AuthID).To(Equal(taken))

		for _, s := range losers {
			Expect(k8s.Delete(ctx, s)).To(Succeed())
			Eventually(gone(s)).Should(BeTrue())
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

// byAge returns first who holds an authID that both name: the earlier
// creationTimestamp, then the lower UID.
func byAge(x, y *v1alpha1.Subaccount) (holder, other *v1alpha1.Subaccount) {
	if y.CreationTimestamp.Before(&x.CreationTimestamp) || y.CreationTimestamp.Equal(&x.CreationTimestamp) && y.UID < x.UID {
		return y, x
	}
	return x, y
}

// forge puts another's authID into a status, by the one way that the CRD's
// rules leave to an administrator.
func (w *world) forge(s *v1alpha1.Subaccount, authID string) {
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
		return forger.Status().Patch(ctx, s, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}).Should(Succeed())
}

// secretOf names a Subaccount's Secret, whether it stands or not.
func secretOf(s *v1alpha1.Subaccount) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name + "-plivo"}}
}
