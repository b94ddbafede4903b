// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func TestConfigure_AnotherAccountSameMainAccount_KeepsBudgetWindow(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.registry.Configure("a", credentials(mainID, mainToken), 4, time.Hour, false)
		time.Sleep(2 * plivo.Window)
		start := time.Now()
		for range 4 {
			if _, err := get(t, a, mainID, one); err != nil {
				t.Error(err)
			}
		}
		r.registry.Remove("a")
		b := r.registry.Configure("b", credentials(mainID, mainToken), 4, time.Hour, false)
		if _, err := get(t, b, mainID, one); err != nil || time.Since(start) != plivo.Window {
			t.Errorf("fifth request: got %v after %v, want no error after one window", err, time.Since(start))
		}
		if other := r.registry.Configure("c", credentials(otherID, mainToken), 4, time.Hour, false); other.budget == b.budget {
			t.Error("got one budget for two main accounts, want two")
		}
	})
}

func TestConfigure_OtherMainAccount_StartsNewInventory(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		old := r.swept()
		a := r.registry.Configure("a", credentials(otherID, mainToken), 100, interval, false)
		if got, _ := r.registry.Get("a"); a == old || got != a || !a.LastSweep().IsUnknown() || a.Usable().ID != otherID {
			t.Error("got the old account, want a new one")
		}
		if remote, _, _ := a.Remote(one); !remote.IsUnknown() {
			t.Error("got a row of the old inventory, want Unknown")
		}
		_, err := get(t, old, mainID, one)
		wantKind(t, err, plivo.KindNotSent)
		time.Sleep(20 * interval)
		for _, c := range r.sim.Calls() {
			if c.Account != otherID {
				t.Fatalf("got a request for the old main account: %+v", c)
			}
		}
		if remote, _, _ := a.Remote(one); !remote.IsAbsent() {
			t.Error("got no sweep of the new list, want one")
		}
	})
}

func TestBlock_Account_SendsNothingUntilConfigured(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		if _, ok := r.registry.Get("a"); ok {
			t.Error("got an account before Block, want none")
		}
		r.registry.Block("a", "SecretMissing", "no such Secret")
		never, _ := r.registry.Get("a")
		if u := never.Usable(); u.ID != "" || u.Reason != "SecretMissing" || u.Message != "no such Secret" {
			t.Errorf("got %+v, want the reason of Block", u)
		}
		_, err := never.AcquireSlot(t.Context())
		wantKind(t, err, plivo.KindNotSent)

		one := r.add(1)[0]
		a := r.swept()
		if u := a.Usable(); a != never || u.Reason != "" || u.Message != "" {
			t.Errorf("got %+v, want no reason", u)
		}
		r.sim.SetToken(mainID, "rotated")
		_, err = get(t, a, mainID, one)
		wantKind(t, err, plivo.KindUnauthorized)
		r.registry.Block("a", "SecretInvalid", "empty")
		if u := a.Usable(); u.Refused || u.Message != "empty" || u.Reason != "SecretInvalid" {
			t.Errorf("got %+v, want the reason of Block and not the old refusal", u)
		}
		r.sim.ResetCalls()
		_, err = get(t, a, mainID, one)
		wantKind(t, err, plivo.KindNotSent)
		time.Sleep(time.Hour)
		if n := len(r.sim.Calls()); n != 0 {
			t.Errorf("got %d requests, want none", n)
		}
		if a.LastSweep().IsUnknown() {
			t.Error("got an empty inventory after Block, want it kept")
		}
		r.registry.Configure("a", credentials(mainID, "rotated"), 100, interval, false)
		time.Sleep(time.Second)
		if s := a.Status(); s.Complete != 2 {
			t.Errorf("got %+v, want a second complete sweep", s)
		}
	})
}

// Another process may have used the whole window just before: the one before a restart,
// another leader, or another shard.
func TestConfigure_UsedBefore_WaitsOneWindow(t *testing.T) {
	bubble(t, func(_ *testing.T, r *rig) {
		r.registry.Configure("new", credentials(otherID, mainToken), 100, interval, false)
		time.Sleep(100 * time.Millisecond)
		r.wantCalls(plivosim.OpList, 1)
		r.registry.Configure("a", credentials(mainID, mainToken), 100, interval, true)
		time.Sleep(plivo.Window - time.Millisecond)
		r.wantCalls(plivosim.OpList, 1)
		time.Sleep(time.Second)
		r.wantCalls(plivosim.OpList, 2)
	})
}
