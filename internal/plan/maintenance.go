// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// missingSubaccount recreates a recorded subaccount that Plivo no longer has. A
// recreation replaces the tenant's credentials for good, so a short outage at Plivo
// must not look like a deletion. The operator needs two complete sweeps without the
// subaccount, a sweep interval apart, and a 404 before and after the second sweep:
//
//	sweep lacks it   404 (get)           sweep lacks it   404 (get)
//	|--------------- sweep interval ---->|
//	                 |-- settle time --->|                ^ recreated here
//
// The second sweep also proves that Plivo accepts the credentials between the 404s.
// The pause after the first 404 is the settle time of create calls: a longer pause
// needs a longer --plivo-settle-margin or a duration of its own.
func missingSubaccount(o *Observation) *Decision {
	authID := o.Object.Status.AuthID
	if o.hasReconcileRequest() && !o.Fetched {
		return o.getOnce(authID)
	}
	if !o.Remote.IsAbsent() && o.NotFound.First.IsZero() {
		if o.Remote.IsUnknown() && o.wasReportedMissing() {
			return noAction() // this process has not read Plivo's list yet
		}
		return nil
	}
	if message, ok := o.stalledMessage(v1alpha1.ReasonRemoteNotFound); ok {
		return wait(v1alpha1.ReasonRemoteNotFound, message)
	}
	if o.isGuardOn() {
		return wait(v1alpha1.ReasonInventoryImplausible, implausibleMessage)
	}
	account, _ := o.Account.Get()
	secondSweep := slices.MaxFunc([]time.Time{ // its earliest start
		o.NotFound.First.Add(o.SettleTime), o.NotFound.MissingSince.Add(account.SweepInterval),
	}, time.Time.Compare)
	sweep, swept := o.lastSweep()
	switch {
	case o.NotFound.First.IsZero():
		return o.getOnce(authID)
	case !o.Remote.IsAbsent(), o.NotFound.MissingSince.IsZero():
		return o.awaitList(v1alpha1.ReasonCreating, o.missingMessage())
	case !swept, sweep.Started.Before(secondSweep):
		return wait(v1alpha1.ReasonCreating, o.missingMessage()).withSweep(secondSweep)
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

// getOnce reads the subaccount at most once in a reconcile: a second read a moment
// later would not give more information.
func (o *Observation) getOnce(authID string) *Decision {
	if o.Fetched {
		return noAction().withBackoff()
	}
	return &Decision{Step: StepGet, AuthID: authID}
}

// wasReportedMissing says whether the Ready condition reports that the subaccount
// is missing.
func (o *Observation) wasReportedMissing() bool {
	c := meta.FindStatusCondition(o.Object.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status != metav1.ConditionFalse {
		return false
	}
	isRecreation := c.Reason == v1alpha1.ReasonCreating && o.Object.Status.Binding != nil
	return c.Reason == v1alpha1.ReasonRemoteNotFound || c.Reason == v1alpha1.ReasonInventoryImplausible || isRecreation
}

// awaitList waits for a sweep that confirms or refutes a 404. If sweeps refuted
// earlier 404s, the next one starts after a pause, which doubles each time: else
// calls and sweeps would alternate without end.
func (o *Observation) awaitList(reason, message string) *Decision {
	n := o.NotFound
	if n.Refuted == 0 {
		return wait(reason, message).withSweep(justAfter(n.First))
	}
	if !o.isTerminating() {
		reason = v1alpha1.ReasonUnavailable
	}
	pause := min(refutedPause<<min(n.Refuted-1, 10), time.Hour)
	return wait(reason, "Plivo responds that the subaccount "+o.Object.Status.AuthID+" does not exist (HTTP 404), but Plivo's list shows "+
		"it. The operator retries after a pause that doubles each time, or after the next sweep.").withSweep(n.First.Add(pause))
}

// refutedPause is the first pause before a sweep about a 404, if the list refuted
// the 404 before.
const refutedPause = 10 * time.Second

func (o *Observation) missingMessage() string {
	outcome := "recreates it with new credentials"
	if !o.allowsRecreation() {
		outcome = "reports " + v1alpha1.ReasonRemoteNotFound
	}
	return "The subaccount " + o.Object.Status.AuthID + " is missing at Plivo. Once two sweeps, a sweep interval apart, confirm this, the " +
		"operator " + outcome + "."
}

// drift updates name and enabled at Plivo if they differ from the spec.
func drift(o *Observation) *Decision {
	if _, rejected := o.rejectedMessage(); rejected {
		return nil
	}
	status := &o.Object.Status
	remote, ok := o.Remote.Get()
	if !ok {
		// This process has not read Plivo's list yet. The status differs from the
		// spec only if a user has changed the spec since.
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
	return &Decision{Step: StepUpdate, AuthID: status.AuthID, Name: name, Enabled: enabled}
}

// hasOpenFields says whether the spec omits name or enabled, which then keeps its
// value at Plivo. An update sends both fields, so an old value from the last sweep
// would undo a later change at Plivo.
func (o *Observation) hasOpenFields() bool {
	omitsField := o.Object.Spec.Name == nil || o.Object.Spec.Enabled == nil
	return o.isAdopting() && omitsField
}

// secretContent writes the credentials into the Secret. It comes after drift: a
// workload that waits for the Secret must get credentials that work.
func secretContent(o *Observation) *Decision {
	if message, rejected := o.rejectedMessage(); rejected && o.Object.Status.Binding == nil {
		return wait(v1alpha1.ReasonRejected, message)
	}
	if namespace, ok := o.Namespace.Get(); !ok || namespace.Terminating {
		return noAction() // the API server creates nothing in a terminating namespace
	}
	if d := o.secretGate(); d != nil {
		return d
	}
	secret, _ := o.Secret.Get()
	remote, _ := o.Remote.Get()
	tokenSeen := remote.TokenDigest != [16]byte{}
	differs := tokenSeen && remote.TokenDigest != secret.TokenDigest
	sameToken := secret.TokenDigest != [16]byte{} && !differs
	isCorrect := secret.AuthID == o.Object.Status.AuthID && sameToken && secret.WellFormed
	tokenInSecret := sameToken && tokenSeen
	switch {
	case isCorrect && secret.MetadataUpToDate:
		return nil
	case o.ContestedUntil.After(o.Now) && !o.isRetryRequested():
		return o.contested()
	case isCorrect, o.HasToken, tokenInSecret:
		return step(StepWriteSecret)
	default:
		return o.getOnce(o.Object.Status.AuthID)
	}
}

// isRetryRequested says whether the annotation requests a reconcile and this one
// has not written the Secret yet.
func (o *Observation) isRetryRequested() bool {
	return o.hasReconcileRequest() && !o.HasPerformed(StepWriteSecret)
}

func (o *Observation) contested() *Decision {
	by := o.ContestedBy
	if by == "" {
		by = "an admission policy or webhook"
	}
	return wait(v1alpha1.ReasonUpdating, "Something changes the Secret "+SecretName(o.Object)+" after every write of the operator: "+by+
		". Find the cause and exclude this Secret from it. The operator retries at "+o.ContestedUntil.UTC().Format(time.RFC3339)+
		", each time after a longer pause.").withRequeueAfter(o.ContestedUntil.Sub(o.Now))
}

// obsoleteSecret comes after secretContent, so that one of the two Secrets always
// exists.
func obsoleteSecret(o *Observation) *Decision {
	if o.ObsoleteSecret == "" {
		return nil
	}
	return &Decision{Step: StepRemoveSecret, Secret: o.ObsoleteSecret}
}
