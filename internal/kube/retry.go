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

// Retries are the failures of a controller's resources. An error that Reconcile
// returned would be logged at each retry, and would lose its backoff whenever a
// reconcile in between waits for something else.
type Retries struct {
	limiter workqueue.TypedRateLimiter[types.NamespacedName]

	mu     sync.Mutex
	logged map[types.NamespacedName]string
}

// RetryFirst and RetryMax bound the pauses. The default limiter retries from 5 ms, which is too eager for a paid API.
const (
	RetryFirst = time.Second
	RetryMax   = time.Minute
)

// NewRetries returns retries of nothing.
func NewRetries() *Retries {
	return &Retries{
		limiter: workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](RetryFirst, RetryMax),
		logged:  map[types.NamespacedName]string{},
	}
}

// Failed returns when to try again, with a growing pause, and logs a message that
// is not the last one.
func (r *Retries) Failed(ctx context.Context, key types.NamespacedName, message string) ctrl.Result {
	r.mu.Lock()
	changed := message != "" && r.logged[key] != message
	if changed {
		r.logged[key] = message
	}
	r.mu.Unlock()
	if changed {
		log.FromContext(ctx).Info("Reconcile failed; retrying with backoff", logging.Message, message)
	}
	return ctrl.Result{RequeueAfter: r.limiter.When(key)}
}

// Succeeded ends the backoff of a resource.
func (r *Retries) Succeeded(key types.NamespacedName) {
	r.limiter.Forget(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.logged, key)
}

// Count is how many reconciles of a resource have failed in a row.
func (r *Retries) Count(key types.NamespacedName) int { return r.limiter.NumRequeues(key) }

// IsPersistent says whether a request that the API server has refused is likely
// to be refused again: what a person has to know of.
func IsPersistent(err error, failedBefore int) bool {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		return failedBefore >= 3 // a newer read usually heals it
	case apierrors.IsTooManyRequests(err), apierrors.IsUnauthorized(err), !errors.As(err, &status):
		return failedBefore >= 1
	default:
		return status.Status().Code < 500 || failedBefore >= 1
	}
}
