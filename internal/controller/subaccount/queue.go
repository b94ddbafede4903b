package subaccount

import (
	"github.com/subaccount-operator/subaccount-operator/internal/kube"

	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// slotQueue is the queue of a controller whose resources wait for slots of
// request budgets.
type slotQueue struct {
	kube.Source

	mu sync.Mutex
	// waiting are the resources that wait for a slot or have a turn.
	waiting map[types.NamespacedName]waiter
}

// waiter is where a resource waits or has its turn, and since when.
type waiter struct {
	account *mainaccount.Account
	since   time.Time
}

// reportWaitAfter is how long a new resource waits for a slot before its status
// says so, at the next reconcile.
const reportWaitAfter = 10 * time.Second

// newQueue is for controller.Options.
func (q *slotQueue) newQueue(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return onePriority{priorityqueue.New(name, func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = limiter })}
}

// onePriority is a workqueue that serves resources in the order in which they
// come, except those that are woken.
type onePriority struct {
	priorityqueue.PriorityQueue[reconcile.Request]
}

// AddWithOpts ignores the priority: what controller-runtime gives a low one, for
// example all resources after a restart, would wait for as long as changes keep
// coming, and so would the retries of that.
func (q onePriority) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	o.Priority = nil
	q.PriorityQueue.AddWithOpts(o, requests...)
}

// Wake enqueues a resource that waits for a slot before all others: a slot is free
// for it. There are never more of these than free slots.
func (r *Reconciler) Wake(key plivo.Key) { r.queue.wake(key) }

func (q *slotQueue) wake(key plivo.Key) {
	request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: key.Namespace, Name: key.Name}}
	if queue, ok := q.Queue().(onePriority); ok {
		queue.PriorityQueue.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(1)}, request)
	}
}

// requestSlot returns a slot for the first call of a resource's reconcile. With a
// NoSlotError the resource waits for one.
func (q *slotQueue) requestSlot(ctx context.Context, acct *mainaccount.Account, key types.NamespacedName) (*plivo.Slot, error) {
	q.mu.Lock()
	before, now := q.waiting[key], waiter{acct, time.Now()}
	if before.account == acct {
		now.since = before.since
	}
	if q.waiting == nil {
		q.waiting = map[types.NamespacedName]waiter{}
	}
	q.waiting[key] = now
	q.mu.Unlock()
	if before.account != nil && before.account != acct {
		before.account.LeaveQueue(slotKey(key))
	}
	slot, err := acct.RequestSlot(ctx, slotKey(key))
	if noSlot := (*mainaccount.NoSlotError)(nil); errors.As(err, &noSlot) {
		noSlot.ReportWait = time.Since(now.since) >= reportWaitAfter
	}
	return slot, err
}

// leave ends a resource's wait or turn. Every reconcile ends with it that did
// anything else than to wait for a slot.
func (q *slotQueue) leave(key types.NamespacedName) {
	q.mu.Lock()
	left := q.waiting[key]
	delete(q.waiting, key)
	q.mu.Unlock()
	if left.account != nil {
		left.account.LeaveQueue(slotKey(key))
	}
}

// slotKey names a resource in the request budget: namespaces are its tenants.
func slotKey(key types.NamespacedName) plivo.Key {
	return plivo.Key{Namespace: key.Namespace, Name: key.Name}
}

func isNoSlot(err error) bool {
	var noSlot *mainaccount.NoSlotError
	return errors.As(err, &noSlot)
}
