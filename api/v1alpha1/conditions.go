// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Condition types of both kinds. Ready is True in the normal case. Reconciling and
// Stalled are True in an abnormal case, as kstatus expects, and never both.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"
)

// Reasons of the conditions. All three conditions have the same reason; StatesOf
// returns their states. Each line says when the operator sets the reason and who
// has to act.
const (
	// ReasonReady: the resource matches its spec. Nobody has to act.
	ReasonReady = "Ready"
	// ReasonCreating: the operator creates or adopts the subaccount. Nobody has to act.
	ReasonCreating = "Creating"
	// ReasonCreationUnconfirmed: the response to a create call was lost. The operator
	// waits for a sweep; if it persists, the platform team checks why sweeps fail.
	ReasonCreationUnconfirmed = "CreationUnconfirmed"
	// ReasonUpdating: the operator applies a change to Plivo or to the Secret. Nobody
	// has to act, unless the message says so.
	ReasonUpdating = "Updating"
	// ReasonDeleting: the resource is terminating and Plivo has not confirmed the
	// deletion. If the message says that Plivo refuses it, the user has to act.
	ReasonDeleting = "Deleting"
	// ReasonSuspended: spec.suspend is true. The user removes it to continue.
	ReasonSuspended = "Suspended"

	// ReasonAccountNotFound: the Account in spec.accountRef does not exist. The
	// platform team creates it, or the user recreates the resource with another name.
	ReasonAccountNotFound = "AccountNotFound"
	// ReasonAccountNotReady: the operator cannot use the Account. The platform team
	// reads the conditions of the Account.
	ReasonAccountNotReady = "AccountNotReady"
	// ReasonNamespaceNotAllowed: the Account's namespaceSelector does not select this
	// namespace, or the operator may not read Secrets in it. The platform team acts.
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed"
	// ReasonPolicyNotAllowed: the Account does not allow the deletionPolicy or the
	// cascadePolicy. The user changes it, or the platform team allows it.
	ReasonPolicyNotAllowed = "PolicyNotAllowed"
	// ReasonAdoptionForbidden: the Account does not grant spec.authID to this
	// namespace, or the subaccount has a marker as its name. The platform team acts.
	ReasonAdoptionForbidden = "AdoptionForbidden"
	// ReasonAlreadyManaged: another Subaccount holds the authID; the message does not
	// name it, because it may be another tenant's. The user deletes this resource.
	ReasonAlreadyManaged = "AlreadyManaged"
	// ReasonRemoteNotFound: the subaccount does not exist at Plivo and is not
	// recreated, because it was adopted or recreatePolicy is Never. The user acts.
	ReasonRemoteNotFound = "RemoteNotFound"
	// ReasonStatusLost: the resource has the finalizer but no status, as after a
	// restore from a backup. The user states the subaccount by spec.authID.
	ReasonStatusLost = "StatusLost"
	// ReasonSecretConflict: a Secret of the wanted name exists and this Subaccount
	// does not own it. The user removes that Secret or sets another name.
	ReasonSecretConflict = "SecretConflict"

	// ReasonKubernetesError: the API server keeps refusing a request of the operator.
	// The platform team reads the API server's message in the condition.
	ReasonKubernetesError = "KubernetesError"

	// ReasonRejected: Plivo refused what the spec wants. The user changes the spec.
	ReasonRejected = "Rejected"
	// ReasonCredentialsNotFound: the credentials Secret is missing, or has no valid
	// auth_id and auth_token. The platform team creates or corrects it.
	ReasonCredentialsNotFound = "CredentialsNotFound"
	// ReasonConnecting: Plivo has not responded to the credentials yet. Nobody has to
	// act.
	ReasonConnecting = "Connecting"
	// ReasonInvalidSpec: the Account's namespaceSelector has an invalid label key or
	// value. The platform team corrects it.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonCredentialsRejected: Plivo refuses the credentials of the main account.
	// The platform team corrects the Secret.
	ReasonCredentialsRejected = "CredentialsRejected"
	// ReasonRateLimited: Plivo responded with 429, and the operator pauses for the
	// whole main account. If it persists, the platform team lowers requestsPer5Seconds.
	ReasonRateLimited = "RateLimited"
	// ReasonUnavailable: Plivo or the network failed, or Plivo's list is inconsistent.
	// The operator retries; if it persists, the platform team reads the message.
	ReasonUnavailable = "Unavailable"
	// ReasonAccountChanged: the credentials belong to another main account than the
	// recorded one. The platform team restores them or creates another Account.
	ReasonAccountChanged = "AccountChanged"
	// ReasonDuplicateAccount: an older Account has credentials of the same main
	// account. The platform team deletes one of the two.
	ReasonDuplicateAccount = "DuplicateAccount"
	// ReasonInventoryImplausible: Plivo's list lacks more than half of the recorded
	// subaccounts. A person checks at Plivo and confirms by an annotation.
	ReasonInventoryImplausible = "InventoryImplausible"
	// ReasonInUse: the Account is terminating and Subaccounts still use it. The
	// platform team deletes them, or has their users delete them.
	ReasonInUse = "InUse"
)

// States are the states of the three conditions.
type States struct {
	Ready       metav1.ConditionStatus
	Reconciling metav1.ConditionStatus
	Stalled     metav1.ConditionStatus
}

var (
	stateReady      = States{Ready: metav1.ConditionTrue, Reconciling: metav1.ConditionFalse, Stalled: metav1.ConditionFalse}
	stateInProgress = States{Ready: metav1.ConditionFalse, Reconciling: metav1.ConditionTrue, Stalled: metav1.ConditionFalse}
	stateStalled    = States{Ready: metav1.ConditionFalse, Reconciling: metav1.ConditionFalse, Stalled: metav1.ConditionTrue}
	// stateKept keeps the state of Ready, which is Unknown at first.
	stateKept = States{Reconciling: metav1.ConditionFalse, Stalled: metav1.ConditionFalse}
)

// StatesOf returns the states of the conditions for a reason, or false if the reason
// does not exist. An empty state means that the condition keeps its state.
// Reconciling is True if a watch or a retry can resolve the reason. Stalled is True
// if a person has to change the resource.
func StatesOf(reason string) (States, bool) {
	states, ok := statesByReason[reason]
	return states, ok
}

// Reasons returns every reason, in alphabetical order.
func Reasons() []string { return slices.Sorted(maps.Keys(statesByReason)) }

var statesByReason = map[string]States{
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
