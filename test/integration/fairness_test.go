// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

var _ = Describe("The request budget", func() {
	It("is shared in turns: a late Subaccount does not wait for another namespace's 40", func() {
		w := newWorld(func(a *v1alpha1.Account) { a.Spec.RequestsPer5Seconds = 10 })
		const many = 40 // 80 calls take 40 s at 10 calls per 5 s
		var all []*v1alpha1.Subaccount
		for i := range many {
			all = append(all, w.apply(fmt.Sprintf("s%d", i)))
		}
		Eventually(func() int { return w.calls(plivosim.OpCreate) }).Should(BeNumerically(">=", 3))
		w.namespace(w.name + "-late")
		late := w.apply("late", func(s *v1alpha1.Subaccount) { s.Namespace = w.name + "-late" })
		expectReady(late)
		Expect(w.calls(plivosim.OpCreate)).To(BeNumerically("<", many/2))
		for _, s := range all {
			Eventually(readyState(s)).Should(Equal("True/Ready"), s.Name)
		}
		Expect(w.calls(plivosim.OpCreate)).To(Equal(many + 1))
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(many + 1))
		Expect(w.calls(plivosim.OpGet)).To(BeZero(), "the operator keeps the token of a create response while it waits for a slot")
	})

	DescribeTable("of other main accounts is not affected by calls that hang", func(hang ...plivosim.Op) {
		broken, healthy := newWorld(), newWorld()
		sim.Inject(plivosim.Fault{Ops: hang, Account: broken.main, What: plivosim.Hang})
		last := hang[len(hang)-1]
		const many = 300
		for i := range many {
			broken.apply(fmt.Sprintf("s%d", i))
		}
		Eventually(func() int { return broken.calls(last) }).Should(BeNumerically(">=", 10))
		var all []*v1alpha1.Subaccount
		for i := range 30 {
			all = append(all, healthy.apply(fmt.Sprintf("s%d", i)))
		}
		expectReady(all...)
		// Hanging calls may occupy a quarter of the 64 workers. The simulator may still count
		// calls that the client has given up, hence half.
		Expect(broken.maxInFlight()).To(BeNumerically("<=", 64/2))
		Expect(healthy.calls(plivosim.OpCreate)).To(Equal(30))
		for _, s := range all {
			edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Enabled = ptr.To(false) })
		}
		expectReady(all...)
	},
		Entry("of all kinds", plivosim.OpUpdate, plivosim.OpCreate),
		Entry("of one kind only", plivosim.OpUpdate),
	)
})
