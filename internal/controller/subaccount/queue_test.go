package subaccount

import (
	"github.com/subaccount-operator/subaccount-operator/internal/kube"

	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
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

func TestSlotQueue_LowPriorityWhileChangesKeepComing_IsServed(t *testing.T) {
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
	t.Error("not served before 1,000 changes that came later")
}

func TestSlotQueue_WokenThenFailed_RetriesWithTheOthers(t *testing.T) {
	q, started := startQueue(t)
	next := func() reconcile.Request {
		key, priority, _ := started.GetWithPriority()
		// As controller-runtime does after an error, but at once.
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
		t.Errorf("served %v, want %v", served, want)
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
			t.Errorf("the second pause is %v", pause)
		}
		slot.Cancel()
		g.reconcile(s)
		if n := g.reconciler.retries.Count(client.ObjectKeyFromObject(s)); n != 0 {
			t.Errorf("%d failures after a success", n)
		}
	})
}
