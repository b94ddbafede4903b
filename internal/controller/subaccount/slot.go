// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// reserveSlot returns a slot for the next call of the reconcile. The first call
// does not wait for a slot: the reconcile ends with a NoSlotError, so that it
// does not occupy a worker (docs/decisions/005-places-in-the-budget.md).
func (st *reconcileState) reserveSlot(ctx context.Context) (*plivo.Slot, error) {
	switch slot := st.reservedSlot; {
	case slot != nil:
		st.reservedSlot = nil
		return slot, nil
	case st.hasTurn:
		return st.mainAccount.AcquireSlot(ctx)
	}
	slot, err := st.reconciler.queue.requestSlot(ctx, st.mainAccount, client.ObjectKeyFromObject(st.obs.Object))
	st.hasTurn, st.isQueued = err == nil, isNoSlotError(err)
	return slot, err
}

// reserveSlotEarly reserves the slot of the first call before a read from the
// API server, so that a reconcile without a slot costs no API request.
func (st *reconcileState) reserveSlotEarly(ctx context.Context) (err error) {
	facts, known := st.obs.Account.Get()
	isUsable := known && facts.Blocked == "" && facts.ID != ""
	if isUsable && !st.hasTurn && st.reservedSlot == nil {
		st.reservedSlot, err = st.reserveSlot(ctx)
	}
	return err
}

// A resource may make callBurst gets and updates within callWindow. Without
// this limit, a resource that a tenant changes in a loop would use up the
// request budget.
const (
	callBurst  = 6
	callWindow = 30 * time.Second
)

// throttledError says that a resource has made callBurst calls within
// callWindow, and how long its next call has to wait.
type throttledError struct{ wait time.Duration }

// Error implements error.
func (throttledError) Error() string {
	return fmt.Sprintf("rate limited: at most %d Plivo calls per %s for one Subaccount", callBurst, callWindow)
}

// reserveThrottledSlot is reserveSlot for the calls that a tenant can cause by
// a change of the spec or by an annotation.
func (st *reconcileState) reserveThrottledSlot(ctx context.Context) (*plivo.Slot, error) {
	if wait := st.reconciler.memory.throttledFor(st.obs.Object, time.Now()); wait > 0 {
		return nil, throttledError{wait}
	}
	slot, err := st.reserveSlot(ctx)
	if err == nil {
		st.reconciler.memory.recordCall(st.obs.Object, time.Now())
	}
	return slot, err
}

// throttledFor returns how long the next call of a resource has to wait; 0 if
// it need not wait.
func (m *memory) throttledFor(s *v1alpha1.Subaccount, now time.Time) (wait time.Duration) {
	m.updateExisting(s, func(rm *resourceMemory) {
		rm.calls = slices.DeleteFunc(rm.calls, func(at time.Time) bool { return now.Sub(at) >= callWindow })
		if len(rm.calls) >= callBurst {
			wait = rm.calls[0].Add(callWindow).Sub(now)
		}
	})
	return wait
}

func (m *memory) recordCall(s *v1alpha1.Subaccount, now time.Time) {
	m.update(s, func(rm *resourceMemory) { rm.calls = append(rm.calls, now) })
}

// slotQueue is the workqueue of the controller. It also tracks which resources
// wait for a slot of a request budget.
type slotQueue struct {
	kube.Source

	mu sync.Mutex
	// waiting has the main accounts in whose queues resources wait or have a turn.
	waiting map[types.NamespacedName]*mainaccount.Account
}

// reportWaitAfter is how long a new resource waits for a slot before its status
// reports the wait. The next reconcile after that time writes the report.
const reportWaitAfter = 10 * time.Second

// newQueue implements controller.Options.NewQueue.
func (q *slotQueue) newQueue(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return onePriority{priorityqueue.New(name, func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = limiter })}
}

// onePriority is a workqueue that serves requests in the order of their
// arrival. Only Wake enqueues at a higher priority.
type onePriority struct {
	priorityqueue.PriorityQueue[reconcile.Request]
}

// AddWithOpts ignores the priority. controller-runtime gives a low priority to
// all resources after a restart, and to their retries. While changes keep
// arriving, those resources would never be served.
func (q onePriority) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	o.Priority = nil
	q.PriorityQueue.AddWithOpts(o, requests...)
}

// Wake enqueues a resource that waits for a slot ahead of all others, because a
// slot is free for it. The budget wakes at most as many resources as it has
// free slots.
func (r *Reconciler) Wake(key plivo.Key) { r.queue.wake(key) }

func (q *slotQueue) wake(key plivo.Key) {
	request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: key.Namespace, Name: key.Name}}
	if queue, ok := q.Queue().(onePriority); ok {
		queue.PriorityQueue.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(1)}, request)
	}
}

// requestSlot returns a slot for the first call of a reconcile. If it returns a
// NoSlotError, the resource waits in the main account's queue.
func (q *slotQueue) requestSlot(ctx context.Context, acct *mainaccount.Account, key types.NamespacedName) (*plivo.Slot, error) {
	q.mu.Lock()
	before := q.waiting[key]
	if q.waiting == nil {
		q.waiting = map[types.NamespacedName]*mainaccount.Account{}
	}
	q.waiting[key] = acct
	q.mu.Unlock()
	if before != nil && before != acct {
		before.LeaveQueue(slotKey(key))
	}
	return acct.RequestSlot(ctx, slotKey(key))
}

// leave ends a resource's wait or turn. Every reconcile calls it at its end,
// unless the resource has to keep waiting for a slot.
func (q *slotQueue) leave(key types.NamespacedName) {
	q.mu.Lock()
	left := q.waiting[key]
	delete(q.waiting, key)
	q.mu.Unlock()
	if left != nil {
		left.LeaveQueue(slotKey(key))
	}
}

// slotKey names a resource in the request budget.
func slotKey(key types.NamespacedName) plivo.Key {
	return plivo.Key{Namespace: key.Namespace, Name: key.Name}
}

func isNoSlotError(err error) bool {
	var noSlot *mainaccount.NoSlotError
	return errors.As(err, &noSlot)
}
