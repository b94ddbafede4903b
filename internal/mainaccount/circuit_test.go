// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func TestCircuit_CredentialsRefused_SendsOnlyProbes(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.swept()
		r.sim.SetToken(mainID, "rotated")
		_, err := get(t, a, mainID, one)
		wantKind(t, err, plivo.KindUnauthorized)
		time.Sleep(time.Second)
		if u := a.Usable(); !u.Refused || u.Message == "" || u.ID != mainID {
			t.Errorf("got %+v, want Refused with a message", u)
		}
		time.Sleep(probeInterval)
		if a.Status().Outcome != OutcomeRefused {
			t.Errorf("got %+v, want refused", a.Status())
		}
		r.sim.ResetCalls()
		for range 50 {
			_, err := get(t, a, mainID, one)
			wantKind(t, err, plivo.KindNotSent)
			wantKind(t, update(t, a, mainID, one, "n", true), plivo.KindNotSent)
			wantKind(t, remove(t, a, mainID, one, false), plivo.KindNotSent)
			a.RequestSweep(time.Now())
			time.Sleep(probeInterval / 10)
		}
		r.wantCalls(plivosim.OpList, 5)
		if n := len(r.sim.Calls()); n != 5 {
			t.Errorf("got %d requests in five probe intervals, want 5", n)
		}

		r.sim.SetToken(mainID, mainToken) // the next probe succeeds
		time.Sleep(probeInterval)
		if _, err := get(t, a, mainID, one); err != nil || a.Usable().Refused {
			t.Errorf("got %v with working credentials, want no error", err)
		}
	})
}

func TestCircuit_NewCredentials_CloseItAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.swept()
		r.sim.SetToken(mainID, "rotated")
		_, err := get(t, a, mainID, one)
		wantKind(t, err, plivo.KindUnauthorized)
		time.Sleep(time.Second)
		r.configure() // with the same credentials
		if !a.Usable().Refused {
			t.Error("got the circuit closed by the same credentials, want it open")
		}
		r.sim.ResetCalls()
		if b := r.registry.Configure("a", credentials(mainID, "rotated"), 100, interval, false); b != a {
			t.Error("got a new account for a rotated token, want the same one")
		}
		if _, err := get(t, a, mainID, one); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		r.wantCalls(plivosim.OpList, 1) // the sweep that checks them
	})
}

func TestConfigure_NewCredentialsAfterRefusal_SweepAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.sim.SetToken(mainID, "good")
		r.registry.Configure("a", credentials(mainID, "bad"), 100, interval, false)
		time.Sleep(time.Second)
		r.wantCalls(plivosim.OpList, 1)
		a := r.registry.Configure("a", credentials(mainID, "good"), 100, interval, false)
		if s := a.Status(); s.Outcome != OutcomeNone {
			t.Errorf("got %s before the first response to new credentials, want none", s.Outcome)
		}
		time.Sleep(time.Second)
		if s := a.Status(); s.Complete != 1 {
			t.Errorf("got %+v, want one complete sweep", s)
		}
	})
}

func TestCircuit_LateResponseToOldCredentials_IsIgnored(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.swept()
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpGet}, Status: 401, Delay: 3 * time.Second})
		var all sync.WaitGroup
		all.Go(func() {
			_, err := get(t, a, mainID, one)
			wantKind(t, err, plivo.KindUnauthorized)
		})
		time.Sleep(time.Second)
		r.sim.SetToken(mainID, "rotated")
		r.registry.Configure("a", credentials(mainID, "rotated"), 100, interval, false)
		all.Wait()
		if a.Usable().Refused {
			t.Error("got the circuit open for the new credentials, want it closed")
		}
	})
}

func TestSend_RateLimited_PausesMainAccount(t *testing.T) {
	cases := []struct {
		name  string
		fault plivosim.Fault
		want  time.Duration
	}{
		{"429", plivosim.Fault{Status: 429}, plivo.Window},
		{"429 without JSON", plivosim.Fault{Status: 429, Body: plivosim.BodyHTML}, plivo.Window},
		{"429 with Retry-After", plivosim.Fault{Status: 429, RetryAfter: 40}, 40 * time.Second},
		{"429 with a long Retry-After", plivosim.Fault{Status: 429, RetryAfter: 3600}, time.Hour},
		{"503 with Retry-After", plivosim.Fault{Status: 503, RetryAfter: 40}, 40 * time.Second},
		{"503 with a long Retry-After", plivosim.Fault{Status: 503, RetryAfter: 3600}, time.Minute},
		{"500", plivosim.Fault{Status: 500}, 0},
	}
	for _, c := range cases {
		bubble(t, func(t *testing.T, r *rig) {
			one := r.add(1)[0]
			a := r.swept()
			c.fault.Times = 1
			r.sim.Inject(c.fault)
			if _, err := get(t, a, mainID, one); err == nil {
				t.Error("got no error, want one")
			}
			start := time.Now()
			_, err := get(t, a, mainID, one)
			for plivo.IsKind(err, plivo.KindRateLimited) { // returned at once instead of a long wait
				time.Sleep(time.Second)
				_, err = get(t, a, mainID, one)
			}
			if err != nil {
				t.Error(err)
			}
			if got := time.Since(start); got != c.want {
				t.Errorf("%s: next call: got a wait of %v, want %v", c.name, got, c.want)
			}
		})
	}
}

func TestSend_OtherMainAccount_SendsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.swept()
		for range 200 { // twice the budget: a call that is not sent frees its slot
			slot, err := a.AcquireSlot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.Create(t.Context(), slot, otherID, "n")
			wantKind(t, err, plivo.KindNotSent)
		}
		_, err := get(t, a, otherID, one)
		wantKind(t, err, plivo.KindNotSent)
		wantKind(t, update(t, a, otherID, one, "n", true), plivo.KindNotSent)
		wantKind(t, remove(t, a, otherID, one, false), plivo.KindNotSent)
		if n := len(r.sim.Calls()); n != 0 {
			t.Errorf("got %d requests, want none", n)
		}
	})
}

func TestCreate_AfterDeadline_IsNotSentAndFreesSlot(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		start := time.Now()
		for range 200 {
			slot, err := a.AcquireSlot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithDeadline(t.Context(), time.Now())
			_, err = a.Create(ctx, slot, mainID, "n")
			cancel()
			wantKind(t, err, plivo.KindNotSent)
		}
		r.wantCalls(plivosim.OpCreate, 0)
		if !time.Now().Equal(start) {
			t.Error("got a wait for slots, want none")
		}
	})
}

func TestCreate_LostResponses_FreeTheirSlots(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a := r.swept()
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Status: 500})
		for range 10 {
			slot, err := a.AcquireSlot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.Create(t.Context(), slot, mainID, "n")
			wantKind(t, err, plivo.KindUnknown)
		}
		r.sim.SetToken(mainID, "rotated")
		r.registry.Configure("a", credentials(mainID, "rotated"), 100, interval, false)
		for range 2 { // slots at the same time
			if _, err := a.AcquireSlot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestSend_One401Or403_RequestsListOnly(t *testing.T) {
	cases := map[string]plivosim.Fault{
		"401":                  {Status: 401},
		"401 of a proxy":       {Status: 401, Body: plivosim.BodyHTML},
		"401 without any body": {Status: 401, Body: plivosim.BodyEmpty},
		"403":                  {Status: 403},
		"403 of a proxy":       {Status: 403, Body: plivosim.BodyHTML},
	}
	for name, fault := range cases {
		bubble(t, func(t *testing.T, r *rig) {
			one := r.add(45)[0]
			a := r.swept()
			fault.Times = 1
			r.sim.Inject(fault)
			if err := update(t, a, mainID, one, "new", true); err == nil {
				t.Errorf("%s: got no error, want one", name)
			}
			time.Sleep(time.Second)
			r.wantCalls(plivosim.OpList, 1)
			if err := update(t, a, mainID, one, "new", true); err != nil || a.Usable().Refused {
				t.Errorf("%s: next update: got %v, refused %v; want no error, false", name, err, a.Usable().Refused)
			}
		})
	}
}

func TestSend_CredentialsRefused_OpensCircuitWithinOneSecond(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.swept()
		r.sim.SetToken(mainID, "rotated")
		_, err := get(t, a, mainID, one)
		wantKind(t, err, plivo.KindUnauthorized)
		time.Sleep(time.Second)
		if u := a.Usable(); !u.Refused || u.Message == "" || u.ID != mainID {
			t.Errorf("got %+v, want Refused with a message", u)
		}
		r.sim.SetToken(mainID, mainToken)
		time.Sleep(time.Minute)
		if a.Usable().Refused {
			t.Error("got Refused one minute after the credentials work again")
		}
	})
}

func TestSweep_401FromProxy_KeepsCircuitClosed(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.swept()
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Status: 401, Body: plivosim.BodyHTML})
		a.RequestSweep(time.Now())
		time.Sleep(time.Second)
		if _, err := get(t, a, mainID, one); err != nil || a.Status().Outcome != OutcomeFailed {
			t.Errorf("got %v from a get, sweep %s; want no error, failed", err, a.Status().Outcome)
		}
	})
}

func TestSend_Repeated403WhileListsWork_IsForbiddenOnRetry(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.swept()
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Status: 403})
		wantKind(t, update(t, a, mainID, one, "n", true), plivo.KindUnauthorized)
		time.Sleep(time.Second)
		wantKind(t, update(t, a, mainID, one, "n", true), plivo.KindForbidden)
		time.Sleep(time.Hour) // an old list proves nothing about the credentials
		wantKind(t, update(t, a, mainID, one, "n", true), plivo.KindUnauthorized)
	})
}

func TestSend_403WhileListsFail_StaysUnauthorized(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		a := r.swept()
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Status: 403})
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Status: 500})
		for range 3 {
			wantKind(t, update(t, a, mainID, one, "n", true), plivo.KindUnauthorized)
			time.Sleep(10 * time.Second)
		}
		r.wantCalls(plivosim.OpList, 3)
	})
}
