// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// Observation is everything that the operator knows about one Subaccount at one
// time. A reconcile starts with the caches and the memory of this process. Each
// step then adds the response that it gets.
type Observation struct {
	// Now is the observer's clock.
	Now time.Time
	// SettleTime is how long a create call may still take effect after this
	// process first saw its intent: --plivo-timeout plus --plivo-settle-margin. It
	// is also the least time between the first 404 and the recreation of a missing
	// subaccount.
	SettleTime time.Duration

	// Object is the resource as the last read or write returned it.
	Object *v1alpha1.Subaccount
	// Marker is the name under which the operator creates the subaccount.
	Marker string

	// CRDTerminating says whether the CRD itself is being deleted. The operator
	// reads it only if the resource is terminating.
	CRDTerminating Fact[bool]
	// Namespace is the namespace of the resource.
	Namespace Fact[Namespace]
	// Account is the Account that the resource refers to; Absent if it does not exist.
	Account Fact[Account]
	// Allowed are the policies that the Account allows; Absent if the Account does
	// not exist.
	Allowed Fact[Allowed]
	// Claim says whether this resource holds the authID in its status. If the
	// status has none, it is about the authID in the spec.
	Claim Fact[Claim]
	// Secret is the Secret with the name that the spec wants.
	Secret Fact[Secret]
	// ObsoleteSecret is the name of a Secret that the operator wrote for this
	// resource before the spec got another Secret name; empty if there is none.
	ObsoleteSecret string

	// HeldResponse is the response to a create call that is not in the status yet.
	HeldResponse *HeldResponse
	// DeclaredAttempt is the attempt whose intent this reconcile has written and
	// whose create call it has not sent yet. Nobody else sends that call, so the
	// attempt has created nothing.
	DeclaredAttempt string
	// RefusedAttempt is an attempt that has created nothing and never will: Plivo
	// refused its call, or the operator did not send it.
	RefusedAttempt string
	// PendingSince is when this process first saw the attempt that is pending.
	PendingSince time.Time
	// FoundByMarker are the subaccounts in the inventory whose name is the marker.
	FoundByMarker []string
	// LastSweep is the last complete sweep of the Account's list.
	LastSweep Fact[Sweep]

	// Remote is the subaccount in status.authID, or in spec.authID before an
	// adoption is recorded. It is Absent if the last complete sweep lacks it.
	Remote Fact[Remote]
	// NotFound has the times of the 404s about the same subaccount.
	NotFound NotFound
	// Deleted says whether Plivo has confirmed a delete call of this process.
	Deleted bool

	// Fetched says whether this reconcile has read the subaccount at Plivo.
	Fetched bool
	// ContestedUntil is until when the operator does not write the Secret, because
	// something changes the Secret after every write. ContestedBy lists the field
	// managers that do so; it is empty if the operator does not know them.
	ContestedUntil time.Time
	ContestedBy    string
	// ReplacedAuthID is the authID of the missing subaccount that this reconcile
	// replaces; empty if there is none.
	ReplacedAuthID string
	// HasToken says whether this reconcile holds the subaccount's token.
	HasToken bool
	// Failure is the step of this reconcile that failed; nil if none did.
	Failure *Failure
	// Performed are the steps of this reconcile that succeeded, in order.
	Performed []Step
}

// Namespace has the facts about the resource's namespace.
type Namespace struct {
	Terminating bool
}

// Account has the facts about the Account that the resource refers to.
type Account struct {
	// ID of the main account whose credentials the operator holds. It is empty if
	// the operator has no usable credentials.
	ID string
	// Blocked is the reason why the operator cannot use the Account now, one of
	// the reasons in api/v1alpha1; empty if it can. BlockedMessage explains it.
	Blocked        string
	BlockedMessage string
	Terminating    bool
	// AllowsNamespace says whether the namespaceSelector selects the resource's
	// namespace.
	AllowsNamespace Fact[bool]
	// GrantsAdoption says whether spec.adoption grants spec.authID to the namespace.
	GrantsAdoption bool
	// GuardOn says whether the mass-deletion guard is on: an absence proves nothing.
	GuardOn bool
	// SweepInterval is spec.sweepInterval.
	SweepInterval time.Duration
}

// Claim says who holds an authID.
type Claim struct {
	// Ours says whether this resource holds the authID, or may take it.
	Ours bool
}

// Secret has the facts about a Secret.
type Secret struct {
	// Owned says whether an owner reference names this resource, by its UID.
	Owned bool
	// AuthID is the value of the key that the spec wants for the auth ID.
	AuthID string
	// TokenDigest is the digest of the value of the key that the spec wants for the
	// token.
	TokenDigest [16]byte
	// WellFormed says whether the Secret has the wanted type and keys, has no key
	// of an earlier spec, and is not immutable. It ignores keys that others add.
	WellFormed bool
	// MetadataUpToDate says whether the labels, annotations and the owner reference
	// are as the operator writes them.
	MetadataUpToDate bool
}

// HeldResponse is the response to a create call that is not in the status yet.
type HeldResponse struct {
	Attempt, AuthID, AccountID string
}

// Sweep is one complete read of Plivo's list.
type Sweep struct {
	Started time.Time
}

// Remote is a subaccount as the operator last read or wrote it at Plivo.
type Remote struct {
	Name    string
	Enabled bool
	// TokenDigest is zero if the operator has not seen the token.
	TokenDigest [16]byte
	// UpdateUnconfirmed says whether the response to a later update was lost.
	UpdateUnconfirmed bool
	// SentAs is the name that the operator sent and that Plivo turned into Name;
	// empty if Plivo keeps names as they are sent.
	SentAs string
}

// NotFound has the times of the 404s about one subaccount, and of the sweeps
// around them.
type NotFound struct {
	// First and Last are the times of the first and the last 404. First is zero if the
	// operator has seen the subaccount since.
	First, Last time.Time
	// Refuted counts how often the operator saw the subaccount after a 404, since its
	// last successful update.
	Refuted int
	// MissingSince is when the first of the latest complete sweeps in a row that
	// lack the subaccount started; zero if the last sweep shows the subaccount.
	MissingSince time.Time
}

// FailureKind says what a failed step means.
type FailureKind int

const (
	// FailureRefused: Plivo definitely refused this call.
	FailureRefused FailureKind = iota + 1
	// FailureRateLimited: Plivo responded with 429.
	FailureRateLimited
	// FailureUnrelatedToSpec: a definite refusal that no change of the spec can
	// fix, such as a 404 to a create call.
	FailureUnrelatedToSpec
	// FailureNoSlot: the resource waits for a slot of the request budget. If the
	// main account pauses for long, Message says until when.
	FailureNoSlot
	// FailureThrottled: the resource has used its share of calls; After says how
	// long it waits.
	FailureThrottled
	// FailureNotSent: the operator sent nothing.
	FailureNotSent
	// FailureUnknown: the call may or may not have taken effect.
	FailureUnknown
	// FailureForbidden: RBAC does not allow the operator to use Secrets in the
	// namespace.
	FailureForbidden
	// FailureKubernetes: a request to the API server failed; a conflict counts too.
	FailureKubernetes
)

// Failure is a step of this reconcile that failed.
type Failure struct {
	Step    Step
	Kind    FailureKind
	Message string        // from Plivo or the API server, safe to show
	After   time.Duration // for FailureThrottled
	Long    bool          // for FailureNoSlot: the wait is long enough to report it
	// Persistent is for FailureKubernetes and FailureNotSent: a retry is likely to
	// fail too.
	Persistent bool
}

// isTerminating says whether the resource is being deleted.
func (o *Observation) isTerminating() bool { return o.Object.DeletionTimestamp != nil }

// IsDeleting says whether a terminating resource still has the finalizer.
func (o *Observation) IsDeleting() bool { return o.isTerminating() && o.hasFinalizer() }

// isNew says whether observedGeneration has its default: the operator has not
// acted on this resource yet, or its status was lost.
func (o *Observation) isNew() bool { return o.Object.Status.ObservedGeneration == -1 }

func (o *Observation) hasFinalizer() bool {
	return slices.Contains(o.Object.Finalizers, v1alpha1.Finalizer)
}

// hasLostStatus says whether the status was lost. Summarize keeps the
// observedGeneration of such a resource: it is the only sign of the loss.
func (o *Observation) hasLostStatus() bool { return o.hasFinalizer() && o.isNew() }

func (o *Observation) isAdopting() bool { return o.Object.Spec.AuthID != nil }

// allowsRecreation says whether the operator replaces a missing subaccount.
func (o *Observation) allowsRecreation() bool {
	return !o.isAdopting() && o.Object.Spec.RecreatePolicy != v1alpha1.RecreatePolicyNever
}

func (o *Observation) isOrphaned() bool {
	return o.Object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan
}

// RecordedAccount returns the ID of the main account in a Subaccount's status;
// empty if the status has none.
func RecordedAccount(s *v1alpha1.Subaccount) string {
	if p := s.Status.PendingCreation; p != nil {
		return p.AccountID
	}
	return s.Status.AccountID
}

// HasPerformed says whether a step has succeeded in this reconcile.
func (o *Observation) HasPerformed(s Step) bool { return slices.Contains(o.Performed, s) }

// hasReconcileRequest says whether the annotation requests a read that the
// operator has not done yet.
func (o *Observation) hasReconcileRequest() bool {
	at := o.Object.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]
	return at != "" && at != o.Object.Status.LastHandledReconcileAt
}

// desired returns the name and enabled that Plivo should have. A field that the
// spec of an adopted subaccount omits keeps its value at Plivo.
func (o *Observation) desired(remote Remote) (name string, enabled bool) {
	name, enabled = remote.Name, remote.Enabled
	if n := o.Object.Spec.Name; n != nil {
		name = *n
	}
	switch e := o.Object.Spec.Enabled; {
	case e != nil:
		enabled = *e
	case !o.isAdopting():
		enabled = false
	}
	return name, enabled
}

// SecretName returns the name of the Secret that the spec wants.
func SecretName(s *v1alpha1.Subaccount) string {
	return cmp.Or(s.Spec.Secret.Name, DefaultSecretName(s.Name))
}

// DefaultSecretName returns the name of the Secret if the spec omits it.
func DefaultSecretName(subaccount string) string { return subaccount + "-plivo" }
