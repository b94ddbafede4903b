package v1alpha1

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Condition types of both kinds. Ready is positive; Reconciling and Stalled
// are the abnormal-true conditions that kstatus reads, and never both true.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"
)

// Reasons of the conditions, the same on all three of them. What each means
// for the conditions is in StatesOf.
const (
	// ReasonReady: everything is as the spec wants it.
	ReasonReady = "Ready"
	// ReasonCreating: the subaccount is being made, or its Secret is.
	ReasonCreating = "Creating"
	// ReasonCreationUnconfirmed: a create call may have happened and its answer
	// was lost; a sweep of Plivo's list will tell.
	ReasonCreationUnconfirmed = "CreationUnconfirmed"
	// ReasonUpdating: a change is on its way to Plivo or to the Secret.
	ReasonUpdating = "Updating"
	// ReasonDeleting: the resource is terminating and the subaccount is not yet
	// known to be gone.
	ReasonDeleting = "Deleting"
	// ReasonSuspended: spec.suspend is set.
	ReasonSuspended = "Suspended"

	// ReasonAccountNotFound: there is no Account of the name in spec.accountRef.
	ReasonAccountNotFound = "AccountNotFound"
	// ReasonAccountNotReady: the Account cannot be used at the moment; its own
	// conditions say why.
	ReasonAccountNotReady = "AccountNotReady"
	// ReasonNamespaceNotAllowed: the Account's namespaceSelector does not select
	// this namespace.
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed"
	// ReasonPolicyNotAllowed: the Account does not allow the deletionPolicy or the
	// cascadePolicy of the spec.
	ReasonPolicyNotAllowed = "PolicyNotAllowed"
	// ReasonAdoptionForbidden: the Account's spec.adoption does not grant
	// spec.authID to this namespace, or that subaccount is one of the operator's
	// own unfinished creations.
	ReasonAdoptionForbidden = "AdoptionForbidden"
	// ReasonAlreadyManaged: another Subaccount holds the authID. Which one is
	// not told: it may be another tenant's.
	ReasonAlreadyManaged = "AlreadyManaged"
	// ReasonRemoteNotFound: the subaccount does not exist in the main account, and
	// is not recreated: it was adopted, or recreatePolicy is Never.
	ReasonRemoteNotFound = "RemoteNotFound"
	// ReasonStatusLost: the resource bears the finalizer but its status reads as
	// never seen, as after a restore; nobody knows what was made for it.
	ReasonStatusLost = "StatusLost"
	// ReasonSecretConflict: a Secret of the wanted name exists and is not this
	// Subaccount's.
	ReasonSecretConflict = "SecretConflict"

	// ReasonKubernetesError: the API server keeps refusing a read or write of the
	// operator. The message names it, in the API server's own words.
	ReasonKubernetesError = "KubernetesError"

	// ReasonRejected: Plivo refused the request.
	ReasonRejected = "Rejected"
	// ReasonCredentialsNotFound: the Account's credentials Secret is missing, or
	// lacks a well-formed auth_id and auth_token.
	ReasonCredentialsNotFound = "CredentialsNotFound"
	// ReasonConnecting: the Account's credentials have not been answered yet.
	ReasonConnecting = "Connecting"
	// ReasonInvalidSpec: the Account's namespaceSelector holds a label key or
	// value that Kubernetes does not know.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonCredentialsRejected: Plivo refused the main account's credentials.
	ReasonCredentialsRejected = "CredentialsRejected"
	// ReasonRateLimited: Plivo answered 429; the whole main account pauses.
	ReasonRateLimited = "RateLimited"
	// ReasonUnavailable: Plivo, or the way to it, failed (5xx, network),
	// or Plivo's list does not add up.
	ReasonUnavailable = "Unavailable"
	// ReasonAccountChanged: the credentials belong to another main account than
	// the one recorded.
	ReasonAccountChanged = "AccountChanged"
	// ReasonDuplicateAccount: an older Account has credentials of the same main
	// account.
	ReasonDuplicateAccount = "DuplicateAccount"
	// ReasonInventoryImplausible: the list lacks so many recorded subaccounts
	// that the list is doubted and not the subaccounts.
	ReasonInventoryImplausible = "InventoryImplausible"
	// ReasonInUse: the Account is terminating and Subaccounts still need it.
	ReasonInUse = "InUse"
)

// States are what the three conditions are while a reason holds.
type States struct {
	Ready       metav1.ConditionStatus
	Reconciling metav1.ConditionStatus
	Stalled     metav1.ConditionStatus
}

var (
	stateReady      = States{Ready: metav1.ConditionTrue, Reconciling: metav1.ConditionFalse, Stalled: metav1.ConditionFalse}
	stateInProgress = States{Ready: metav1.ConditionFalse, Reconciling: metav1.ConditionTrue, Stalled: metav1.ConditionFalse}
	stateStalled    = States{Ready: metav1.ConditionFalse, Reconciling: metav1.ConditionFalse, Stalled: metav1.ConditionTrue}
	// stateKept leaves Ready as it was, Unknown at first.
	stateKept = States{Reconciling: metav1.ConditionFalse, Stalled: metav1.ConditionFalse}
)

// StatesOf returns the states of the conditions while a reason holds; false if there
// is no such reason. An empty state leaves the condition unchanged. Reconciling is
// what a watch, a probe or a retry can resolve; Stalled is what a person has to change
// in the resource itself.
func StatesOf(reason string) (States, bool) {
	states, ok := catalogue[reason]
	return states, ok
}

// Reasons returns every reason, in alphabetical order.
func Reasons() []string { return slices.Sorted(maps.Keys(catalogue)) }

var catalogue = map[string]States{
	ReasonReady:                stateReady,
	ReasonCreating:             stateInProgress,
	ReasonCreationUnconfirmed:  stateInProgress,
	ReasonUpdating:             stateInProgress,
	ReasonDeleting:             stateInProgress,
	ReasonSuspended:            stateKept,
	ReasonAccountNotFound:      stateInProgress,
	ReasonAccountNotReady:      stateInProgress,
	ReasonNamespaceNotAllowed:  stateInProgress,
	ReasonPolicyNotAllowed:     stateInProgress,
	ReasonAdoptionForbidden:    stateInProgress,
	ReasonAlreadyManaged:       stateStalled,
	ReasonRemoteNotFound:       stateStalled,
	ReasonStatusLost:           stateStalled,
	ReasonSecretConflict:       stateInProgress,
	ReasonKubernetesError:      stateInProgress,
	ReasonRejected:             stateStalled,
	ReasonCredentialsNotFound:  stateInProgress,
	ReasonConnecting:           stateInProgress,
	ReasonInvalidSpec:          stateStalled,
	ReasonCredentialsRejected:  stateInProgress,
	ReasonRateLimited:          stateInProgress,
	ReasonUnavailable:          stateInProgress,
	ReasonAccountChanged:       stateInProgress,
	ReasonDuplicateAccount:     stateStalled,
	ReasonInventoryImplausible: stateInProgress,
	ReasonInUse:                stateInProgress,
}
