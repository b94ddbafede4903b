// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// leaseDuration is how long a leader that does not renew its lease stays the leader.
const leaseDuration = 15 * time.Second

var _ = Describe("Leader election", func() {
	It("hands over at once when the leader stops, after the lease when it is killed", func() {
		w := newWorld("tenant")
		first := w.startLeader()
		second := w.startStandby()
		all, stopUsers := w.users()
		Eventually(func() int { return w.plivo.sent(plivosim.OpUpdate) }).Should(BeNumerically(">", 5))

		before := w.lease()
		Expect(first.Stop(syscall.SIGTERM)).To(Succeed())
		Expect(w.holder()).NotTo(Equal(*before.Spec.HolderIdentity), "a manager that stops releases the lease")
		after := w.awaitTakeover(before)
		Expect(after.Spec.AcquireTime.Sub(before.Spec.RenewTime.Time)).To(BeNumerically("<", leaseDuration))
		updates := w.plivo.sent(plivosim.OpUpdate)
		Eventually(func() int { return w.plivo.sent(plivosim.OpUpdate) }).Should(BeNumerically(">", updates+5))

		w.startStandby()
		_ = second.Stop(syscall.SIGKILL)
		killed := time.Now()
		before = w.lease()
		after = w.awaitTakeover(before)
		Expect(after.Spec.AcquireTime.Sub(before.Spec.RenewTime.Time)).To(And(
			BeNumerically(">=", leaseDuration), BeNumerically("<", 2*leaseDuration)))
		for _, c := range w.plivo.calls() {
			idle := c.At.After(killed.Add(time.Second)) && c.At.Before(after.Spec.AcquireTime.Time)
			Expect(idle).To(BeFalse(), "a standby called Plivo: %v", c)
		}
		updates = w.plivo.sent(plivosim.OpUpdate)
		Eventually(func() int { return w.plivo.sent(plivosim.OpUpdate) }).Should(BeNumerically(">", updates+5))

		stopUsers()
		w.expectExact(all, 3*time.Minute)
		w.expectNoChanges(all)
		w.expectOneNamed()
		Expect(w.plivo.committedIDs(plivosim.OpCreate)).To(HaveLen(len(all)), "one subaccount for each Subaccount, without duplicates")
	})

	It("ends a leader that freezes during creates and wakes after a takeover", func() {
		w := newWorld("tenant")
		all := wanted{}
		first := w.startLeader()
		second := w.startStandby()

		lease := w.freezeDuringCreates(all, first, "first")
		w.awaitTakeover(lease)
		w.expectExact(all, 3*time.Minute)
		// Plivo carries out the frozen leader's create calls only now, after the second
		// leader has created the same subaccounts.
		var late struct{ Committed int }
		Expect(w.plivo.control(http.MethodPost, "late", nil, &late)).To(Succeed())
		Expect(late.Committed).To(Equal(lateCreates))
		Expect(w.differences(all)).To(HaveLen(lateCreates))
		w.expectExitAfterWakeup(first)

		// The second leader freezes too, and wakes directly after its successor has taken over.
		w.startStandby()
		lease = w.freezeDuringCreates(all, second, "second")
		w.awaitTakeover(lease)
		w.expectExitAfterWakeup(second)
		Eventually(func() error { return w.plivo.control(http.MethodPost, "late", nil, &late) }).Should(Succeed())

		w.expectExact(all, 4*time.Minute)
		w.expectNoChanges(all)
		w.expectOneNamed()
		strays := w.plivo.duplicates()
		Expect(len(strays)).To(BeNumerically(">=", lateCreates))
		Expect(w.plivo.committedIDs(plivosim.OpDelete)).To(HaveLen(len(strays)), "deletions of the strays only")
	})
})

func (w *world) lease() *coordinationv1.Lease {
	// Its name follows from --namespaces. All managers of a world share one lease.
	var all coordinationv1.LeaseList
	err := w.k8s.List(ctx, &all, client.InNamespace(operatorNamespace))
	if err != nil || len(all.Items) != 1 {
		w.logf("got %d leases, %v, want 1", len(all.Items), err)
		return &coordinationv1.Lease{}
	}
	return &all.Items[0]
}

// holder returns the lease's holder, or "" while no manager leads.
func (w *world) holder() string { return ptr.Deref(w.lease().Spec.HolderIdentity, "") }

func (w *world) startLeader() *manager {
	m := w.startManager("--leader-elect")
	Eventually(w.holder).ShouldNot(BeEmpty())
	return m
}

// startStandby starts a manager beside a leader and waits until it tries to acquire the lease.
func (w *world) startStandby() *manager {
	m := w.startManager("--leader-elect")
	Eventually(m.logText).Should(ContainSubstring("ttempting to acquire leader lease"))
	return m
}

func (m *manager) logText() string {
	text, err := os.ReadFile(m.log)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// awaitTakeover waits for the next leader and returns its lease.
func (w *world) awaitTakeover(before *coordinationv1.Lease) *coordinationv1.Lease {
	GinkgoHelper()
	Eventually(w.holder).ShouldNot(Or(BeEmpty(), Equal(*before.Spec.HolderIdentity)))
	w.logf("another manager leads")
	return w.lease()
}

// users applies one Subaccount after another until stop is called.
func (w *world) users() (all wanted, stop func()) {
	all = wanted{}
	var group sync.WaitGroup
	stopping := make(chan struct{})
	group.Go(func() {
		defer GinkgoRecover()
		for i := 0; ; i++ {
			select {
			case <-stopping:
				return
			case <-time.After(300 * time.Millisecond):
				w.apply(all, "tenant", fmt.Sprint("s", i), 1)
			}
		}
	})
	stop = sync.OnceFunc(func() {
		close(stopping)
		group.Wait()
	})
	DeferCleanup(stop) // needed if the spec fails early
	return all, stop
}

// lateCreates is how many create calls of a frozen leader Plivo carries out only when the
// spec requests it.
const lateCreates = 3

// freezeDuringCreates freezes the leader while it waits for the responses to create
// calls. The calls fail in different ways.
func (w *world) freezeDuringCreates(all wanted, leader *manager, prefix string) *coordinationv1.Lease {
	faults := []plivosim.Fault{
		{When: plivosim.Before, What: plivosim.Hang},
		{When: plivosim.After, What: plivosim.Hang},
		{When: plivosim.After, Delay: plivoTimeout * 3 / 4}, // the response arrives while the leader is frozen
		{When: plivosim.Late, What: plivosim.Hang, Delay: leaseDuration / 2},
		{When: plivosim.Late, What: plivosim.Hang}, // carried out when the spec requests it
	}
	w.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	for _, f := range faults {
		w.plivo.failCreates(lateCreates, f)
	}
	sent := w.plivo.sent(plivosim.OpCreate)
	w.apply(all, "tenant", prefix, 24)
	Eventually(func() int { return w.plivo.sent(plivosim.OpCreate) - sent }, "30s", "10ms").
		Should(BeNumerically(">=", len(faults)*lateCreates))
	leader.Signal(syscall.SIGSTOP)
	w.logf("the leader is frozen, %d creates sent", w.plivo.sent(plivosim.OpCreate)-sent)
	return w.lease()
}

// expectExitAfterWakeup wakes a leader that has lost the lease, and waits for its exit.
func (w *world) expectExitAfterWakeup(m *manager) {
	GinkgoHelper()
	m.Signal(syscall.SIGCONT)
	Eventually(m.Exited()).Should(BeClosed())
	Expect(m.Wait()).To(MatchError(ContainSubstring("exit status 1")))
	Expect(strings.Contains(m.logText(), "leader election lost")).To(BeTrue())
}
