// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SubaccountSpec is the desired state of a subaccount and its Secret.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) || has(self.authID)",message="name is required unless authID is given",fieldPath=".name",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="has(self.authID) == has(oldSelf.authID)",message="authID can be neither added nor removed later",fieldPath=".authID"
// +kubebuilder:validation:XValidation:rule="!has(self.authID) || has(self.deletionPolicy)",message="deletionPolicy is required with authID: Orphan leaves the adopted subaccount at Plivo, Delete deletes it there",fieldPath=".deletionPolicy",reason=FieldValueRequired
type SubaccountSpec struct {
	// name is the name of the subaccount at Plivo: 1 to 128 characters, without
	// whitespace at either end, and without control or separator characters other than the
	// plain space. It need not be unique. It must not have the form of the operator's
	// marker: k8s-, 8 hex digits, -, a UUID. Required unless authID is set. If omitted
	// with authID, the operator does not change the name at Plivo.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[\\\\s\\\\p{Z}]|[\\\\s\\\\p{Z}]$')",message="must not begin or end with whitespace"
	// +kubebuilder:validation:XValidation:rule="!self.matches('\\\\p{Cc}|[^\\\\P{Z} ]')",message="must not contain control or separator characters other than the plain space"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^k8s-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",message="must not have the form of the operator's own marker, k8s-<8 hex digits>-<UUID>"
	Name *string `json:"name,omitempty"`

	// enabled says whether the subaccount is enabled at Plivo. If omitted, defaults to
	// false, as at Plivo. If omitted with authID, the operator does not change it at
	// Plivo.
	//
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// accountRef names the Account, and thus the Plivo main account, of the
	// subaccount. If omitted, defaults to the Account named default. Immutable.
	//
	// +optional
	// +kubebuilder:default={name: "default"}
	// +kubebuilder:validation:XValidation:rule="self.name == oldSelf.name",message="accountRef.name is immutable",fieldPath=".name"
	AccountRef AccountReference `json:"accountRef,omitzero"`

	// authID is the Plivo ID of an existing subaccount, which the operator adopts
	// instead of creating one. The Account must grant it to this namespace
	// (spec.adoption). Immutable: it cannot be added, changed or removed later.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^SA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="authID is immutable"
	AuthID *string `json:"authID,omitempty"`

	// deletionPolicy says what happens to the subaccount at Plivo when this resource
	// is deleted: Delete deletes it, Orphan leaves it unchanged. If omitted, defaults
	// to Delete; required with authID. It can be changed at any time, also while the
	// resource is terminating.
	//
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// cascadePolicy says what happens to the Applications, Endpoints and Numbers of
	// the subaccount when it is deleted at Plivo: Reassign moves them to the main
	// account, Delete deletes them. If omitted, defaults to Reassign. It can be
	// changed at any time, also while the resource is terminating.
	//
	// +optional
	// +kubebuilder:default=Reassign
	CascadePolicy CascadePolicy `json:"cascadePolicy,omitempty"`

	// recreatePolicy says what the operator does when a subaccount that it created is
	// gone at Plivo: Automatic creates another one, with a new authID and new
	// credentials; Never reports RemoteNotFound. If omitted, defaults to Automatic. It
	// can be changed at any time. An adopted subaccount (authID) is never recreated.
	//
	// +optional
	// +kubebuilder:default=Automatic
	RecreatePolicy RecreatePolicy `json:"recreatePolicy,omitempty"`

	// secret describes the Secret with the credentials of the subaccount.
	//
	// +optional
	// +kubebuilder:default={}
	Secret SubaccountSecret `json:"secret,omitzero"`

	// suspend set to true makes the operator send no call to Plivo and write nothing
	// except the status. A deletion waits, unless deletionPolicy is Orphan. If
	// omitted, defaults to false.
	//
	// +optional
	Suspend *bool `json:"suspend,omitempty"`
}

// DeletionPolicy says what happens to the subaccount when its resource is deleted.
//
// +kubebuilder:validation:Enum=Delete;Orphan
type DeletionPolicy string

const (
	// DeletionPolicyDelete deletes the subaccount at Plivo.
	DeletionPolicyDelete DeletionPolicy = "Delete"
	// DeletionPolicyOrphan leaves the subaccount at Plivo unchanged.
	DeletionPolicyOrphan DeletionPolicy = "Orphan"
)

// CascadePolicy says what happens to the Applications, Endpoints and Numbers of a
// deleted subaccount.
//
// +kubebuilder:validation:Enum=Reassign;Delete
type CascadePolicy string

const (
	// CascadePolicyReassign moves them to the main account.
	CascadePolicyReassign CascadePolicy = "Reassign"
	// CascadePolicyDelete deletes them.
	CascadePolicyDelete CascadePolicy = "Delete"
)

// RecreatePolicy says what the operator does when a subaccount is gone at Plivo.
//
// +kubebuilder:validation:Enum=Automatic;Never
type RecreatePolicy string

const (
	// RecreatePolicyAutomatic creates another one.
	RecreatePolicyAutomatic RecreatePolicy = "Automatic"
	// RecreatePolicyNever reports RemoteNotFound.
	RecreatePolicyNever RecreatePolicy = "Never"
)

// AccountReference names an Account.
type AccountReference struct {
	// name is the name of the Account. If omitted, defaults to default.
	//
	// +optional
	// +kubebuilder:default=default
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be the name of an Account: lower case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`
}

// SubaccountSecret describes the Secret with the credentials of a subaccount.
//
// +kubebuilder:object:generate=false
type SubaccountSecret struct {
	// name is the name of the Secret, in the namespace of the Subaccount. If omitted,
	// defaults to <metadata.name>-plivo. When it changes, the operator creates the new
	// Secret and then deletes the old one. The operator never changes a Secret that
	// this Subaccount does not own.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a valid Secret name: lower case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`

	// keys are the keys of the Secret's data. They must differ. Set them to
	// PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN for envFrom and Plivo's SDKs. If omitted,
	// defaults to auth_id and auth_token.
	//
	// +optional
	// +kubebuilder:default={authID: "auth_id", authToken: "auth_token"}
	Keys SecretKeys `json:"keys,omitzero"`

	// labels are labels of the Secret, in addition to the operator's own. The domains
	// kubernetes.io, k8s.io and subaccount-operator.dev and their subdomains are
	// reserved, with one exception: app.kubernetes.io/* is allowed, except managed-by.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="each key must be a valid label key"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|subaccount-operator[.]dev)/') || (k.startsWith('app.kubernetes.io/') && k != 'app.kubernetes.io/managed-by'))",message="the domains kubernetes.io, k8s.io and subaccount-operator.dev are reserved; app.kubernetes.io/* is allowed, except managed-by"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are annotations of the Secret. The same domains are reserved as for
	// labels.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k.lowerAscii()).hasValue())",message="each key must be a valid annotation key"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.lowerAscii().matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|subaccount-operator[.]dev)/') || (k.startsWith('app.kubernetes.io/') && k != 'app.kubernetes.io/managed-by'))",message="the domains kubernetes.io, k8s.io and subaccount-operator.dev are reserved; app.kubernetes.io/* is allowed, except managed-by"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// DeepCopyInto copies the receiver. It is written by hand, because controller-gen
// v0.23 cannot copy a map whose value type is an alias. The API server refuses a
// rule on values of unbounded length, and a bound needs a type of its own. The
// types are aliases, so that they are plain strings in Go.
func (in *SubaccountSecret) DeepCopyInto(out *SubaccountSecret) {
	*out = *in
	out.Labels = maps.Clone(in.Labels)
	out.Annotations = maps.Clone(in.Annotations)
}

// LabelValue is a label's value: at most 63 characters, letters, digits, '-',
// '_' and '.', beginning and ending with a letter or digit.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="!format.labelValue().validate(self).hasValue()",message="must be a valid label value: letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
type LabelValue = string

// AnnotationValue is an annotation's value: at most 4096 characters.
//
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue = string

// SecretKeys are the keys of the Secret's data.
//
// +kubebuilder:validation:XValidation:rule="self.authID != self.authToken",message="authID and authToken must differ"
type SecretKeys struct {
	// authID is the key of the subaccount's auth ID. If omitted, defaults to auth_id.
	//
	// +optional
	// +kubebuilder:default=auth_id
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="must be a valid Secret key: letters, digits, '-', '_' and '.', neither '.' alone nor beginning with '..'"
	AuthID string `json:"authID,omitempty"`

	// authToken is the key of the subaccount's auth token. If omitted, defaults to
	// auth_token.
	//
	// +optional
	// +kubebuilder:default=auth_token
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="must be a valid Secret key: letters, digits, '-', '_' and '.', neither '.' alone nor beginning with '..'"
	AuthToken string `json:"authToken,omitempty"`
}

// SubaccountStatus is the observed state of a Subaccount.
//
// +kubebuilder:validation:XValidation:rule="!has(self.authID) || !has(oldSelf.authID) || self.authID == oldSelf.authID",message="authID can be replaced only through pendingCreation"
type SubaccountStatus struct {
	// observedGeneration is the last metadata.generation that the operator acted on;
	// -1 before the first one. It does not advance while the resource is suspended.
	// Set by the operator; read-only.
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

	// authID is the Plivo ID of the subaccount. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^SA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	AuthID string `json:"authID,omitempty"`

	// accountID is the Plivo ID of the main account of the subaccount. Set by the
	// operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^MA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	AccountID string `json:"accountID,omitempty"`

	// previousAuthID is the Plivo ID of the subaccount that the operator replaced last,
	// because it was gone. If that subaccount reappears, the operator does not manage
	// it. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^SA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	PreviousAuthID string `json:"previousAuthID,omitempty"`

	// pendingCreation is set while a create call may have happened whose response is
	// not recorded. Set by the operator; read-only.
	//
	// +optional
	PendingCreation *PendingCreation `json:"pendingCreation,omitempty"`

	// name is the name of the subaccount as last observed at Plivo. Plivo documents no
	// maximum length. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Name *string `json:"name,omitempty"`

	// enabled is true if the subaccount was enabled when last observed at Plivo. Set by
	// the operator; read-only.
	//
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// binding names the Secret, as the Service Binding specification requires of a
	// provisioned service. Set by the operator; read-only.
	//
	// +optional
	Binding *SecretBinding `json:"binding,omitempty"`

	// lastHandledReconcileAt is the value of the annotation
	// plivo.subaccount-operator.dev/reconcile-requested-at that the operator handled
	// last. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// PendingCreation is the intent, which the operator writes before it sends a create
// call.
type PendingCreation struct {
	// attempt is a random ID of this create call.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Attempt string `json:"attempt,omitempty"`

	// accountID is the Plivo ID of the main account for which the operator sends the
	// call.
	//
	// +required
	// +kubebuilder:validation:Pattern=`^MA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MinLength=20
	// +kubebuilder:validation:MaxLength=20
	AccountID string `json:"accountID,omitempty"`

	// since is the time when the operator wrote the intent. It is informational: the
	// operator counts the settle time from when it first observed the intent.
	//
	// +required
	Since metav1.Time `json:"since,omitempty,omitzero"`
}

// SecretBinding names a Secret in the namespace of the resource.
type SecretBinding struct {
	// name is the name of the Secret.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// Subaccount is a Plivo subaccount and the Secret with its credentials.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=plivosub,categories=plivo
// +kubebuilder:selectablefield:JSONPath=`.status.authID`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Auth ID",type=string,JSONPath=`.status.authID`
// +kubebuilder:printcolumn:name="Enabled",type=boolean,JSONPath=`.status.enabled`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.spec.accountRef.name`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Remote Name",type=string,JSONPath=`.status.name`,priority=1
// +kubebuilder:printcolumn:name="Secret",type=string,JSONPath=`.status.binding.name`,priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 247 || (has(self.spec.secret) && has(self.spec.secret.name))",message="metadata.name is too long for the default Secret name <metadata.name>-plivo: use at most 247 characters or set spec.secret.name",fieldPath=".spec.secret.name"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.authID) || (has(self.status) && (has(self.status.authID) || (has(self.status.pendingCreation) && !has(oldSelf.status.pendingCreation))))",message="status.authID may be removed only when status.pendingCreation is added",fieldPath=".status"
type Subaccount struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	//
	// +required
	Spec SubaccountSpec `json:"spec,omitzero"`

	// status is the observed state. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status SubaccountStatus `json:"status,omitzero"`
}

// SubaccountList is a list of Subaccounts.
//
// +kubebuilder:object:root=true
type SubaccountList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Subaccount `json:"items"`
}
