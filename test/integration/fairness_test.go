package integration

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

var _ = Describe("A place in the budget", func() {
	It("comes in turn by namespace: who comes late with one does not wait for another's many", func() {
		w := newWorld(func(a *v1alpha1.Account) { a.Spec.RequestsPer5Seconds = 10 })
		const many = 40 // 80 calls: 40 s
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
			Eventually(reason(s), "120s").Should(Equal("True/Ready"), s.Name)
		}
		Expect(w.calls(plivosim.OpCreate)).To(Equal(many + 1))
		Expect(w.calls(plivosim.OpUpdate)).To(Equal(many + 1))
		Expect(w.calls(plivosim.OpGet)).To(BeZero(), "a token in hand is not lost for want of a place")
	})

	DescribeTable("of a main account whose calls hang keeps nobody from another's", func(hang ...plivosim.Op) {
		broken, well := newWorld(), newWorld()
		sim.Inject(plivosim.Fault{Ops: hang, Account: broken.main, What: plivosim.Hang})
		last := hang[len(hang)-1]
		const many = 300
		for i := range many {
			broken.apply(fmt.Sprintf("s%d", i))
		}
		Eventually(func() int { return broken.calls(last) }).Should(BeNumerically(">=", 10))
		var all []*v1alpha1.Subaccount
		for i := range 30 {
			all = append(all, well.apply(fmt.Sprintf("s%d", i)))
		}
		expectReady(all...)
		// Calls that hang hold a quarter of the 64 workers. The server may count
		// some twice that their client has given up.
		Expect(broken.inFlight()).To(BeNumerically("<=", 64/2))
		Expect(well.calls(plivosim.OpCreate)).To(Equal(30))
		for _, s := range all {
			edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Enabled = ptr.To(false) })
		}
		expectReady(all...)
	},
		Entry("all of them", plivosim.OpUpdate, plivosim.OpCreate),
		Entry("those of one kind, while others are answered", plivosim.OpUpdate),
	)
})
