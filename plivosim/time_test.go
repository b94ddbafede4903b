// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// These tests run in a synctest bubble: its clock moves only when every goroutine waits,
// so that every time is exact.

func onlyMain(o Options) *Server {
	o.Accounts = map[string]string{mainID: mainToken}
	return New(o)
}

func createRequest() *http.Request {
	return httptest.NewRequest("POST", collection, strings.NewReader(`{"name":"x"}`))
}

func TestFault_Delays_AreExact(t *testing.T) {
	for _, c := range []struct {
		name    string
		latency time.Duration
		fault   Fault
		status  int // 0: cut
		after   time.Duration
	}{
		{"latency", time.Second, Fault{When: After}, 201, time.Second},
		{"slow", 0, Fault{When: After, Delay: 3 * time.Second}, 201, 3 * time.Second},
		{"slow with latency", time.Second, Fault{When: After, Delay: 3 * time.Second}, 201, 4 * time.Second},
		{"cut after a delay", 0, Fault{What: Cut, Delay: 3 * time.Second}, 0, 3 * time.Second},
		{"hang", 0, Fault{What: Hang, Delay: 3 * time.Second}, 0, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := onlyMain(Options{Latency: c.latency})
				sim.Inject(c.fault)
				begin := time.Now()
				rec, err := serve(sim, createRequest())
				if took := time.Since(begin); took != c.after {
					t.Errorf("got a duration of %v, want %v", took, c.after)
				}
				got := rec.Code
				if err != nil {
					got = 0
				}
				if got != c.status {
					t.Errorf("got %d (%v), want %d", rec.Code, err, c.status)
				}
			})
		})
	}
}

func TestFault_Hang_EndsWithClient(t *testing.T) {
	for _, when := range []When{Before, After, Late} {
		t.Run("when="+string(when), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := onlyMain(Options{})
				fault := Fault{When: when, What: Hang}
				if when == Late {
					fault.Delay = time.Hour
				}
				sim.Inject(fault)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begin := time.Now()
				_, err := serve(sim, createRequest().WithContext(ctx))
				if took := time.Since(begin); err == nil || took != time.Minute {
					t.Errorf("got the end after %v (%v), want a cut after one minute", took, err)
				}
				if created := len(sim.Subaccounts(mainID)) == 1; created != (when == After) {
					t.Errorf("got created %v, want %v", created, when == After)
				}
				if call := sim.Calls()[0]; call.Status != 0 {
					t.Errorf("got recorded call %+v, want the request and its outcome", call)
				}
				sim.CommitLate()
			})
		})
	}
}

func TestFault_Late_ChangesAfterDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := onlyMain(Options{})
		sim.Inject(Fault{Ops: []Op{OpCreate}, When: Late, Status: 504, Delay: time.Minute})
		begin := time.Now()
		rec, _ := serve(sim, createRequest())
		if rec.Code != 504 || time.Since(begin) != 0 {
			t.Errorf("got %d after %v, want 504 at once", rec.Code, time.Since(begin))
		}
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		if subs := sim.Subaccounts(mainID); len(subs) != 0 {
			t.Errorf("got %+v before the delay, want none", subs)
		}
		time.Sleep(1)
		synctest.Wait()
		subs := sim.Subaccounts(mainID)
		if len(subs) != 1 {
			t.Fatalf("got %d subaccounts after the delay, want 1", len(subs))
		}
		if call := sim.Calls()[0]; !call.Committed || call.AuthID != subs[0].AuthID || call.Status != 504 {
			t.Errorf("got recorded call %+v, want the request and its outcome", call)
		}
	})
}

func TestCommitLate_BeforeDelay_ChangesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := onlyMain(Options{})
		sim.Inject(Fault{When: Late, What: Cut, Delay: time.Minute})
		_, _ = serve(sim, createRequest())
		if n := sim.CommitLate(); n != 1 {
			t.Errorf("got %d late changes, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(sim.Subaccounts(mainID)); n != 1 || sim.CommitLate() != 0 {
			t.Errorf("got %d subaccounts, want 1", n)
		}
	})
}

func TestRateLimit_Requests_CountInSlidingWindow(t *testing.T) {
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := begin
	r := start(t, Options{RateLimit: 3, Now: func() time.Time { return now }})
	for _, step := range []struct {
		at     time.Duration
		status int
	}{
		{0, 200}, {4 * time.Second, 200}, {4500 * time.Millisecond, 200},
		{4999 * time.Millisecond, 429}, // a fixed window or a leaky bucket would allow it
		{5 * time.Second, 200},         // the first request was 5 s ago
		{5 * time.Second, 429},         // a refused request does not count
		{8999 * time.Millisecond, 429},
		{9 * time.Second, 200},
		{9499 * time.Millisecond, 429},
		{9500 * time.Millisecond, 200},
	} {
		now = begin.Add(step.at)
		got := r.do("GET", collection, "")
		if got.status != step.status {
			t.Errorf("at %v: got %d, want %d", step.at, got.status, step.status)
		}
		isPlain := got.json["error"] != nil && got.header.Get("Retry-After") == ""
		if step.status == 429 && !isPlain {
			t.Errorf("at %v: got %v %s, want an error without Retry-After", step.at, got.header, got.raw)
		}
		// Other accounts and wrong credentials do not use up the window.
		if got := r.doAs(mainID, "wrong", "GET", collection, ""); got.status != 401 {
			t.Errorf("at %v with a wrong token: got %d, want 401", step.at, got.status)
		}
	}
	other := r.doAs(otherID, "other-token", "GET", "/v1/Account/"+otherID+"/Subaccount/", "")
	if other.status != 200 {
		t.Errorf("other account: got %d, want 200", other.status)
	}
}
