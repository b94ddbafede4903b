// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Backoff returns the rate limiter for errors that Reconcile returns.
func Backoff() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](RetryFirst, RetryMax)
}

// Source is a source that adds requests to a controller's queue on demand.
type Source struct {
	started atomic.Pointer[workqueue.TypedRateLimitingInterface[reconcile.Request]]
}

// Start implements source.Source.
func (q *Source) Start(_ context.Context, started workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	q.started.Store(&started)
	return nil
}

// Add enqueues an object. It does nothing before the controller has started,
// because a controller reconciles every object at its start.
func (q *Source) Add(key types.NamespacedName) {
	if queue := q.Queue(); queue != nil {
		queue.Add(reconcile.Request{NamespacedName: key})
	}
}

// Queue returns the controller's queue, or nil before the controller has started.
func (q *Source) Queue() workqueue.TypedRateLimitingInterface[reconcile.Request] {
	if started := q.started.Load(); started != nil {
		return *started
	}
	return nil
}
