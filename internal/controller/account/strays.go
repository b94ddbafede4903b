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

// strays remembers since when each stray has been seen, by Account.
type strays struct {
	mu        sync.Mutex
	byAccount map[string]*strayHistory
}

// strayHistory are those of one Account, whose reconciles never overlap.
type strayHistory struct {
	acct  *mainaccount.Account
	sweep int                  // that was judged last
	since map[string]time.Time // by authID: first sight, or the last failed deletion
}

func (s *strays) history(name string, acct *mainaccount.Account) *strayHistory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAccount == nil {
		s.byAccount = map[string]*strayHistory{}
	}
	if seen := s.byAccount[name]; seen == nil || seen.acct != acct {
		s.byAccount[name] = &strayHistory{acct: acct}
	}
	return s.byAccount[name]
}

func (s *strays) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byAccount, name)
}

// straysAtOnce bounds how many strays one reconcile tries to delete: the
// Account's other work waits. The rest is left to the next sweep.
const straysAtOnce = 20

// removeStrays deletes what has a marker of this cluster, is claimed by no
// Subaccount in a live list, and was created for none that is still creating,
// once two sweeps a settle time apart have shown it. Nothing else is ever
// deleted without its resource.
func (r *Reconciler) removeStrays(ctx context.Context, a *v1alpha1.Account, acct *mainaccount.Account) {
	seen, sweep := r.strays.history(a.Name, acct), acct.Status().Complete
	swept, ok := acct.LastSweep().Get()
	if !ok || seen.sweep == sweep || acct.GuardOn() {
		return
	}
	seen.sweep = sweep
	marked := r.markedByCluster(a, acct)
	if len(marked) == 0 {
		seen.since = nil
		return
	}
	live, err := r.Live.Subaccounts(ctx)
	// After the Subaccounts: what is released is entered here before it vanishes there.
	noted, errAccount := r.Live.Account(ctx, a.Name)
	if err != nil || errAccount != nil || noted == nil {
		log.FromContext(ctx).Error(errors.Join(err, errAccount), "Failed to read who claims the strays")
		return
	}
	marked = withoutOrphans(marked, noted)
	since := map[string]time.Time{}
	var due []string
	for _, authID := range plan.Strays(marked, live, len(r.Live.Namespaces) > 0) {
		first, ok := seen.since[authID]
		if !ok {
			first = swept.Started
		}
		since[authID] = first
		if swept.Started.Sub(first) >= r.SettleTime {
			due = append(due, authID)
		}
	}
	seen.since = since
	slices.SortStableFunc(due, func(x, y string) int { return since[x].Compare(since[y]) })
	for _, authID := range due[:min(len(due), straysAtOnce)] {
		if err := r.removeStray(ctx, a, acct, authID, marked[authID], live); err != nil {
			// It begins again, behind the others.
			since[authID] = swept.Started
			log.FromContext(ctx).Error(err, "Failed to remove a stray", logging.AuthID, authID)
			if plivo.AsError(err).Status == 0 {
				return // no response: the others would fail alike
			}
		}
	}
}

// removeStray deletes one subaccount that was a stray when the Subaccounts were
// listed, unless somebody has claimed it since.
func (r *Reconciler) removeStray(ctx context.Context, a *v1alpha1.Account, acct *mainaccount.Account, authID, marker string, listed []v1alpha1.Subaccount) error {
	now, err := r.Live.Subaccounts(ctx, client.MatchingFields{kube.SelectAuthID: authID})
	if err != nil {
		return err
	}
	_, uid, _ := plan.ParseMarker(marker)
	if i := slices.IndexFunc(listed, func(s v1alpha1.Subaccount) bool { return s.UID == uid }); i >= 0 {
		owner := v1alpha1.Subaccount{}
		switch err := r.Live.Get(ctx, client.ObjectKeyFromObject(&listed[i]), &owner); {
		case err == nil:
			now = append(now, owner)
		case !apierrors.IsNotFound(err):
			return err
		}
	}
	noted, err := r.Live.Account(ctx, a.Name) // after the Subaccounts, as before
	if err != nil || noted == nil || slices.Contains(noted.Status.Orphaned, authID) {
		return err
	}
	if len(plan.Strays(map[string]string{authID: marker}, now, len(r.Live.Namespaces) > 0)) == 0 {
		return nil
	}
	slot, err := acct.AcquireSlot(ctx)
	if err != nil {
		return err
	}
	if err := acct.Delete(ctx, slot, acct.Usable().ID, authID, false); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Removed a stray", logging.AuthID, authID)
	acct.Count(mainaccount.EventStrayRemoved)
	r.Events.Eventf(a, nil, corev1.EventTypeWarning, "StrayRemoved", "Sweep",
		"Deleted the subaccount %s: an unfinished creation of this cluster that no Subaccount claims.", authID)
	return nil
}

// markedByCluster are the subaccounts that bear a marker of this cluster and were not
// left at Plivo.
func (r *Reconciler) markedByCluster(a *v1alpha1.Account, acct *mainaccount.Account) map[string]string {
	marked := withoutOrphans(acct.AllWithMarker(), a)
	maps.DeleteFunc(marked, func(_, marker string) bool { return !plan.IsMarkerOfCluster(marker, r.ClusterUID) })
	return marked
}

// withoutOrphans removes from a map those authIDs that are no strays, because
// their resources were released and they were left at Plivo.
func withoutOrphans(marked map[string]string, a *v1alpha1.Account) map[string]string {
	for _, authID := range a.Status.Orphaned {
		delete(marked, authID)
	}
	return marked
}
