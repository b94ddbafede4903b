package account

import (
	"sync"
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

func TestAccountsOfOneMainAccountShareTheSmallestBudget(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.registry.Configure("a", credentials(mainID, mainToken), 100, time.Hour)
		b := r.registry.Configure("b", credentials(mainID, mainToken), 4, time.Hour)
		other := r.registry.Configure("c", credentials(otherID, mainToken), 50, time.Hour)
		if a.budget != b.budget || a.budget == other.budget {
			t.Fatal("budgets go by Account and not by main account")
		}
		took := func(gets int) time.Duration {
			time.Sleep(2 * plivo.Window)
			start := time.Now()
			var all sync.WaitGroup
			for i := range gets {
				all.Go(func() {
					if _, err := get(t, []*Account{a, b}[i%2], mainID, one); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			return time.Since(start)
		}
		if got := took(8); got != plivo.Window {
			t.Errorf("8 requests through 4 places took %v", got)
		}
		r.registry.Configure("b", credentials(mainID, mainToken), 200, time.Hour)
		if got := took(100); got != 0 {
			t.Errorf("the larger budget: %v", got)
		}
		if got := took(101); got != plivo.Window {
			t.Errorf("larger than the smallest: %v", got)
		}
		r.registry.Remove("a")
		a = b
		if got := took(101); got != 0 {
			t.Errorf("a removed Account still counts: %v", got)
		}
		r.registry.Remove("b")
		again := r.registry.Configure("a", credentials(mainID, mainToken), 100, time.Hour)
		if again.budget != b.budget {
			t.Error("the window was forgotten with the last Account")
		}
	})
}

func TestCredentialsOfAnotherMainAccountBeginANewInventory(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		old := r.swept()
		a := r.registry.Configure("a", credentials(otherID, mainToken), 100, interval)
		if got, _ := r.registry.Get("a"); a == old || got != a || !a.Swept().IsUnknown() || a.Usable().ID != otherID {
			t.Error("the old account goes on")
		}
		if remote, _, _ := a.Remote(one); !remote.IsUnknown() {
			t.Error("the old inventory goes on")
		}
		_, err := get(t, old, mainID, one)
		wantKind(t, err, plivo.KindNotSent)
		time.Sleep(20 * interval)
		for _, c := range r.sim.Calls() {
			if c.Account != otherID {
				t.Fatalf("a request about the old main account: %+v", c)
			}
		}
		if remote, _, _ := a.Remote(one); !remote.IsAbsent() {
			t.Error("the new list was not read")
		}
	})
}

func TestABlockedAccountSendsNothingUntilItIsConfiguredAgain(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		if _, ok := r.registry.Get("a"); ok {
			t.Error("there from the start")
		}
		r.registry.Block("a", "SecretMissing", "no such Secret")
		never, _ := r.registry.Get("a")
		if u := never.Usable(); u.ID != "" || u.Reason != "SecretMissing" || u.Message != "no such Secret" {
			t.Errorf("%+v", u)
		}
		_, err := never.Reserve(t.Context())
		wantKind(t, err, plivo.KindNotSent)

		one := r.add(1)[0]
		a := r.swept()
		if u := a.Usable(); a != never || u.Reason != "" || u.Message != "" {
			t.Errorf("%+v", u)
		}
		r.sim.SetToken(mainID, "rotated")
		_, err = get(t, a, mainID, one)
		wantKind(t, err, plivo.KindUnauthorized)
		r.registry.Block("a", "SecretInvalid", "empty")
		if u := a.Usable(); u.Refused || u.Message != "empty" || u.Reason != "SecretInvalid" {
			t.Errorf("the old credentials' refusal shows: %+v", u)
		}
		r.sim.ResetCalls()
		_, err = get(t, a, mainID, one)
		wantKind(t, err, plivo.KindNotSent)
		time.Sleep(time.Hour)
		if n := len(r.sim.Calls()); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
		if a.Swept().IsUnknown() {
			t.Error("the inventory was forgotten")
		}
		r.registry.Configure("a", credentials(mainID, "rotated"), 100, interval)
		time.Sleep(time.Second)
		if s := a.Status(); s.Complete != 2 {
			t.Errorf("sweeps did not resume: %+v", s)
		}
	})
}
