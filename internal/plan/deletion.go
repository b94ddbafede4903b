// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// deletion removes the finalizer of a terminating resource once it is certain that
// its subaccount is deleted, was never created, or belongs to another resource.
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

// deletionOfPending records the subaccount that a pending attempt created, so that
// deletion then deletes it. It returns nil if the attempt created nothing.
func (o *Observation) deletionOfPending(attempt string) *Decision {
	if attempt == o.DeclaredAttempt || attempt == o.RefusedAttempt {
		return nil
	}
	if d := o.recordedAccountGate(); d != nil {
		return d
	}
	return o.confirmAttempt()
}

// afterDeletion deletes the Secrets before the finalizer: their credentials no
// longer work, and a cluster may run without the garbage collector. A terminating
// namespace deletes its Secrets itself, and may already lack the Role that lets the
// operator read them.
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

// deletionNotFound decides after a 404 to a delete call. A 404 may come from a
// proxy, and a list may lag. So the finalizer stays until a complete sweep after
// the first 404 lacks the subaccount and another delete call after it gets a 404.
func (o *Observation) deletionNotFound() *Decision {
	sweep, ok := o.lastSweep()
	switch {
	case !ok, !sweep.Started.After(o.NotFound.First), !o.Remote.IsAbsent():
		return o.awaitList(v1alpha1.ReasonDeleting, "Plivo responds that the subaccount does not exist (HTTP 404). The operator removes the "+
			"finalizer once Plivo's list confirms it.")
	case o.isGuardOn():
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
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
