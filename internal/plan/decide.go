package plan

import (
	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// policy looks at one side of an observation; nil is no objection.
type policy func(*Observation) *Decision

// policies in the order in which they are asked. The first that objects decides.
var policies = []policy{
	heldAnswer,
	failedStep,
	notOurs,
	orphan,
	uninstall,
	suspended,
	deletionPolicyGate,
	lostStatus,
	deletion,
	missingFinalizer,
	accountGate,
	claimGate,
	policyGate,
	pendingCreation,
	beginning,
	missing,
	drift,
	credentials,
	oldSecret,
	rejection,
}

// Decide says what to do next for one Subaccount.
func Decide(o *Observation) Decision {
	for _, p := range policies {
		if d := p(o); d != nil {
			return o.throughAccount(*d)
		}
	}
	return Decision{Reason: v1alpha1.ReasonReady, Message: "The subaccount and its Secret are as the spec wants them."}
}

// throughAccount turns a decision that needs the Account's credentials into a
// wait while they cannot be used. Everything else goes on.
func (o *Observation) throughAccount(d Decision) Decision {
	if !d.remote() {
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

// heldAnswer: recording an answer comes before every gate, because until then
// this process alone knows what was made.
func heldAnswer(o *Observation) *Decision {
	if o.Held == nil || o.failedAt(StepRecord) {
		return nil
	}
	return &Decision{Step: StepRecord, AuthID: o.Held.AuthID}
}

// notOurs: a terminating resource without our finalizer is none of our business.
func notOurs(o *Observation) *Decision {
	if o.terminating() && !o.finalized() {
		return quiet()
	}
	return nil
}

// orphan: a release by Orphan needs no call to Plivo and no usable Account.
func orphan(o *Observation) *Decision {
	if !o.terminating() || !o.orphans() || deletionPolicyGate(o) != nil {
		return nil
	}
	return o.leave()
}

// leave removes the finalizer and leaves the subaccount at Plivo. One that is
// still named by its marker would be removed as a stray once no resource claims
// it, so the note in the Account comes first.
func (o *Observation) leave() *Decision {
	if authID := o.Object.Status.AuthID; authID != "" && o.mayBearMarker() && !o.Did(StepNoteOrphan) {
		return &Decision{Step: StepNoteOrphan, AuthID: authID}
	}
	return step(StepRelease)
}

func (o *Observation) mayBearMarker() bool {
	if remote, ok := o.Remote.Get(); ok && !remote.Unsure {
		return IsMarker(remote.Name)
	}
	name := o.Object.Status.Name
	return name == nil || IsMarker(*name)
}

// uninstall: while the CRD is terminating, everything is released and nothing
// is deleted at Plivo.
func uninstall(o *Observation) *Decision {
	switch {
	case !o.terminating():
		return nil
	case o.CRDTerminating.IsUnknown():
		return step(StepReadCRD)
	case Is(o.CRDTerminating, true):
		return o.leave()
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
	if !o.lost() {
		return nil
	}
	return wait(v1alpha1.ReasonStatusLost, "The resource bears the operator's finalizer but its status is lost, so nobody knows "+
		"which subaccount is its own. To bring it back: set deletionPolicy to Orphan, delete the resource, and apply it again "+
		"with spec.authID.")
}

// missingFinalizer adds the finalizer to a resource for which something was, or
// may soon be, created: before the create call, and again if somebody strips it.
func missingFinalizer(o *Observation) *Decision {
	if o.finalized() || o.Object.Status.AuthID == "" && o.Object.Status.PendingCreation == nil {
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
	switch allows, ok := account.Allows.Get(); {
	case !ok && account.Blocked != "":
		return nil // whatever needs the Account tells so, and nothing else needs the answer
	case !ok:
		return quiet()
	case !allows:
		return wait(v1alpha1.ReasonNamespaceNotAllowed, "The Account's namespaceSelector does not select this namespace: ask the "+
			"platform team, or use another Account. What exists at Plivo is left as it is.")
	}
	return nil
}

// recordedAccountGate is the part of accountGate that deletion needs too.
func (o *Observation) recordedAccountGate() *Decision {
	if o.Account.IsUnknown() {
		return quiet()
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
	d := o.claimed()
	if d == nil || d.Reason != v1alpha1.ReasonAlreadyManaged {
		return d
	}
	// What was handed out before the other claim was seen.
	if secret, ok := o.Secret.Get(); ok && secret.Owned {
		return &Decision{Step: StepRemoveSecret, Secret: SecretName(o.Object)}
	}
	if old := oldSecret(o); old != nil {
		return old
	}
	return d
}

func (o *Observation) claimed() *Decision {
	claim, ok := o.Claim.Get()
	switch {
	case !ok:
		return step(StepJudgeClaim)
	case !claim.Ours:
		return wait(v1alpha1.ReasonAlreadyManaged, "Another Subaccount manages this authID. Delete this resource; that leaves the "+
			"subaccount untouched.")
	default:
		return nil
	}
}

// rejection keeps telling what Plivo refused until the spec changes.
func rejection(o *Observation) *Decision {
	if message, ok := o.rejected(); ok {
		return wait(v1alpha1.ReasonRejected, message)
	}
	return nil
}
