// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

func (o *Observation) failedAt(s Step) bool { return o.Failure != nil && o.Failure.Step == s }

// failedStep decides after a step that failed in this reconcile. If Plivo refused
// the create call, the intent has to go first: it created nothing.
func failedStep(o *Observation) *Decision {
	f := o.Failure
	if f == nil {
		return nil
	}
	if p := o.Object.Status.PendingCreation; f.Step == StepCreate && p != nil && p.Attempt == o.RefusedAttempt {
		return step(StepClearIntent)
	}
	switch kind := f.Kind; {
	case kind == FailureNoSlot && f.Message == "" && f.Long && o.isNew():
		return wait(v1alpha1.ReasonCreating, "The resource waits for a slot of its Account's request budget.")
	case kind == FailureNoSlot && f.Message == "":
		return noAction()
	case kind == FailureNoSlot:
		return wait(v1alpha1.ReasonRateLimited, f.Message)
	case kind == FailureThrottled:
		return wait(v1alpha1.ReasonUpdating, "Rate limited: this Subaccount has used its share of Plivo calls for now. The operator "+
			"applies the latest spec in a moment.").withRequeueAfter(f.After)
	case kind == FailureRefused && f.Step == StepDelete:
		// No change of the spec can fix it, and the deletion of a namespace may wait.
		return wait(v1alpha1.ReasonDeleting, "Plivo refuses to delete the subaccount: "+f.Message+". The operator retries with "+
			"backoff. To remove this resource and keep the subaccount at Plivo, set deletionPolicy to Orphan.").withBackoff()
	case kind == FailureRefused && f.Step == StepUpdate && o.Object.Status.Binding != nil:
		return nil // rejectedUpdate reports it, after secretContent
	case kind == FailureRefused:
		return wait(v1alpha1.ReasonRejected, f.rejectionMessage())
	case kind == FailureRateLimited:
		return wait(v1alpha1.ReasonRateLimited, "Plivo's rate limit is reached (HTTP 429). The operator pauses all calls of the main account "+
			"and then retries.").withBackoff()
	case kind == FailureUnknown:
		return wait(v1alpha1.ReasonUnavailable, "Plivo cannot be reached or fails: "+f.Message+". The operator retries with backoff.").withBackoff()
	case kind == FailureUnrelatedToSpec:
		return wait(v1alpha1.ReasonUnavailable, "Plivo refused: "+f.Message+". The operator retries with backoff.").withBackoff()
	case kind == FailureForbidden:
		return wait(v1alpha1.ReasonNamespaceNotAllowed, "The operator has no right to Secrets in this namespace. Apply the Role and RoleBinding "+
			"of config/tenant there.").withBackoff()
	case kind == FailureNotSent && f.Persistent:
		return wait(v1alpha1.ReasonUnavailable, "The operator sends nothing to Plivo: "+f.Message+". The operator retries with backoff.").withBackoff()
	case kind == FailureKubernetes && f.Persistent:
		return wait(v1alpha1.ReasonKubernetesError, "The operator cannot "+f.Step.describe(o.Object)+": "+f.Message+". The operator retries with backoff.").withBackoff()
	default:
		return noAction().withBackoff()
	}
}

// describe names, for messages, a step that reads or writes at the API server.
func (s Step) describe(resource *v1alpha1.Subaccount) string {
	switch s {
	case StepAddFinalizer:
		return "add its finalizer"
	case StepRemoveFinalizer:
		return "remove its finalizer"
	case StepReadSecret:
		return "read the Secret " + SecretName(resource)
	case StepWriteSecret:
		return "write the Secret " + SecretName(resource)
	case StepRemoveSecret:
		return "delete a Secret"
	case StepReadCRD:
		return "read the CRD"
	case StepReadClaim:
		return "list the Subaccounts that claim the authID"
	case StepRecordOrphan:
		return "write the Account's status.orphaned"
	default:
		return "write the status"
	}
}

// rejectionMessage is for a call that Plivo refuses because of the spec.
func (f *Failure) rejectionMessage() string {
	return "Plivo refused: " + f.Message + ". Change the spec, or request a retry with the annotation " +
		v1alpha1.ReconcileRequestedAtAnnotation + "."
}

// rejectedMessage says whether Plivo has refused this generation of the spec, in
// this reconcile or an earlier one. A retry would be refused too.
func (o *Observation) rejectedMessage() (message string, ok bool) {
	if o.failedAt(StepUpdate) && o.Failure.Kind == FailureRefused {
		return o.Failure.rejectionMessage(), true
	}
	return o.stalledMessage(v1alpha1.ReasonRejected)
}

// stalledMessage returns the message of the Stalled condition, if the condition is
// True for the given reason and this generation. ok is false if the annotation
// requests a read.
func (o *Observation) stalledMessage(reason string) (message string, ok bool) {
	c := meta.FindStatusCondition(o.Object.Status.Conditions, v1alpha1.ConditionStalled)
	if c == nil || c.Status != "True" || c.Reason != reason || c.ObservedGeneration != o.Object.Generation || o.hasReconcileRequest() {
		return "", false
	}
	return c.Message, true
}
