package plan

import (
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// pendingCreation: a create call may have happened that is not recorded. It is
// confirmed by the list before anything else is made.
func pendingCreation(o *Observation) *Decision {
	p := o.Object.Status.PendingCreation
	switch {
	case p == nil:
		return nil
	case p.Attempt == o.DeclaredAttempt:
		if d := o.checkCreate(); d != nil {
			return d
		}
		return step(StepCreate)
	case p.Attempt == o.RefusedAttempt:
		return step(StepClearIntent)
	}
	if d := o.confirmAttempt(); d != nil {
		return d
	}
	// Nothing was made by it: another attempt, through the same gates.
	if d := o.checkCreate(); d != nil {
		return d
	}
	return step(StepDeclareIntent)
}

// confirmAttempt says how to find out what became of the pending attempt; nil
// once it is certain that it made nothing.
func (o *Observation) confirmAttempt() *Decision {
	if len(o.FoundByMarker) > 0 {
		return &Decision{Step: StepRecord, AuthID: o.FoundByMarker[0]}
	}
	settled := o.PendingSince.Add(o.SettleTime)
	sweep, ok := o.lastSweep()
	switch {
	case o.PendingSince.IsZero(): // nobody knows since when to count
		return o.awaitConfirmation(o.Now)
	case !ok || sweep.Started.Before(o.PendingSince):
		return o.awaitConfirmation(o.PendingSince)
	case !sweep.Started.After(settled):
		// One instant later than the settle time, so that After holds.
		return o.awaitConfirmation(settled.Add(time.Millisecond))
	case o.isGuardOn():
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
	default:
		return nil
	}
}

func (o *Observation) awaitConfirmation(notBefore time.Time) *Decision {
	return wait(v1alpha1.ReasonCreationUnconfirmed, "A create call may have happened and its answer was lost. Plivo's list will tell; "+
		"until then nothing else is created.").withSweep(notBefore)
}

// lastSweep is the last complete sweep of the main account whose credentials are
// held. Without credentials nobody knows whose list it was.
func (o *Observation) lastSweep() (Sweep, bool) {
	account, _ := o.Account.Get()
	sweep, ok := o.LastSweep.Get()
	return sweep, ok && account.ID != ""
}

const implausibleMessage = "Plivo's list lacks so many recorded subaccounts that the list is doubted: see the Account's conditions."

func (o *Observation) isGuardOn() bool {
	account, _ := o.Account.Get()
	return account.GuardOn
}

// checkCreate are the gates of every create call.
func (o *Observation) checkCreate() *Decision {
	namespace, ok := o.Namespace.Get()
	if !ok || namespace.Terminating {
		return noAction()
	}
	if account, _ := o.Account.Get(); account.Terminating {
		return wait(v1alpha1.ReasonAccountNotReady, "The Account is being deleted and takes no new subaccounts.")
	}
	return o.secretGate()
}

// secretGate: a Secret that is not ours is never touched.
func (o *Observation) secretGate() *Decision {
	if o.Secret.IsUnknown() {
		return step(StepReadSecret)
	}
	if secret, ok := o.Secret.Get(); ok && !secret.Owned {
		return wait(v1alpha1.ReasonSecretConflict, "A Secret "+SecretName(o.Object)+" exists and is not this Subaccount's: remove it, "+
			"or set spec.secret.name to another name.").withRequeueAfter(time.Minute)
	}
	return nil
}

// newSubaccount: nothing was made yet. Everything is clear before anything is made.
func newSubaccount(o *Observation) *Decision {
	if o.Object.Status.AuthID != "" {
		return nil
	}
	if message, ok := o.rejectedMessage(); ok {
		return wait(v1alpha1.ReasonRejected, message)
	}
	if d := o.checkCreate(); d != nil {
		return d
	}
	if o.isAdopting() {
		if d := o.checkAdopt(); d != nil {
			return d
		}
		return &Decision{Step: StepAdopt, AuthID: *o.Object.Spec.AuthID}
	}
	return step(StepDeclareIntent)
}

// checkAdopt are the gates of an adoption.
func (o *Observation) checkAdopt() *Decision {
	if account, _ := o.Account.Get(); !account.GrantsAdoption {
		return wait(v1alpha1.ReasonAdoptionForbidden, "The Account's spec.adoption does not grant this authID to this namespace: ask the "+
			"platform team for a grant.")
	}
	if d := o.checkClaim(); d != nil {
		return d
	}
	remote, found := o.Remote.Get()
	switch {
	case !o.Fetched:
		if message, ok := o.stalledMessage(v1alpha1.ReasonRemoteNotFound); ok && !found {
			return wait(v1alpha1.ReasonRemoteNotFound, message)
		}
		return o.getOnce(*o.Object.Spec.AuthID)
	case !o.NotFound.First.IsZero():
		return o.remoteNotFound(*o.Object.Spec.AuthID)
	case !found:
		return noAction().withBackoff()
	case IsMarker(remote.Name):
		return wait(v1alpha1.ReasonAdoptionForbidden, "This authID is one of the operator's own unfinished creations and cannot be adopted.")
	default:
		return nil
	}
}

func (o *Observation) remoteNotFound(authID string) *Decision {
	action := ": delete this resource"
	if !o.isAdopting() {
		action = ", and recreatePolicy is Never: set it to Automatic to get another subaccount with new credentials"
	}
	return wait(v1alpha1.ReasonRemoteNotFound, "The main account has no subaccount "+authID+action+". If it exists again, request a "+
		"read with the annotation "+v1alpha1.ReconcileRequestedAtAnnotation+".")
}
