// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/subaccount-operator/subaccount-operator/internal/logging"
)

// Retries tracks the failed reconciles of a controller, in place of an error that
// Reconcile returns. controller-runtime would log such an error at each retry, and
// would reset the backoff when a reconcile in between waits for something else.
type Retries struct {
	limiter workqueue.TypedRateLimiter[types.NamespacedName]

	mu     sync.Mutex
	logged map[types.NamespacedName]string // the message logged last
}

// RetryFirst and RetryMax are the first and the longest backoff. The default of
// controller-runtime starts at 5 ms, which would use up the request budget.
const (
	RetryFirst = time.Second
	RetryMax   = time.Minute
)

// NewRetries returns Retries without failures.
func NewRetries() *Retries {
	return &Retries{
		limiter: workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](RetryFirst, RetryMax),
		logged:  map[types.NamespacedName]string{},
	}
}

// Failed records a failed reconcile and returns a result that requeues it with
// exponential backoff. It logs the message if it differs from the last one, and if the
// context has not ended: at the end of the process, each reconcile fails.
func (r *Retries) Failed(ctx context.Context, key types.NamespacedName, message string) ctrl.Result {
	r.mu.Lock()
	changed := message != "" && r.logged[key] != message && ctx.Err() == nil
	if changed {
		r.logged[key] = message
	}
	r.mu.Unlock()
	if changed {
		log.FromContext(ctx).Info("Reconcile failed; retrying with backoff", logging.Message, message)
	}
	return ctrl.Result{RequeueAfter: r.limiter.When(key)}
}

// Succeeded resets the backoff of a resource.
func (r *Retries) Succeeded(key types.NamespacedName) {
	r.limiter.Forget(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.logged, key)
}

// Count returns how many reconciles of a resource failed in a row.
func (r *Retries) Count(key types.NamespacedName) int { return r.limiter.NumRequeues(key) }

// IsPersistent reports whether a retry of a request to the API server is likely to
// fail again, so that the status must report the error. failedBefore is the number
// of failed reconciles in a row before this one.
func IsPersistent(err error, failedBefore int) bool {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		return failedBefore >= 3 // the next reconcile usually reads a newer object
	case apierrors.IsTooManyRequests(err), apierrors.IsUnauthorized(err), !errors.As(err, &status):
		return failedBefore >= 1
	default:
		return status.Status().Code < 500 || failedBefore >= 1
	}
}
