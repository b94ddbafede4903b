package controller

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// noteOrphan enters a subaccount in its Account's status.orphaned. Where there
// is no such Account, nobody removes strays from its main account.
func (r *SubaccountReconciler) noteOrphan(ctx context.Context, accountName, authID string) error {
	a, err := r.liveAccount(ctx, accountName)
	if err != nil || a == nil || slices.Contains(a.Status.Orphaned, authID) {
		return err
	}
	before := a.DeepCopy()
	a.Status.Orphaned = append(a.Status.Orphaned, authID)
	return r.Client.Status().Patch(ctx, a, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// liveAccount reads an Account past the cache, nil if there is none.
func (r *SubaccountReconciler) liveAccount(ctx context.Context, name string) (*v1alpha1.Account, error) {
	var all v1alpha1.AccountList
	// A list, because the operator has no right to get.
	err := r.Live.List(ctx, &all, client.MatchingFields{"metadata.name": name})
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err): // the CRD is gone
		return nil, nil
	case err != nil || len(all.Items) == 0:
		return nil, err
	}
	return &all.Items[0], nil
}

// withoutOrphans removes from a map those authIDs that are no strays, because
// their resources were released and they were left at Plivo.
func withoutOrphans(marked map[string]string, a *v1alpha1.Account) map[string]string {
	for _, authID := range a.Status.Orphaned {
		delete(marked, authID)
	}
	return marked
}
