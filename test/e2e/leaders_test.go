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

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

// leaseDuration is how long a leader that is not heard of keeps the lead.
const leaseDuration = 15 * time.Second

var _ = Describe("Of two managers", func() {
	It("one works; another takes over at once from one that ends, and after the lease from one that is killed", func() {
		w := newWorld("tenant")
		first := w.startLeader()
		second := w.startStandby()
		all, stopUsers := w.users()
		Eventually(func() int { return w.plivo.sent(plivosim.OpUpdate) }).Should(BeNumerically(">", 5))

		before := w.lease()
		Expect(first.Stop(syscall.SIGTERM)).To(Succeed())
		Expect(w.holder()).NotTo(Equal(*before.Spec.HolderIdentity), "the lease is given up")
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
			Expect(idle).To(BeFalse(), "a standby worked: %v", c)
		}
		updates = w.plivo.sent(plivosim.OpUpdate)
		Eventually(func() int { return w.plivo.sent(plivosim.OpUpdate) }).Should(BeNumerically(">", updates+5))

		stopUsers()
		w.expectExact(all, 3*time.Minute)
		w.expectStill(all)
		w.expectHandedOutOnce()
		Expect(w.plivo.committed(plivosim.OpCreate)).To(HaveLen(len(all)), "no duplicate was ever made")
	})

	It("the leader that freezes amid its creates, and wakes when another leads, ends and does no harm", func() {
		w := newWorld("tenant")
		all := wanted{}
		first := w.startLeader()
		second := w.startStandby()

		lease := w.freezeAmidCreates(all, first, "first")
		w.awaitTakeover(lease)
		w.expectExact(all, 3*time.Minute)
		// What the frozen leader asked for is made only now, beside what the
		// other has made since.
		var late struct{ Committed int }
		Expect(w.plivo.control(http.MethodPost, "late", nil, &late)).To(Succeed())
		Expect(late.Committed).To(Equal(lateCreates))
		Expect(w.differences(all)).To(HaveLen(lateCreates))
		w.expectLost(first)

		// The other freezes too, and wakes while its successor has hardly begun.
		w.startStandby()
		lease = w.freezeAmidCreates(all, second, "second")
		w.awaitTakeover(lease)
		w.expectLost(second)
		Eventually(func() error { return w.plivo.control(http.MethodPost, "late", nil, &late) }).Should(Succeed())

		w.expectExact(all, 4*time.Minute)
		w.expectStill(all)
		w.expectHandedOutOnce()
		strays := w.plivo.duplicates()
		Expect(len(strays)).To(BeNumerically(">=", lateCreates))
		Expect(w.plivo.committed(plivosim.OpDelete)).To(HaveLen(len(strays)), "the strays, and nothing else")
	})
})

func (w *world) lease() *coordinationv1.Lease {
	// Its name follows from --namespaces. There is one, of all managers here.
	var all coordinationv1.LeaseList
	err := w.k8s.List(ctx, &all, client.InNamespace(operatorNamespace))
	if err != nil || len(all.Items) != 1 {
		w.tell("%d leases: %v", len(all.Items), err)
		return &coordinationv1.Lease{}
	}
	return &all.Items[0]
}

// holder is empty while nobody leads.
func (w *world) holder() string { return ptr.Deref(w.lease().Spec.HolderIdentity, "") }

func (w *world) startLeader() *manager {
	m := w.startManager("--leader-elect")
	Eventually(w.holder).ShouldNot(BeEmpty())
	return m
}

// startStandby starts a manager beside a leader, and waits until it wants the lease.
func (w *world) startStandby() *manager {
	m := w.startManager("--leader-elect")
	Eventually(m.printed).Should(ContainSubstring("ttempting to acquire leader lease"))
	return m
}

func (m *manager) printed() string {
	text, err := os.ReadFile(m.log)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// awaitTakeover returns the lease as the next leader holds it.
func (w *world) awaitTakeover(before *coordinationv1.Lease) *coordinationv1.Lease {
	GinkgoHelper()
	Eventually(w.holder).ShouldNot(Or(BeEmpty(), Equal(*before.Spec.HolderIdentity)))
	w.tell("the lead is taken over")
	return w.lease()
}

// users apply one Subaccount after another until they are stopped.
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
	DeferCleanup(stop) // of a spec that fails
	return all, stop
}

// lateCreates is how many creates of a frozen leader are made last of all.
const lateCreates = 3

// freezeAmidCreates freezes the leader while it waits for the answers to
// creates, each of which has another fate.
func (w *world) freezeAmidCreates(all wanted, leader *manager, prefix string) *coordinationv1.Lease {
	faults := []plivosim.Fault{
		{When: plivosim.Before, What: plivosim.Hang},
		{When: plivosim.After, What: plivosim.Hang},
		{When: plivosim.After, Delay: plivoTimeout * 3 / 4}, // answered while the leader is frozen
		{When: plivosim.Late, What: plivosim.Hang, Delay: leaseDuration / 2},
		{When: plivosim.Late, What: plivosim.Hang}, // when the spec says so
	}
	w.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	for _, f := range faults {
		w.plivo.strikeCreates(lateCreates, f)
	}
	sent := w.plivo.sent(plivosim.OpCreate)
	w.apply(all, "tenant", prefix, 24)
	Eventually(func() int { return w.plivo.sent(plivosim.OpCreate) - sent }, "30s", "10ms").
		Should(BeNumerically(">=", len(faults)*lateCreates))
	leader.Signal(syscall.SIGSTOP)
	w.tell("the leader is frozen, %d creates sent", w.plivo.sent(plivosim.OpCreate)-sent)
	return w.lease()
}

// expectLost wakes a leader that has lost the lease meanwhile: it ends.
func (w *world) expectLost(m *manager) {
	GinkgoHelper()
	m.Signal(syscall.SIGCONT)
	Eventually(m.Exited()).Should(BeClosed())
	Expect(m.Wait()).To(MatchError(ContainSubstring("exit status 1")))
	Expect(strings.Contains(m.printed(), "leader election lost")).To(BeTrue())
}
