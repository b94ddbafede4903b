package plan

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

func (o *Observation) failedAt(s Step) bool { return o.Failure != nil && o.Failure.Step == s }

// failedStep says what a step that failed in this pass leads to. A create call
// that was definitely refused made nothing: its intent is cleared first.
func failedStep(o *Observation) *Decision {
	f := o.Failure
	if f == nil {
		return nil
	}
	if p := o.Object.Status.PendingCreation; f.Step == StepCreate && p != nil && p.Attempt == o.Refused {
		return step(StepClearIntent)
	}
	switch kind := f.Kind; {
	case kind == FailureNoSlot && f.Message == "" && f.Long && o.neverSeen():
		return wait(v1alpha1.ReasonCreating, "The resource waits for a slot of its Account's request budget.")
	case kind == FailureNoSlot && f.Message == "":
		return quiet()
	case kind == FailureNoSlot:
		return wait(v1alpha1.ReasonRateLimited, f.Message)
	case kind == FailureTooOften:
		return wait(v1alpha1.ReasonUpdating, "This resource is changed or asked after too often: what it wants is done in a moment.").after(f.After)
	case kind == FailureRefused && f.Step == StepDelete:
		// No spec can heal it, and a namespace may wait for it to end.
		return wait(v1alpha1.ReasonDeleting, "Plivo refuses to delete the subaccount: "+f.Message+". The operator retries with "+
			"backoff. To remove this resource and keep the subaccount at Plivo, set deletionPolicy to Orphan.").backoff()
	case kind == FailureRefused && f.Step == StepUpdate && o.Object.Status.Binding != nil:
		return nil // rejection reports it, after the Secret is as wanted
	case kind == FailureRefused:
		return wait(v1alpha1.ReasonRejected, f.refusal())
	case kind == FailureRateLimited:
		return wait(v1alpha1.ReasonRateLimited, "Plivo's rate limit is reached. The whole main account pauses. The operator retries.").backoff()
	case kind == FailureUnknown:
		return wait(v1alpha1.ReasonUnavailable, "Plivo cannot be reached or fails: "+f.Message+". The operator retries with backoff.").backoff()
	case kind == FailureBesideTheSpec:
		return wait(v1alpha1.ReasonUnavailable, "Plivo refused: "+f.Message+". The operator retries with backoff.").backoff()
	case kind == FailureForbidden:
		return wait(v1alpha1.ReasonNamespaceNotAllowed, "The operator has no right to Secrets in this namespace: give it the Role of config/tenant.").backoff()
	case kind == FailureKubernetes && f.Persistent:
		return wait(v1alpha1.ReasonKubernetesError, "The operator cannot "+f.Step.attempts(o.Object)+": "+f.Message+". The operator retries with backoff.").backoff()
	default:
		return quiet().backoff()
	}
}

// attempts says what a step does to an object of Kubernetes.
func (s Step) attempts(resource *v1alpha1.Subaccount) string {
	switch s {
	case StepAddFinalizer:
		return "add its finalizer"
	case StepRelease:
		return "remove its finalizer"
	case StepReadSecret:
		return "read the Secret " + SecretName(resource)
	case StepWriteSecret:
		return "write the Secret " + SecretName(resource)
	case StepRemoveSecret:
		return "delete a Secret"
	case StepReadCRD:
		return "read the CRD"
	case StepJudgeClaim:
		return "list the Subaccounts that claim the authID"
	case StepNoteOrphan:
		return "write the Account's status.orphaned"
	default:
		return "write the status"
	}
}

// refusal is the message of a call that Plivo refuses because of the spec.
func (f *Failure) refusal() string {
	return "Plivo refused: " + f.Message + ". Change the spec, or request another try with the annotation " +
		v1alpha1.ReconcileRequestedAtAnnotation + "."
}

// rejected says whether Plivo has refused what this generation of the spec
// wants, in this pass or an earlier one, so that asking again is pointless.
func (o *Observation) rejected() (message string, ok bool) {
	if o.failedAt(StepUpdate) && o.Failure.Kind == FailureRefused {
		return o.Failure.refusal(), true
	}
	return o.holds(v1alpha1.ReasonRejected)
}

// holds says whether the resource stands still for the given reason, and with
// which message: nothing it rests on has changed and nobody asks for a look.
func (o *Observation) holds(reason string) (message string, ok bool) {
	c := meta.FindStatusCondition(o.Object.Status.Conditions, v1alpha1.ConditionStalled)
	if c == nil || c.Status != "True" || c.Reason != reason || c.ObservedGeneration != o.Object.Generation || o.asked() {
		return "", false
	}
	return c.Message, true
}
