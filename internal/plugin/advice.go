// SPDX-License-Identifier: Apache-2.0

package plugin

import "github.com/subaccount-operator/subaccount-operator/api/v1alpha1"

// Who has to act before a resource becomes Ready.
const (
	actNobody   = "nobody: the operator continues by itself"
	actOwner    = "you, the owner of the Subaccount"
	actPlatform = "the platform team"
)

// advice is what a person does about a reason.
type advice struct{ who, do string }

// advices has an entry for each of v1alpha1.Reasons.
var advices = map[string]advice{
	v1alpha1.ReasonReady:    {actNobody, "Nothing."},
	v1alpha1.ReasonCreating: {actNobody, "Wait. If this takes more than a few minutes, check the events below and the operator's log."},
	v1alpha1.ReasonCreationUnconfirmed: {actNobody, "Wait. The operator reads Plivo's list until it knows whether the lost create call took " +
		"effect. If the Account is not Ready, fix the Account first."},
	v1alpha1.ReasonUpdating: {actNobody, "Wait. If the message names a webhook, a policy or a field manager, exclude the Secret from it."},
	v1alpha1.ReasonDeleting: {actNobody, "Wait. If the message says that Plivo refuses, set deletionPolicy to Orphan to remove the " +
		"resource and keep the subaccount."},
	v1alpha1.ReasonSuspended: {actOwner, "Run kubectl plivo resume, or remove spec.suspend."},
	v1alpha1.ReasonAccountNotFound: {actOwner, "Correct spec.accountRef.name in a new Subaccount (the field is immutable), or ask the " +
		"platform team to create the Account."},
	v1alpha1.ReasonAccountNotReady: {actPlatform, "Fix the Account: its condition is shown above."},
	v1alpha1.ReasonNamespaceNotAllowed: {actPlatform, "Label the namespace so that the Account's namespaceSelector selects it, or give the " +
		"operator the Role of config/tenant, as the message says."},
	v1alpha1.ReasonPolicyNotAllowed:  {actOwner, "Change deletionPolicy or cascadePolicy to a value that the Account allows."},
	v1alpha1.ReasonAdoptionForbidden: {actPlatform, "Grant spec.authID to the namespace in the Account's spec.adoption."},
	v1alpha1.ReasonAlreadyManaged:    {actOwner, "Delete this Subaccount; the other one keeps the subaccount."},
	v1alpha1.ReasonRemoteNotFound: {actOwner, "Delete this Subaccount. If it has no spec.authID, you can instead set recreatePolicy to Automatic for " +
		"new credentials. If the subaccount exists again, run kubectl plivo reconcile."},
	v1alpha1.ReasonStatusLost: {actOwner, "Set deletionPolicy to Orphan and delete the Subaccount. Ask the platform team to grant its ID, and " +
		"apply it again with spec.authID and deletionPolicy."},
	v1alpha1.ReasonSecretConflict:      {actOwner, "Delete or rename the Secret of that name, or set spec.secret.name to another name."},
	v1alpha1.ReasonKubernetesError:     {actPlatform, "Change the quota, policy or webhook that the message quotes."},
	v1alpha1.ReasonRejected:            {actOwner, "Change the spec as Plivo's message says, or run kubectl plivo reconcile to try the same again."},
	v1alpha1.ReasonCredentialsNotFound: {actPlatform, "Create the credentials Secret that the message names."},
	v1alpha1.ReasonConnecting:          {actNobody, "Wait for Plivo's first response."},
	v1alpha1.ReasonInvalidSpec:         {actPlatform, "Correct the Account's namespaceSelector."},
	v1alpha1.ReasonCredentialsRejected: {actPlatform, "Put the main account's current auth_id and auth_token into the credentials Secret."},
	v1alpha1.ReasonRateLimited:         {actNobody, "Wait. If it returns often, the platform team lowers the Account's requestsPer5Seconds."},
	v1alpha1.ReasonUnavailable:         {actNobody, "Wait. If it stays, check Plivo's status page, the proxy and the network policy of the operator."},
	v1alpha1.ReasonAccountChanged:      {actPlatform, "Give the Account the credentials of the main account that the message names."},
	v1alpha1.ReasonDuplicateAccount:    {actPlatform, "Delete one of the two Accounts, or give one of them another main account."},
	v1alpha1.ReasonInventoryImplausible: {actPlatform, "Compare Plivo's console with kubectl plivo list. If the subaccounts are really gone, give " +
		"the Account's annotation " + v1alpha1.ConfirmDisappearanceAnnotation + " a new value."},
	v1alpha1.ReasonInUse: {actPlatform, "Delete the Subaccounts that refer to the Account."},
}

// notReconciled is the advice for a Subaccount whose status the operator has not
// written.
var notReconciled = advice{actPlatform, "Check that the operator runs (kubectl -n subaccount-operator-system get deployment) and that its " +
	"--namespaces and --account-selector include this namespace and Account."}
