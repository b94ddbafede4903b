package plan

import (
	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// check looks at one side of an observation; nil is no objection.
type check func(*Observation) *Decision

// checks in the order in which they are asked. The first that objects decides.
var checks = []check{
	heldResponse,
	failedStep,
	withoutFinalizer,
	orphanDeletion,
	crdTerminating,
	suspended,
	deletionPolicyGate,
	lostStatus,
	deletion,
	missingFinalizer,
	accountGate,
	claimGate,
	policyGate,
	pendingCreation,
	newSubaccount,
	missingSubaccount,
	drift,
	secretContent,
	obsoleteSecret,
	rejectedUpdate,
}

// Decide says what to do next for one Subaccount.
func Decide(o *Observation) Decision {
	for _, p := range checks {
		if d := p(o); d != nil {
			return o.requireAccount(*d)
		}
	}
	return Decision{Reason: v1alpha1.ReasonReady, Message: "The subaccount and its Secret are as the spec wants them."}
}

// requireAccount turns a decision that needs the Account's credentials into a
// wait while they cannot be used. Everything else goes on.
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

// heldResponse: recording an answer comes before every gate, because until then
// this process alone knows what was made.
func heldResponse(o *Observation) *Decision {
	if o.HeldResponse == nil || o.failedAt(StepRecord) {
		return nil
	}
	return &Decision{Step: StepRecord, AuthID: o.HeldResponse.AuthID}
}

// withoutFinalizer: a terminating resource without our finalizer is none of our business.
func withoutFinalizer(o *Observation) *Decision {
	if o.isTerminating() && !o.hasFinalizer() {
		return noAction()
	}
	return nil
}

// orphanDeletion: a release by Orphan needs no call to Plivo and no usable Account.
func orphanDeletion(o *Observation) *Decision {
	if !o.isTerminating() || !o.isOrphaned() || deletionPolicyGate(o) != nil {
		return nil
	}
	return o.removeFinalizerOnly()
}

// removeFinalizerOnly removes the finalizer and leaves the subaccount at Plivo. One that is
// still named by its marker would be removed as a stray once no resource claims
// it, so the note in the Account comes first.
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

// crdTerminating: while the CRD is terminating, everything is released and nothing
// is deleted at Plivo.
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
	return wait(v1alpha1.ReasonSuspended, "Suspended: nothing is read or changed until spec.suspend is removed.")
}

// lostStatus: the finalizer is added only after observedGeneration was written
// with the intent, so the finalizer alone shows that the status was lost. What
// was created for the resource is then Unknown.
func lostStatus(o *Observation) *Decision {
	if !o.hasLostStatus() {
		return nil
	}
	return wait(v1alpha1.ReasonStatusLost, "The resource bears the operator's finalizer but its status is lost, so nobody knows "+
		"which subaccount is its own. To bring it back: set deletionPolicy to Orphan, delete the resource, and apply it again "+
		"with spec.authID.")
}

// missingFinalizer adds the finalizer to a resource for which something was, or
// may soon be, created: before the create call, and again if somebody strips it.
func missingFinalizer(o *Observation) *Decision {
	if o.hasFinalizer() || o.Object.Status.AuthID == "" && o.Object.Status.PendingCreation == nil {
		return nil
	}
	return step(StepAddFinalizer)
}

// accountGate: the Account must exist, be the one that was recorded, and allow
// the namespace. Whether it can be used at the moment is asked only where it
// is needed.
func accountGate(o *Observation) *Decision {
	if d := o.recordedAccountGate(); d != nil {
		return d
	}
	account, _ := o.Account.Get()
	switch allows, ok := account.AllowsNamespace.Get(); {
	case !ok && account.Blocked != "":
		return nil // whatever needs the Account tells so, and nothing else needs the answer
	case !ok:
		return noAction()
	case !allows:
		return wait(v1alpha1.ReasonNamespaceNotAllowed, "The Account's namespaceSelector does not select this namespace: ask the "+
			"platform team, or use another Account. What exists at Plivo is left as it is.")
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
		return wait(v1alpha1.ReasonAccountNotFound, "There is no Account "+o.Object.Spec.AccountRef.Name+": create it or use another.")
	}
	if recorded := RecordedAccount(o.Object); recorded != "" && account.ID != "" && recorded != account.ID {
		return wait(v1alpha1.ReasonAccountChanged, "The subaccount belongs to the main account "+recorded+", and the Account's "+
			"credentials are another one's: give the Account credentials of "+recorded+".")
	}
	return nil
}

// claimGate: who does not hold the authID in its own status gets nothing of it.
func claimGate(o *Observation) *Decision {
	if o.Object.Status.AuthID == "" {
		return nil
	}
	d := o.checkClaim()
	if d == nil || d.Reason != v1alpha1.ReasonAlreadyManaged {
		return d
	}
	// What was handed out before the other claim was seen.
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
		return wait(v1alpha1.ReasonAlreadyManaged, "Another Subaccount manages this authID. Delete this resource; that leaves the "+
			"subaccount untouched.")
	default:
		return nil
	}
}

// rejectedUpdate keeps telling what Plivo refused until the spec changes.
func rejectedUpdate(o *Observation) *Decision {
	if message, ok := o.rejectedMessage(); ok {
		return wait(v1alpha1.ReasonRejected, message)
	}
	return nil
}
