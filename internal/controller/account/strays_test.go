// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// stray adds a subaccount with the marker of a Subaccount that does not exist.
func (r *accountRig) stray(i int) string {
	return r.sim.Add(testMain, plan.Marker(testCluster, types.UID(fmt.Sprintf("ffffffff-0000-0000-0000-%012d", i))), false).AuthID
}

func (r *accountRig) left(authIDs []string) (n int) {
	for _, authID := range authIDs {
		if _, ok := r.sim.Subaccount(testMain, authID); ok {
			n++
		}
	}
	return n
}

func TestRemoveStrays_SomeDeletionsFail_RemovesTheOthers(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("a", testMain)
		var stubborn, others []string
		for i := range 60 {
			if id := r.stray(i); i%2 == 0 {
				stubborn = append(stubborn, id)
			} else {
				others = append(others, id)
			}
		}
		for _, id := range stubborn {
			r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpDelete}, AuthID: id, Status: 400})
		}
		r.settle("a")
		for range 8 {
			time.Sleep(testSettle)
			r.sweep("a")
		}
		if n := r.left(others); n > 0 {
			t.Errorf("got %d deletable strays at Plivo, want 0", n)
		}
		if n := r.left(stubborn); n != len(stubborn) {
			t.Errorf("got %d undeletable strays at Plivo, want %d", n, len(stubborn))
		}
	})
}

func TestRemoveStrays_ClaimedAfterTheList_AreNotDeleted(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("a", testMain)
		// While the operator deletes the first stray, Subaccounts claim the others.
		var strays []string
		owner := r.subaccount("owner", "a")
		r.create(owner)
		r.record(owner, r.sim.Add(testMain, "name", false).AuthID)
		for i := range 2 {
			strays = append(strays, r.stray(i))
		}
		ofOwner := r.sim.Add(testMain, plan.Marker(testCluster, owner.UID), false).AuthID
		strays = append(strays, ofOwner)
		slices.Sort(strays)
		deleted := 0
		r.beforeCall = func(req *http.Request) {
			if req.Method != http.MethodDelete {
				return
			}
			if deleted++; deleted > 1 {
				t.Errorf("got a deletion of %s after a Subaccount claimed it", req.URL.Path)
				return
			}
			for i, id := range strays {
				s := r.subaccount(fmt.Sprint("claimant", i), "a")
				r.create(s)
				s.Status.AuthID, s.Status.AccountID = id, testMain
				if id == ofOwner { // its creation is pending: the marker identifies it
					s = owner
					s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: "x", AccountID: testMain, Since: metav1.Now()}
				}
				if err := r.k8s.Status().Update(context.Background(), s); err != nil {
					t.Error(err)
				}
			}
		}
		r.settle("a")
		time.Sleep(testSettle)
		r.sweep("a")
		if deleted != 1 || r.left(strays) != 2 {
			t.Errorf("got %d deletions, %d strays left, want 1 and 2", deleted, r.left(strays))
		}
	})
}

func TestWithoutOrphans_OrphanedAuthID_IsNoStray(t *testing.T) {
	a := &v1alpha1.Account{Status: v1alpha1.AccountStatus{Orphaned: []string{"SA1"}}}
	if got := withoutOrphans(map[string]string{"SA1": "marker", "SA2": "marker"}, a); len(got) != 1 || got["SA2"] == "" {
		t.Errorf("got %v, want only SA2", got)
	}
}

// Other calls may use the budget for a while before the deletion.
func TestRemoveStrays_RecordedDuringWaitForSlot_IsNotDeleted(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("a", testMain)
		owner := r.subaccount("owner", "a")
		r.create(owner)
		r.record(owner, r.sim.Add(testMain, "name", false).AuthID)
		stray := r.sim.Add(testMain, plan.Marker(testCluster, owner.UID), false).AuthID
		r.settle("a")
		acct, _ := r.accounts.Accounts.Get("a")
		time.Sleep(testSettle)
		acct.RequestSweep(time.Now())
		time.Sleep(2 * plivo.Window) // the second sweep has ended
		for range defaultRequestsPer5Seconds {
			slot, err := acct.AcquireSlot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			slot.Done()
		}
		var reconcile sync.WaitGroup
		reconcile.Go(func() { _, _ = r.reconcile("a") })
		time.Sleep(time.Second)
		synctest.Wait() // it waits for a slot
		r.record(owner, stray)
		reconcile.Wait()
		if r.left([]string{stray}) == 0 {
			t.Error("got a deletion of a subaccount that a Subaccount had recorded")
		}
	})
}

// Plivo may refuse the name of the spec, so that the marker stays the name.
func TestSweep_RecordedSubaccountWithMarker_CostsNothing(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("a", testMain)
		s := r.subaccount("named", "a")
		s.Finalizers = []string{v1alpha1.Finalizer}
		r.create(s)
		r.record(s, r.sim.Add(testMain, plan.Marker(testCluster, s.UID), false).AuthID)
		r.settle("a")
		acct, _ := r.accounts.Accounts.Get("a")
		users, err := kube.SubaccountsOf(t.Context(), r.k8s, "a")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(testInterval)
		if r.accounts.needsReconcile(r.get("a"), acct, users) {
			t.Error("got a reconcile of the Account after a sweep without changes, want none")
		}
	})
}

// record writes an authID into a Subaccount's status.
func (r *accountRig) record(s *v1alpha1.Subaccount, authID string) {
	r.t.Helper()
	s.Status.AuthID, s.Status.AccountID = authID, testMain
	if err := r.k8s.Status().Update(context.Background(), s); err != nil {
		r.t.Fatal(err)
	}
}
