package mainaccount

import (
	"strings"
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

func TestASweepIsCompleteOnlyIfNothingCanHaveBeenMissed(t *testing.T) {
	list := func(f plivosim.Fault) *plivosim.Fault {
		f.Ops = []plivosim.Op{plivosim.OpList}
		return &f
	}
	cases := []struct {
		name     string
		subs     int
		fault    *plivosim.Fault
		between  func(*plivosim.Server) // before the second page
		want     Outcome
		requests int
	}{
		{name: "three pages", subs: 45, want: OutcomeComplete, requests: 3},
		{name: "exactly two pages", subs: 40, want: OutcomeComplete, requests: 2},
		{name: "an empty list", want: OutcomeComplete, requests: 1},
		{name: "a list that says it is empty", subs: 45, fault: list(plivosim.Fault{Rows: plivosim.None}), want: OutcomeComplete, requests: 1},
		{name: "a row is missed between pages", subs: 45, fault: list(plivosim.Fault{Shift: 1}), want: OutcomeChanging, requests: 4},
		{name: "rows are repeated between pages", subs: 40, fault: list(plivosim.Fault{Shift: -3}), want: OutcomeChanging, requests: 2},
		{name: "the total claims more than there is", subs: 45, fault: list(plivosim.Fault{Total: 5}), want: OutcomeChanging, requests: 4},
		{name: "the list gets shorter", subs: 45, want: OutcomeChanging, requests: 3, between: func(s *plivosim.Server) {
			s.Remove(mainID, s.Subaccounts(mainID)[44].AuthID)
		}},
		{name: "the list gets longer: a row is repeated, none is missed", subs: 45, want: OutcomeComplete, requests: 3, between: func(s *plivosim.Server) {
			s.Add(mainID, "new", true)
		}},
		{name: "longer than any list", subs: 1, fault: list(plivosim.Fault{Total: 3_000_000}), want: OutcomeFailed, requests: 1},
		{name: "an error at the first page", subs: 45, fault: list(plivosim.Fault{Status: 500}), want: OutcomeFailed, requests: 1},
		{name: "a broken connection", subs: 45, fault: list(plivosim.Fault{What: plivosim.Cut}), want: OutcomeFailed, requests: 1},
		{name: "a limit", subs: 45, fault: list(plivosim.Fault{Status: 429}), want: OutcomeRateLimited, requests: 1},
		{name: "refused with 401", subs: 1, fault: list(plivosim.Fault{Status: 401}), want: OutcomeRefused, requests: 1},
		{name: "refused with 403", subs: 1, fault: list(plivosim.Fault{Status: 403}), want: OutcomeRefused, requests: 1},
		{name: "401 that may be anybody's", subs: 1, fault: list(plivosim.Fault{Status: 401, Body: plivosim.BodyHTML}), want: OutcomeFailed, requests: 1},
		{name: "403 that may be anybody's", subs: 1, fault: list(plivosim.Fault{Status: 403, Body: plivosim.BodyHTML}), want: OutcomeFailed, requests: 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				ids := r.add(c.subs)
				if c.fault != nil {
					r.sim.Inject(*c.fault)
				}
				r.before = func(n int) {
					if n == 2 && c.between != nil {
						c.between(r.sim)
					}
				}
				a := r.configure()
				time.Sleep(900 * time.Millisecond) // less than the first repetition takes
				s := a.Status()
				if s.Outcome != c.want || (s.Complete == 1) != (c.want == OutcomeComplete) {
					t.Errorf("got %s (%s), %d complete, want %s", s.Outcome, s.Message, s.Complete, c.want)
				}
				r.wantCalls(plivosim.OpList, c.requests)
				if (c.want != OutcomeComplete) != a.LastSweep().IsUnknown() {
					t.Error("a sweep is known that was not complete, or the other way round")
				}
				if c.want != OutcomeComplete && len(ids) > 0 {
					if remote, _, _ := a.Remote(absentID); !remote.IsUnknown() {
						t.Error("what an incomplete sweep lacks is taken for absent")
					}
				}
				if r.notified.Load() == 0 {
					t.Error("nobody was told")
				}
			})
		})
	}
}

func TestAnAccidentAtOnePageDoesNotCostTheOthers(t *testing.T) {
	cases := []struct {
		name     string
		fault    plivosim.Fault
		want     Outcome
		requests int
	}{
		{"an error", plivosim.Fault{Status: 500, Times: 2}, OutcomeComplete, 5},
		{"a broken connection", plivosim.Fault{What: plivosim.Cut, Times: 1}, OutcomeComplete, 4},
		{"a limit", plivosim.Fault{Status: 429, Times: 1}, OutcomeComplete, 4},
		{"more than accidents", plivosim.Fault{Status: 500, Times: 3}, OutcomeFailed, 4},
		{"a refusal is none", plivosim.Fault{Status: 401, Times: 1}, OutcomeRefused, 2},
	}
	for _, c := range cases {
		bubble(t, func(t *testing.T, r *rig) {
			r.add(45)
			c.fault.Skip = 1
			r.sim.Inject(c.fault)
			a := r.configure()
			for a.Status().Outcome == OutcomeNone {
				time.Sleep(100 * time.Millisecond)
			}
			if s := a.Status(); s.Outcome != c.want {
				t.Errorf("%s: %s (%s)", c.name, s.Outcome, s.Message)
			}
			r.wantCalls(plivosim.OpList, c.requests)
		})
	}
}

// Whoever deletes subaccounts in a loop keeps no sweep from being complete, and
// none from showing all that is there.
func TestASweepIsCompleteWhateverWeDeleteMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ids := r.add(200) // the newest are listed first
		a := r.swept()
		deleting := true
		r.before = func(int) {
			if !deleting || len(ids) == 195 {
				return
			}
			deleting = false // its own request comes here too
			last := ids[len(ids)-1]
			ids = ids[:len(ids)-1]
			if err := remove(t, a, mainID, last, false); err != nil {
				t.Error(err)
			}
			deleting = true
		}
		a.RequestSweep(time.Now())
		time.Sleep(time.Minute)
		if s := a.Status(); s.Complete != 2 || s.Outcome != OutcomeComplete || s.Total != len(ids) {
			t.Errorf("%+v, want a second sweep that shows %d", s, len(ids))
		}
		for _, id := range ids {
			if remote, _, _ := a.Remote(id); remote.IsAbsent() {
				t.Errorf("%s is taken for absent", id)
			}
		}
		r.wantCalls(plivosim.OpDelete, 5)
	})
}

func TestASweepThatFailedIsRepeatedWithPatience(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.sim.Inject(plivosim.Fault{Status: 500})
		a := r.configure()
		time.Sleep(time.Hour)
		if n := len(r.sim.Calls()); n < 60 || n > 70 { // 1, 2, 4, … 60 s, then each minute
			t.Errorf("%d requests in an hour of failures", n)
		}
		r.sim.ClearFaults()
		time.Sleep(2 * time.Minute)
		if a.Status().Outcome != OutcomeComplete {
			t.Error("it did not recover")
		}
	})
}

func TestSweepsComeOncePerInterval(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.swept()
		time.Sleep(20 * interval)
		if n := len(r.sim.Calls()); n < 20 || n > 23 { // up to a tenth early
			t.Errorf("%d sweeps in 20 intervals", n)
		}
		r.sim.ResetCalls()
		r.registry.Configure("a", credentials(mainID, mainToken), 100, 10*time.Minute)
		time.Sleep(20 * interval)
		if n := len(r.sim.Calls()); n < 9 || n > 12 {
			t.Errorf("%d sweeps in 10 longer intervals", n)
		}
	})
}

func TestOneSweepServesAllThatAskAndNoneBeforeItsTime(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		now := time.Now()
		for _, later := range []time.Duration{time.Minute, 30 * time.Second, 45 * time.Second, 30 * time.Second} {
			a.RequestSweep(now.Add(later))
		}
		time.Sleep(30*time.Second - 1)
		r.wantCalls(plivosim.OpList, 0)
		time.Sleep(time.Minute)
		r.wantCalls(plivosim.OpList, 1)
		if sweep, _ := a.LastSweep().Get(); sweep.Started.Before(now.Add(30 * time.Second)) {
			t.Errorf("it started %v after the call", sweep.Started.Sub(now))
		}
		a.RequestSweep(time.Now().Add(-time.Hour)) // has been due for long: at once
		time.Sleep(time.Second)
		r.wantCalls(plivosim.OpList, 2)
	})
}

func TestASweepThatIsUnderWayDoesNotServeWhoAsksForALaterOne(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.add(45)
		a := r.swept()
		var asked time.Time
		r.before = func(n int) {
			if n == 5 { // the second page of the second sweep
				time.Sleep(time.Second)
				asked = time.Now()
				a.RequestSweep(asked)
			}
		}
		a.RequestSweep(time.Now())
		time.Sleep(10 * time.Second)
		r.wantCalls(plivosim.OpList, 3)
		if sweep, _ := a.LastSweep().Get(); !sweep.Started.Before(asked) {
			t.Error("the sweep under way is said to have started later")
		}
		a.RequestSweep(asked) // who asked for later asks again, when told of the end
		time.Sleep(10 * time.Second)
		r.wantCalls(plivosim.OpList, 6)
		if sweep, _ := a.LastSweep().Get(); sweep.Started.Before(asked) {
			t.Error("the last sweep started before it was asked for")
		}
	})
}

func TestAWantedSweepIsRepeatedUntilItIsComplete(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		r.sim.Inject(plivosim.Fault{Status: 502, Times: 2})
		a.RequestSweep(time.Now())
		time.Sleep(10 * time.Second)
		r.wantCalls(plivosim.OpList, 3)
		if a.Status().Complete != 2 {
			t.Error("no complete sweep came")
		}
	})
}

func TestTheListIsTakenIn(t *testing.T) {
	const marker = "k8s-01234567-01234567-89ab-cdef-0123-456789abcdef"
	bubble(t, func(t *testing.T, r *rig) {
		ids := r.add(2)
		stray := r.sim.Add(mainID, marker, false)
		a := r.configure()
		if remote, _, _ := a.Remote(ids[0]); !remote.IsUnknown() {
			t.Error("known before the first sweep")
		}
		time.Sleep(plivo.Window)
		remote, _, gone := a.Remote(stray.AuthID)
		got, ok := remote.Get()
		want := a.options.Digester.Digest([]byte(stray.AuthToken))
		if !ok || gone || got.Name != marker || got.Enabled || got.TokenDigest != want || got.UpdateUnconfirmed {
			t.Errorf("%+v, %v", got, ok)
		}
		if b := a.WithMarker(marker); len(b) != 1 || b[0] != stray.AuthID {
			t.Errorf("bearing: %v", b)
		}
		if m := a.AllWithMarker(); len(m) != 1 || m[stray.AuthID] != marker {
			t.Errorf("marked: %v", m)
		}
		if a.Status().Total != 3 {
			t.Errorf("%+v", a.Status())
		}
		r.sim.Remove(mainID, stray.AuthID)
		a.RequestSweep(time.Now())
		time.Sleep(time.Second)
		if remote, _, gone := a.Remote(stray.AuthID); !remote.IsAbsent() || gone || len(a.WithMarker(marker)) != 0 {
			t.Error("what a complete sweep lacks stays")
		}
	})
}

func TestAListThatClaimsMoreThanAnyCanHoldIsNotReadOn(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.add(100)
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Total: 1_000_000_000})
		a := r.configure()
		time.Sleep(500 * time.Millisecond)
		status := a.Status()
		if status.Outcome != OutcomeFailed || !strings.Contains(status.Message, "longer than any list") || status.Complete != 0 {
			t.Errorf("%+v", status)
		}
		if calls := r.sim.Calls(); len(calls) != 1 { // of the list's five pages
			t.Errorf("%v", calls)
		}
	})
}

func TestAListThatGrowsAsFastAsItIsReadEnds(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.add(100)
		r.before = func(int) { r.add(plivo.MaxPageSize) }
		a := r.configure()
		time.Sleep(30 * time.Second)
		status := a.Status()
		if status.Outcome != OutcomeFailed || !strings.Contains(status.Message, "grows as fast") || status.Complete != 0 {
			t.Errorf("%+v", status)
		}
	})
}

func TestRequestReconcile_NewValue_StartsOneSweepAndReportsItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.add(1)
		a := r.swept()
		for range 3 {
			a.RequestReconcile("first") // each reconcile of the Account repeats it
			time.Sleep(time.Second)
		}
		r.wantCalls(plivosim.OpList, 1)
		if value := a.HandledReconcile(); value != "first" {
			t.Errorf("got %q after the sweep has ended", value)
		}

		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Status: 401, Times: 2})
		a.RequestReconcile("refused")
		time.Sleep(time.Second)
		if value := a.HandledReconcile(); value != "refused" {
			t.Errorf("got %q after a sweep whose credentials were refused", value)
		}
		a.RequestReconcile("still refused")
		a.RequestReconcile("credentials work again")
		time.Sleep(time.Second)
		a.RequestReconcile("last")
		time.Sleep(time.Second)
		if u := a.Usable(); u.Refused {
			t.Error("refused credentials are not tried on request")
		}
		r.wantCalls(plivosim.OpList, 4)
	})
}

func TestRequestReconcile_WhileASweepRuns_WaitsForTheNextOne(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, When: plivosim.After, Delay: 2 * time.Second, Times: 2})
		a.RequestReconcile("first")
		time.Sleep(time.Second)
		a.RequestReconcile("second")
		time.Sleep(2 * time.Second) // the first sweep has ended, the second runs
		if value := a.HandledReconcile(); value != "" {
			t.Errorf("%q is handled: the sweep that has ended started before the last request", value)
		}
		time.Sleep(2 * time.Second)
		if value := a.HandledReconcile(); value != "second" {
			t.Errorf("got %q", value)
		}
		r.wantCalls(plivosim.OpList, 2)
	})
}
