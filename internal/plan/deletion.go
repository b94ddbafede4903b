package plan

import (
	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// deletion of a terminating resource: the finalizer goes when the subaccount
// is known to be gone, known never to have been made, or known to be another's.
func deletion(o *Observation) *Decision {
	if !o.terminating() {
		return nil
	}
	status := &o.Object.Status
	if p := status.PendingCreation; p != nil {
		if d := o.deletionOfPending(p.Attempt); d != nil {
			return d
		}
	}
	if status.AuthID == "" {
		return step(StepRelease)
	}
	if o.Deleted {
		return o.deleted()
	}
	switch claim, ok := o.Claim.Get(); {
	case !ok:
		return step(StepJudgeClaim)
	case !claim.Ours:
		return step(StepRelease)
	}
	if d := o.recordedAccountGate(); d != nil {
		return d
	}
	if !o.NotFound.First.IsZero() {
		return o.deletionNotFound()
	}
	return o.delete()
}

// deletionOfPending confirms first: what a pending attempt made is recorded,
// and then deleted like any other. It is nil if the attempt made nothing.
func (o *Observation) deletionOfPending(attempt string) *Decision {
	if attempt == o.Unsent || attempt == o.Refused {
		return nil
	}
	if d := o.recordedAccountGate(); d != nil {
		return d
	}
	return o.unconfirmed()
}

// deleted: the credentials are dead, and so every Secret that holds them goes
// too, even where nothing collects garbage. A terminating namespace takes its
// Secrets with it, and perhaps the Role that lets us see them.
func (o *Observation) deleted() *Decision {
	if namespace, _ := o.Namespace.Get(); namespace.Terminating {
		return step(StepRelease)
	}
	if secret, ok := o.Secret.Get(); ok && secret.Owned {
		return &Decision{Step: StepRemoveSecret, Secret: SecretName(o.Object)}
	}
	if d := oldSecret(o); d != nil {
		return d
	}
	return step(StepRelease)
}

// deletionNotFound: a 404 alone may be a proxy's, and a list may lag. They
// count once the same account's list, read whole since, lacks the subaccount
// and Plivo then still does not find it.
func (o *Observation) deletionNotFound() *Decision {
	sweep, ok := o.swept()
	switch {
	case !ok || !sweep.Started.After(o.NotFound.First):
		return wait(v1alpha1.ReasonDeleting, "Plivo does not find the subaccount. The finalizer goes once Plivo's list lacks it too.").
			sweep(o.NotFound.First.Add(1))
	case o.implausible():
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
	case !o.Remote.IsAbsent():
		// The list shows it: the 404 was wrong. Ask again, with a pause.
		return wait(v1alpha1.ReasonDeleting, "Plivo's list shows a subaccount that Plivo does not find when asked to delete it.").backoff()
	case !o.NotFound.Last.After(sweep.Started):
		return o.delete()
	default:
		return o.deleted()
	}
}

func (o *Observation) delete() *Decision {
	return &Decision{
		Step: StepDelete, AuthID: o.Object.Status.AuthID,
		Cascade: o.Object.Spec.CascadePolicy == v1alpha1.CascadePolicyDelete,
	}
}
