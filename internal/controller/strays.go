package controller

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/account"
	"github.com/subaccount-operator/subaccount-operator/internal/subaccount"
)

// strays remembers since when each stray has been seen, by Account.
type strays struct {
	mu sync.Mutex
	of map[string]*seenStrays
}

// seenStrays are those of one Account, whose passes never overlap.
type seenStrays struct {
	acct  *account.Account
	sweep int                  // that was looked at last
	since map[string]time.Time // by authID: first sight
}

func (s *strays) seen(name string, acct *account.Account) *seenStrays {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]*seenStrays{}
	}
	if seen := s.of[name]; seen == nil || seen.acct != acct {
		s.of[name] = &seenStrays{acct: acct}
	}
	return s.of[name]
}

func (s *strays) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, name)
}

// straysAtOnce bounds how many strays one pass deletes: what they are judged by
// grows old meanwhile, and the Account's other work waits. The rest, and what
// failed, is the next sweep's.
const straysAtOnce = 20

// removeStrays deletes what bears a marker of this cluster, is claimed by no
// Subaccount in a live list, and was made for none that is still creating, once
// two sweeps a settle time apart have shown it. Nothing else is ever deleted
// without its resource.
func (r *AccountReconciler) removeStrays(ctx context.Context, a *v1alpha1.Account, acct *account.Account) {
	seen, sweep := r.strays.seen(a.Name, acct), acct.Status().Complete
	swept, ok := acct.Swept().Get()
	if !ok || seen.sweep == sweep || acct.Implausible() {
		return
	}
	seen.sweep = sweep
	marked := r.marked(a, acct)
	if len(marked) == 0 {
		seen.since = nil
		return
	}
	live, err := r.Subaccounts.live(ctx)
	// After the Subaccounts: what is released is entered here before it vanishes there.
	noted, errAccount := r.Subaccounts.liveAccount(ctx, a.Name)
	if err != nil || errAccount != nil || noted == nil {
		log.FromContext(ctx).Error(errors.Join(err, errAccount), "Failed to read who claims the strays")
		return
	}
	marked = withoutOrphans(marked, noted)
	since, left := map[string]time.Time{}, straysAtOnce
	for _, authID := range subaccount.Strays(marked, live, len(r.Subaccounts.Namespaces) > 0) {
		first, ok := seen.since[authID]
		if !ok {
			first = swept.Started
		}
		if swept.Started.Sub(first) < r.Subaccounts.Settle || left == 0 {
			since[authID] = first
			continue
		}
		if left--; deleteStray(ctx, acct, authID) != nil {
			since[authID], left = first, 0
			continue
		}
		acct.Count(account.EventStrayRemoved)
		r.Events.Eventf(a, nil, corev1.EventTypeWarning, "StrayRemoved", "Sweep",
			"Deleted the subaccount %s: an unfinished creation of this cluster that no Subaccount claims.", authID)
	}
	seen.since = since
}

// marked are the subaccounts that bear a marker of this cluster and were not
// left at Plivo.
func (r *AccountReconciler) marked(a *v1alpha1.Account, acct *account.Account) map[string]string {
	marked := withoutOrphans(acct.Marked(), a)
	maps.DeleteFunc(marked, func(_, marker string) bool { return !subaccount.OwnMarker(marker, r.Subaccounts.ClusterUID) })
	return marked
}

func deleteStray(ctx context.Context, acct *account.Account, authID string) error {
	slot, err := acct.Reserve(ctx)
	if err != nil {
		return err
	}
	return acct.Delete(ctx, slot, acct.Usable().ID, authID, false)
}
