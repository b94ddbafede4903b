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

// SubaccountsOf returns the Subaccounts that refer to an Account: the cache's own,
// of which there may be thousands, and which nobody may change.
func SubaccountsOf(ctx context.Context, cached client.Reader, account string) ([]v1alpha1.Subaccount, error) {
	var all v1alpha1.SubaccountList
	err := cached.List(ctx, &all, client.MatchingFields{IndexAccount: account}, client.UnsafeDisableDeepCopy)
	return all.Items, err
}

// LiveReader reads past the cache.
type LiveReader struct {
	client.Reader
	// Namespaces that this instance is limited to; none: all.
	Namespaces []string
}

// livePage is how many Subaccounts are read live at once: each may be as large
// as a tenant likes.
const livePage = 500

// Subaccounts lists what matters of all Subaccounts that this instance
// may see, or of those that the options select: who they are, how old, and what
// the protocol has written.
func (r LiveReader) Subaccounts(ctx context.Context, options ...client.ListOption) ([]v1alpha1.Subaccount, error) {
	namespaces := r.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{corev1.NamespaceAll}
	}
	var all []v1alpha1.Subaccount
	for _, ns := range namespaces {
		for next := ""; ; {
			var page v1alpha1.SubaccountList
			if err := r.List(ctx, &page, append(options, client.InNamespace(ns), client.Limit(livePage), client.Continue(next))...); err != nil {
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

// Account reads an Account; nil if there is none.
func (r LiveReader) Account(ctx context.Context, name string) (*v1alpha1.Account, error) {
	var all v1alpha1.AccountList
	// A list, because the operator has no right to get.
	err := r.List(ctx, &all, client.MatchingFields{"metadata.name": name})
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err): // the CRD is gone
		return nil, nil
	case err != nil || len(all.Items) == 0:
		return nil, err
	}
	return &all.Items[0], nil
}
