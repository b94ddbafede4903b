package plan

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// missingSubaccount: a subaccount that was recorded and is not there. Replacing it
// replaces the tenant's credentials for good, so a short outage at Plivo must
// not look like a deletion. It takes two complete sweeps that lack it, a sweep
// interval apart, a 404 a settle time before the second one, and another 404
// after it:
//
//	sweep lacks it   404 (get)           sweep lacks it   404 (get)
//	|--------------- sweep interval ---->|
//	                 |-- settle time --->|                ^ recreated here
//
// The second sweep also shows that the credentials are good between the 404s.
func missingSubaccount(o *Observation) *Decision {
	authID := o.Object.Status.AuthID
	if o.hasReconcileRequest() && !o.Fetched {
		return o.getOnce(authID)
	}
	if !o.Remote.IsAbsent() && o.NotFound.First.IsZero() {
		if o.Remote.IsUnknown() && o.wasReportedMissing() {
			return noAction() // nobody has looked since this process started
		}
		return nil
	}
	if message, ok := o.stalledMessage(v1alpha1.ReasonRemoteNotFound); ok {
		return wait(v1alpha1.ReasonRemoteNotFound, message)
	}
	if o.isGuardOn() {
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
	}
	first := o.NotFound.First
	again := o.NotFound.First.Add(o.SettleTime)
	if account, _ := o.Account.Get(); o.NotFound.MissingSince.Add(account.SweepInterval).After(again) {
		again = o.NotFound.MissingSince.Add(account.SweepInterval)
	}
	sweep, swept := o.lastSweep()
	switch {
	case first.IsZero():
		return o.getOnce(authID)
	case !o.Remote.IsAbsent(), o.NotFound.MissingSince.IsZero():
		return o.awaitMissing(first.Add(1))
	case !swept, sweep.Started.Before(again):
		return o.awaitMissing(again)
	case !o.NotFound.Last.After(sweep.Started):
		return o.getOnce(authID)
	case !o.allowsRecreation():
		return o.remoteNotFound(authID)
	}
	if d := o.checkCreate(); d != nil {
		return d
	}
	return step(StepDeclareIntent)
}

// getOnce reads the subaccount, once in a pass: a look that has not told what it
// was for will not tell it a moment later.
func (o *Observation) getOnce(authID string) *Decision {
	if o.Fetched {
		return noAction().withBackoff()
	}
	return &Decision{Step: StepGet, AuthID: authID}
}

// wasReportedMissing says whether the status tells of a subaccount that is not there.
func (o *Observation) wasReportedMissing() bool {
	c := meta.FindStatusCondition(o.Object.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status != metav1.ConditionFalse {
		return false
	}
	return c.Reason == v1alpha1.ReasonRemoteNotFound || c.Reason == v1alpha1.ReasonInventoryImplausible ||
		c.Reason == v1alpha1.ReasonCreating && o.Object.Status.Binding != nil
}

// awaitMissing waits for a complete sweep that starts at or after a time.
func (o *Observation) awaitMissing(notBefore time.Time) *Decision {
	outcome := "Once that is certain, the operator recreates it with new credentials."
	if !o.allowsRecreation() {
		outcome = "Once that is certain, the operator reports " + v1alpha1.ReasonRemoteNotFound + "."
	}
	return wait(v1alpha1.ReasonCreating, "The subaccount "+o.Object.Status.AuthID+" is missing at Plivo. "+outcome+
		" It takes two sweeps that lack it, a sweep interval apart.").withSweep(notBefore)
}

// drift: name and enabled at Plivo are what the spec wants.
func drift(o *Observation) *Decision {
	if _, held := o.rejectedMessage(); held {
		return nil
	}
	status := &o.Object.Status
	remote, ok := o.Remote.Get()
	if !ok {
		// No list was read since this process started. What the spec wants and the
		// status tells differ only if somebody has changed the spec since.
		if status.Name != nil && status.Enabled != nil {
			remote = Remote{Name: *status.Name, Enabled: *status.Enabled}
		} else {
			remote.UpdateUnconfirmed = true
		}
	}
	name, enabled := o.desired(remote)
	named := name == remote.Name || name == remote.SentAs
	justRead := ok && o.Fetched && !remote.UpdateUnconfirmed
	switch {
	case named && enabled == remote.Enabled && !remote.UpdateUnconfirmed:
		return nil
	case o.hasOpenFields() && !justRead:
		return o.getOnce(status.AuthID)
	}
	return &Decision{
		Step: StepUpdate, AuthID: status.AuthID, Name: name, Enabled: enabled,
		Reason: v1alpha1.ReasonUpdating,
	}
}

// hasOpenFields says whether the spec leaves name or enabled as it is at
// Plivo. An update sends both, so a value from the last sweep would undo what
// somebody has changed there since.
func (o *Observation) hasOpenFields() bool {
	return o.isAdopting() && (o.Object.Spec.Name == nil || o.Object.Spec.Enabled == nil)
}

// secretContent: the Secret holds the subaccount's credentials. It is written
// only once the subaccount is as wanted, so that who waits for it gets
// credentials that work.
func secretContent(o *Observation) *Decision {
	if message, held := o.rejectedMessage(); held && o.Object.Status.Binding == nil {
		return wait(v1alpha1.ReasonRejected, message)
	}
	if namespace, ok := o.Namespace.Get(); !ok || namespace.Terminating {
		return noAction() // no Secret can be written there any more
	}
	if d := o.secretGate(); d != nil {
		return d
	}
	secret, _ := o.Secret.Get()
	remote, _ := o.Remote.Get()
	sameToken := secret.TokenDigest != [16]byte{} &&
		(remote.TokenDigest == [16]byte{} || remote.TokenDigest == secret.TokenDigest)
	sound := secret.AuthID == o.Object.Status.AuthID && sameToken && secret.WellFormed
	tokenInSecret := sameToken && remote.TokenDigest != [16]byte{}
	switch {
	case sound && secret.MetadataUpToDate:
		return nil
	case o.ContestedUntil.After(o.Now) && !o.isRetryRequested():
		return o.contested()
	case sound, o.HasToken, tokenInSecret:
		return step(StepWriteSecret)
	default:
		return o.getOnce(o.Object.Status.AuthID)
	}
}

// isRetryRequested says whether somebody has asked for a reconcile since the Secret
// was last written.
func (o *Observation) isRetryRequested() bool {
	return o.hasReconcileRequest() && !o.HasPerformed(StepWriteSecret)
}

func (o *Observation) contested() *Decision {
	by := o.ContestedBy
	if by == "" {
		by = "an admission policy or webhook"
	}
	return wait(v1alpha1.ReasonUpdating, "Something changes the Secret "+SecretName(o.Object)+" whenever the operator writes it: "+by+
		". Find out what it is and exclude this Secret. The operator tries again at "+o.ContestedUntil.UTC().Format(time.RFC3339)+
		", each time after a longer pause.").withRequeueAfter(o.ContestedUntil.Sub(o.Now))
}

// obsoleteSecret is removed once the new one is written.
func obsoleteSecret(o *Observation) *Decision {
	if o.ObsoleteSecret == "" {
		return nil
	}
	return &Decision{Step: StepRemoveSecret, Secret: o.ObsoleteSecret}
}
