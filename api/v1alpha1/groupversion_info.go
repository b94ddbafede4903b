// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the API of the operator: the kinds Account and Subaccount of
// the group plivo.subaccount-operator.dev, their conditions and reasons.
//
// The package must not import any internal package. docs/spec describes each kind
// with examples, docs/glossary.md the terms.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=plivo.subaccount-operator.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group. Annotations and the finalizer have it as their prefix.
const Group = "plivo.subaccount-operator.dev"

// Names in the metadata of the operator's resources and of the objects that it
// writes.
const (
	// Finalizer is the finalizer of every Account, and of every Subaccount for which
	// a subaccount exists or may exist at Plivo.
	Finalizer = Group + "/finalizer"

	// ReconcileRequestedAtAnnotation requests a reconciliation. Any new value is a
	// new request. For a Subaccount, the operator reads the subaccount at Plivo. For
	// an Account, it starts a sweep. It then copies the value to
	// status.lastHandledReconcileAt.
	ReconcileRequestedAtAnnotation = Group + "/reconcile-requested-at"

	// ConfirmDisappearanceAnnotation on an Account confirms that a person has checked
	// at Plivo that the missing subaccounts are gone. It takes effect if the value is
	// not empty and differs from status.massDisappearance.handledConfirmation.
	ConfirmDisappearanceAnnotation = Group + "/confirm-disappearance"

	// ManagedByLabel and ManagedByValue mark the Secrets that the operator writes.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedByValue = "subaccount-operator"

	// DefaultAccountName is the default of spec.accountRef.name.
	DefaultAccountName = "default"
)

// GroupVersion is the group and version of this package's kinds.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// SchemeGroupVersion is the name of GroupVersion that the generated apply
// configurations use.
var SchemeGroupVersion = GroupVersion

// AddToScheme adds this package's kinds to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &Account{}, &AccountList{}, &Subaccount{}, &SubaccountList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
