// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// check returns a decision, or nil if the next check decides.
type check func(*Observation) *Decision

// checks are in order: the first one that returns a decision decides.
var checks = []check{
	heldResponse,       // Record the response to a create call before anything else
	failedStep,         // Retry or report a step that failed in this reconcile
	withoutFinalizer,   // Ignore a terminating resource without the operator's finalizer
	orphanDeletion,     // Remove the finalizer and keep the subaccount if deletionPolicy is Orphan
	crdTerminating,     // Remove the finalizer and keep the subaccount if the CRD is being deleted
	suspended,          // Do nothing more while spec.suspend is true
	deletionPolicyGate, // Delete nothing under a policy that the Account does not allow
	lostStatus,         // Stop if the finalizer is there but the status was lost
	deletion,           // Delete the subaccount and remove the finalizer of a terminating resource
	missingFinalizer,   // Add the finalizer before the create call
	accountGate,        // Make sure that the Account exists, is the recorded one and allows the namespace
	claimGate,          // Make sure that no other Subaccount holds the authID
	policyGate,         // Create and change nothing under a policy that the Account does not allow
	pendingCreation,    // Send the create call of an intent, or find out what became of it
	newSubaccount,      // Declare an intent, or adopt
	missingSubaccount,  // Recreate a subaccount, or report it, once it is certain that Plivo lacks it
	drift,              // Update name and enabled at Plivo
	secretContent,      // Write the Secret
	obsoleteSecret,     // Delete the Secret under an earlier name
	rejectedUpdate,     // Report an update that Plivo refused until the spec changes
}

// Decide returns what to do next for one Subaccount.
func Decide(o *Observation) Decision {
	for _, check := range checks {
		if d := check(o); d != nil {
			return o.requireAccount(*d)
		}
	}
	return Decision{Reason: v1alpha1.ReasonReady, Message: "The subaccount and its Secret match the spec."}
}

// requireAccount replaces a decision that needs the Account's credentials by a
// wait if the operator cannot use them. Other decisions stay as they are.
func (o *Observation) requireAccount(d Decision) Decision {
	if !d.needsCredentials() {
		return d
	}
	account, ok := o.Account.Get()
	switch {
	case !ok:
		return Decision{}
	case account.Blocked != "":
		return Decision{Reason: account.Blocked, Message: account.BlockedMessage}
	case account.ID == "":
		return Decision{}
	default:
		return d
	}
}

// heldResponse records the response to a create call. It comes before every gate,
// because until then only this process knows the new subaccount.
func heldResponse(o *Observation) *Decision {
	if o.HeldResponse == nil || o.failedAt(StepRecord) {
		return nil
	}
	return &Decision{Step: StepRecord, AuthID: o.HeldResponse.AuthID}
}

// withoutFinalizer ignores a terminating resource without the operator's finalizer:
// the operator has nothing left to do for it.
func withoutFinalizer(o *Observation) *Decision {
	if o.isTerminating() && !o.hasFinalizer() {
		return noAction()
	}
	return nil
}

// orphanDeletion comes early because Orphan needs no call to Plivo and no usable
// Account.
func orphanDeletion(o *Observation) *Decision {
	if !o.isTerminating() || !o.isOrphaned() || deletionPolicyGate(o) != nil {
		return nil
	}
	return o.removeFinalizerOnly()
}

// removeFinalizerOnly removes the finalizer and keeps the subaccount at Plivo. If
// the marker is still the name of the subaccount, the operator would delete it as
// a stray once no resource claims it. An entry in the Account prevents that.
func (o *Observation) removeFinalizerOnly() *Decision {
	if authID := o.Object.Status.AuthID; authID != "" && o.mayHaveMarkerName() && !o.HasPerformed(StepRecordOrphan) {
		return &Decision{Step: StepRecordOrphan, AuthID: authID}
	}
	return step(StepRemoveFinalizer)
}

func (o *Observation) mayHaveMarkerName() bool {
	if remote, ok := o.Remote.Get(); ok && !remote.UpdateUnconfirmed {
		return IsMarker(remote.Name)
	}
	name := o.Object.Status.Name
	return name == nil || IsMarker(*name)
}

// crdTerminating deletes nothing at Plivo while the CRD is terminating: an
// uninstallation must not delete the tenants' subaccounts.
func crdTerminating(o *Observation) *Decision {
	switch {
	case !o.isTerminating():
		return nil
	case o.CRDTerminating.IsUnknown():
		return step(StepReadCRD)
	case Is(o.CRDTerminating, true):
		return o.removeFinalizerOnly()
	default:
		return nil
	}
}

func suspended(o *Observation) *Decision {
	if s := o.Object.Spec.Suspend; s == nil || !*s {
		return nil
	}
	return wait(v1alpha1.ReasonSuspended, "Suspended: the operator reads and changes nothing until spec.suspend is removed.")
}

// lostStatus stops: the operator does not know which subaccount it created for
// the resource. It writes observedGeneration with the intent and adds the
// finalizer only after that, so a finalizer without it shows the loss.
func lostStatus(o *Observation) *Decision {
	if !o.hasLostStatus() {
		return nil
	}
	return wait(v1alpha1.ReasonStatusLost, "The resource has the operator's finalizer but its status is lost, so the operator does "+
		"not know which subaccount belongs to it. To restore it: set deletionPolicy to Orphan, delete the resource, and apply it "+
		"again with spec.authID.")
}

// missingFinalizer adds the finalizer before the create call, and again if another
// client removes it.
func missingFinalizer(o *Observation) *Decision {
	nothingAtPlivo := o.Object.Status.AuthID == "" && o.Object.Status.PendingCreation == nil
	if o.hasFinalizer() || nothingAtPlivo {
		return nil
	}
	return step(StepAddFinalizer)
}

// accountGate requires that the Account exists, is the recorded one and allows
// the namespace. It does not require usable credentials: requireAccount does so
// for the decisions that need them.
func accountGate(o *Observation) *Decision {
	if d := o.recordedAccountGate(); d != nil {
		return d
	}
	account, _ := o.Account.Get()
	switch allows, ok := account.AllowsNamespace.Get(); {
	case !ok && account.Blocked != "":
		return nil // requireAccount reports why, if a decision needs the Account
	case !ok:
		return noAction()
	case !allows:
		return wait(v1alpha1.ReasonNamespaceNotAllowed, "The Account's namespaceSelector does not select this namespace. Ask the "+
			"platform team to allow it, or delete this resource and apply it with another spec.accountRef. The operator changes nothing at Plivo.")
	}
	return nil
}

// recordedAccountGate is the part of accountGate that deletion needs too.
func (o *Observation) recordedAccountGate() *Decision {
	if o.Account.IsUnknown() {
		return noAction()
	}
	account, ok := o.Account.Get()
	if !ok {
		return wait(v1alpha1.ReasonAccountNotFound, "The Account "+o.Object.Spec.AccountRef.Name+" does not exist. Create it, or delete "+
			"this resource and apply it with another spec.accountRef.")
	}
	if recorded := RecordedAccount(o.Object); recorded != "" && account.ID != "" && recorded != account.ID {
		return wait(v1alpha1.ReasonAccountChanged, "The subaccount belongs to the main account "+recorded+", but the Account has "+
			"credentials of another main account. Give the Account credentials of "+recorded+".")
	}
	return nil
}

// claimGate stops a resource whose status has an authID that another resource
// holds, and deletes the Secret with the credentials.
func claimGate(o *Observation) *Decision {
	if o.Object.Status.AuthID == "" {
		return nil
	}
	d := o.checkClaim()
	if d == nil || d.Reason != v1alpha1.ReasonAlreadyManaged {
		return d
	}
	// The operator may have written the Secret before it saw the other claim.
	if secret, ok := o.Secret.Get(); ok && secret.Owned {
		return &Decision{Step: StepRemoveSecret, Secret: SecretName(o.Object)}
	}
	if old := obsoleteSecret(o); old != nil {
		return old
	}
	return d
}

func (o *Observation) checkClaim() *Decision {
	claim, ok := o.Claim.Get()
	switch {
	case !ok:
		return step(StepReadClaim)
	case !claim.Ours:
		return wait(v1alpha1.ReasonAlreadyManaged, "Another Subaccount manages this authID. Delete this resource; the subaccount at "+
			"Plivo stays as it is.")
	default:
		return nil
	}
}

// rejectedUpdate reports what Plivo refused until the spec changes. It is last, so
// that a refused update does not keep the operator from restoring the Secret.
func rejectedUpdate(o *Observation) *Decision {
	if message, ok := o.rejectedMessage(); ok {
		return wait(v1alpha1.ReasonRejected, message)
	}
	return nil
}
