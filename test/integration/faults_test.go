// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

var _ = Describe("Exactly one subaccount", func() {
	It("is created when responses to create calls are lost or late", func() {
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
			Eventually(readyState(s)).Should(Equal("True/Ready"), s.Name)
			w.expectExact(s)
		}
		Eventually(w.names).Should(HaveLen(8))
		Expect(w.countMarkers()).To(BeZero())
	})

	It("is created when the manager is killed during create calls", func() {
		w := newWorld()
		for _, when := range []plivosim.When{plivosim.Before, plivosim.After, plivosim.After} {
			sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, When: when, What: plivosim.Hang, Times: 1})
		}
		all := []*v1alpha1.Subaccount{w.apply("a"), w.apply("b"), w.apply("c"), w.apply("d")}
		Eventually(func() int { return w.calls(plivosim.OpCreate) }).Should(BeNumerically(">=", 3))
		killAndRestart()
		for _, s := range all {
			Eventually(readyState(s)).Should(Equal("True/Ready"), s.Name)
			w.expectExact(s)
		}
		Expect(w.names()).To(HaveLen(4))
	})

	It("is created when the Subaccount is edited during the create call", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, When: plivosim.After, Delay: time.Second})
		s := w.apply("a")
		Eventually(func() int { return len(w.names()) }).Should(Equal(1))
		for i := range 10 {
			edit(s.DeepCopy(), func(s *v1alpha1.Subaccount) {
				s.Annotations = map[string]string{"edited": fmt.Sprint(i)}
			})
		}
		expectReady(s)
		w.expectExact(s)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
	})

	It("is deleted when its Subaccount is deleted during the create call", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, When: plivosim.After, Delay: time.Second})
		s := w.apply("a")
		Eventually(func() int { return len(w.names()) }).Should(Equal(1))
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(isGone(s)).Should(BeTrue())
		Expect(w.names()).To(BeEmpty())
	})

	It("is recorded when the manager gets SIGTERM during the create call", func() {
		w := newWorld()
		sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: w.main, When: plivosim.After, Delay: time.Second})
		s := w.apply("a")
		Eventually(func() int { return w.calls(plivosim.OpCreate) }).Should(Equal(1))
		err := op.stop(syscall.SIGTERM)
		readyState(s)()
		recorded := s.Status.AuthID
		op = startManager()
		Expect(err).NotTo(HaveOccurred())
		Expect(recorded).NotTo(BeEmpty())
		expectReady(s)
		w.expectExact(s)
		Expect(w.calls(plivosim.OpCreate)).To(Equal(1))
	})
})
