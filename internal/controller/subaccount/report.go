// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"errors"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// retryStale is when a reconcile that found a stale cache runs again. It needs
// the requeue because the event of this process's own write enqueues nothing.
const retryStale = 100 * time.Millisecond

// report ends a reconcile: it emits events, writes the status if it changed,
// and returns when to requeue. It never writes the fields of the creation
// protocol: authID, accountID, previousAuthID and pendingCreation.
func (st *reconcileState) report(ctx context.Context, d plan.Decision) ctrl.Result {
	key, retries := client.ObjectKeyFromObject(st.obs.Object), st.reconciler.retries
	if !d.Wait.Sweep.IsZero() && st.mainAccount != nil {
		st.mainAccount.RequestSweep(d.Wait.Sweep)
	}
	summary := plan.Summarize(st.obs, d)
	st.emit(summary.Events, st.obs.Object.ResourceVersion)
	if finalizerRemoved := st.obs.HasPerformed(plan.StepRemoveFinalizer); summary.Changed && !finalizerRemoved {
		s := st.obs.Object.DeepCopy()
		s.Status = summary.Status
		if err := st.patchStatus(ctx, s); apierrors.IsConflict(err) {
			return retries.Failed(ctx, key, "")
		} else if err != nil {
			return retries.Failed(ctx, key, "Failed to write the status: "+st.redactedMessage(err))
		}
		// Without a version client-go aggregates these events. A tenant can cause
		// one for each change of the spec.
		st.emit(summary.DeferredEvents, "")
		if st.hasAccountChanged(ctx) {
			st.reconciler.queue.Add(key)
		}
	}
	switch {
	case d.Wait.Backoff:
		return retries.Failed(ctx, key, d.Message)
	case !st.isQueued:
		retries.Succeeded(key)
	}
	if d.Wait.After == 0 && st.obs.IsDeleting() {
		return ctrl.Result{RequeueAfter: crdInterval}
	}
	return ctrl.Result{RequeueAfter: d.Wait.After}
}

// crdInterval is the time between two reads of the CRD for a terminating resource that
// waits: no event says that the CRD is terminating.
const crdInterval = 5 * time.Minute

// hasAccountChanged reports whether the facts about the Account differ from the
// Observation. Until the status is written, EnqueueChanged compares them to the earlier
// status.
func (st *reconcileState) hasAccountChanged(ctx context.Context) bool {
	now := &plan.Observation{Object: st.obs.Object}
	st.reconciler.observeAccount(ctx, now, st.reconciler.cachedNamespace(ctx, st.obs.Object.Namespace))
	return !reflect.DeepEqual(now.Account, st.obs.Account) || !reflect.DeepEqual(now.Allowed, st.obs.Allowed)
}

// emit emits events about the resource. client-go aggregates events that differ
// only in their message into a series. Events about one version of the resource
// differ in that version, so client-go keeps each of them.
func (st *reconcileState) emit(events []plan.Event, version string) {
	regarding := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: st.obs.Object.Namespace, Name: st.obs.Object.Name, UID: st.obs.Object.UID, ResourceVersion: version,
	}}
	for _, e := range events {
		st.reconciler.Events.Eventf(regarding, nil, e.Type, e.Reason, e.Action, "%s", e.Message)
	}
}

// failureOf classifies the error of a failed step. The message of the Failure
// contains no token.
func (st *reconcileState) failureOf(step plan.Step, err error) *plan.Failure {
	f := &plan.Failure{Step: step, Kind: plan.FailureKubernetes}
	var e *plivo.Error
	var throttled throttledError
	var noSlot *mainaccount.NoSlotError
	failedBefore := st.reconciler.retries.Count(client.ObjectKeyFromObject(st.obs.Object))
	switch {
	case errors.As(err, &throttled):
		f.Kind, f.After = plan.FailureThrottled, throttled.wait
	case errors.As(err, &noSlot):
		f.Kind, f.Long = plan.FailureNoSlot, noSlot.Waited >= reportWaitAfter
		if until := noSlot.PausedUntil; !until.IsZero() {
			f.Message = "Plivo asks for a pause (Retry-After or HTTP 429). The operator sends nothing for this main account until " +
				until.UTC().Format(time.RFC3339) + " and then continues."
		}
	case errors.As(err, &e):
		f.Kind, f.Message = plivoFailures[e.Kind], err.Error()
		if e.Kind == plivo.KindNotSent {
			f.Message, f.Persistent = e.Message, failedBefore >= 2
		}
	case apierrors.IsForbidden(err) && step == plan.StepReadSecret:
		f.Kind = plan.FailureForbidden
	default:
		f.Message = st.redactedMessage(err)
		f.Persistent = kube.IsPersistent(err, failedBefore)
	}
	return f
}

// redactedMessage returns the text of an API server's error without tokens. A
// webhook may put anything into it, including the data of a Secret.
func (st *reconcileState) redactedMessage(err error) string {
	secrets := []string{st.token.Reveal()}
	for _, value := range st.secretDataRead {
		secrets = append(secrets, string(value))
	}
	return plivo.Redact(err.Error(), secrets...)
}

// plivoFailures maps the kind of a Plivo error to the kind of a failure.
// internal/plan/failure.go maps that to a condition.
var plivoFailures = map[plivo.Kind]plan.FailureKind{
	plivo.KindUnknown:          plan.FailureUnknown,
	plivo.KindNotSent:          plan.FailureNotSent,
	plivo.KindInvalid:          plan.FailureRefused,
	plivo.KindForbidden:        plan.FailureRefused,
	plivo.KindUnauthorized:     plan.FailureUnrelatedToSpec,
	plivo.KindRateLimited:      plan.FailureRateLimited,
	plivo.KindNotFound:         plan.FailureUnrelatedToSpec,
	plivo.KindMethodNotAllowed: plan.FailureUnrelatedToSpec,
}
