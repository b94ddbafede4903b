package plan

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// missing: a subaccount that was recorded and is not there. Replacing it
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
func missing(o *Observation) *Decision {
	authID := o.Object.Status.AuthID
	if o.asked() && !o.Looked {
		return o.look(authID)
	}
	if !o.Remote.IsAbsent() && o.NotFound.First.IsZero() {
		if o.Remote.IsUnknown() && o.wasMissing() {
			return quiet() // nobody has looked since this process started
		}
		return nil
	}
	if message, ok := o.holds(v1alpha1.ReasonRemoteNotFound); ok {
		return wait(v1alpha1.ReasonRemoteNotFound, message)
	}
	if o.implausible() {
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
	}
	first := o.NotFound.First
	again := o.NotFound.First.Add(o.Settle)
	if account, _ := o.Account.Get(); o.NotFound.Lacked.Add(account.SweepInterval).After(again) {
		again = o.NotFound.Lacked.Add(account.SweepInterval)
	}
	sweep, swept := o.swept()
	switch {
	case first.IsZero():
		return o.look(authID)
	case !o.Remote.IsAbsent(), o.NotFound.Lacked.IsZero():
		return o.confirmMissing(first.Add(1))
	case !swept, sweep.Started.Before(again):
		return o.confirmMissing(again)
	case !o.NotFound.Last.After(sweep.Started):
		return o.look(authID)
	case !o.recreates():
		return o.remoteNotFound(authID)
	}
	if d := o.mayCreate(); d != nil {
		return d
	}
	return step(StepDeclareIntent)
}

// look reads the subaccount, once in a pass: a look that has not told what it
// was for will not tell it a moment later.
func (o *Observation) look(authID string) *Decision {
	if o.Looked {
		return quiet().backoff()
	}
	return &Decision{Step: StepGet, AuthID: authID}
}

// wasMissing says whether the status tells of a subaccount that is not there.
func (o *Observation) wasMissing() bool {
	c := meta.FindStatusCondition(o.Object.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status != metav1.ConditionFalse {
		return false
	}
	return c.Reason == v1alpha1.ReasonRemoteNotFound || c.Reason == v1alpha1.ReasonInventoryImplausible ||
		c.Reason == v1alpha1.ReasonCreating && o.Object.Status.Binding != nil
}

// confirmMissing waits for a complete sweep that starts at or after a time.
func (o *Observation) confirmMissing(notBefore time.Time) *Decision {
	outcome := "Once that is certain, the operator recreates it with new credentials."
	if !o.recreates() {
		outcome = "Once that is certain, the operator reports " + v1alpha1.ReasonRemoteNotFound + "."
	}
	return wait(v1alpha1.ReasonCreating, "The subaccount "+o.Object.Status.AuthID+" is missing at Plivo. "+outcome+
		" It takes two sweeps that lack it, a sweep interval apart.").sweep(notBefore)
}

// drift: name and enabled at Plivo are what the spec wants.
func drift(o *Observation) *Decision {
	if _, held := o.rejected(); held {
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
			remote.Unsure = true
		}
	}
	name, enabled := o.wanted(remote)
	named := name == remote.Name || name == remote.SettledAs
	justRead := ok && o.Looked && !remote.Unsure
	switch {
	case named && enabled == remote.Enabled && !remote.Unsure:
		return nil
	case o.leavesSomething() && !justRead:
		return o.look(status.AuthID)
	}
	return &Decision{
		Step: StepUpdate, AuthID: status.AuthID, Name: name, Enabled: enabled,
		Reason: v1alpha1.ReasonUpdating,
	}
}

// leavesSomething says whether the spec leaves name or enabled as it is at
// Plivo. An update sends both, so a value from the last sweep would undo what
// somebody has changed there since.
func (o *Observation) leavesSomething() bool {
	return o.adopts() && (o.Object.Spec.Name == nil || o.Object.Spec.Enabled == nil)
}

// credentials: the Secret holds the subaccount's credentials. It is written
// only once the subaccount is as wanted, so that who waits for it gets
// credentials that work.
func credentials(o *Observation) *Decision {
	if message, held := o.rejected(); held && o.Object.Status.Binding == nil {
		return wait(v1alpha1.ReasonRejected, message)
	}
	if namespace, ok := o.Namespace.Get(); !ok || namespace.Terminating {
		return quiet() // no Secret can be written there any more
	}
	if d := o.secretGate(); d != nil {
		return d
	}
	secret, _ := o.Secret.Get()
	remote, _ := o.Remote.Get()
	sameToken := secret.TokenDigest != [16]byte{} &&
		(remote.TokenDigest == [16]byte{} || remote.TokenDigest == secret.TokenDigest)
	sound := secret.AuthID == o.Object.Status.AuthID && sameToken && secret.Sound
	tokenInSecret := sameToken && remote.TokenDigest != [16]byte{}
	switch {
	case sound && secret.Labelled:
		return nil
	case o.ContestedUntil.After(o.Now) && !o.wantsAnotherTry():
		return o.contested()
	case sound, o.TokenInHand, tokenInSecret:
		return step(StepWriteSecret)
	default:
		return o.look(o.Object.Status.AuthID)
	}
}

// wantsAnotherTry says whether somebody has asked for a reconcile since the Secret
// was last written.
func (o *Observation) wantsAnotherTry() bool { return o.asked() && !o.Did(StepWriteSecret) }

func (o *Observation) contested() *Decision {
	by := o.ContestedBy
	if by == "" {
		by = "an admission policy or webhook"
	}
	return wait(v1alpha1.ReasonUpdating, "Something changes the Secret "+SecretName(o.Object)+" whenever the operator writes it: "+by+
		". Find out what it is and exclude this Secret. The operator tries again at "+o.ContestedUntil.UTC().Format(time.RFC3339)+
		", each time after a longer pause.").after(o.ContestedUntil.Sub(o.Now))
}

// oldSecret is removed once the new one is written.
func oldSecret(o *Observation) *Decision {
	if o.OldSecret == "" {
		return nil
	}
	return &Decision{Step: StepRemoveSecret, Secret: o.OldSecret}
}
