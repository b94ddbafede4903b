package plan

import (
	"slices"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// Observation is everything that is known about one Subaccount at one moment.
// A pass begins with what the caches and this process's memory tell; each
// look and each write folds its answer in.
type Observation struct {
	// Now is the observer's clock.
	Now time.Time
	// SettleTime is how long after its first sight a create call may still take
	// effect: the client's time limit and 30 s.
	SettleTime time.Duration

	// Object is the resource as last read or as the last write returned it.
	Object *v1alpha1.Subaccount
	// Marker of the resource.
	Marker string

	// CRDTerminating: the CRD itself is being deleted. Fetched at only while the
	// resource is terminating.
	CRDTerminating Fact[bool]
	// Namespace of the resource.
	Namespace Fact[Namespace]
	// Account that the resource refers to; Absent where there is none.
	Account Fact[Account]
	// Allowed are the policies that the Account allows; Absent where there is none.
	Allowed Fact[Allowed]
	// Claim: whether this resource holds the authID in its status, or, before
	// it is recorded, the one in its spec.
	Claim Fact[Claim]
	// Secret under the wanted name.
	Secret Fact[Secret]
	// ObsoleteSecret is the name of a Secret that the operator has written for this
	// resource under another name than the wanted one; empty if there is none.
	ObsoleteSecret string

	// HeldResponse is the answer of a create call that is not recorded yet.
	HeldResponse *HeldResponse
	// DeclaredAttempt is the attempt whose intent this pass has written and whose call it
	// has not sent: nobody else may send it, and nothing has been made by it.
	DeclaredAttempt string
	// RefusedAttempt is the attempt that Plivo has definitely refused, or that was never
	// sent and never will be.
	RefusedAttempt string
	// PendingSince is when this process first saw the attempt that is pending.
	PendingSince time.Time
	// FoundByMarker are the subaccounts that bear the marker, as the inventory has them.
	FoundByMarker []string
	// LastSweep is the last complete sweep of the Account's list.
	LastSweep Fact[Sweep]

	// Remote is the subaccount in status.authID, before it is recorded the one
	// in spec.authID; Absent if the last complete sweep lacks it.
	Remote Fact[Remote]
	// NotFound is what 404s say about the same subaccount.
	NotFound NotFound
	// Deleted: this process has deleted it, and Plivo has said so.
	Deleted bool

	// Fetched: this pass has read the subaccount at Plivo.
	Fetched bool
	// ContestedUntil is how long the Secret is left as it is, because something
	// changes it whenever it is written; ContestedBy are its field managers, if
	// they are known.
	ContestedUntil time.Time
	ContestedBy    string
	// ReplacedAuthID is the authID of the subaccount that this reconcile has given up as
	// gone, empty if none.
	ReplacedAuthID string
	// HasToken: this pass holds the subaccount's token.
	HasToken bool
	// Failure of a step of this pass.
	Failure *Failure
	// Performed are the steps of this pass that succeeded, in order.
	Performed []Step
}

// Namespace is what matters of the resource's namespace.
type Namespace struct {
	Terminating bool
}

// Account is what matters of the Account that the resource refers to.
type Account struct {
	// ID of the main account whose credentials the operator holds; empty while
	// it holds none that it may use.
	ID string
	// Blocked is why the Account cannot be used now, empty if it can. It is one
	// of the API's reasons, and BlockedMessage says more.
	Blocked        string
	BlockedMessage string
	Terminating    bool
	// AllowsNamespace: its namespaceSelector selects the resource's namespace.
	AllowsNamespace Fact[bool]
	// GrantsAdoption: its adoption list grants spec.authID to the namespace.
	GrantsAdoption bool
	// GuardOn: its last sweeps lack so many subaccounts that no absence counts.
	GuardOn bool
	// SweepInterval is its spec.sweepInterval.
	SweepInterval time.Duration
}

// Claim says who holds an authID.
type Claim struct {
	// Ours: this resource holds it, or may take it.
	Ours bool
}

// Secret is what matters of a Secret.
type Secret struct {
	// Owned: its controller is this resource, by UID.
	Owned bool
	// AuthID is the value under the wanted key.
	AuthID string
	// TokenDigest is the digest of the value under the wanted key.
	TokenDigest [16]byte
	// WellFormed: it has the wanted type and keys, none that an earlier spec wanted, and
	// is not immutable. Keys that others add do not matter.
	WellFormed bool
	// MetadataUpToDate: labels, annotations and owner reference are as they should be.
	MetadataUpToDate bool
}

// HeldResponse is the answer of a create call that is not recorded yet.
type HeldResponse struct {
	Attempt, AuthID, AccountID string
}

// Sweep is one reading of the whole list.
type Sweep struct {
	Started time.Time
}

// Remote is a subaccount as last seen at Plivo or as last written there.
type Remote struct {
	Name    string
	Enabled bool
	// TokenDigest is zero where the token has not been seen.
	TokenDigest [16]byte
	// UpdateUnconfirmed: an update was sent since and its answer was lost.
	UpdateUnconfirmed bool
	// SentAs is a name that Plivo was seen to turn into Name when it was sent;
	// empty if none was.
	SentAs string
}

// NotFound is what 404s, and the sweeps around them, say about one subaccount.
type NotFound struct {
	// First and Last 404 with no sight of the subaccount in between; zero: none.
	First, Last time.Time
	// MissingSince is the start of the first complete sweep, of those in a row up to the
	// last one, that lacks the subaccount; zero: the last one shows it.
	MissingSince time.Time
}

// FailureKind says what a failed step means.
type FailureKind int

const (
	// FailureRefused: Plivo said no to this one call, definitely.
	FailureRefused FailureKind = iota + 1
	// FailureRateLimited: Plivo answered 429.
	FailureRateLimited
	// FailureUnrelatedToSpec: a definite no that says nothing of what the spec wants,
	// such as a 404 to a create: Plivo does not know what was asked for, or
	// something in between does not.
	FailureUnrelatedToSpec
	// FailureNoSlot: the resource waits for a slot of the request budget. The
	// Message says until when the main account pauses, if that takes long.
	FailureNoSlot
	// FailureThrottled: the resource has made its share of calls for now; After
	// says for how long.
	FailureThrottled
	// FailureNotSent: nothing was sent.
	FailureNotSent
	// FailureUnknown: the call may or may not have taken effect.
	FailureUnknown
	// FailureForbidden: the operator has no right to the Secrets there.
	FailureForbidden
	// FailureKubernetes: a request to the API server failed, a conflict among
	// them.
	FailureKubernetes
)

// Failure is a step that failed in this pass.
type Failure struct {
	Step    Step
	Kind    FailureKind
	Message string        // of Plivo or the API server, safe to show
	After   time.Duration // of FailureThrottled
	Long    bool          // of FailureNoSlot: it waits for long enough to report it
	// Persistent is of FailureKubernetes: another try is likely to fail too.
	Persistent bool
}

// isTerminating says whether the resource is being deleted.
func (o *Observation) isTerminating() bool { return o.Object.DeletionTimestamp != nil }

// isNew says whether the status reads as if nobody had looked yet.
func (o *Observation) isNew() bool { return o.Object.Status.ObservedGeneration == -1 }

func (o *Observation) hasFinalizer() bool {
	for _, f := range o.Object.Finalizers {
		if f == v1alpha1.Finalizer {
			return true
		}
	}
	return false
}

// hasLostStatus says whether the status was lost. Whatever is told of such a resource,
// observedGeneration stays: it is all that tells of the loss.
func (o *Observation) hasLostStatus() bool { return o.hasFinalizer() && o.isNew() }

func (o *Observation) isAdopting() bool { return o.Object.Spec.AuthID != nil }

// allowsRecreation says whether a subaccount that is gone is replaced by another one.
func (o *Observation) allowsRecreation() bool {
	return !o.isAdopting() && o.Object.Spec.RecreatePolicy != v1alpha1.RecreatePolicyNever
}

func (o *Observation) isOrphaned() bool {
	return o.Object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan
}

// RecordedAccount is the main account that a Subaccount is recorded or pending
// under, if any.
func RecordedAccount(s *v1alpha1.Subaccount) string {
	if p := s.Status.PendingCreation; p != nil {
		return p.AccountID
	}
	return s.Status.AccountID
}

// HasPerformed says whether a step has succeeded in this pass.
func (o *Observation) HasPerformed(s Step) bool { return slices.Contains(o.Performed, s) }

// hasReconcileRequest says whether a fresh look has been asked for and not yet been had.
func (o *Observation) hasReconcileRequest() bool {
	at := o.Object.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]
	return at != "" && at != o.Object.Status.LastHandledReconcileAt
}

// desired returns the name and enabled that Plivo should have. What an adopting
// spec leaves out is left as it is.
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

// SecretName is the name of the Secret that the resource wants.
func SecretName(s *v1alpha1.Subaccount) string {
	if s.Spec.Secret.Name != "" {
		return s.Spec.Secret.Name
	}
	return DefaultSecretName(s.Name)
}

// DefaultSecretName is that of the Secret of a Subaccount that names none.
func DefaultSecretName(subaccount string) string { return subaccount + "-plivo" }
