// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

var _ = Describe("Drift", func() {
	It("of each kind is fixed with the fewest calls; a missing adopted one is reported", func() {
		w := newWorld()
		edit(&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}, granting(w.name, "*"))
		console := sim.Add(w.main, "Made by hand", true)
		none, name, enabled, token, deleted := w.apply("none"), w.apply("name"), w.apply("enabled"), w.apply("token"), w.apply("deleted")
		adopted := w.apply("adopted", adopting(console.AuthID))
		expectReady(none, name, enabled, token, deleted, adopted)
		before := map[string]string{}
		for _, s := range []*v1alpha1.Subaccount{none, name, enabled, token, deleted} {
			before[s.Name] = w.secret(s).ResourceVersion
		}
		old := deleted.Status.AuthID

		sim.Edit(w.main, name.Status.AuthID, func(x *plivosim.Subaccount) { x.Name = "By hand" })
		sim.Edit(w.main, enabled.Status.AuthID, func(x *plivosim.Subaccount) { x.Enabled = false })
		sim.Edit(w.main, token.Status.AuthID, func(x *plivosim.Subaccount) { x.AuthToken = "rotated-in-the-console-0123456789abcdefg" })
		sim.Remove(w.main, old)
		sim.Remove(w.main, console.AuthID)
		Eventually(authID(deleted)).ShouldNot(Or(Equal(old), BeEmpty()))
		Eventually(readyState(adopted)).Should(Equal("False/RemoteNotFound"))
		w.sweep(2) // must cause no further calls

		expectReady(none, name, enabled, token, deleted)
		var rewritten []string
		for _, s := range []*v1alpha1.Subaccount{none, name, enabled, token, deleted} {
			w.expectExact(s)
			if w.secret(s).ResourceVersion != before[s.Name] {
				rewritten = append(rewritten, s.Name)
			}
		}
		Expect(rewritten).To(Equal([]string{"token", "deleted"}))
		Expect(map[string]string{
			"none": w.history(none.Status.AuthID), "name": w.history(name.Status.AuthID), "enabled": w.history(enabled.Status.AuthID),
			"token": w.history(token.Status.AuthID), "deleted": w.history(old), "recreated": w.history(deleted.Status.AuthID),
			"adopted": w.history(console.AuthID),
		}).To(Equal(map[string]string{
			"none": "create update", "name": "create update update", "enabled": "create update update",
			"token": "create update get", "deleted": "create update get get", "recreated": "create update",
			"adopted": "get get get", // the adoption sent the first
		}))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(6), "every create call created a subaccount")
		Expect(deleted.Status.PreviousAuthID).To(Equal(old))
		Expect(adopted.Status.PreviousAuthID).To(BeEmpty())
		Eventually(logLines).WithArguments(map[string]any{"msg": "Recreating a subaccount that is gone at Plivo", "level": "info", "namespace": w.name}).
			Should(ConsistOf(And(HaveKeyWithValue("name", "deleted"), HaveKeyWithValue(logging.PreviousAuthID, old))))
	})

	It("of a missing subaccount is only reported while recreatePolicy is Never", func() {
		w := newWorld()
		s := w.apply("a", func(s *v1alpha1.Subaccount) { s.Spec.RecreatePolicy = v1alpha1.RecreatePolicyNever })
		expectReady(s)
		old, started := s.Status.AuthID, time.Now()
		sim.Remove(w.main, old)
		Eventually(readyState(s)).Should(Equal("False/RemoteNotFound"))
		Expect(time.Since(started)).To(BeNumerically(">=", 10*time.Second), "two sweeps, an interval apart")
		w.sweep(2)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.RecreatePolicy = v1alpha1.RecreatePolicyAutomatic })
		Eventually(readyState(s)).Should(Equal("True/Ready"))
		w.expectExact(s)
		Expect(s.Status.PreviousAuthID).To(Equal(old))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(2))
	})

	It("of the whole list triggers the mass-deletion guard until the list is back", func() {
		w := newWorld()
		var all []*v1alpha1.Subaccount
		for i := range 12 {
			all = append(all, w.apply(fmt.Sprintf("s%d", i)))
		}
		expectReady(all...)
		id := sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Account: w.main, Rows: plivosim.None})
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Eventually(readyState(a)).Should(Equal("False/InventoryImplausible"))
		Expect(k8s.Delete(ctx, all[0])).To(Succeed()) // the guard must not block a requested deletion
		Eventually(isGone(all[0])).Should(BeTrue())
		w.sweep(2)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(12))
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		sim.RemoveFault(id)
		Eventually(readyState(a)).Should(Equal("True/Ready"))
		expectReady(all[1:]...)
	})

	It("of two thirds of the list is fixed only after a user confirms it", func() {
		w := newWorld()
		var all []*v1alpha1.Subaccount
		for i := range 30 {
			all = append(all, w.apply(fmt.Sprintf("s%d", i)))
		}
		expectReady(all...)
		lost, kept := all[:20], all[20:]
		before := map[string]string{} // by name of the Subaccount
		secrets := map[string]string{}
		for _, s := range all {
			before[s.Name], secrets[s.Name] = s.Status.AuthID, w.secret(s).ResourceVersion
		}
		var ids []string
		for _, s := range lost {
			ids = append(ids, s.Status.AuthID)
		}
		// All at once: if a sweep lacks only a few subaccounts, the operator may get each of them.
		sim.Remove(w.main, ids...)
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Eventually(readyState(a)).Should(Equal("False/InventoryImplausible"))
		for _, s := range lost {
			Eventually(readyState(s)).Should(Equal("False/InventoryImplausible"))
		}
		w.sweep(2)
		expectReady(kept...)
		for _, s := range all {
			Expect(authID(s)()).To(Equal(before[s.Name]))
			Expect(w.secret(s).ResourceVersion).To(Equal(secrets[s.Name]))
			Expect(w.history(s.Status.AuthID)).To(Equal("create update"))
		}

		edit(a, func(a *v1alpha1.Account) {
			a.Annotations = map[string]string{v1alpha1.ConfirmDisappearanceAnnotation: "removed by hand"}
		})
		for _, s := range lost {
			Eventually(authID(s)).ShouldNot(Or(Equal(before[s.Name]), BeEmpty()))
		}
		expectReady(all...)
		w.sweep(2)
		Expect(readyState(a)()).To(Equal("True/Ready"))
		for _, s := range all {
			w.expectExact(s)
			Expect(w.history(s.Status.AuthID)).To(Equal("create update"))
		}
		for _, s := range lost {
			Expect(w.history(before[s.Name])).To(Equal("create update get get"))
		}
		for _, s := range kept {
			Expect(w.secret(s).ResourceVersion).To(Equal(secrets[s.Name]))
		}
		Expect(w.names()).To(HaveLen(30))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(50))
	})

	It("is not inferred from a proxy's 404s: no recreation, no finalizer removed", func() {
		w := newWorld()
		unchanged, requested, renamed, deleting := w.apply("unchanged"), w.apply("requested"), w.apply("renamed"), w.apply("deleting")
		all := []*v1alpha1.Subaccount{unchanged, requested, renamed, deleting}
		expectReady(all...)
		before := sim.Subaccounts(w.main)
		proxy := sim.Inject(plivosim.Fault{Account: w.main, Status: http.StatusNotFound})
		edit(requested, func(s *v1alpha1.Subaccount) {
			s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
		})
		edit(renamed, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Renamed") })
		Expect(k8s.Delete(ctx, deleting)).To(Succeed())
		for s, last := range map[*v1alpha1.Subaccount]string{requested: "get", renamed: "update", deleting: "delete"} {
			Eventually(func() string { return w.history(s.Status.AuthID) }).Should(HaveSuffix(last))
		}
		a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
		Eventually(readyState(a)).Should(Equal("False/Unavailable"))
		w.awaitLists(5)  // the retries pause 1, 2, 4 and 8 s, in sum longer than the settle time
		killAndRestart() // a process that starts behind the proxy must not act either
		w.awaitLists(3)

		Expect(isGone(deleting)()).To(BeFalse())
		Expect(deleting.Finalizers).To(ContainElement(v1alpha1.Finalizer))
		Expect(sim.Subaccounts(w.main)).To(Equal(before))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(len(all)))
		for _, s := range all {
			Expect(w.secret(s).Data).NotTo(BeEmpty())
		}
		sim.RemoveFault(proxy)
		Eventually(isGone(deleting)).Should(BeTrue())
		for _, s := range []*v1alpha1.Subaccount{unchanged, requested, renamed} {
			Eventually(readyState(s)).Should(Equal("True/Ready"), s.Name)
			w.expectExact(s)
		}
		Eventually(func() string { readyState(requested)(); return requested.Status.LastHandledReconcileAt }).Should(Equal("now"))
		Expect(w.names()).To(Equal([]string{"Name of requested", "Name of unchanged", "Renamed"}))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(len(all)))
	})
})

// history returns the operations of all calls to one subaccount, in order, such as
// "create update get".
func (w *world) history(authID string) string {
	var ops []string
	for _, c := range sim.Calls() {
		if c.Account == w.main && c.AuthID == authID {
			ops = append(ops, string(c.Op))
		}
	}
	return strings.Join(ops, " ")
}

// authID returns status.authID as the API server has it.
func authID(s *v1alpha1.Subaccount) func() string {
	return func() string {
		readyState(s)()
		return s.Status.AuthID
	}
}
