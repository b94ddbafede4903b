//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

const (
	chaosTime   = time.Minute
	tenants     = 4
	perTenant   = 55
	doomed      = "doomed" // the namespace that is deleted
	perDoomed   = 40
	cutOffTime  = 8 * time.Second
	faultChance = 0.02
)

var _ = Describe("Chaos", func() {
	It("ends exact: users at work, Plivo at fault, and everything killed again and again", func() {
		w := newWorld(append(tenantNames(), doomed)...)
		lives := w.planLives()
		var users, processes sync.WaitGroup
		accidents := w.planAccidents(&users)
		kills := planKills(w.rng)

		w.live(&users, lives)
		processes.Go(func() {
			defer GinkgoRecover()
			w.killManagers(kills)
		})
		DeferCleanup(processes.Wait) // of a spec that fails
		start := time.Now()
		for _, a := range accidents {
			time.Sleep(time.Until(start.Add(a.at)))
			w.tell("%s", a.what)
			Expect(a.do()).To(Succeed(), a.what)
		}
		processes.Wait()
		w.tell("the faults stop; %d creates sent so far", w.plivo.sent(plivosim.OpCreate))
		Expect(w.plivo.endFaults()).To(Succeed())
		w.startManager()
		users.Wait()
		w.tell("the users are done")
		// Creates that are made late, but within the settle time: who does not
		// wait for that makes them twice.
		w.plivo.strikeCreates(5, plivosim.Fault{When: plivosim.Late, What: plivosim.Cut, Delay: settleMargin - 2*time.Second})

		all := wanted{}
		w.apply(all, "tenant-0", "late", 5)
		for _, l := range lives {
			if l.end != nil {
				all[l.key] = *l.end
			}
		}
		w.expectExact(all, 5*time.Minute)
		w.expectStill(all)
		w.expectHandedOutOnce()
		// No change was made later than the settle time allows, so that nothing
		// can have been taken for not made.
		Expect(w.plivo.duplicates()).To(BeEmpty())
		Expect(apierrors.IsNotFound(w.k8s.Get(ctx, types.NamespacedName{Name: doomed}, &corev1.Namespace{}))).To(BeTrue())
	})
})

func tenantNames() []string {
	var names []string
	for t := range tenants {
		names = append(names, fmt.Sprint("tenant-", t))
	}
	return names
}

func (w *world) planLives() []life {
	var lives []life
	for _, namespace := range tenantNames() {
		for i := range perTenant {
			key := types.NamespacedName{Namespace: namespace, Name: fmt.Sprintf("s%d", i)}
			lives = append(lives, planLife(w.rng, key, chaosTime))
		}
	}
	return lives
}

// planKills draws how long each manager lives: one to four seconds.
func planKills(rng *rand.Rand) []time.Duration {
	var pauses []time.Duration
	for total := time.Duration(0); total < chaosTime; total += pauses[len(pauses)-1] {
		pauses = append(pauses, time.Second+time.Duration(rng.Int64N(int64(3*time.Second))))
	}
	return pauses
}

func (w *world) killManagers(pauses []time.Duration) {
	for _, pause := range pauses {
		m := w.startManager()
		time.Sleep(pause)
		_ = m.Stop(syscall.SIGKILL)
	}
	w.tell("killed %d managers", len(pauses))
}

// accident is something that happens to the world at its time.
type accident struct {
	at   time.Duration
	what string
	do   func() error
}

// planAccidents draws what happens, and when.
func (w *world) planAccidents(users *sync.WaitGroup) []accident {
	between := func(from, to int) time.Duration {
		return time.Duration(from)*time.Second + time.Duration(w.rng.Int64N(int64(to-from)*int64(time.Second)))
	}
	cutOff := between(15, 40)
	all := w.planFaults(between, cutOff+cutOffTime)
	all = append(all,
		accident{cutOff, "Plivo is cut off", func() error { w.plivo.freeze(); return nil }},
		accident{cutOff + cutOffTime, "Plivo is back", func() error { w.plivo.thaw(); return nil }},
		accident{between(10, 45), "a namespace is deleted while its Subaccounts are made", func() error {
			users.Go(func() {
				defer GinkgoRecover()
				w.doom(doomed, perDoomed)
			})
			return nil
		}},
		accident{chaosTime, "the end", func() error { return nil }},
	)
	outages := [][]string{{controlplane.APIServer, controlplane.Etcd}, {controlplane.Etcd}, {controlplane.APIServer}}
	w.rng.Shuffle(len(outages), func(i, j int) { outages[i], outages[j] = outages[j], outages[i] })
	for i, names := range outages {
		all = append(all, accident{between(5+i*17, 20+i*17), "kill -9 of " + strings.Join(names, " and "), func() error {
			if err := w.plane.Kill(names...); err != nil {
				return err
			}
			return w.plane.Revive()
		}})
	}
	slices.SortStableFunc(all, func(a, b accident) int { return int(a.at - b.at) })
	return all
}

// planFaults draws the order of the faults and their particulars: from the
// start an eighth of all requests go wrong, lists shift, and lag for a while, while
// Plivo is not cut off (else it could not be told).
func (w *world) planFaults(between func(from, to int) time.Duration, thaw time.Duration) []accident {
	changes := []plivosim.Op{plivosim.OpCreate, plivosim.OpUpdate, plivosim.OpDelete}
	lists := []plivosim.Op{plivosim.OpList}
	faults := []plivosim.Fault{
		{What: plivosim.Cut},
		{When: plivosim.After, What: plivosim.Cut},
		{Status: 500},
		{When: plivosim.After, Status: 503},
		{Status: 429, RetryAfter: w.rng.IntN(2)},
		{Status: 502, Text: w.plivo.reflected()},
		{Status: 302, Text: w.plivo.reflected(), Location: "http://" + w.plivo.account + ":" + w.plivo.token + "@127.0.0.1:1/"},
		{Ops: changes, When: plivosim.Late, What: plivosim.Cut, Delay: between(1, 6)},
		{When: plivosim.After, Body: plivosim.BodyHTML, Probability: faultChance / 2},
		{When: plivosim.After, Body: plivosim.BodyTruncated, Probability: faultChance / 2},
		{Ops: lists, Shift: []int{-1, 1}[w.rng.IntN(2)], Probability: 5 * faultChance},
		{Ops: lists, Total: []int{-1, 1}[w.rng.IntN(2)], Probability: faultChance},
	}
	w.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	var all []accident
	for _, f := range faults {
		if f.Probability == 0 {
			f.Probability = faultChance
		}
		all = append(all, accident{between(0, 5), "fault: " + f.String(), func() error {
			_, err := w.plivo.inject(f)
			return err
		}})
	}
	var lag int
	lagging := func() (err error) {
		lag, err = w.plivo.inject(plivosim.Fault{Ops: lists, Rows: plivosim.Stale, Probability: 0.2})
		return err
	}
	return append(all,
		accident{between(5, 8), "lists begin to lag", lagging},
		accident{between(9, 14), "lists no longer lag", func() error { return w.plivo.endFault(lag) }},
		accident{thaw + time.Second, "lists lag again", lagging})
}
