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

// What passes in time is tested in a synctest bubble: its clock moves only when
// everything waits, so that every time is exact.

func onlyMain(o Options) *Server {
	o.Accounts = map[string]string{mainID: mainToken}
	return New(o)
}

func createRequest() *http.Request {
	return httptest.NewRequest("POST", collection, strings.NewReader(`{"name":"x"}`))
}

func TestDelays(t *testing.T) {
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
		{"cut after a while", 0, Fault{What: Cut, Delay: 3 * time.Second}, 0, 3 * time.Second},
		{"hang", 0, Fault{What: Hang, Delay: 3 * time.Second}, 0, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := onlyMain(Options{Latency: c.latency})
				sim.Inject(c.fault)
				begin := time.Now()
				rec, err := serve(sim, createRequest())
				if took := time.Since(begin); took != c.after {
					t.Errorf("took %v, want %v", took, c.after)
				}
				if c.status == 0 && err == nil || c.status != 0 && rec.Code != c.status {
					t.Errorf("answered %d (%v), want %d", rec.Code, err, c.status)
				}
			})
		})
	}
}

func TestHangUntilTheClientGoes(t *testing.T) {
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
					t.Errorf("ended after %v (%v), want a cut after a minute", took, err)
				}
				if made := len(sim.Subaccounts(mainID)) == 1; made != (when == After) {
					t.Errorf("made: %v", made)
				}
				if call := sim.Calls()[0]; call.Status != 0 {
					t.Errorf("recorded as %+v", call)
				}
				sim.CommitLate()
			})
		})
	}
}

func TestLateCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := onlyMain(Options{})
		sim.Inject(Fault{Ops: []Op{OpCreate}, When: Late, Status: 504, Delay: time.Minute})
		begin := time.Now()
		rec, _ := serve(sim, createRequest())
		if rec.Code != 504 || time.Since(begin) != 0 {
			t.Errorf("answered %d after %v", rec.Code, time.Since(begin))
		}
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		if subs := sim.Subaccounts(mainID); len(subs) != 0 {
			t.Errorf("made too early: %+v", subs)
		}
		time.Sleep(1)
		synctest.Wait()
		subs := sim.Subaccounts(mainID)
		if len(subs) != 1 {
			t.Fatalf("after the delay there are %d subaccounts", len(subs))
		}
		if call := sim.Calls()[0]; !call.Committed || call.AuthID != subs[0].AuthID || call.Status != 504 {
			t.Errorf("recorded as %+v", call)
		}
	})
}

func TestCommitLateDoesNotRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := onlyMain(Options{})
		sim.Inject(Fault{When: Late, What: Cut, Delay: time.Minute})
		_, _ = serve(sim, createRequest())
		if n := sim.CommitLate(); n != 1 {
			t.Errorf("%d late commits, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(sim.Subaccounts(mainID)); n != 1 || sim.CommitLate() != 0 {
			t.Errorf("%d subaccounts, want 1", n)
		}
	})
}

func TestRateLimitIsASlidingWindow(t *testing.T) {
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := begin
	r := start(t, Options{RateLimit: 3, Now: func() time.Time { return now }})
	for _, step := range []struct {
		at     time.Duration
		status int
	}{
		{0, 200}, {4 * time.Second, 200}, {4500 * time.Millisecond, 200},
		{4999 * time.Millisecond, 429}, // a fixed window or a bucket that leaks would pass it
		{5 * time.Second, 200},         // the first is 5 s ago
		{5 * time.Second, 429},         // and what was refused took no slot
		{8999 * time.Millisecond, 429},
		{9 * time.Second, 200},
		{9499 * time.Millisecond, 429},
		{9500 * time.Millisecond, 200},
	} {
		now = begin.Add(step.at)
		got := r.do("GET", collection, "")
		if got.status != step.status {
			t.Errorf("at %v: %d, want %d", step.at, got.status, step.status)
		}
		if step.status == 429 && (got.json["error"] == nil || got.header.Get("Retry-After") != "") {
			t.Errorf("at %v: %v %s", step.at, got.header, got.raw)
		}
		// Neither another account nor wrong credentials use up the window.
		if got := r.doAs(mainID, "wrong", "GET", collection, ""); got.status != 401 {
			t.Errorf("at %v with a wrong token: %d", step.at, got.status)
		}
	}
	other := r.doAs(otherID, "other-token", "GET", "/v1/Account/"+otherID+"/Subaccount/", "")
	if other.status != 200 {
		t.Errorf("the other account: %d", other.status)
	}
}
