// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "ns", Name: name}}
}

func startQueue(t *testing.T) (*slotQueue, onePriority) {
	t.Helper()
	q := &slotQueue{}
	started := q.newQueue("test", kube.Backoff()).(onePriority)
	t.Cleanup(started.ShutDown)
	if err := q.Start(t.Context(), started); err != nil {
		t.Fatal(err)
	}
	return q, started
}

func TestSlotQueue_LowPriorityDuringSteadyChanges_IsServed(t *testing.T) {
	_, q := startQueue(t)
	change := func(i int) {
		q.AddWithOpts(priorityqueue.AddOpts{}, requestFor(fmt.Sprint("changed-", i)))
	}
	for i := range 48 {
		change(i)
	}
	q.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(handler.LowPriority)}, requestFor("swept"))
	for i := range 1000 {
		key, _, _ := q.GetWithPriority()
		q.Done(key)
		if key == requestFor("swept") {
			return
		}
		change(1000 + i)
	}
	t.Error("got 1,000 later changes served first, want the low-priority request before them")
}

func TestSlotQueue_WokenThenFailed_RetriesAtTheEnd(t *testing.T) {
	q, started := startQueue(t)
	next := func() reconcile.Request {
		key, priority, _ := started.GetWithPriority()
		// controller-runtime does this after an error, with a delay.
		if key == requestFor("woken") {
			started.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, key)
		}
		started.Done(key)
		return key
	}
	q.Add(requestFor("one").NamespacedName)
	q.Add(requestFor("two").NamespacedName)
	q.wake(plivo.Key{Namespace: "ns", Name: "woken"})
	var served []string
	for range 4 {
		served = append(served, next().Name)
	}
	if want := []string{"woken", "one", "two", "woken"}; !slices.Equal(served, want) {
		t.Errorf("got %v, want %v", served, want)
	}
}

func TestReconcile_WaitingForSlot_KeepsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 1)
		s := g.apply("a")
		g.reconciler.retries.Failed(t.Context(), client.ObjectKeyFromObject(s), "")
		slot := g.spend(1)
		g.reconcile(s) // joins the queue
		if pause := g.reconciler.retries.Failed(t.Context(), client.ObjectKeyFromObject(s), "").RequeueAfter; pause != 2*kube.RetryFirst {
			t.Errorf("got a second pause of %v, want %v", pause, 2*kube.RetryFirst)
		}
		slot.Cancel()
		g.reconcile(s)
		if n := g.reconciler.retries.Count(client.ObjectKeyFromObject(s)); n != 0 {
			t.Errorf("got %d failures after a success, want 0", n)
		}
	})
}

func TestReconcile_PlivoPausesDuringWaitForSlot_ReportsRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 1)
		slot := g.spend(1)
		s := g.apply("a")
		// The first reconcile writes nothing. A later one, after a sweep, reports the wait.
		for _, want := range []string{"", v1alpha1.ReasonCreating} {
			if g.reconcile(s); g.reason(s) != want {
				t.Fatalf("during the wait: got the reason %q, want %q", g.reason(s), want)
			}
			time.Sleep(reportWaitAfter)
		}
		g.sim.Inject(plivosim.Fault{Status: 429, RetryAfter: 3600, Times: 1})
		if _, err := g.account.Get(t.Context(), slot, mainID, "SAZZZZZZZZZZZZZZZZZZ"); !plivo.IsKind(err, plivo.KindRateLimited) {
			t.Fatal(err)
		}
		if g.reconcile(s); g.reason(s) != v1alpha1.ReasonRateLimited {
			t.Errorf("during the pause: got the reason %q, want RateLimited", g.reason(s))
		}
	})
}

func TestReconcile_NamespaceNotAllowedDuringWaitForSlot_ReportsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 1)
		g.spend(1)
		s := g.apply("a")
		g.reconcile(s)
		a := &v1alpha1.Account{}
		if err := g.k8s.Get(t.Context(), types.NamespacedName{Name: "default"}, a); err != nil {
			t.Fatal(err)
		}
		a.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"no": "such"}}
		if err := g.k8s.Update(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if g.reconcile(s); g.reason(s) != v1alpha1.ReasonNamespaceNotAllowed {
			t.Errorf("got the reason %q, want NamespaceNotAllowed", g.reason(s))
		}
	})
}

func TestReconcile_DeletedDuringWaitForSlot_LeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 1)
		slot := g.spend(1)
		before := waitingForSlots(t)
		for i := range 50 {
			s := g.apply(fmt.Sprint("deleted-", i))
			g.reconcile(s)
			g.remove(s)
			g.reconcile(s)
		}
		if n := waitingForSlots(t) - before; n != 0 {
			t.Errorf("got %v of 50 deleted Subaccounts in the queue, want 0", n)
		}
		last := g.apply("last")
		g.reconcile(last)
		slot.Cancel()
		if g.reconcile(last); g.reload(last).Status.AuthID == "" {
			t.Errorf("got the reason %s with a free slot, want an authID", g.reason(last))
		}
	})
}

// waitingForSlots returns the metric of Subaccounts that wait for a slot.
func waitingForSlots(t *testing.T) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(plivo.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "subaccount_operator_budget_waiting" && m.GetLabel()[0].GetValue() == plivo.ClassInteractive.String() {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatal("no such metric")
	return 0
}
