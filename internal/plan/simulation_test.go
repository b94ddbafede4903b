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

// once answers the first call of a step with a fault.
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

func TestOnePassLifeOfANewSubaccount(t *testing.T) {
	w := newWorld(always)
	d := w.pass()
	want := []string{"DeclareIntent", "AddFinalizer", "Create", "Record", "ReadClaim", "Update", "WriteSecret"}
	if !slices.Equal(w.trace, want) || d.Reason != v1alpha1.ReasonReady {
		t.Errorf("%v, then %s; want %v", w.trace, d.Reason, want)
	}
	w.trace = nil
	if w.pass(); len(w.trace) > 0 || w.summary.Changed {
		t.Errorf("the second pass: %v, changed %v", w.trace, w.summary.Changed)
	}
	w.remove()
	w.pass()
	if want := []string{"Delete", "RemoveSecret", "RemoveFinalizer"}; !slices.Equal(w.trace, want) || len(w.live) > 0 {
		t.Errorf("deletion: %v, want %v", w.trace, want)
	}
}

func TestLivesWithOneFault(t *testing.T) {
	for _, r := range []struct {
		name string
		step plan.Step
		f    fault
		want []string // from the faulty step on
	}{
		{"answer lost, made", plan.StepCreate, committed, []string{"Create", "sweep", "Record", "ReadClaim", "Update", "Get", "WriteSecret"}},
		{"answer lost, not made", plan.StepCreate, lostCall,
			[]string{"Create", "sweep", "sweep", "DeclareIntent", "Create", "Record", "ReadClaim", "Update", "WriteSecret"}},
		{"answer lost, made late", plan.StepCreate, late, []string{"Create", "sweep", "sweep", "Record", "ReadClaim", "Update", "Get", "WriteSecret"}},
		{"crash after the call", plan.StepCreate, crashed, []string{"Create", "sweep", "Record", "ReadClaim", "Update", "Get", "WriteSecret"}},
		{"crash after the record", plan.StepRecord, crashed, []string{"Record", "ReadClaim", "Update", "Get", "WriteSecret"}},
		{"record not written", plan.StepRecord, lostCall, []string{"Record", "Record", "ReadClaim", "Update", "WriteSecret"}},
		{"refused", plan.StepCreate, refusal, []string{"Create", "ClearIntent"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(once(r.step, r.f))
			var d decision
			for range 8 {
				d = w.pass()
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

// simulate lets faults come as they may, and then none any more.
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
		w.wait(w.pass())
		if len(w.live)+len(w.late) > 1 {
			t.Fatalf("%d subaccounts at once: %v", len(w.live)+len(w.late), w.trace)
		}
	}
	for range rapid.IntRange(1, 25).Draw(t, "passes") {
		if w.released {
			break
		}
		switch rapid.IntRange(0, 14).Draw(t, "event") {
		case 0:
			w.edit(func(s *v1alpha1.SubaccountSpec) { s.Name = new(from(t, "name", "team-b", "team-c")) })
		case 1:
			w.edit(func(s *v1alpha1.SubaccountSpec) { s.Suspend = new(flag(t, "suspend")) })
		case 2:
			w.live = map[string]plan.Remote{} // somebody deletes it at Plivo
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
			t.Fatalf("released %v, at Plivo %v: %v", w.released, w.liveIDs(), w.trace)
		}
		return
	}
	status := w.object.Status
	if states := status.Conditions; len(states) == 0 || states[0].Status != "True" {
		t.Fatalf("not Ready: %+v: %v", states, w.trace)
	}
	r, ok := w.live[status.AuthID]
	secret, _ := w.secret.Get()
	if !ok || len(w.live) != 1 || r.Name != *w.object.Spec.Name || !r.Enabled || secret.AuthID != status.AuthID || secret.TokenDigest != r.TokenDigest {
		t.Fatalf("status %s, at Plivo %+v, Secret %+v: %v", status.AuthID, w.live, secret, w.trace)
	}
}

func TestWhateverFailsThereIsExactlyOne(t *testing.T) {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline) && !t.Failed(); {
		rapid.Check(t, simulate)
	}
}
