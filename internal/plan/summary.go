// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// Summary is what a reconcile reports.
type Summary struct {
	// Status is the new status of the resource. The fields of the creation protocol
	// (authID, accountID, pendingCreation) stay as they are.
	Status v1alpha1.SubaccountStatus
	// Changed says whether Status differs from the current status.
	Changed bool
	// Events are for the steps of this reconcile.
	Events []Event
	// DeferredEvents are for changes of the status. The reconciler must emit them
	// only after it has written the status: else the next reconcile repeats them.
	DeferredEvents []Event
}

// Event is a Kubernetes event about the resource.
type Event struct {
	Type, Reason, Action, Message string
}

// Summarize returns the status and the events at the end of a reconcile. d is the
// last decision of the reconcile.
func Summarize(o *Observation, d Decision) Summary {
	s := Summary{Status: *o.Object.Status.DeepCopy()}
	s.Events = append(s.Events, o.performedEvents()...)
	if d.Reason != "" {
		states, _ := v1alpha1.StatesOf(d.Reason)
		if actedUpon := states.Ready != ""; actedUpon && !o.hasLostStatus() {
			s.Status.ObservedGeneration = o.Object.Generation
		}
		if changed := SetConditions(&s.Status.Conditions, d.Reason, d.Message, o.Object.Generation, metav1.NewTime(o.Now)); changed &&
			states.Ready == metav1.ConditionFalse && o.needsEvent(d.Reason) {
			s.DeferredEvents = append(s.DeferredEvents, Event{corev1.EventTypeWarning, d.Reason, "Reconcile", d.Message})
		}
	}
	if ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); o.isTerminating() && ready != nil && ready.Status == metav1.ConditionTrue {
		if d.Reason == "" {
			SetConditions(&s.Status.Conditions, v1alpha1.ReasonDeleting, "The resource is being deleted.", o.Object.Generation, metav1.NewTime(o.Now))
		}
		// A terminating resource is never Ready, not even if the reason keeps Ready.
		ready.Status, ready.LastTransitionTime = metav1.ConditionFalse, metav1.NewTime(o.Now)
	}
	claim, known := o.Claim.Get()
	isAnothers := known && !claim.Ours // the tenant must not see another tenant's subaccount
	if remote, ok := o.Remote.Get(); ok && s.Status.AuthID != "" && !remote.UpdateUnconfirmed && !isAnothers {
		isNews := s.Status.Name == nil || *s.Status.Name != remote.Name
		if remote.SentAs != "" && isNews {
			s.DeferredEvents = append(s.DeferredEvents, Event{corev1.EventTypeWarning, "NameChangedByPlivo", "Update",
				"Plivo stores the name in another form than the spec has it. The operator does not send it again."})
		}
		s.Status.Name, s.Status.Enabled = &remote.Name, &remote.Enabled
	}
	if isAnothers {
		s.Status.Binding = nil
	}
	if secret, ok := o.Secret.Get(); ok && secret.Owned && secret.WellFormed && !o.isTerminating() {
		s.Status.Binding = &v1alpha1.SecretBinding{Name: SecretName(o.Object)}
	}
	isRejected := o.Failure != nil && d.Reason == v1alpha1.ReasonRejected
	isHandled := o.Fetched || isRejected
	if o.hasReconcileRequest() && isHandled {
		s.Status.LastHandledReconcileAt = o.Object.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]
	}
	s.Changed = !equality.Semantic.DeepEqual(s.Status, o.Object.Status)
	return s
}

// needsEvent says whether a reason for which Ready is False needs an event. A
// deletion or creation that makes progress does not.
func (o *Observation) needsEvent(reason string) bool {
	switch reason {
	case v1alpha1.ReasonDeleting:
		return o.failedAt(StepDelete)
	case v1alpha1.ReasonCreating:
		return o.Failure == nil
	default:
		return true
	}
}

// IsReady reports whether the conditions of a resource say Ready for its current
// generation.
func IsReady(conditions []metav1.Condition, generation int64) bool {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == generation
}

// SetConditions sets the three conditions to the states that v1alpha1.StatesOf
// returns for a reason. If the reason keeps Ready, Ready also keeps its
// observedGeneration, because the operator has not acted on the new spec.
// SetConditions returns whether the status or the reason of Ready has changed.
func SetConditions(conditions *[]metav1.Condition, reason, message string, generation int64, now metav1.Time) bool {
	states, _ := v1alpha1.StatesOf(reason)
	before := meta.FindStatusCondition(*conditions, v1alpha1.ConditionReady)
	was := metav1.Condition{Status: metav1.ConditionUnknown}
	if before != nil {
		was = *before
	}
	readyFor := generation
	if states.Ready == "" {
		states.Ready, readyFor = was.Status, was.ObservedGeneration
	}
	for _, c := range []struct {
		kind       string
		status     metav1.ConditionStatus
		generation int64
	}{
		{v1alpha1.ConditionReady, states.Ready, readyFor},
		{v1alpha1.ConditionReconciling, states.Reconciling, generation},
		{v1alpha1.ConditionStalled, states.Stalled, generation},
	} {
		meta.SetStatusCondition(conditions, metav1.Condition{
			Type: c.kind, Status: c.status, Reason: reason, Message: message,
			ObservedGeneration: c.generation, LastTransitionTime: now,
		})
	}
	return was.Status != states.Ready || was.Reason != reason
}

// performedEvents returns the events for the steps of this reconcile.
func (o *Observation) performedEvents() []Event {
	var events []Event
	normal := func(reason, action, format string, args ...any) {
		events = append(events, Event{corev1.EventTypeNormal, reason, action, fmt.Sprintf(format, args...)})
	}
	status := &o.Object.Status
	for _, done := range o.Performed {
		switch done {
		case StepRecord:
			if o.HasPerformed(StepWriteSecret) {
				normal("Created", "Create", "Created the subaccount %s and wrote its credentials to the Secret %s.", status.AuthID, SecretName(o.Object))
			} else {
				normal("Created", "Create", "Created the subaccount %s.", status.AuthID)
			}
		case StepAdopt:
			normal("Adopted", "Adopt", "Adopted the subaccount %s.", status.AuthID)
		case StepUpdate:
			// After a creation, the event Created covers the update too.
			if !o.HasPerformed(StepRecord) && o.NotFound.First.IsZero() {
				normal("Updated", "Update", "Set name and enabled at Plivo.")
			}
		case StepWriteSecret:
			if !o.HasPerformed(StepRecord) {
				normal("SecretWritten", "WriteSecret", "Wrote the credentials to the Secret %s.", SecretName(o.Object))
			}
		case StepRemoveSecret:
			normal("SecretRemoved", "RemoveSecret", "Deleted a Secret that the Subaccount no longer needs.")
		case StepDelete:
			if o.Deleted { // Plivo confirmed it; a 404 alone is no deletion
				normal("Deleted", "Delete", "Deleted the subaccount %s.", status.AuthID)
			}
		}
	}
	if o.ReplacedAuthID != "" {
		events = append(events, Event{corev1.EventTypeWarning, "Recreating", "Create",
			"The subaccount " + o.ReplacedAuthID + " is missing at Plivo. The operator creates another one with new credentials."})
	}
	return events
}

// NeedsReconcile says whether a reconcile of this observation would perform a step
// or change the status. EnqueueChanged calls it for every Subaccount of an Account
// after a sweep.
func NeedsReconcile(o *Observation) bool {
	d := Decide(o)
	// The sweep may be the one that the resource waits for, or it needs another one.
	waits := d.Wait.After > 0 || !d.Wait.Sweep.IsZero()
	return waits || d.Step != StepNone || Summarize(o, d).Changed
}
