// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func always(string) fault { return fine }

// once returns a fault for the first call of a step.
func once(step plan.Step, f fault) func(string) fault {
	done := false
	return func(s string) fault {
		if s != string(step) || done {
			return fine
		}
		done = true
		return f
	}
}

func TestReconcile_NoFaults_CreatesUpdatesAndDeletes(t *testing.T) {
	w := newWorld(always)
	d := w.reconcile()
	want := []string{"DeclareIntent", "AddFinalizer", "Create", "Record", "ReadClaim", "Update", "WriteSecret"}
	if !slices.Equal(w.trace, want) || d.Reason != v1alpha1.ReasonReady {
		t.Errorf("got %v, then %s; want %v, then Ready", w.trace, d.Reason, want)
	}
	w.trace = nil
	if w.reconcile(); len(w.trace) > 0 || w.summary.Changed {
		t.Errorf("second reconcile: got %v, changed %v; want no step and no change", w.trace, w.summary.Changed)
	}
	w.remove()
	w.reconcile()
	if want := []string{"Delete", "RemoveSecret", "RemoveFinalizer"}; !slices.Equal(w.trace, want) || len(w.live) > 0 {
		t.Errorf("deletion: got %v, want %v", w.trace, want)
	}
}

func TestReconcile_OneFault_Recovers(t *testing.T) {
	for _, r := range []struct {
		name string
		step plan.Step
		f    fault
		want []string // steps, beginning with the faulty one
	}{
		{"response lost, created", plan.StepCreate, committed, []string{"Create", "sweep", "Record", "ReadClaim", "Update", "Get", "WriteSecret"}},
		{"response lost, not created", plan.StepCreate, lostCall,
			[]string{"Create", "sweep", "sweep", "DeclareIntent", "Create", "Record", "ReadClaim", "Update", "WriteSecret"}},
		{"response lost, created late", plan.StepCreate, late, []string{"Create", "sweep", "sweep", "Record", "ReadClaim", "Update", "Get", "WriteSecret"}},
		{"crash after the call", plan.StepCreate, crashed, []string{"Create", "sweep", "Record", "ReadClaim", "Update", "Get", "WriteSecret"}},
		{"crash after the record", plan.StepRecord, crashed, []string{"Record", "ReadClaim", "Update", "Get", "WriteSecret"}},
		{"failed to write the record", plan.StepRecord, lostCall, []string{"Record", "Record", "ReadClaim", "Update", "WriteSecret"}},
		{"refused", plan.StepCreate, refusal, []string{"Create", "ClearIntent"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(once(r.step, r.f))
			var d decision
			for range 8 {
				d = w.reconcile()
				w.wait(d)
			}
			reason := v1alpha1.ReasonReady
			if r.f == refusal {
				reason = v1alpha1.ReasonRejected
			}
			if got := w.trace[slices.Index(w.trace, string(r.step)):]; !slices.Equal(got, r.want) || d.Reason != reason {
				t.Errorf("%v, then %s\nwant %v, then %s", got, d.Reason, r.want, reason)
			}
		})
	}
}

// simulate runs with random faults, and then without faults.
func simulate(t *rapid.T) {
	calm := false
	w := newWorld(func(step string) fault {
		if calm || rapid.IntRange(0, 2).Draw(t, step) > 0 {
			return fine
		}
		return from(t, step+" fault", refusal, committed, lostCall, late, crash, crashed, stale, wrong404)
	})
	removed := false
	step := func() {
		w.wait(w.reconcile())
		if len(w.live)+len(w.late) > 1 {
			t.Fatalf("got %d subaccounts at once, want at most 1: %v", len(w.live)+len(w.late), w.trace)
		}
	}
	for range rapid.IntRange(1, 25).Draw(t, "reconciles") {
		if w.released {
			break
		}
		switch rapid.IntRange(0, 14).Draw(t, "event") {
		case 0:
			w.edit(func(s *v1alpha1.SubaccountSpec) { s.Name = new(from(t, "name", "team-b", "team-c")) })
		case 1:
			w.edit(func(s *v1alpha1.SubaccountSpec) { s.Suspend = new(flag(t, "suspend")) })
		case 2:
			w.live = map[string]plan.Remote{} // deleted at Plivo
		case 3:
			if !removed && flag(t, "remove") {
				w.remove()
				removed = true
			}
		case 4:
			w.sweep(w.now)
		case 5:
			w.secret = plan.Absent[plan.Secret]()
		}
		if !w.released {
			step()
		}
	}
	calm = true
	w.edit(func(s *v1alpha1.SubaccountSpec) { s.Suspend = nil })
	for range 20 {
		if !w.released {
			w.sweep(w.now.Add(time.Minute))
			step()
		}
	}
	checkEnd(t, w, removed)
}

func checkEnd(t *rapid.T, w *world, removed bool) {
	if removed {
		if !w.released || len(w.live) > 0 {
			t.Fatalf("got finalizer removed %v, at Plivo %v; want true and none: %v", w.released, w.liveIDs(), w.trace)
		}
		return
	}
	status := w.object.Status
	if states := status.Conditions; len(states) == 0 || states[0].Status != "True" {
		t.Fatalf("got conditions %+v, want Ready: %v", states, w.trace)
	}
	r, ok := w.live[status.AuthID]
	secret, _ := w.secret.Get()
	if !ok || len(w.live) != 1 || r.Name != *w.object.Spec.Name || !r.Enabled || secret.AuthID != status.AuthID || secret.TokenDigest != r.TokenDigest {
		t.Fatalf("got status %s, at Plivo %+v, Secret %+v; want them to agree: %v", status.AuthID, w.live, secret, w.trace)
	}
}

func TestReconcile_AnyFaults_ExactlyOneSubaccountRemains(t *testing.T) {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline) && !t.Failed(); {
		rapid.Check(t, simulate)
	}
}
