package controller

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/internal/subaccount"
)

// retryStale is how soon a reconcile looks again whether the cache shows our own
// last write, whose event enqueues nothing.
const retryStale = 100 * time.Millisecond

// report tells what a pass has found: events of what happened, and the status
// where it changed. It never writes the protocol's own fields.
func (p *pass) report(ctx context.Context, d subaccount.Decision) ctrl.Result {
	key, retries := client.ObjectKeyFromObject(p.o.Object), p.r.retries
	if !d.Wait.Sweep.IsZero() && p.account != nil {
		p.account.RequestSweep(d.Wait.Sweep)
	}
	summary := subaccount.Summarize(p.o, d)
	p.tell(summary.Events)
	if released := p.o.Did(subaccount.StepRelease); summary.Changed && !released {
		s := p.o.Object.DeepCopy()
		s.Status = summary.Status
		if err := p.patchStatus(ctx, s); apierrors.IsConflict(err) {
			return retries.failed(ctx, key, "")
		} else if err != nil {
			return retries.failed(ctx, key, "The status cannot be written: "+p.redacted(err))
		}
		p.tell(summary.News)
	}
	switch {
	case d.Wait.Backoff && d.Reason == "":
		return retries.failed(ctx, key, "")
	case d.Wait.Backoff:
		return retries.failed(ctx, key, d.Message)
	case !p.queued:
		retries.succeeded(key)
	}
	return ctrl.Result{RequeueAfter: d.Wait.After}
}

func (p *pass) tell(events []subaccount.Event) {
	for _, e := range events {
		p.r.Events.Eventf(p.o.Object, nil, e.Type, e.Reason, e.Action, "%s", e.Message)
	}
}
