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
func (p *pass) report(ctx context.Context, d plan.Decision) ctrl.Result {
	key, retries := client.ObjectKeyFromObject(p.o.Object), p.r.retries
	if !d.Wait.Sweep.IsZero() && p.account != nil {
		p.account.RequestSweep(d.Wait.Sweep)
	}
	summary := plan.Summarize(p.o, d)
	p.emit(summary.Events, p.o.Object.ResourceVersion)
	if released := p.o.Did(plan.StepRelease); summary.Changed && !released {
		s := p.o.Object.DeepCopy()
		s.Status = summary.Status
		if err := p.patchStatus(ctx, s); apierrors.IsConflict(err) {
			return retries.Failed(ctx, key, "")
		} else if err != nil {
			return retries.Failed(ctx, key, "The status cannot be written: "+p.redacted(err))
		}
		p.emit(summary.News, "") // a tenant can cause as many as there are changes of the spec
	}
	switch {
	case d.Wait.Backoff && d.Reason == "":
		return retries.Failed(ctx, key, "")
	case d.Wait.Backoff:
		return retries.Failed(ctx, key, d.Message)
	case !p.queued:
		retries.Succeeded(key)
	}
	return ctrl.Result{RequeueAfter: d.Wait.After}
}

// emit emits events about the resource. client-go makes a series of those that
// differ in nothing but their message, and so keeps few of them; those that are
// about one version of the resource always differ.
func (p *pass) emit(events []plan.Event, version string) {
	regarding := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: p.o.Object.Namespace, Name: p.o.Object.Name, UID: p.o.Object.UID, ResourceVersion: version,
	}}
	for _, e := range events {
		p.r.Events.Eventf(regarding, nil, e.Type, e.Reason, e.Action, "%s", e.Message)
	}
}
