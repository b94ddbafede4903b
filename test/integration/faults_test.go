package integration

import (
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

var _ = Describe("Exactly one subaccount", func() {
	It("comes out of create calls whose answers are lost, before and after the commit, at once and late", func() {
		w := newWorld()
		create := []plivosim.Op{plivosim.OpCreate}
		for _, fault := range []plivosim.Fault{
			{When: plivosim.Before, What: plivosim.Cut},
			{When: plivosim.After, What: plivosim.Cut},
			{When: plivosim.After, What: plivosim.Hang},
			{When: plivosim.Late, What: plivosim.Cut, Delay: 3 * time.Second},
			{When: plivosim.After, Status: http.StatusInternalServerError},
			{When: plivosim.Before, Status: http.StatusServiceUnavailable},
			{When: plivosim.After, Body: plivosim.BodyHTML},
			{When: plivosim.Before, Status: http.StatusTooManyRequests, RetryAfter: 1},
		} {
			fault.Ops, fault.Account, fault.Times = create, w.main, 1
			sim.Inject(fault)
		}
		var all []*v1alpha1.Subaccount
		for i := range 8 {
			all = append(all, w.apply(fmt.Sprintf("s%d", i)))
		}
		for _, s := range all {
			Eventually(reason(s), "150s").Should(Equal("True/Ready"), s.Name)
			w.expectExact(s)
		}
		Eventually(w.names).Should(HaveLen(8))
		Expect(w.markers()).To(BeZero())
	})

	It("survives a kill -9 while create calls are under way", func() {
		w := newWorld()
		for _, when := range []plivosim.When{plivosim.Before, plivosim.After, plivosim.After} {
			sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, When: when, What: plivosim.Hang, Times: 1})
		}
		all := []*v1alpha1.Subaccount{w.apply("a"), w.apply("b"), w.apply("c"), w.apply("d")}
		Eventually(func() int { return w.calls(plivosim.OpCreate) }).Should(BeNumerically(">=", 3))
		killAndRestart()
		for _, s := range all {
			Eventually(reason(s), "150s").Should(Equal("True/Ready"), s.Name)
			w.expectExact(s)
		}
		Expect(w.names()).To(HaveLen(4))
	})

	It("is not made twice by an edit while its create call is under way", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, When: plivosim.After, Delay: time.Second})
		s := w.apply("a")
		var edits sync.WaitGroup
		edits.Go(func() {
			defer GinkgoRecover()
			for i := range 10 {
				edit(s.DeepCopy(), func(s *v1alpha1.Subaccount) {
					s.Annotations = map[string]string{"edited": fmt.Sprint(i)}
				})
			}
		})
		edits.Wait()
		expectReady(s)
		w.expectExact(s)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
	})

	It("is removed when its resource is deleted while it is made", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, When: plivosim.After, Delay: time.Second})
		s := w.apply("a")
		Eventually(func() int { return len(w.names()) }).Should(Equal(1))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(gone(s)).Should(BeTrue())
		Expect(w.names()).To(BeEmpty())
	})

	It("is what an ending manager leaves recorded: SIGTERM lets the call under way finish, and exits 0", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, When: plivosim.After, Delay: time.Second})
		s := w.apply("a")
		Eventually(func() int { return w.calls(plivosim.OpCreate) }).Should(Equal(1))
		err := op.stop(syscall.SIGTERM)
		reason(s)()
		recorded := s.Status.AuthID
		op = startManager()
		Expect(err).NotTo(HaveOccurred())
		Expect(recorded).NotTo(BeEmpty())
		expectReady(s)
		w.expectExact(s)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
	})
})

var _ = Describe("Drift", func() {
	It("of name, enabled and token is put right after a sweep, for one call each", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		sim.Edit(w.main, s.Status.AuthID, func(x *plivosim.Subaccount) { x.Name = "By hand" })
		Eventually(w.names).Should(Equal([]string{"Name of a"}))
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(2))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		sim.Edit(w.main, s.Status.AuthID, func(x *plivosim.Subaccount) { x.AuthToken = "rotated-in-the-console-0123456789abcdefg" })
		Eventually(func() string { return string(w.secret(s).Data["auth_token"]) }).Should(Equal("rotated-in-the-console-0123456789abcdefg"))
		w.expectExact(s)
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(2))
		Expect(w.calls(plivosim.OpGet)).To(Equal(1))
	})

	It("of a subaccount that was deleted at Plivo makes it anew after two looks a settle time apart; an adopted one is told", func() {
		w := newWorld()
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, granting(w.name, "*"))
		console := sim.Add(w.main, "Made by hand", true)
		s, adopted := w.apply("a"), w.apply("adopted", adopting(console.AuthID))
		expectReady(s, adopted)
		old := s.Status.AuthID
		gets := w.calls(plivosim.OpGet)
		sim.Remove(w.main, old)
		sim.Remove(w.main, console.AuthID)
		Eventually(func() string { reason(s)(); return s.Status.AuthID }, "120s").ShouldNot(Or(Equal(old), BeEmpty()))
		expectReady(s)
		w.expectExact(s)
		Eventually(reason(adopted), "60s").Should(Equal("False/RemoteNotFound"))
		Expect(w.calls(plivosim.OpGet)-gets).To(Equal(4), "two for each")
		Expect(w.calls(plivosim.OpCreate)).To(Equal(2))
		Expect(w.names()).To(Equal([]string{"Name of a"}))
	})

	It("that takes most of the list at once is doubted, until a person confirms it", func() {
		w := newWorld()
		var all []*v1alpha1.Subaccount
		for i := range 12 {
			all = append(all, w.apply(fmt.Sprintf("s%d", i)))
		}
		expectReady(all...)
		id := sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Account: w.main, Rows: plivosim.None})
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Eventually(reason(a)).Should(Equal("False/InventoryImplausible"))
		Expect(k8s.Delete(ctx, all[0])).To(Succeed()) // a 204 is no absence
		Eventually(gone(all[0])).Should(BeTrue())
		w.sweeps(2)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(12))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		sim.RemoveFault(id)
		Eventually(reason(a)).Should(Equal("True/Ready"))
		expectReady(all[1:]...)
	})

	It("removes strays: marked, claimed by nobody, seen twice; but no other cluster's and nothing like one", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		kubeSystem := clusterUID()
		stray := sim.Add(w.main, "k8s-"+kubeSystem[:8]+"-"+string(s.UID), false)
		ofNobody := sim.Add(w.main, "k8s-"+kubeSystem[:8]+"-01234567-89ab-cdef-0123-456789abcdef", false)
		sim.Add(w.main, "k8s-00000000-01234567-89ab-cdef-0123-456789abcdef", false)
		sim.Add(w.main, "k8s-"+kubeSystem[:8]+"-"+string(s.UID)+"-mine", false)
		for _, x := range []plivosim.Subaccount{stray, ofNobody} {
			Eventually(func() bool { _, ok := sim.Subaccount(w.main, x.AuthID); return ok }, "90s").Should(BeFalse())
		}
		w.sweeps(2)
		Expect(w.names()).To(HaveLen(3))
		w.expectExact(s)
	})
})
