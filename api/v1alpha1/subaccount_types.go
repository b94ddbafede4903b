package v1alpha1

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SubaccountSpec is what the tenant wants.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) || has(self.authID)",message="name is required unless authID is given",fieldPath=".name",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="has(self.authID) == has(oldSelf.authID)",message="authID can be neither added nor removed later",fieldPath=".authID"
// +kubebuilder:validation:XValidation:rule="!has(self.authID) || has(self.deletionPolicy)",message="deletionPolicy must be stated together with authID: Orphan leaves the adopted subaccount at Plivo, Delete deletes it there",fieldPath=".deletionPolicy",reason=FieldValueRequired
type SubaccountSpec struct {
	// name is the subaccount's name at Plivo: 1 to 128 characters, no white
	// space at either end, no control or separator characters other than the
	// plain space. It need not be unique. Names of the form that the operator
	// marks its unfinished subaccounts with (k8s-, 8 hex digits, -, a UUID) are
	// refused. Required unless authID is given; left out with authID, the
	// name at Plivo is left alone.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[\\\\s\\\\p{Z}]|[\\\\s\\\\p{Z}]$')",message="must not begin or end with white space"
	// +kubebuilder:validation:XValidation:rule="!self.matches('\\\\p{Cc}|[^\\\\P{Z} ]')",message="must not contain control or separator characters other than the plain space"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^k8s-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",message="must not have the form of the operator's own marker, k8s-<8 hex digits>-<UUID>"
	Name *string `json:"name,omitempty"`

	// enabled says whether the subaccount may be used. Left out it means
	// false, as at Plivo; left out together with authID, it is left alone at
	// Plivo.
	//
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// accountRef names the Account, and so the Plivo main account, under which
	// the subaccount lives; default: the Account named default. Immutable.
	//
	// +optional
	// +kubebuilder:default={name: "default"}
	// +kubebuilder:validation:XValidation:rule="self.name == oldSelf.name",message="accountRef.name is immutable",fieldPath=".name"
	AccountRef AccountReference `json:"accountRef,omitzero"`

	// authID adopts this existing subaccount in place of creating one. The
	// Account must grant it to this namespace (spec.adoption). It can be
	// neither added, changed nor removed later.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^SA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="authID is immutable"
	AuthID *string `json:"authID,omitempty"`

	// deletionPolicy says what becomes of the subaccount at Plivo when this
	// resource is deleted: Delete deletes it, Orphan leaves it as it is. Left
	// out it means Delete; with authID it must be stated. It can be changed at
	// any time, also while the resource is terminating.
	//
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// cascadePolicy says what becomes of the subaccount's Applications,
	// Endpoints and Numbers when the subaccount is deleted at Plivo: Reassign,
	// the default, hands them to the main account, Delete deletes them too. It
	// can be changed at any time, also while the resource is terminating.
	//
	// +optional
	// +kubebuilder:default=Reassign
	CascadePolicy CascadePolicy `json:"cascadePolicy,omitempty"`

	// recreatePolicy says what the operator does when a subaccount that it has
	// created is gone at Plivo: Automatic creates another one, with a new authID
	// and new credentials; Never reports RemoteNotFound. It defaults to Automatic
	// and can be changed at any time. An adopted subaccount (authID) is never
	// recreated.
	//
	// +optional
	// +kubebuilder:default=Automatic
	RecreatePolicy RecreatePolicy `json:"recreatePolicy,omitempty"`

	// secret describes the Secret that holds the subaccount's credentials.
	//
	// +optional
	// +kubebuilder:default={}
	Secret SubaccountSecret `json:"secret,omitzero"`

	// suspend set to true stops the operator's work on this resource: no call
	// to Plivo and no write but to status, deletion included (except a release
	// by deletionPolicy Orphan).
	//
	// +optional
	Suspend *bool `json:"suspend,omitempty"`
}

// DeletionPolicy says what becomes of the subaccount when its resource is deleted.
//
// +kubebuilder:validation:Enum=Delete;Orphan
type DeletionPolicy string

const (
	// DeletionPolicyDelete deletes the subaccount at Plivo.
	DeletionPolicyDelete DeletionPolicy = "Delete"
	// DeletionPolicyOrphan leaves the subaccount at Plivo as it is.
	DeletionPolicyOrphan DeletionPolicy = "Orphan"
)

// CascadePolicy says what becomes of a deleted subaccount's Applications,
// Endpoints and Numbers.
//
// +kubebuilder:validation:Enum=Reassign;Delete
type CascadePolicy string

const (
	// CascadePolicyReassign hands them to the main account.
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
	// name of the Account; default: default.
	//
	// +optional
	// +kubebuilder:default=default
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be the name of an Account: lower case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`
}

// SubaccountSecret describes the Secret that holds a subaccount's credentials.
//
// +kubebuilder:object:generate=false
type SubaccountSecret struct {
	// name of the Secret, in the namespace of the Subaccount; default:
	// <metadata.name>-plivo. When it changes, the Secret under the old name is
	// removed once the new one stands. A Secret that this Subaccount does not
	// own is never touched.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a valid Secret name: lower case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`

	// keys are the names of the Secret's data entries, which must differ. Set
	// to PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN they suit envFrom and Plivo's SDKs.
	//
	// +optional
	// +kubebuilder:default={authID: "auth_id", authToken: "auth_token"}
	Keys SecretKeys `json:"keys,omitzero"`

	// labels are put on the Secret beside the operator's own. The domains
	// kubernetes.io, k8s.io and subaccount-operator.dev, with their subdomains,
	// are reserved; of them only app.kubernetes.io/* is allowed, except
	// managed-by.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="each key must be a valid label key"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|subaccount-operator[.]dev)/') || (k.startsWith('app.kubernetes.io/') && k != 'app.kubernetes.io/managed-by'))",message="the domains kubernetes.io, k8s.io and subaccount-operator.dev are reserved; app.kubernetes.io/* is allowed, except managed-by"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are put on the Secret. The same domains are reserved as for
	// labels.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k.lowerAscii()).hasValue())",message="each key must be a valid annotation key"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.lowerAscii().matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|subaccount-operator[.]dev)/') || (k.startsWith('app.kubernetes.io/') && k != 'app.kubernetes.io/managed-by'))",message="the domains kubernetes.io, k8s.io and subaccount-operator.dev are reserved; app.kubernetes.io/* is allowed, except managed-by"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// DeepCopyInto copies the receiver. Written by hand, because controller-gen
// v0.23 cannot copy a map whose value type is an alias. The aliases are there
// because the API server refuses a rule on values without a bound, and a bound
// needs a type of its own; in Go they are plain strings.
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

// SecretKeys names the data entries of the credentials Secret.
//
// +kubebuilder:validation:XValidation:rule="self.authID != self.authToken",message="authID and authToken must differ"
type SecretKeys struct {
	// authID is the key of the subaccount's auth ID; default: auth_id.
	//
	// +optional
	// +kubebuilder:default=auth_id
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="must be a valid Secret key: letters, digits, '-', '_' and '.', neither '.' alone nor beginning with '..'"
	AuthID string `json:"authID,omitempty"`

	// authToken is the key of the subaccount's auth token; default: auth_token.
	//
	// +optional
	// +kubebuilder:default=auth_token
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="must be a valid Secret key: letters, digits, '-', '_' and '.', neither '.' alone nor beginning with '..'"
	AuthToken string `json:"authToken,omitempty"`
}

// SubaccountStatus is what the operator knows.
//
// +kubebuilder:validation:XValidation:rule="!has(self.authID) || !has(oldSelf.authID) || self.authID == oldSelf.authID",message="authID can only be replaced by way of pendingCreation"
type SubaccountStatus struct {
	// observedGeneration is the last generation that the operator acted on; -1
	// until then. It does not advance while the resource is suspended.
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

	// authID is the subaccount's ID at Plivo. Written only by the protocol.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^SA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	AuthID string `json:"authID,omitempty"`

	// accountID is the ID of the Plivo main account that the subaccount belongs
	// to. Written only by the protocol.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^MA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	AccountID string `json:"accountID,omitempty"`

	// previousAuthID is the Plivo ID of the subaccount that the operator gave up
	// as gone and replaced last. If that subaccount comes back, the operator does
	// not manage it. Set by the operator; read-only.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^SA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MaxLength=20
	PreviousAuthID string `json:"previousAuthID,omitempty"`

	// pendingCreation stands while a create call may have happened whose answer
	// is not recorded. Written only by the protocol.
	//
	// +optional
	PendingCreation *PendingCreation `json:"pendingCreation,omitempty"`

	// name is the subaccount's name as last seen at Plivo, which documents no
	// limit to its length.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Name *string `json:"name,omitempty"`

	// enabled is whether the subaccount was enabled when last seen at Plivo.
	//
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// binding names the Secret, in the form that the Service Binding
	// specification gives to provisioned services.
	//
	// +optional
	Binding *SecretBinding `json:"binding,omitempty"`

	// lastHandledReconcileAt is the value of the annotation
	// plivo.subaccount-operator.dev/reconcile-requested-at that was last acted
	// upon.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// PendingCreation is the intent that is written before a create call is sent.
type PendingCreation struct {
	// attempt is a random name of this one create call.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Attempt string `json:"attempt,omitempty"`

	// accountID is the main account that the call was, or was about to be, sent to.
	//
	// +required
	// +kubebuilder:validation:Pattern=`^MA[A-Z0-9]{18}$`
	// +kubebuilder:validation:MinLength=20
	// +kubebuilder:validation:MaxLength=20
	AccountID string `json:"accountID,omitempty"`

	// since is when the intent was written, for people to read; the protocol
	// trusts no clock but the observer's own.
	//
	// +required
	Since metav1.Time `json:"since,omitempty,omitzero"`
}

// SecretBinding names a Secret in the namespace of the resource.
type SecretBinding struct {
	// name of the Secret.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// Subaccount is one Plivo subaccount, and the Secret that holds its credentials.
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
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.authID) || (has(self.status) && (has(self.status.authID) || (has(self.status.pendingCreation) && !has(oldSelf.status.pendingCreation))))",message="status.authID may vanish only as status.pendingCreation appears",fieldPath=".status"
type Subaccount struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the tenant wants.
	//
	// +required
	Spec SubaccountSpec `json:"spec,omitzero"`

	// status is what the operator knows.
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
