package controller

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/subaccount"
)

const (
	// retryConflict is a safety net: what a conflict waits for is the newer
	// object, and the watch brings it.
	retryConflict = time.Second
	// retryStale is how soon a reconcile looks again whether the cache shows our
	// own last write, whose event enqueues nothing.
	retryStale = 100 * time.Millisecond
)

// report tells what a pass has found: events of what happened, and the status
// where it changed. It never writes the protocol's own fields.
func (p *pass) report(ctx context.Context, d subaccount.Decision) (ctrl.Result, error) {
	summary := subaccount.Summarize(p.o, d)
	p.tell(summary.Events)
	if released := p.o.Did(subaccount.StepRelease); summary.Changed && !released {
		s := p.o.Object.DeepCopy()
		s.Status = summary.Status
		if err := p.patchStatus(ctx, s); apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return ctrl.Result{RequeueAfter: retryConflict}, nil
		} else if err != nil {
			return ctrl.Result{}, err
		}
		p.tell(summary.News)
	}
	if d.Reason == v1alpha1.ReasonUpdating && p.o.Did(subaccount.StepWriteSecret) {
		p.r.memory.with(p.o.Object, func(e *entry) { e.contestedUntil = time.Now().Add(d.Wait.After) })
	}
	if !d.Wait.Sweep.IsZero() && p.account != nil {
		p.account.RequestSweep(d.Wait.Sweep)
	}
	f := p.o.Failure
	switch {
	case f != nil && f.Kind == subaccount.FailureConflict:
		return ctrl.Result{RequeueAfter: retryConflict}, nil
	case d.Wait.Backoff && f != nil:
		return ctrl.Result{}, errors.New(string(f.Step) + ": " + f.Message)
	case d.Wait.Backoff:
		return ctrl.Result{}, errors.New(d.Message)
	default:
		return ctrl.Result{RequeueAfter: d.Wait.After}, nil
	}
}

func (p *pass) tell(events []subaccount.Event) {
	for _, e := range events {
		p.r.Events.Eventf(p.o.Object, nil, e.Type, e.Reason, e.Action, "%s", e.Message)
	}
}
