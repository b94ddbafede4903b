// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"strings"
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func TestSweep_RowMayBeMissed_IsIncomplete(t *testing.T) {
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
		{name: "empty list", want: OutcomeComplete, requests: 1},
		{name: "list with no rows and total 0", subs: 45, fault: list(plivosim.Fault{Rows: plivosim.None}), want: OutcomeComplete, requests: 1},
		{name: "row missed between pages", subs: 45, fault: list(plivosim.Fault{Shift: 1}), want: OutcomeChanging, requests: 4},
		{name: "rows repeated between pages", subs: 40, fault: list(plivosim.Fault{Shift: -3}), want: OutcomeChanging, requests: 2},
		{name: "total too high", subs: 45, fault: list(plivosim.Fault{Total: 5}), want: OutcomeChanging, requests: 4},
		{name: "list gets shorter", subs: 45, want: OutcomeChanging, requests: 3, between: func(s *plivosim.Server) {
			s.Remove(mainID, s.Subaccounts(mainID)[44].AuthID)
		}},
		{name: "list gets longer", subs: 45, want: OutcomeComplete, requests: 3, between: func(s *plivosim.Server) {
			s.Add(mainID, "new", true)
		}},
		{name: "total above the maximum", subs: 1, fault: list(plivosim.Fault{Total: 3_000_000}), want: OutcomeFailed, requests: 1},
		{name: "error at the first page", subs: 45, fault: list(plivosim.Fault{Status: 500}), want: OutcomeFailed, requests: 1},
		{name: "broken connection", subs: 45, fault: list(plivosim.Fault{What: plivosim.Cut}), want: OutcomeFailed, requests: 1},
		{name: "rate limit", subs: 45, fault: list(plivosim.Fault{Status: 429}), want: OutcomeRateLimited, requests: 1},
		{name: "refused with 401", subs: 1, fault: list(plivosim.Fault{Status: 401}), want: OutcomeRefused, requests: 1},
		{name: "refused with 403", subs: 1, fault: list(plivosim.Fault{Status: 403}), want: OutcomeRefused, requests: 1},
		{name: "401 without JSON", subs: 1, fault: list(plivosim.Fault{Status: 401, Body: plivosim.BodyHTML}), want: OutcomeFailed, requests: 1},
		{name: "403 without JSON", subs: 1, fault: list(plivosim.Fault{Status: 403, Body: plivosim.BodyHTML}), want: OutcomeFailed, requests: 1},
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
				time.Sleep(900 * time.Millisecond) // shorter than the pause before a retry
				s := a.Status()
				if s.Outcome != c.want || (s.Complete == 1) != (c.want == OutcomeComplete) {
					t.Errorf("got %s (%s), %d complete, want %s", s.Outcome, s.Message, s.Complete, c.want)
				}
				r.wantCalls(plivosim.OpList, c.requests)
				if (c.want != OutcomeComplete) != a.LastSweep().IsUnknown() {
					t.Error("got LastSweep, want it exactly after a complete sweep")
				}
				if c.want != OutcomeComplete && len(ids) > 0 {
					if remote, _, _ := a.Remote(absentID); !remote.IsUnknown() {
						t.Error("got a fact after an incomplete sweep, want Unknown")
					}
				}
				if r.notified.Load() == 0 {
					t.Error("got no notification, want one")
				}
			})
		})
	}
}

func TestSweep_FailedPage_IsReadAgain(t *testing.T) {
	cases := []struct {
		name     string
		fault    plivosim.Fault
		want     Outcome
		requests int
	}{
		{"error", plivosim.Fault{Status: 500, Times: 2}, OutcomeComplete, 5},
		{"broken connection", plivosim.Fault{What: plivosim.Cut, Times: 1}, OutcomeComplete, 4},
		{"rate limit", plivosim.Fault{Status: 429, Times: 1}, OutcomeComplete, 4},
		{"three errors", plivosim.Fault{Status: 500, Times: 3}, OutcomeFailed, 4},
		{"credentials refused", plivosim.Fault{Status: 401, Times: 1}, OutcomeRefused, 2},
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
				t.Errorf("%s: got %s (%s), want %s", c.name, s.Outcome, s.Message, c.want)
			}
			r.wantCalls(plivosim.OpList, c.requests)
		})
	}
}

// A tenant who deletes subaccounts in a loop must not keep every sweep incomplete.
func TestSweep_OwnDeletesMeanwhile_IsComplete(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ids := r.add(200) // lists show the newest first
		a := r.swept()
		deleting := true
		r.before = func(int) {
			if !deleting || len(ids) == 195 {
				return
			}
			deleting = false // the delete call comes here too
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
			t.Errorf("got %+v, want a second complete sweep with %d rows", s, len(ids))
		}
		for _, id := range ids {
			if remote, _, _ := a.Remote(id); remote.IsAbsent() {
				t.Errorf("got %s Absent, want not Absent", id)
			}
		}
		r.wantCalls(plivosim.OpDelete, 5)
	})
}

func TestSweep_Failures_RepeatWithBackoff(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.sim.Inject(plivosim.Fault{Status: 500})
		a := r.configure()
		time.Sleep(time.Hour)
		if n := len(r.sim.Calls()); n < 60 || n > 70 { // 1, 2, 4, … 60 s, then each minute
			t.Errorf("got %d requests in one hour of failures, want 60 to 70", n)
		}
		r.sim.ClearFaults()
		time.Sleep(2 * time.Minute)
		if a.Status().Outcome != OutcomeComplete {
			t.Error("got no complete sweep after the failures, want one")
		}
	})
}

func TestSweep_ProcessEnds_ReportsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		before, notified := a.Status(), r.notified.Load()
		r.before = func(int) { r.stop(); time.Sleep(time.Second) }
		a.RequestSweep(time.Now())
		time.Sleep(time.Minute)
		r.wantCalls(plivosim.OpList, 1)
		if after := a.Status(); after != before || r.notified.Load() != notified {
			t.Errorf("got status %+v and %d notifications, want %+v and %d", after, r.notified.Load(), before, notified)
		}
	})
}

func TestSweep_NoRequest_StartsOncePerInterval(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.swept()
		time.Sleep(20 * interval)
		if n := len(r.sim.Calls()); n < 20 || n > 23 { // each starts up to a tenth early
			t.Errorf("got %d sweeps in 20 intervals, want 20 to 23", n)
		}
		r.sim.ResetCalls()
		r.registry.Configure("a", credentials(mainID, mainToken), 100, 10*time.Minute, false)
		time.Sleep(20 * interval)
		if n := len(r.sim.Calls()); n < 9 || n > 12 {
			t.Errorf("got %d sweeps in 10 longer intervals, want 9 to 12", n)
		}
	})
}

func TestRequestSweep_SeveralRequests_StartsOneSweepInTime(t *testing.T) {
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
			t.Errorf("got a start %v after the requests, want at least 30s", sweep.Started.Sub(now))
		}
		a.RequestSweep(time.Now().Add(-time.Hour)) // due in the past: starts at once
		time.Sleep(time.Second)
		r.wantCalls(plivosim.OpList, 2)
	})
}

func TestRequestSweep_DuringSweep_NeedsAnotherSweep(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.add(45)
		a := r.swept()
		var requested time.Time
		r.before = func(n int) {
			if n == 5 { // the second page of the second sweep
				time.Sleep(time.Second)
				requested = time.Now()
				a.RequestSweep(requested)
			}
		}
		a.RequestSweep(time.Now())
		time.Sleep(10 * time.Second)
		r.wantCalls(plivosim.OpList, 3)
		if sweep, _ := a.LastSweep().Get(); !sweep.Started.Before(requested) {
			t.Error("got a sweep that started after the request, want the earlier one")
		}
		a.RequestSweep(requested) // repeated after the end of the earlier sweep
		time.Sleep(10 * time.Second)
		r.wantCalls(plivosim.OpList, 6)
		if sweep, _ := a.LastSweep().Get(); sweep.Started.Before(requested) {
			t.Error("got a sweep that started before the request, want a later one")
		}
	})
}

// While Plivo answers no create call, each of them requests a sweep of its own.
func TestRequestSweep_StreamOfRequests_StartsOneSweepPerWindow(t *testing.T) {
	bubble(t, func(_ *testing.T, r *rig) {
		a := r.swept()
		const windows = 12
		for end := time.Now().Add(windows*plivo.Window - plivo.Window/2); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			a.RequestSweep(time.Now())
		}
		r.wantCalls(plivosim.OpList, windows)
	})
}

func TestConfigure_NewCredentials_StartsSweepAtOnce(t *testing.T) {
	bubble(t, func(_ *testing.T, r *rig) {
		a := r.swept()
		r.sweep(a)
		r.sim.SetToken(mainID, "new-token")
		r.registry.Configure("a", credentials(mainID, "new-token"), 100, interval, false)
		time.Sleep(100 * time.Millisecond)
		r.wantCalls(plivosim.OpList, 2)
	})
}

func TestRequestSweep_FailedSweep_IsRepeatedUntilComplete(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		r.sim.Inject(plivosim.Fault{Status: 502, Times: 2})
		a.RequestSweep(time.Now())
		time.Sleep(10 * time.Second)
		r.wantCalls(plivosim.OpList, 3)
		if a.Status().Complete != 2 {
			t.Error("got no second complete sweep, want one")
		}
	})
}

func TestSweep_Rows_FillInventory(t *testing.T) {
	const marker = "k8s-01234567-01234567-89ab-cdef-0123-456789abcdef"
	bubble(t, func(t *testing.T, r *rig) {
		ids := r.add(2)
		stray := r.sim.Add(mainID, marker, false)
		a := r.configure()
		if remote, _, _ := a.Remote(ids[0]); !remote.IsUnknown() {
			t.Error("got a fact before the first sweep, want Unknown")
		}
		time.Sleep(plivo.Window)
		remote, _, deleted := a.Remote(stray.AuthID)
		got, ok := remote.Get()
		want := a.options.Digester.Digest([]byte(stray.AuthToken))
		if !ok || deleted || got.Name != marker || got.Enabled || got.TokenDigest != want || got.UpdateUnconfirmed {
			t.Errorf("got %+v, %v; want the stray", got, ok)
		}
		if b := a.WithMarker(marker); len(b) != 1 || b[0] != stray.AuthID {
			t.Errorf("WithMarker: got %v, want the stray", b)
		}
		if m := a.AllWithMarker(); len(m) != 1 || m[stray.AuthID] != marker {
			t.Errorf("AllWithMarker: got %v, want the stray", m)
		}
		if a.Status().Total != 3 {
			t.Errorf("got %+v, want 3 subaccounts", a.Status())
		}
		r.sim.Remove(mainID, stray.AuthID)
		a.RequestSweep(time.Now())
		time.Sleep(time.Second)
		if remote, _, deleted := a.Remote(stray.AuthID); !remote.IsAbsent() || deleted || len(a.WithMarker(marker)) != 0 {
			t.Error("got the row after a sweep without it, want Absent")
		}
	})
}

func TestSweep_TotalAboveMaximum_EndsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.add(100)
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Total: 1_000_000_000})
		a := r.configure()
		time.Sleep(500 * time.Millisecond)
		status := a.Status()
		if status.Outcome != OutcomeFailed || !strings.Contains(status.Message, "more subaccounts than") || status.Complete != 0 {
			t.Errorf("got %+v, want a failed sweep", status)
		}
		if calls := r.sim.Calls(); len(calls) != 1 { // the list has five pages
			t.Errorf("got %v, want one call", calls)
		}
	})
}

func TestSweep_EndlessList_EndsWithFailure(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.add(100)
		r.before = func(int) { r.add(plivo.MaxPageSize) }
		a := r.configure()
		time.Sleep(30 * time.Second)
		status := a.Status()
		if status.Outcome != OutcomeFailed || !strings.Contains(status.Message, "grows as fast") || status.Complete != 0 {
			t.Errorf("got %+v, want a failed sweep", status)
		}
	})
}

func TestRequestReconcile_NewValue_StartsOneSweep(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.add(1)
		a := r.swept()
		for range 3 {
			a.RequestReconcile("first") // each reconcile of the Account repeats it
			time.Sleep(time.Second)
		}
		r.wantCalls(plivosim.OpList, 1)
		if value := a.HandledReconcile(); value != "first" {
			t.Errorf("got %q after the sweep, want first", value)
		}

		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Status: 401, Times: 2})
		a.RequestReconcile("refused")
		time.Sleep(time.Second)
		if value := a.HandledReconcile(); value != "refused" {
			t.Errorf("got %q after a refused sweep, want refused", value)
		}
		a.RequestReconcile("still refused")
		a.RequestReconcile("credentials work again")
		time.Sleep(time.Second)
		a.RequestReconcile("last")
		time.Sleep(time.Second)
		if u := a.Usable(); u.Refused {
			t.Error("got Refused after a request with working credentials")
		}
		r.wantCalls(plivosim.OpList, 4)
	})
}

func TestRequestReconcile_DuringSweep_WaitsForNextSweep(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, When: plivosim.After, Delay: 2 * time.Second, Times: 2})
		a.RequestReconcile("first")
		time.Sleep(time.Second)
		a.RequestReconcile("second")
		time.Sleep(2 * time.Second) // the first sweep has ended, the second runs
		if value := a.HandledReconcile(); value != "" {
			t.Errorf("got %q, want none: the last request came after the start of the sweep", value)
		}
		time.Sleep(2 * time.Second)
		if value := a.HandledReconcile(); value != "second" {
			t.Errorf("got %q, want second", value)
		}
		r.wantCalls(plivosim.OpList, 2)
	})
}
