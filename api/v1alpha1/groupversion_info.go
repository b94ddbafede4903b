// Package v1alpha1 is the API of the Subaccount operator: the kinds Account
// and Subaccount of the group plivo.subaccount-operator.dev, their conditions
// and reasons.
//
// +kubebuilder:object:generate=true
// +groupName=plivo.subaccount-operator.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group; labels, annotations and the finalizer live under it.
const Group = "plivo.subaccount-operator.dev"

// What stands in the metadata of our resources and of what we write.
const (
	// Finalizer is on every Subaccount and Account that the operator has taken up.
	Finalizer = Group + "/finalizer"

	// ReconcileRequestedAtAnnotation requests a reconciliation with any new
	// value. For a Subaccount, the operator reads the subaccount at Plivo; for
	// an Account, it starts a sweep. status.lastHandledReconcileAt then has the
	// value.
	ReconcileRequestedAtAnnotation = Group + "/reconcile-requested-at"

	// ConfirmDisappearanceAnnotation on an Account: a value other than
	// status.massDisappearance.handledConfirmation, and not empty, says that a
	// person has checked at Plivo that the missing subaccounts are gone.
	ConfirmDisappearanceAnnotation = Group + "/confirm-disappearance"

	// ManagedByLabel and ManagedByValue mark the Secrets that the operator writes.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedByValue = "subaccount-operator"

	// DefaultAccountName is the Account that a Subaccount without accountRef uses.
	DefaultAccountName = "default"
)

// GroupVersion is the group and version of this package's kinds.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// AddToScheme adds this package's kinds to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &Account{}, &AccountList{}, &Subaccount{}, &SubaccountList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
