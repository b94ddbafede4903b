package subaccount

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
		return o.deletionOfPending(p.Attempt)
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
	if message, ok := o.rejected(); ok {
		return wait(v1alpha1.ReasonRejected, message)
	}
	if !o.NotFound.First.IsZero() {
		return o.deletionNotFound()
	}
	return &Decision{
		Step: StepDelete, AuthID: status.AuthID,
		Cascade: o.Object.Spec.CascadePolicy == v1alpha1.CascadePolicyDelete,
	}
}

// deletionOfPending confirms first: what a pending attempt made is recorded,
// and then deleted like any other.
func (o *Observation) deletionOfPending(attempt string) *Decision {
	if attempt == o.Unsent || attempt == o.Refused {
		return step(StepRelease)
	}
	if d := o.recordedAccountGate(); d != nil {
		return d
	}
	if d := o.unconfirmed(); d != nil {
		return d
	}
	return step(StepRelease)
}

// deleted: the credentials are dead, and so the Secret goes with them even
// where nothing collects garbage.
func (o *Observation) deleted() *Decision {
	if secret, ok := o.Secret.Get(); ok && secret.Owned {
		return &Decision{Step: StepRemoveSecret, Secret: SecretName(o.Object)}
	}
	return step(StepRelease)
}

// deletionNotFound: a 404 alone may be a proxy's. It counts once the same
// account's list has since been read whole and lacks the subaccount too.
func (o *Observation) deletionNotFound() *Decision {
	sweep, ok := o.Swept.Get()
	switch {
	case !ok || !sweep.Started.After(o.NotFound.Last):
		return wait(v1alpha1.ReasonDeleting, "Plivo does not find the subaccount. The finalizer goes once Plivo's list lacks it too.").
			sweep(o.NotFound.Last.Add(1))
	case o.implausible():
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
	case o.Remote.IsAbsent():
		return o.deleted()
	default:
		// The list shows it: the 404 was wrong. Ask again, with a pause.
		return wait(v1alpha1.ReasonDeleting, "Plivo's list shows a subaccount that Plivo does not find when asked to delete it.").backoff()
	}
}
