// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
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
		owner.Status.AuthID, owner.Status.AccountID = r.sim.Add(testMain, "name", false).AuthID, testMain
		if err := r.k8s.Status().Update(context.Background(), owner); err != nil {
			t.Fatal(err)
		}
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
