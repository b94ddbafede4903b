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
	case p.Attempt == o.Unsent:
		if d := o.mayCreate(); d != nil {
			return d
		}
		return step(StepCreate)
	case p.Attempt == o.Refused:
		return step(StepClearIntent)
	}
	if d := o.unconfirmed(); d != nil {
		return d
	}
	// Nothing was made by it: another attempt, through the same gates.
	if d := o.mayCreate(); d != nil {
		return d
	}
	return step(StepDeclareIntent)
}

// unconfirmed says how to find out what became of the pending attempt; nil
// once it is certain that it made nothing.
func (o *Observation) unconfirmed() *Decision {
	if len(o.Found) > 0 {
		return &Decision{Step: StepRecord, AuthID: o.Found[0]}
	}
	settled := o.FirstSight.Add(o.Settle)
	sweep, ok := o.swept()
	switch {
	case o.FirstSight.IsZero(): // nobody knows since when to count
		return o.awaitConfirmation(o.Now)
	case !ok || sweep.Started.Before(o.FirstSight):
		return o.awaitConfirmation(o.FirstSight)
	case !sweep.Started.After(settled):
		// One instant later than the settle time, so that After holds.
		return o.awaitConfirmation(settled.Add(time.Millisecond))
	case o.implausible():
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
	default:
		return nil
	}
}

func (o *Observation) awaitConfirmation(notBefore time.Time) *Decision {
	return wait(v1alpha1.ReasonCreationUnconfirmed, "A create call may have happened and its answer was lost. Plivo's list will tell; "+
		"until then nothing else is created.").sweep(notBefore)
}

// swept is the last complete sweep of the main account whose credentials are
// held. Without credentials nobody knows whose list it was.
func (o *Observation) swept() (Sweep, bool) {
	account, _ := o.Account.Get()
	sweep, ok := o.Swept.Get()
	return sweep, ok && account.ID != ""
}

const implausibleMessage = "Plivo's list lacks so many recorded subaccounts that the list is doubted: see the Account's conditions."

func (o *Observation) implausible() bool {
	account, _ := o.Account.Get()
	return account.Implausible
}

// mayCreate are the gates of every create call.
func (o *Observation) mayCreate() *Decision {
	namespace, ok := o.Namespace.Get()
	if !ok || namespace.Terminating {
		return quiet()
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
			"or set spec.secret.name to another name.").after(time.Minute)
	}
	return nil
}

// beginning: nothing was made yet. Everything is clear before anything is made.
func beginning(o *Observation) *Decision {
	if o.Object.Status.AuthID != "" {
		return nil
	}
	if message, ok := o.rejected(); ok {
		return wait(v1alpha1.ReasonRejected, message)
	}
	if d := o.mayCreate(); d != nil {
		return d
	}
	if o.adopts() {
		if d := o.mayAdopt(); d != nil {
			return d
		}
		return &Decision{Step: StepAdopt, AuthID: *o.Object.Spec.AuthID}
	}
	return step(StepDeclareIntent)
}

// mayAdopt are the gates of an adoption.
func (o *Observation) mayAdopt() *Decision {
	if account, _ := o.Account.Get(); !account.Grants {
		return wait(v1alpha1.ReasonAdoptionForbidden, "The Account's spec.adoption does not grant this authID to this namespace: ask the "+
			"platform team for a grant.")
	}
	if d := o.claimed(); d != nil {
		return d
	}
	remote, found := o.Remote.Get()
	switch {
	case !o.Looked:
		if message, ok := o.holds(v1alpha1.ReasonRemoteNotFound); ok && !found {
			return wait(v1alpha1.ReasonRemoteNotFound, message)
		}
		return o.look(*o.Object.Spec.AuthID)
	case !o.NotFound.First.IsZero():
		return o.remoteNotFound(*o.Object.Spec.AuthID)
	case !found:
		return quiet().backoff()
	case IsMarker(remote.Name):
		return wait(v1alpha1.ReasonAdoptionForbidden, "This authID is one of the operator's own unfinished creations and cannot be adopted.")
	default:
		return nil
	}
}

func (o *Observation) remoteNotFound(authID string) *Decision {
	action := ": delete this resource"
	if !o.adopts() {
		action = ", and recreatePolicy is Never: set it to Automatic to get another subaccount with new credentials"
	}
	return wait(v1alpha1.ReasonRemoteNotFound, "The main account has no subaccount "+authID+action+". If it exists again, request a "+
		"read with the annotation "+v1alpha1.ReconcileRequestedAtAnnotation+".")
}
