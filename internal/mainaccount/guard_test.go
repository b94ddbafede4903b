// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"fmt"
	"testing"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func TestIsMassDisappearance_MoreThanHalfAndAtLeastTen_IsTrue(t *testing.T) {
	cases := []struct {
		recorded, lacking int
		want              bool
	}{
		{0, 0, false}, {1, 1, false}, {9, 9, false}, {10, 9, false}, {10, 10, true}, {19, 10, true}, {20, 10, false},
		{20, 11, true}, {1000, 500, false}, {1000, 501, true},
	}
	for _, c := range cases {
		if got := isMassDisappearance(c.recorded, c.lacking); got != c.want {
			t.Errorf("%d of %d missing: got %v, want %v", c.lacking, c.recorded, got, c.want)
		}
	}
}

func TestGuard_SweepsAndConfirmations_SwitchIt(t *testing.T) {
	type step struct {
		do      string // "lack" and "show" are sweeps, "confirm" a confirmation
		changed bool
		on      bool
	}
	cases := []struct {
		name  string
		steps []step
	}{
		{"a sweep switches it on and off", []step{{"lack", true, true}, {"lack", false, true}, {"show", true, false}}},
		{"a confirmation switches it off until a sweep shows enough", []step{
			{"lack", true, true}, {"confirm", true, false}, {"lack", false, false}, {"show", false, false}, {"lack", true, true},
		}},
		{"a confirmation while it is off", []step{{"confirm", false, false}, {"lack", true, true}}},
	}
	recorded := make([]string, 10)
	for _, c := range cases {
		a := newAccount("a", &Options{})
		for i, s := range c.steps {
			var changed bool
			if s.do == "confirm" {
				changed = a.ConfirmDisappearance()
			} else {
				changed = a.guard.update(func(string) bool { return s.do == "lack" }, recorded)
			}
			if changed != s.changed || a.GuardOn() != s.on {
				t.Errorf("%s, step %d (%q): got changed %v, on %v; want %v, %v", c.name, i, s.do, changed, a.GuardOn(), s.changed, s.on)
			}
		}
	}
}

func TestSweep_MostRecordedSubaccountsMissing_SwitchesGuardOn(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.recorded = r.add(20)
		a := r.swept()
		id := r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Rows: plivosim.None})
		gets := r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpGet}, Status: 404})
		if _, err := get(t, a, mainID, r.recorded[0]); err == nil {
			t.Error("got no error, want a 404")
		}
		r.sweep(a)
		if _, missing, _ := a.Remote(r.recorded[0]); !a.GuardOn() || !missing.First.IsZero() {
			t.Errorf("got guard on %v, 404s %+v; want true and no 404 from before", a.GuardOn(), missing)
		}
		_, _ = get(t, a, mainID, r.recorded[0])
		r.sim.RemoveFault(id)
		r.sim.RemoveFault(gets)
		r.sweep(a)
		if _, missing, _ := a.Remote(r.recorded[0]); a.GuardOn() || !missing.First.IsZero() {
			t.Errorf("got guard on %v, 404s %+v; want false and no 404 from meanwhile", a.GuardOn(), missing)
		}
		for _, authID := range r.recorded[:11] {
			r.sim.Remove(mainID, authID)
		}
		r.sweep(a)
		_, _ = get(t, a, mainID, r.recorded[0])
		if !a.GuardOn() || !a.ConfirmDisappearance() || a.GuardOn() {
			t.Error("got the guard on after a confirmation, want it off")
		}
		if _, missing, _ := a.Remote(r.recorded[0]); !missing.First.IsZero() {
			t.Error("got a 404 from while the guard was on, want none")
		}
		r.sweep(a)
		if a.GuardOn() {
			t.Error("got the guard on again for the same missing rows, want it off")
		}
	})
}

func TestOutcome_EachValue_HasOwnName(t *testing.T) {
	seen := map[string]bool{}
	for o := OutcomeNone; o <= OutcomeFailed; o++ {
		seen[fmt.Sprint(o)] = true
	}
	if len(seen) != 6 {
		t.Errorf("got %v, want 6 names", seen)
	}
}
