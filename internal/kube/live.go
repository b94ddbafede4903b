// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// SubaccountsOf returns the Subaccounts of an Account from the cache. They are not
// copies, because there may be thousands: the caller must not change them.
func SubaccountsOf(ctx context.Context, cached client.Reader, account string) ([]v1alpha1.Subaccount, error) {
	var all v1alpha1.SubaccountList
	err := cached.List(ctx, &all, client.MatchingFields{IndexAccount: account}, client.UnsafeDisableDeepCopy)
	return all.Items, err
}

// LiveReader reads from the API server instead of the cache.
type LiveReader struct {
	client.Reader
	// Namespaces are the namespaces that this instance serves. If empty, it serves
	// all.
	Namespaces []string
}

// livePageSize is the number of Subaccounts in one request. It bounds the memory
// that a list needs, because one Subaccount can be large.
const livePageSize = 500

// Subaccounts lists the Subaccounts of the served namespaces that match the
// options. The objects have only their identity, age, finalizers, Account, and the
// status fields of the creation protocol.
func (r LiveReader) Subaccounts(ctx context.Context, options ...client.ListOption) ([]v1alpha1.Subaccount, error) {
	namespaces := r.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{corev1.NamespaceAll}
	}
	var all []v1alpha1.Subaccount
	for _, ns := range namespaces {
		for next := ""; ; {
			var page v1alpha1.SubaccountList
			if err := r.List(ctx, &page, append(options, client.InNamespace(ns), client.Limit(livePageSize), client.Continue(next))...); err != nil {
				return nil, err
			}
			for i := range page.Items {
				s := &page.Items[i]
				all = append(all, v1alpha1.Subaccount{
					ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, UID: s.UID, CreationTimestamp: s.CreationTimestamp, DeletionTimestamp: s.DeletionTimestamp, Finalizers: s.Finalizers},
					Spec:       v1alpha1.SubaccountSpec{AccountRef: s.Spec.AccountRef},
					Status:     v1alpha1.SubaccountStatus{AuthID: s.Status.AuthID, PendingCreation: s.Status.PendingCreation},
				})
			}
			if next = page.Continue; next == "" {
				break
			}
		}
	}
	return all, nil
}

// Account returns an Account, or nil if it does not exist.
func (r LiveReader) Account(ctx context.Context, name string) (*v1alpha1.Account, error) {
	var all v1alpha1.AccountList
	// A list, because the operator has no right to get Accounts.
	err := r.List(ctx, &all, client.MatchingFields{"metadata.name": name})
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err): // the CRD does not exist
		return nil, nil
	case err != nil || len(all.Items) == 0:
		return nil, err
	}
	return &all.Items[0], nil
}
