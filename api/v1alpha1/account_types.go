package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AccountSpec describes a Plivo main account and who may use it.
type AccountSpec struct {
	// credentialsSecretRef names the Secret, in the operator's own namespace,
	// that holds auth_id and auth_token of the main account
	// (PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN are read too). There is no namespace
	// field, on purpose: nobody can have the operator read another namespace.
	//
	// +required
	CredentialsSecretRef CredentialsSecretReference `json:"credentialsSecretRef,omitzero"`

	// namespaceSelector selects the namespaces whose Subaccounts may use this
	// Account; {} means all.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && e.values.size() > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || e.values.size() == 0))",message="each matchExpressions entry needs the operator In or NotIn with values, or Exists or DoesNotExist without"
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// adoption grants existing subaccounts to namespaces. Empty, the default,
	// means that nobody adopts. Checked when a Subaccount's authID is recorded;
	// a grant can be withdrawn once that has happened.
	//
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +kubebuilder:validation:MaxItems=1000
	Adoption []AdoptionGrant `json:"adoption,omitempty"`

	// allowedDeletionPolicies are the values of deletionPolicy that Subaccounts of
	// this Account may have; if omitted, all. Without Orphan nobody can leave a
	// subaccount with a working token behind at Plivo. A Subaccount with another
	// value is not acted upon, and its deletion waits: PolicyNotAllowed.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	AllowedDeletionPolicies []DeletionPolicy `json:"allowedDeletionPolicies,omitempty"`

	// allowedCascadePolicies are the values of cascadePolicy that Subaccounts of
	// this Account may have; if omitted, all. Without Delete nobody can delete the
	// Applications, Endpoints and Numbers of a subaccount along with it.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	AllowedCascadePolicies []CascadePolicy `json:"allowedCascadePolicies,omitempty"`

	// sweepInterval is how often the whole list of subaccounts is read at Plivo
	// (one request for each twenty): a duration such as 30s or 1h30m, at least
	// 10s; default: 5m.
	//
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('10s')",message="must be a duration of at least 10s, such as 30s, 5m or 1h30m"
	SweepInterval metav1.Duration `json:"sweepInterval,omitempty,omitzero"`

	// requestsPer5Seconds is how many requests in any 5 seconds the operator may
	// spend on this main account, 1 to 300; default: 150. Plivo's own limit is
	// 300, shared with everything else that the account does.
	//
	// +optional
	// +kubebuilder:default=150
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	RequestsPer5Seconds int32 `json:"requestsPer5Seconds,omitempty"`
}

// CredentialsSecretReference names a Secret in the operator's own namespace.
type CredentialsSecretReference struct {
	// name of the Secret.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a valid Secret name: lower case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`
}

// AdoptionGrant lets one namespace adopt existing subaccounts.
type AdoptionGrant struct {
	// namespace whose Subaccounts may adopt.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="must be the name of one namespace: lower case letters, digits and '-'; there are no wildcards"
	Namespace string `json:"namespace,omitempty"`

	// authIDs that may be adopted; "*" grants every unmanaged subaccount of the
	// main account, tokens and all.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10000
	// +kubebuilder:validation:items:MaxLength=20
	// +kubebuilder:validation:items:Pattern=`^([*]|SA[A-Z0-9]{18})$`
	AuthIDs []string `json:"authIDs,omitempty"`
}

// AnyAuthID in a grant stands for every unmanaged subaccount.
const AnyAuthID = "*"

// AccountStatus is what the operator knows.
type AccountStatus struct {
	// observedGeneration is the generation that the status speaks of; -1 until
	// the operator has looked at the resource for the first time.
	//
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, and the abnormal-true Reconciling and Stalled. Their
	// reasons are a documented catalogue.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// authID is the main account's ID.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^MA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	AuthID string `json:"authID,omitempty"`

	// lastHandledReconcileAt is the value of the annotation
	// plivo.subaccount-operator.dev/reconcile-requested-at for which the last
	// requested sweep has ended. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// orphaned are the IDs of subaccounts that the operator released without
	// deleting them, while their name at Plivo was, or could have been, still the
	// operator's marker. They are never removed as strays. Set by the operator;
	// read-only.
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

	// subaccounts counts what the last complete sweep saw. Written only when a
	// number changes.
	//
	// +optional
	Subaccounts *SubaccountCounts `json:"subaccounts,omitempty"`
}

// MassDisappearance describes subaccounts that Plivo's list lacks.
type MassDisappearance struct {
	// since is when the operator first reported it.
	//
	// +required
	Since metav1.Time `json:"since,omitempty,omitzero"`

	// handledConfirmation is the value that the annotation
	// plivo.subaccount-operator.dev/confirm-disappearance had at that time. Any
	// other value, except the empty one, confirms that the subaccounts are gone.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	HandledConfirmation string `json:"handledConfirmation,omitempty"`
}

// SubaccountCounts counts the subaccounts of a main account.
type SubaccountCounts struct {
	// total is how many subaccounts the main account has.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Total *int32 `json:"total,omitempty"`

	// managed is how many of them a Subaccount resource holds.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Managed *int32 `json:"managed,omitempty"`

	// unmanaged is how many of them no Subaccount resource holds.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Unmanaged *int32 `json:"unmanaged,omitempty"`
}

// Account is a Plivo main account under which Subaccounts are made.
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

	// status is what the operator knows.
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
