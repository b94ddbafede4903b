// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// The creation protocol, one step per line, for a new subaccount, a lost response
// and a missing subaccount that the operator recreates:
//
//	new resource                    missing subaccount (maintenance.go)
//	     |                                  |
//	     +----------------+-----------------+
//	                      v
//	DeclareIntent   status: pendingCreation replaces authID     <---+
//	AddFinalizer                                                    |
//	Create          name: the marker                                |
//	     |                                                          |
//	     +-- refused -----------> ClearIntent, then Rejected        |
//	     |                                                          |
//	     +-- lost, or a crash --> sweep                             |
//	     |                          |           |                   |
//	     v                        marker      no marker after       |
//	HeldResponse                  found       the settle time ------+
//	     |                          |         (new attempt)
//	     +-------------+------------+
//	                   v
//	Record          status: authID replaces pendingCreation
//	Update          name and enabled of the spec
//	WriteSecret     after a read of the token, if the response was lost

// justAfter returns the earliest start of a sweep that has to start after t: a sweep
// that starts at the same instant may not show an effect of the call at t.
func justAfter(t time.Time) time.Time { return t.Add(time.Millisecond) }

// pendingCreation continues an intent. An intent of another reconcile may have
// created a subaccount: Plivo's list decides that before the operator creates
// anything else.
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
	// The attempt has created nothing, so the operator declares another one.
	if d := o.checkCreate(); d != nil {
		return d
	}
	return step(StepDeclareIntent)
}

// confirmAttempt says how to find out whether the pending attempt created a
// subaccount. It returns nil once it is certain that it did not.
func (o *Observation) confirmAttempt() *Decision {
	if len(o.FoundByMarker) > 0 {
		return &Decision{Step: StepRecord, AuthID: o.FoundByMarker[0]}
	}
	settled := o.PendingSince.Add(o.SettleTime)
	sweep, ok := o.lastSweep()
	switch {
	case o.PendingSince.IsZero(): // the settle time has not started
		return o.awaitConfirmation(o.Now)
	case !ok || sweep.Started.Before(o.PendingSince):
		return o.awaitConfirmation(o.PendingSince)
	case !sweep.Started.After(settled):
		return o.awaitConfirmation(justAfter(settled))
	case o.isGuardOn():
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
	default:
		return nil
	}
}

func (o *Observation) awaitConfirmation(notBefore time.Time) *Decision {
	return wait(v1alpha1.ReasonCreationUnconfirmed, "The response to a create call was lost, so the subaccount may exist. The operator "+
		"waits for a sweep of Plivo's list and creates nothing until then.").withSweep(notBefore)
}

// lastSweep returns the last complete sweep, if the operator has credentials.
// Without them it does not know which main account the sweep belongs to.
func (o *Observation) lastSweep() (Sweep, bool) {
	account, _ := o.Account.Get()
	sweep, ok := o.LastSweep.Get()
	return sweep, ok && account.ID != ""
}

const implausibleMessage = "The mass-deletion guard is on, because Plivo's list lacks too many recorded subaccounts. The operator does " +
	"not act on missing subaccounts. See the conditions of the Account."

func (o *Observation) isGuardOn() bool {
	account, _ := o.Account.Get()
	return account.GuardOn
}

// checkCreate has the gates of every create call.
func (o *Observation) checkCreate() *Decision {
	namespace, ok := o.Namespace.Get()
	if !ok || namespace.Terminating {
		return noAction()
	}
	account, _ := o.Account.Get()
	if account.Blocked != "" {
		return wait(account.Blocked, account.BlockedMessage)
	}
	if account.Terminating {
		return wait(v1alpha1.ReasonAccountNotReady, "The Account is being deleted, so the operator creates no subaccount. Apply "+
			"this resource again with another spec.accountRef.")
	}
	return o.secretGate()
}

// secretGate stops at a Secret that another owner has: the operator never writes
// it. The gate comes before the create call, so that no subaccount exists whose
// credentials the operator cannot hand out.
func (o *Observation) secretGate() *Decision {
	if o.Secret.IsUnknown() {
		return step(StepReadSecret)
	}
	if secret, ok := o.Secret.Get(); ok && !secret.Owned {
		return wait(v1alpha1.ReasonSecretConflict, "The Secret "+SecretName(o.Object)+" exists and does not belong to this Subaccount. "+
			"Delete it, or set spec.secret.name to another name.").withRequeueAfter(time.Minute)
	}
	return nil
}

// newSubaccount starts a creation or an adoption once all gates are open.
func newSubaccount(o *Observation) *Decision {
	if o.Object.Status.AuthID != "" {
		return nil
	}
	if message, ok := o.rejectedMessage(); ok {
		return wait(v1alpha1.ReasonRejected, message)
	}
	if o.isAdopting() {
		if d := o.checkGrant(); d != nil {
			return d
		}
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

// checkGrant has the gates of an adoption that need no read.
func (o *Observation) checkGrant() *Decision {
	if account, _ := o.Account.Get(); !account.GrantsAdoption {
		return wait(v1alpha1.ReasonAdoptionForbidden, "The Account's spec.adoption does not grant this authID to this namespace. Ask the "+
			"platform team for a grant.")
	}
	if !o.Claim.IsUnknown() {
		if d := o.checkClaim(); d != nil {
			return d
		}
	}
	remote, found := o.Remote.Get()
	mayBeOld := o.hasReconcileRequest() || remote.UpdateUnconfirmed
	mustRead := mayBeOld && !o.Fetched
	if found && IsMarker(remote.Name) && !mustRead {
		return wait(v1alpha1.ReasonAdoptionForbidden, "This authID belongs to an unfinished creation of the operator and cannot be adopted. "+
			"Set spec.authID to another subaccount.")
	}
	if message, ok := o.stalledMessage(v1alpha1.ReasonRemoteNotFound); ok && !found && !o.Fetched {
		return wait(v1alpha1.ReasonRemoteNotFound, message)
	}
	return nil
}

// checkAdopt has the gates of an adoption that need a read.
func (o *Observation) checkAdopt() *Decision {
	if d := o.checkClaim(); d != nil {
		return d
	}
	_, found := o.Remote.Get()
	switch {
	case !o.Fetched:
		return o.getOnce(*o.Object.Spec.AuthID)
	case !o.NotFound.First.IsZero():
		return o.remoteNotFound(*o.Object.Spec.AuthID)
	case !found:
		return noAction().withBackoff()
	default:
		return nil
	}
}

func (o *Observation) remoteNotFound(authID string) *Decision {
	action := ". Delete this resource"
	if !o.isAdopting() {
		action = ", and recreatePolicy is Never. Set it to Automatic to get another subaccount with new credentials"
	}
	return wait(v1alpha1.ReasonRemoteNotFound, "The main account has no subaccount "+authID+action+". If the subaccount exists again, "+
		"request a read with the annotation "+v1alpha1.ReconcileRequestedAtAnnotation+".")
}
