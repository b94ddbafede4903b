package controller

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// backoff of failures: the default retries from 5 ms, which is too eager for a
// paid API.
func backoff() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, time.Minute)
}

// patient does not take a pass that ended where the budget was spent for one
// that succeeded: its resource goes on with the pauses of its failures.
type patient struct {
	workqueue.TypedRateLimiter[reconcile.Request]
	memory *memory
}

// Forget implements workqueue.TypedRateLimiter.
func (p patient) Forget(request reconcile.Request) {
	if !p.memory.waits(request.NamespacedName) {
		p.TypedRateLimiter.Forget(request)
	}
}

// queue is a source that lets others add to a controller's queue.
type queue struct {
	started atomic.Pointer[workqueue.TypedRateLimitingInterface[reconcile.Request]]
}

// Start implements source.Source.
func (q *queue) Start(_ context.Context, started workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	q.started.Store(&started)
	return nil
}

// add does nothing before the controller has started: it then looks at every
// object anyway.
func (q *queue) add(key types.NamespacedName) { q.addWith(0, key) }

// addLow adds behind everything that a watch has brought.
func (q *queue) addLow(key types.NamespacedName) { q.addWith(handler.LowPriority, key) }

// addHigh adds before everything else: who has been given something must come
// for it.
func (q *queue) addHigh(key types.NamespacedName) { q.addWith(-handler.LowPriority, key) }

func (q *queue) addWith(priority int, key types.NamespacedName) {
	started := q.started.Load()
	if started == nil {
		return
	}
	if prioritized, ok := (*started).(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(priority)}, reconcile.Request{NamespacedName: key})
		return
	}
	(*started).Add(reconcile.Request{NamespacedName: key})
}
