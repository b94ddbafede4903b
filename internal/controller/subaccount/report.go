package subaccount

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// retryStale is how soon a reconcile looks again whether the cache shows our own
// last write, whose event enqueues nothing.
const retryStale = 100 * time.Millisecond

// report tells what a pass has found: events of what happened, and the status
// where it changed. It never writes the protocol's own fields.
func (st *reconcileState) report(ctx context.Context, d plan.Decision) ctrl.Result {
	key, retries := client.ObjectKeyFromObject(st.obs.Object), st.reconciler.retries
	if !d.Wait.Sweep.IsZero() && st.mainAccount != nil {
		st.mainAccount.RequestSweep(d.Wait.Sweep)
	}
	summary := plan.Summarize(st.obs, d)
	st.emit(summary.Events, st.obs.Object.ResourceVersion)
	if released := st.obs.HasPerformed(plan.StepRemoveFinalizer); summary.Changed && !released {
		s := st.obs.Object.DeepCopy()
		s.Status = summary.Status
		if err := st.patchStatus(ctx, s); apierrors.IsConflict(err) {
			return retries.Failed(ctx, key, "")
		} else if err != nil {
			return retries.Failed(ctx, key, "The status cannot be written: "+st.redactedMessage(err))
		}
		st.emit(summary.DeferredEvents, "") // a tenant can cause as many as there are changes of the spec
	}
	switch {
	case d.Wait.Backoff && d.Reason == "":
		return retries.Failed(ctx, key, "")
	case d.Wait.Backoff:
		return retries.Failed(ctx, key, d.Message)
	case !st.isQueued:
		retries.Succeeded(key)
	}
	return ctrl.Result{RequeueAfter: d.Wait.After}
}

// emit emits events about the resource. client-go makes a series of those that
// differ in nothing but their message, and so keeps few of them; those that are
// about one version of the resource always differ.
func (st *reconcileState) emit(events []plan.Event, version string) {
	regarding := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: st.obs.Object.Namespace, Name: st.obs.Object.Name, UID: st.obs.Object.UID, ResourceVersion: version,
	}}
	for _, e := range events {
		st.reconciler.Events.Eventf(regarding, nil, e.Type, e.Reason, e.Action, "%s", e.Message)
	}
}
