package subaccount

import (
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// recordOrphan enters a subaccount in its Account's status.orphaned. Where there
// is no such Account, nobody removes strays from its main account.
func (r *Reconciler) recordOrphan(ctx context.Context, accountName, authID string) error {
	a, err := r.Live.Account(ctx, accountName)
	if err != nil || a == nil || slices.Contains(a.Status.Orphaned, authID) {
		return err
	}
	before := a.DeepCopy()
	a.Status.Orphaned = append(a.Status.Orphaned, authID)
	return r.Client.Status().Patch(ctx, a, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}
