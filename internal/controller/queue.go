package controller

import (
	"context"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

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
func (q *queue) add(key types.NamespacedName) {
	if started := q.started.Load(); started != nil {
		(*started).Add(reconcile.Request{NamespacedName: key})
	}
}

// addLow adds behind everything that a watch has brought.
func (q *queue) addLow(key types.NamespacedName) {
	started := q.started.Load()
	if started == nil {
		return
	}
	if prioritized, ok := (*started).(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(handler.LowPriority)}, reconcile.Request{NamespacedName: key})
		return
	}
	(*started).Add(reconcile.Request{NamespacedName: key})
}
