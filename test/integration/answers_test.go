// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// readyMessage returns the message of the condition Ready.
func readyMessage(conditions []metav1.Condition) string {
	if c := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); c != nil {
		return c.Message
	}
	return ""
}

// listText returns a list response that contains all subaccounts on one page, each
// row edited by change.
func (w *world) listText(change func(row map[string]any)) string {
	GinkgoHelper()
	rows := []map[string]any{}
	for _, s := range sim.Subaccounts(w.main) {
		row := map[string]any{"auth_id": s.AuthID, "auth_token": s.AuthToken, "name": s.Name, "enabled": s.Enabled}
		change(row)
		rows = append(rows, row)
	}
	text, err := json.Marshal(map[string]any{"api_id": "x", "meta": map[string]any{"total_count": len(rows)}, "objects": rows})
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

var _ = Describe("An unexpected Plivo response:", func() {
	list := []plivosim.Op{plivosim.OpList}
	accountOf := func(w *world) *v1alpha1.Account {
		return &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	}

	It("422 to a create sets Rejected and is retried only on request", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, Status: http.StatusUnprocessableEntity,
			Text: `{"api_id": "x", "error": "too many subaccounts"}`})
		s := w.apply("a")
		Eventually(readyState(s)).Should(Equal("False/Rejected"))
		Expect(readyMessage(s.Status.Conditions)).To(ContainSubstring("too many subaccounts"))
		Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
		Expect(s.Status.PendingCreation).To(BeNil())
		w.sweep(2)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
		edit(s, func(s *v1alpha1.Subaccount) {
			s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
		})
		Eventually(func() int { return w.calls(plivosim.OpCreate) }).Should(Equal(2))
		Eventually(readyState(s)).Should(Equal("False/Rejected"))
		sim.ClearFaults()
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Another") })
		expectReady(s)
		w.expectExact(s)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(3))
	})

	It("202 with an error to an update creates no Secret", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Account: w.main, Status: http.StatusAccepted,
			Text: `{"api_id": "x", "error": "queue is full"}`})
		s := w.apply("a")
		Eventually(readyState(s)).Should(Equal("False/Unavailable"))
		Expect(readyMessage(s.Status.Conditions)).To(ContainSubstring("queue is full"))
		w.sweep(1)
		Expect(isGone(secretOf(s))()).To(BeTrue())
		Expect(w.countMarkers()).To(Equal(1))
		sim.ClearFaults()
		expectReady(s)
		w.expectExact(s)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
	})

	It("an unreadable list row is reported, recreates nothing and hides no drift", func() {
		w := newWorld()
		odd, drifted := w.apply("odd"), w.apply("drifted")
		expectReady(odd, drifted)
		sim.Edit(w.main, drifted.Status.AuthID, func(x *plivosim.Subaccount) { x.Name = "By hand" })
		sim.Inject(plivosim.Fault{Ops: list, Account: w.main, Text: w.listText(func(row map[string]any) {
			row["created"], row["account"] = 7, []int{}
			if row["auth_id"] == odd.Status.AuthID {
				row["name"] = map[string]int{}
			}
		}), Status: http.StatusOK})
		a := accountOf(w)
		Eventually(func() string { return readyState(a)() + ": " + readyMessage(a.Status.Conditions) }).
			Should(And(HavePrefix("False/Unavailable"), ContainSubstring("rows that cannot be read: 1 ("+odd.Status.AuthID+")")))
		Eventually(w.names).Should(Equal([]string{"Name of drifted", "Name of odd"}))
		w.sweep(2)
		Expect(w.history(odd.Status.AuthID)).To(Equal("create update"))
		Expect(w.calls(plivosim.OpCreate)).To(Equal(2))
		sim.ClearFaults()
		Eventually(readyState(a)).Should(Equal("True/Ready"))
	})

	It("a list with a wrong total is reported, and its drift is fixed", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		sim.Inject(plivosim.Fault{Ops: list, Account: w.main, Total: 1})
		sim.Edit(w.main, s.Status.AuthID, func(x *plivosim.Subaccount) { x.Name = "By hand" })
		a := accountOf(w)
		Eventually(func() string { return readyState(a)() + ": " + readyMessage(a.Status.Conditions) }).
			Should(And(HavePrefix("False/Unavailable"), ContainSubstring("it promised 2 subaccounts, showed 1, and repeated 0 rows")))
		Eventually(w.names).Should(Equal([]string{"Name of a"}))
		expectReady(s)
		sim.ClearFaults()
		Eventually(readyState(a)).Should(Equal("True/Ready"))
	})

	It("masked tokens in a list cause no get call", func() {
		w := newWorld()
		all := []*v1alpha1.Subaccount{w.apply("a"), w.apply("b")}
		expectReady(all...)
		sim.Inject(plivosim.Fault{Ops: list, Account: w.main, Status: http.StatusOK, Text: w.listText(func(row map[string]any) {
			row["auth_token"] = "****"
		})})
		w.sweep(2)
		Expect(w.calls(plivosim.OpGet)).To(BeZero())
		for _, s := range all {
			w.expectExact(s)
		}
	})
})
