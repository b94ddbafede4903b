package plan

import (
	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// deletion of a terminating resource: the finalizer goes when the subaccount
// is known to be gone, known never to have been made, or known to be another's.
func deletion(o *Observation) *Decision {
	if !o.isTerminating() {
		return nil
	}
	status := &o.Object.Status
	if p := status.PendingCreation; p != nil {
		if d := o.deletionOfPending(p.Attempt); d != nil {
			return d
		}
	}
	if status.AuthID == "" {
		return step(StepRemoveFinalizer)
	}
	if o.Deleted {
		return o.afterDeletion()
	}
	switch claim, ok := o.Claim.Get(); {
	case !ok:
		return step(StepReadClaim)
	case !claim.Ours:
		return step(StepRemoveFinalizer)
	}
	if d := o.recordedAccountGate(); d != nil {
		return d
	}
	if !o.NotFound.First.IsZero() {
		return o.deletionNotFound()
	}
	return o.deleteDecision()
}

// deletionOfPending confirms first: what a pending attempt made is recorded,
// and then deleted like any other. It is nil if the attempt made nothing.
func (o *Observation) deletionOfPending(attempt string) *Decision {
	if attempt == o.DeclaredAttempt || attempt == o.RefusedAttempt {
		return nil
	}
	if d := o.recordedAccountGate(); d != nil {
		return d
	}
	return o.confirmAttempt()
}

// afterDeletion: the credentials are dead, and so every Secret that holds them goes
// too, even where nothing collects garbage. A terminating namespace takes its
// Secrets with it, and perhaps the Role that lets us see them.
func (o *Observation) afterDeletion() *Decision {
	if namespace, _ := o.Namespace.Get(); namespace.Terminating {
		return step(StepRemoveFinalizer)
	}
	if secret, ok := o.Secret.Get(); ok && secret.Owned {
		return &Decision{Step: StepRemoveSecret, Secret: SecretName(o.Object)}
	}
	if d := obsoleteSecret(o); d != nil {
		return d
	}
	return step(StepRemoveFinalizer)
}

// deletionNotFound: a 404 alone may be a proxy's, and a list may lag. They
// count once the same account's list, read whole since, lacks the subaccount
// and Plivo then still does not find it.
func (o *Observation) deletionNotFound() *Decision {
	sweep, ok := o.lastSweep()
	switch {
	case !ok || !sweep.Started.After(o.NotFound.First):
		return wait(v1alpha1.ReasonDeleting, "Plivo does not find the subaccount. The finalizer goes once Plivo's list lacks it too.").
			withSweep(o.NotFound.First.Add(1))
	case o.isGuardOn():
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
	case !o.Remote.IsAbsent():
		// The list shows it: the 404 was wrong. Ask again, with a pause.
		return wait(v1alpha1.ReasonDeleting, "Plivo's list shows a subaccount that Plivo does not find when asked to delete it.").withBackoff()
	case !o.NotFound.Last.After(sweep.Started):
		return o.deleteDecision()
	default:
		return o.afterDeletion()
	}
}

func (o *Observation) deleteDecision() *Decision {
	return &Decision{
		Step: StepDelete, AuthID: o.Object.Status.AuthID,
		Cascade: o.Object.Spec.CascadePolicy == v1alpha1.CascadePolicyDelete,
	}
}
