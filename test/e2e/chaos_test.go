// SPDX-License-Identifier: Apache-2.0

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

	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

const (
	chaosTime   = time.Minute
	tenants     = 4
	perTenant   = 55
	doomed      = "doomed" // the spec deletes this namespace
	perDoomed   = 40
	cutOffTime  = 8 * time.Second
	faultChance = 0.02
)

var _ = Describe("Chaos", func() {
	It("of user edits, Plivo faults and killed processes ends in the exact state", func() {
		w := newWorld(append(tenantNames(), doomed)...)
		lifecycles := w.planLifecycles()
		var users, processes sync.WaitGroup
		incidents := w.planIncidents(&users)
		kills := planKills(w.rng)

		w.runLifecycles(&users, lifecycles)
		processes.Go(func() {
			defer GinkgoRecover()
			w.startAndKillManagers(kills)
		})
		DeferCleanup(processes.Wait) // needed if the spec fails early
		start := time.Now()
		for _, a := range incidents {
			time.Sleep(time.Until(start.Add(a.at)))
			w.logf("%s", a.what)
			Expect(a.do()).To(Succeed(), a.what)
		}
		processes.Wait()
		w.logf("the faults stop; %d creates sent so far", w.plivo.sent(plivosim.OpCreate))
		Expect(w.plivo.endFaults()).To(Succeed())
		w.startManager()
		users.Wait()
		w.logf("the users are done")
		// Plivo carries out these create calls late, but within the settle time. An operator
		// that does not wait for it would create duplicates.
		w.plivo.failCreates(5, plivosim.Fault{When: plivosim.Late, What: plivosim.Cut, Delay: settleMargin - 2*time.Second})

		all := wanted{}
		w.apply(all, "tenant-0", "late", 5)
		for _, l := range lifecycles {
			if l.end != nil {
				all[l.key] = *l.end
			}
		}
		w.expectExact(all, 5*time.Minute)
		w.expectNoChanges(all)
		w.expectOneNamed()
		// Plivo carried out every call within the settle time, so no duplicate is allowed.
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

func (w *world) planLifecycles() []lifecycle {
	var lifecycles []lifecycle
	for _, namespace := range tenantNames() {
		for i := range perTenant {
			key := types.NamespacedName{Namespace: namespace, Name: fmt.Sprintf("s%d", i)}
			lifecycles = append(lifecycles, planLifecycle(w.rng, key, chaosTime))
		}
	}
	return lifecycles
}

// planKills draws the lifetime of each manager: one to four seconds.
func planKills(rng *rand.Rand) []time.Duration {
	var pauses []time.Duration
	for total := time.Duration(0); total < chaosTime; total += pauses[len(pauses)-1] {
		pauses = append(pauses, time.Second+time.Duration(rng.Int64N(int64(3*time.Second))))
	}
	return pauses
}

func (w *world) startAndKillManagers(pauses []time.Duration) {
	for _, pause := range pauses {
		m := w.startManager()
		time.Sleep(pause)
		_ = m.Stop(syscall.SIGKILL)
	}
	w.logf("killed %d managers", len(pauses))
}

// incident is a failure, or the end of one, at a given time of the spec.
type incident struct {
	at   time.Duration
	what string
	do   func() error
}

// planIncidents draws the incidents and their times.
func (w *world) planIncidents(users *sync.WaitGroup) []incident {
	between := func(from, to int) time.Duration {
		return time.Duration(from)*time.Second + time.Duration(w.rng.Int64N(int64(to-from)*int64(time.Second)))
	}
	cutOff := between(15, 40)
	all := w.planFaults(between, cutOff+cutOffTime)
	all = append(all,
		incident{cutOff, "Plivo is cut off", func() error { w.plivo.pause(); return nil }},
		incident{cutOff + cutOffTime, "Plivo is back", func() error { w.plivo.resume(); return nil }},
		incident{between(10, 45), "a namespace is deleted while the operator creates its subaccounts", func() error {
			users.Go(func() {
				defer GinkgoRecover()
				w.createAndDeleteNamespace(doomed, perDoomed)
			})
			return nil
		}},
		incident{chaosTime, "the end", func() error { return nil }},
	)
	outages := [][]string{{controlplane.APIServer, controlplane.Etcd}, {controlplane.Etcd}, {controlplane.APIServer}}
	w.rng.Shuffle(len(outages), func(i, j int) { outages[i], outages[j] = outages[j], outages[i] })
	for i, names := range outages {
		all = append(all, incident{between(5+i*17, 20+i*17), "kill -9 of " + strings.Join(names, " and "), func() error {
			if err := w.plane.Kill(names...); err != nil {
				return err
			}
			return w.plane.Revive()
		}})
	}
	slices.SortStableFunc(all, func(a, b incident) int { return int(a.at - b.at) })
	return all
}

// planFaults draws the order and the parameters of the simulator's faults. From the start
// an eighth of all requests fail and lists shift. Lists lag only while Plivo is not cut
// off, because a paused simulator accepts no faults.
func (w *world) planFaults(between func(from, to int) time.Duration, thaw time.Duration) []incident {
	changes := []plivosim.Op{plivosim.OpCreate, plivosim.OpUpdate, plivosim.OpDelete}
	lists := []plivosim.Op{plivosim.OpList}
	faults := []plivosim.Fault{
		{What: plivosim.Cut},
		{When: plivosim.After, What: plivosim.Cut},
		{Status: 500},
		{When: plivosim.After, Status: 503},
		{Status: 429, RetryAfter: w.rng.IntN(2)},
		{Status: 502, Text: w.plivo.reflectedCredentials()},
		{Status: 302, Text: w.plivo.reflectedCredentials(), Location: "http://" + w.plivo.account + ":" + w.plivo.token + "@127.0.0.1:1/"},
		{Ops: changes, When: plivosim.Late, What: plivosim.Cut, Delay: between(1, 6)},
		{When: plivosim.After, Body: plivosim.BodyHTML, Probability: faultChance / 2},
		{When: plivosim.After, Body: plivosim.BodyTruncated, Probability: faultChance / 2},
		{Ops: lists, Shift: []int{-1, 1}[w.rng.IntN(2)], Probability: 5 * faultChance},
		{Ops: lists, Total: []int{-1, 1}[w.rng.IntN(2)], Probability: faultChance},
	}
	w.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	var all []incident
	for _, f := range faults {
		if f.Probability == 0 {
			f.Probability = faultChance
		}
		all = append(all, incident{between(0, 5), "fault: " + f.String(), func() error {
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
		incident{between(5, 8), "lists begin to lag", lagging},
		incident{between(9, 14), "lists no longer lag", func() error { return w.plivo.endFault(lag) }},
		incident{thaw + time.Second, "lists lag again", lagging})
}
