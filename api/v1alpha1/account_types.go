// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AccountSpec describes a Plivo main account and who may use it.
type AccountSpec struct {
	// credentialsSecretRef names the Secret with the credentials of the main account:
	// auth_id and auth_token, or PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN. The Secret must
	// be in the operator's namespace. It has no namespace field, so that an Account
	// cannot make the operator read Secrets in another namespace.
	//
	// +required
	CredentialsSecretRef CredentialsSecretReference `json:"credentialsSecretRef,omitzero"`

	// namespaceSelector selects the namespaces whose Subaccounts may use this
	// Account. {} selects all namespaces.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && e.values.size() > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || e.values.size() == 0))",message="each matchExpressions entry needs the operator In or NotIn with values, or Exists or DoesNotExist without"
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// adoption grants existing subaccounts to namespaces. If omitted, no Subaccount
	// may adopt. The operator checks a grant when it adopts; removing the grant later
	// has no effect on the adopted subaccount.
	//
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +kubebuilder:validation:MaxItems=1000
	Adoption []AdoptionGrant `json:"adoption,omitempty"`

	// allowedDeletionPolicies are the values of deletionPolicy that Subaccounts of
	// this Account may have. If omitted, all values are allowed. Without Orphan, no
	// user can leave a subaccount with a valid token at Plivo. The operator does not
	// act on a Subaccount with another value, and does not remove its finalizer; the
	// reason is PolicyNotAllowed.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	AllowedDeletionPolicies []DeletionPolicy `json:"allowedDeletionPolicies,omitempty"`

	// allowedCascadePolicies are the values of cascadePolicy that Subaccounts of this
	// Account may have. If omitted, all values are allowed. Without Delete, no user
	// can delete the Applications, Endpoints and Numbers of a subaccount with it.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	AllowedCascadePolicies []CascadePolicy `json:"allowedCascadePolicies,omitempty"`

	// sweepInterval is the maximum time from the start of one sweep to the next: a
	// duration such as 30s or 1h30m, at least 10s. Sweeps start up to a tenth of it
	// earlier. A sweep reads Plivo's whole list, with one request for each 20
	// subaccounts. If omitted, defaults to 5m.
	//
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('10s')",message="must be a duration of at least 10s, such as 30s, 5m or 1h30m"
	SweepInterval metav1.Duration `json:"sweepInterval,omitempty,omitzero"`

	// requestsPer5Seconds is the maximum number of requests that the operator sends
	// for this main account within any 5 seconds, from 1 to 300. Plivo's own limit is
	// 300, shared with all other traffic of the account. If omitted, defaults to 150.
	//
	// +optional
	// +kubebuilder:default=150
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	RequestsPer5Seconds int32 `json:"requestsPer5Seconds,omitempty"`
}

// CredentialsSecretReference names a Secret in the operator's namespace.
type CredentialsSecretReference struct {
	// name is the name of the Secret.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a valid Secret name: lower case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`
}

// AdoptionGrant lets one namespace adopt existing subaccounts.
type AdoptionGrant struct {
	// namespace is the namespace whose Subaccounts may adopt.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="must be the name of one namespace: lower case letters, digits and '-'; there are no wildcards"
	Namespace string `json:"namespace,omitempty"`

	// authIDs are the Plivo IDs of the subaccounts that may be adopted. "*" grants
	// every unmanaged subaccount of the main account, including its token.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10000
	// +kubebuilder:validation:items:MaxLength=20
	// +kubebuilder:validation:items:Pattern=`^([*]|SA[A-Z0-9]{18})$`
	AuthIDs []string `json:"authIDs,omitempty"`
}

// AnyAuthID in AdoptionGrant.AuthIDs grants every unmanaged subaccount.
const AnyAuthID = "*"

// AccountStatus is the observed state of an Account.
type AccountStatus struct {
	// observedGeneration is the metadata.generation that the status describes; -1
	// until the first reconcile. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Reconciling and Stalled. Reconciling and Stalled are True
	// only in an abnormal case. docs/spec lists the reasons. Set by the operator;
	// read-only.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// authID is the Plivo ID of the main account. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^MA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	AuthID string `json:"authID,omitempty"`

	// lastHandledReconcileAt is the value of the annotation
	// plivo.subaccount-operator.dev/reconcile-requested-at whose sweep has ended. Set
	// by the operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// orphaned are the Plivo IDs of subaccounts that the operator left at Plivo while
	// their name was, or may have been, the operator's marker. The operator does not
	// remove them as strays. Set by the operator; read-only.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^SA[A-Z0-9]{18}$`
	// +kubebuilder:validation:items:MaxLength=20
	Orphaned []string `json:"orphaned,omitempty"`

	// massDisappearance is set while Plivo's list lacks more than half, and at
	// least ten, of the subaccounts recorded under this Account. Set by the
	// operator; read-only.
	//
	// +optional
	MassDisappearance *MassDisappearance `json:"massDisappearance,omitempty"`

	// subaccounts has the numbers of subaccounts of the last complete sweep. Set by
	// the operator; read-only.
	//
	// +optional
	Subaccounts *SubaccountCounts `json:"subaccounts,omitempty"`
}

// MassDisappearance describes a mass disappearance of subaccounts from Plivo's list.
type MassDisappearance struct {
	// since is the time when the operator first reported the disappearance.
	//
	// +required
	Since metav1.Time `json:"since,omitempty,omitzero"`

	// handledConfirmation is the value that the annotation
	// plivo.subaccount-operator.dev/confirm-disappearance had at the time since. Any
	// other value that is not empty confirms that the subaccounts are gone.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	HandledConfirmation string `json:"handledConfirmation,omitempty"`
}

// SubaccountCounts has the numbers of subaccounts of a main account.
type SubaccountCounts struct {
	// total is the number of subaccounts of the main account.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Total *int32 `json:"total,omitempty"`

	// managed is the number of subaccounts that a Subaccount resource holds.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Managed *int32 `json:"managed,omitempty"`

	// unmanaged is the number of subaccounts that no Subaccount resource holds.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Unmanaged *int32 `json:"unmanaged,omitempty"`
}

// Account is a Plivo main account in which the operator creates subaccounts.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=plivoacct,categories=plivo
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Auth ID",type=string,JSONPath=`.status.authID`
// +kubebuilder:printcolumn:name="Subaccounts",type=integer,JSONPath=`.status.subaccounts.total`
// +kubebuilder:printcolumn:name="Managed",type=integer,JSONPath=`.status.subaccounts.managed`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Account struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec describes the main account and who may use it.
	//
	// +required
	Spec AccountSpec `json:"spec,omitzero"`

	// status is the observed state. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status AccountStatus `json:"status,omitzero"`
}

// AccountList is a list of Accounts.
//
// +kubebuilder:object:root=true
type AccountList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Account `json:"items"`
}
