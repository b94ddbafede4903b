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
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

var _ = Describe("What stands in the way", func() {
	It("is a lost status: the finalizer without a status makes nothing, and goes by Orphan", func() {
		w := newWorld()
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Finalizers = []string{v1alpha1.Finalizer} })
		Eventually(func() string { reason(s)(); return readyReason(s) }).Should(Equal(v1alpha1.ReasonStatusLost))
		w.sweep(1)
		Expect(w.names()).To(BeEmpty())
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Consistently(gone(s)).Should(BeFalse())
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Eventually(gone(s)).Should(BeTrue())
	})

	It("is a stranger's Secret, which is never touched", func() {
		w := newWorld()
		stranger := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "a-plivo"}, StringData: map[string]string{"mine": "x"}}
		Expect(k8s.Create(ctx, stranger)).To(Succeed())
		s := w.apply("a")
		Eventually(reason(s)).Should(Equal("False/SecretConflict"))
		Expect(w.names()).To(BeEmpty())
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name = "free" })
		expectReady(s)
		w.expectExact(s)
		version := stranger.ResourceVersion
		Expect(gone(stranger)()).To(BeFalse())
		Expect(stranger.ResourceVersion).To(Equal(version))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
	})

	It("is a missing Account, a missing Secret of credentials, or wrong ones; each heals with no restart", func() {
		w := newWorld()
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Spec.AccountRef.Name = w.name + "-later" })
		Eventually(reason(s)).Should(Equal("False/AccountNotFound"))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-later"}, Spec: v1alpha1.AccountSpec{
			CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: w.name + "-later"}, NamespaceSelector: &metav1.LabelSelector{}}}
		Expect(k8s.Create(ctx, a)).To(Succeed())
		Eventually(reason(a)).Should(Equal("False/CredentialsNotFound"))
		Eventually(reason(s)).Should(Equal("False/AccountNotReady"))
		later := &world{name: w.name + "-later"} // and no second Account of one main account
		later.main, later.token = sim.AddAccount()
		later.credentials(later.main, "wrong-"+later.token)
		Eventually(reason(a)).Should(Equal("False/CredentialsRejected"))
		Eventually(reason(s)).Should(Equal("False/CredentialsRejected"))
		Expect(later.names()).To(BeEmpty())
		later.credentials(later.main, later.token)
		Eventually(reason(a)).Should(Equal("True/Ready"))
		expectReady(s)
		Expect(later.names()).To(Equal([]string{"Name of a"}))

		By("credentials of another main account")
		otherMain, otherToken := sim.AddAccount()
		later.credentials(otherMain, otherToken)
		Eventually(reason(a)).Should(Equal("False/AccountChanged"))
		Consistently(func() bool {
			return slices.ContainsFunc(sim.Calls(), func(c plivosim.Call) bool { return c.Account == otherMain && c.Op != plivosim.OpList })
		}).Should(BeFalse(), "no call but a list, from a cache that lags")
		later.credentials(later.main, later.token)
		Eventually(reason(a)).Should(Equal("True/Ready"))
		expectReady(s)

		By("another main account, once nothing is recorded under the old one any more")
		later.credentials(otherMain, otherToken)
		Eventually(reason(a)).Should(Equal("False/AccountChanged"))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(reason(a)).Should(Equal("True/Ready"))
		Expect(later.names()).To(Equal([]string{"Name of a"}))
	})

	It("is a second Account of one main account, until the older one goes", func() {
		w := newWorld()
		kept := w.apply("kept")
		expectReady(kept)
		older := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(older), older)).To(Succeed())
		// creationTimestamp has whole seconds; within one, the UID decides.
		Eventually(time.Now).Should(BeTemporally(">", older.CreationTimestamp.Add(time.Second)))
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-younger"}, Spec: v1alpha1.AccountSpec{
			CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: w.name}, NamespaceSelector: &metav1.LabelSelector{}}}
		Expect(k8s.Create(ctx, a)).To(Succeed())
		Eventually(reason(a)).Should(Equal("False/DuplicateAccount"))
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Spec.AccountRef.Name = a.Name })
		Eventually(reason(s)).Should(Equal("False/AccountNotReady"))
		w.sweep(1)
		Expect(w.names()).To(Equal([]string{"Name of kept"}))
		expectReady(kept)

		edit(kept, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan })
		Expect(k8s.Delete(ctx, kept)).To(Succeed())
		Expect(k8s.Delete(ctx, older)).To(Succeed())
		Eventually(gone(older)).Should(BeTrue())
		Eventually(reason(a)).Should(Equal("True/Ready"))
		expectReady(s)
		Expect(w.names()).To(ConsistOf("Name of kept", "Name of a"))
	})

	It("is a namespace that the Account does not select", func() {
		w := newWorld(func(a *v1alpha1.Account) { a.Spec.NamespaceSelector.MatchLabels = map[string]string{"plivo": "yes"} })
		s := w.apply("a")
		Eventually(reason(s)).Should(Equal("False/NamespaceNotAllowed"))
		Expect(w.names()).To(BeEmpty())
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		edit(ns, func(ns *corev1.Namespace) { ns.Labels["plivo"] = "yes" })
		expectReady(s)
		edit(ns, func(ns *corev1.Namespace) { delete(ns.Labels, "plivo") })
		Eventually(reason(s)).Should(Equal("False/NamespaceNotAllowed"))
		Expect(w.names()).To(Equal([]string{"Name of a"}))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(gone(s)).Should(BeTrue())
		Expect(w.names()).To(BeEmpty())
	})

	It("is what Plivo refuses: told in its own words, once, and the last good state stays", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Account: w.main, Status: http.StatusBadRequest,
			Text: `{"api_id":"x","error":"that name is not to our liking"}`})
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Bad") })
		Eventually(reason(s)).Should(Equal("False/Rejected"))
		stalled := s.Status.Conditions[slices.IndexFunc(s.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionStalled })]
		Expect(stalled.Status).To(Equal(metav1.ConditionTrue))
		Expect(stalled.Message).To(ContainSubstring("that name is not to our liking"))
		w.sweep(2)
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(2), "one for the creation, one that was refused, and no more")
		Expect(w.names()).To(Equal([]string{"Name of a"}))
		sim.ClearFaults()
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Good") })
		expectReady(s)
		w.expectExact(s)
	})
})

var _ = Describe("Adoption", func() {
	It("needs a grant, leaves alone what the spec leaves out, and can be told to leave", func() {
		w := newWorld()
		console := sim.Add(w.main, "Made by hand", true)
		s := w.apply("a", adopting(console.AuthID))
		Eventually(reason(s)).Should(Equal("False/AdoptionForbidden"))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		edit(a, granting(w.name, console.AuthID))
		expectReady(s)
		w.expectExact(s)
		edit(a, func(a *v1alpha1.Account) { a.Spec.Adoption = nil })
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(gone(s)).Should(BeTrue())
		Expect(w.names()).To(Equal([]string{"Made by hand"}))
		Expect(w.calls(plivosim.OpCreate) + w.calls(plivosim.OpUpdate) + w.calls(plivosim.OpDelete)).To(BeZero())
	})

	It("keeps what somebody has changed at Plivo since the last sweep, where the spec leaves it open", func() {
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

	It("gives one authID to one of two that name it, for good; the loser gets and deletes nothing", func() {
		w := newWorld()
		console := sim.Add(w.main, "Made by hand", true)
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, granting(w.name, "*"))
		// Who looked first learns last: both were free to claim it when they looked.
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpGet}, Account: w.main, Delay: time.Second, Times: 1})
		x, y := w.apply("x", adopting(console.AuthID)), w.apply("y", adopting(console.AuthID))
		var winner, loser *v1alpha1.Subaccount
		Eventually(func() []string {
			reasons := []string{reason(x)(), reason(y)()}
			if winner, loser = x, y; reasons[1] == "True/Ready" {
				winner, loser = y, x
			}
			slices.Sort(reasons)
			return reasons
		}).Should(Equal([]string{"False/AlreadyManaged", "True/Ready"}))
		w.expectExact(winner)
		Expect(gone(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: loser.Name + "-plivo"}})()).To(BeTrue())
		Eventually(eventsOf(loser)).Should(Equal([]string{"AlreadyManaged"}), "nothing was ever handed out to it")
		edit(loser, func(s *v1alpha1.Subaccount) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete })
		Expect(k8s.Delete(ctx, loser)).To(Succeed())
		Eventually(gone(loser)).Should(BeTrue())
		Expect(w.names()).To(Equal([]string{"Made by hand"}))
	})

	It("finds no subaccount that does not exist, and takes none that is an unfinished creation", func() {
		w := newWorld()
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, granting(w.name, "*"))
		marked := sim.Add(w.main, "k8s-01234567-89ab-cdef-0123-456789abcdef-0123", false)
		none := w.apply("none", adopting("SANONENONENONENONEXX"))
		marker := sim.Add(w.main, "k8s-01234567-01234567-89ab-cdef-0123-456789abcdef", false)
		takesMarker := w.apply("marker", adopting(marker.AuthID))
		likeOne := w.apply("like", adopting(marked.AuthID))
		Eventually(reason(none)).Should(Equal("False/RemoteNotFound"))
		Eventually(reason(takesMarker)).Should(Equal("False/AdoptionForbidden"))
		expectReady(likeOne) // not, whole, a marker
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
