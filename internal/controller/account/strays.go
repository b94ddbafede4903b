// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// strays has the history of strays, by the name of the Account.
type strays struct {
	mu        sync.Mutex
	byAccount map[string]*strayHistory
}

// strayHistory is the history of one Account. It needs no lock, because the
// reconciles of one Account never overlap.
type strayHistory struct {
	acct         *mainaccount.Account
	checkedSweep int // number of the complete sweep that was checked last
	// waitingSince maps the authID of a stray to the start of the sweep that first
	// showed it, or of the one after which its deletion failed.
	waitingSince map[string]time.Time
}

func (s *strays) history(name string, acct *mainaccount.Account) *strayHistory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAccount == nil {
		s.byAccount = map[string]*strayHistory{}
	}
	if history := s.byAccount[name]; history == nil || history.acct != acct {
		s.byAccount[name] = &strayHistory{acct: acct}
	}
	return s.byAccount[name]
}

func (s *strays) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byAccount, name)
}

// maxStrayDeletions bounds how many strays one reconcile tries to delete, because
// the other work of the Account waits. The next sweep handles the rest.
const maxStrayDeletions = 20

// removeStrays deletes strays: subaccounts with a marker of this cluster that no
// Subaccount in a live list claims or is still creating. Two sweeps, at least a
// settle time apart, must have shown a stray. The operator deletes no other
// subaccount without the deletion of its resource.
func (r *Reconciler) removeStrays(ctx context.Context, a *v1alpha1.Account, acct *mainaccount.Account, users []v1alpha1.Subaccount) {
	history, completeSweeps := r.strays.history(a.Name, acct), acct.Status().Complete
	lastSweep, ok := acct.LastSweep().Get()
	if !ok || history.checkedSweep == completeSweeps || acct.GuardOn() {
		return
	}
	history.checkedSweep = completeSweeps
	marked := r.markedByCluster(a, acct, users)
	if len(marked) == 0 {
		history.waitingSince = nil
		return
	}
	live, err := r.Live.Subaccounts(ctx)
	// The Account is read after the Subaccounts: an orphan is recorded in its status
	// before the Subaccount disappears.
	current, errAccount := r.Live.Account(ctx, a.Name)
	if err != nil || errAccount != nil || current == nil {
		log.FromContext(ctx).Error(errors.Join(err, errAccount), "Failed to list Subaccounts; skipping removal of strays")
		return
	}
	marked = withoutOrphans(marked, current)
	waitingSince := map[string]time.Time{}
	var due []string
	for _, authID := range plan.Strays(marked, live, len(r.Live.Namespaces) > 0) {
		first, ok := history.waitingSince[authID]
		if !ok {
			first = lastSweep.Started
		}
		waitingSince[authID] = first
		if lastSweep.Started.Sub(first) >= r.SettleTime {
			due = append(due, authID)
		}
	}
	history.waitingSince = waitingSince
	slices.SortStableFunc(due, func(x, y string) int { return waitingSince[x].Compare(waitingSince[y]) })
	for _, authID := range due[:min(len(due), maxStrayDeletions)] {
		if err := r.removeStray(ctx, a, acct, authID, marked[authID], live); err != nil {
			// The stray waits again, so that the next reconcile tries the others first.
			waitingSince[authID] = lastSweep.Started
			log.FromContext(ctx).Error(err, "Failed to remove a stray", logging.AuthID, authID)
			if plivo.AsError(err).Status == 0 {
				return // no response from Plivo: the other deletions would fail too
			}
		}
	}
}

// removeStray deletes one stray, unless a Subaccount has claimed it since the
// Subaccounts were listed.
func (r *Reconciler) removeStray(ctx context.Context, a *v1alpha1.Account, acct *mainaccount.Account, authID, marker string, listed []v1alpha1.Subaccount) error {
	slot, err := acct.AcquireSlot(ctx) // before the checks, because it may wait
	if err != nil {
		return err
	}
	if isStray, err := r.isStray(ctx, a.Name, authID, marker, listed); err != nil || !isStray {
		slot.Cancel()
		return err
	}
	if err := acct.Delete(ctx, slot, acct.Usable().ID, authID, false); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Removed a stray", logging.AuthID, authID)
	acct.Count(mainaccount.EventStrayRemoved)
	r.Events.Eventf(a, nil, corev1.EventTypeWarning, "StrayRemoved", "Sweep",
		"Deleted the subaccount %s: it has a marker of this cluster and no Subaccount claims it.", authID)
	return nil
}

// isStray reports whether a subaccount that was a stray among the listed Subaccounts
// still is one.
func (r *Reconciler) isStray(ctx context.Context, accountName, authID, marker string, listed []v1alpha1.Subaccount) (bool, error) {
	claimants, err := r.Live.Subaccounts(ctx, client.MatchingFields{kube.SelectAuthID: authID})
	if err != nil {
		return false, err
	}
	uid, _ := plan.ParseMarker(marker)
	if i := slices.IndexFunc(listed, func(s v1alpha1.Subaccount) bool { return s.UID == uid }); i >= 0 {
		owner := v1alpha1.Subaccount{}
		switch err := r.Live.Get(ctx, client.ObjectKeyFromObject(&listed[i]), &owner); {
		case err == nil:
			claimants = append(claimants, owner)
		case !apierrors.IsNotFound(err):
			return false, err
		}
	}
	current, err := r.Live.Account(ctx, accountName) // after the Subaccounts, as in removeStrays
	if err != nil || current == nil || slices.Contains(current.Status.Orphaned, authID) {
		return false, err
	}
	return len(plan.Strays(map[string]string{authID: marker}, claimants, len(r.Live.Namespaces) > 0)) > 0, nil
}

// markedByCluster returns the markers of this cluster by authID, without orphans.
func (r *Reconciler) markedByCluster(a *v1alpha1.Account, acct *mainaccount.Account, users []v1alpha1.Subaccount) map[string]string {
	marked := withoutOrphans(acct.AllWithMarker(), a)
	for i := range users {
		delete(marked, users[i].Status.AuthID)
	}
	maps.DeleteFunc(marked, func(_, marker string) bool { return !plan.IsMarkerOfCluster(marker, r.ClusterUID) })
	return marked
}

// withoutOrphans removes the authIDs in status.orphaned from a map: the operator
// left these subaccounts at Plivo on purpose.
func withoutOrphans(marked map[string]string, a *v1alpha1.Account) map[string]string {
	for _, authID := range a.Status.Orphaned {
		delete(marked, authID)
	}
	return marked
}
