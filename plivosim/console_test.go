// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestConsole_AddEditRemove_ChangeSubaccounts(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := start(t, Options{Now: func() time.Time { return now }})
	sub := r.sim.Add(mainID, "by hand", true)
	r.sim.AddNeighbour(mainID, Neighbour{Kind: Number, Subaccount: sub.AuthID})
	if got := r.want(200, "GET", collection+sub.AuthID+"/", ""); got["name"] != "by hand" || got["enabled"] != true {
		t.Errorf("got %v, want the added subaccount", got)
	}

	edited := r.sim.Edit(mainID, sub.AuthID, func(s *Subaccount) {
		s.AuthID, s.AuthToken, s.Created = "SAOTHER", "rotated", "2020-01-01"
	})
	want := Subaccount{AuthID: sub.AuthID, AuthToken: "rotated", Name: "by hand", Enabled: true, Created: "2020-01-01", Modified: "2026-03-01"}
	if got, ok := r.sim.Subaccount(mainID, sub.AuthID); !edited || !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}

	if !r.sim.Remove(mainID, sub.AuthID) || len(r.sim.Subaccounts(mainID)) != 0 {
		t.Error("Remove: got a subaccount left, want none")
	}
	if left := r.sim.Neighbours(mainID); len(left) != 1 || left[0].Subaccount != "" {
		t.Errorf("got neighbours %+v, want one without an owner", left)
	}
	if r.sim.Remove(mainID, sub.AuthID) || r.sim.Edit(mainID, sub.AuthID, func(*Subaccount) {}) {
		t.Error("got true for a removed subaccount, want false")
	}
	if r.sim.Subaccounts("MAUNKNOWN") != nil || r.sim.Remove("MAUNKNOWN", "") || len(r.sim.Calls()) != 1 {
		t.Error("got data of an unknown account, or a recorded console change")
	}
}

func TestSetToken_NewToken_ReplacesOldOne(t *testing.T) {
	r := start(t, Options{})
	r.sim.SetToken(mainID, "rotated")
	if got := r.doAs(mainID, mainToken, "GET", collection, ""); got.status != 401 {
		t.Errorf("old token: got %d, want 401", got.status)
	}
	if got := r.doAs(mainID, "rotated", "GET", collection, ""); got.status != 200 {
		t.Errorf("new token: got %d, want 200", got.status)
	}
	id, token := r.sim.AddAccount()
	if got := r.doAs(id, token, "GET", "/v1/Account/"+id+"/Subaccount/", ""); got.status != 200 {
		t.Errorf("added account: got %d, want 200", got.status)
	}
}

func TestCalls_Requests_AreRecordedWithoutTokens(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := start(t, Options{Now: func() time.Time { return now }})
	created := r.want(201, "POST", collection, `{"name":"tenant","enabled":true}`)
	id := created["auth_id"].(string)
	r.want(200, "GET", collection+"?limit=5&offset=10", "")
	r.want(204, "DELETE", collection+id+"/?cascade=true", "")
	yes := true
	want := []Call{
		{Seq: 1, At: now, Op: OpCreate, Method: "POST", Path: collection, Account: mainID, AuthID: id, InFlight: 1, Status: 201, Committed: true, Name: "tenant", Enabled: &yes},
		{Seq: 2, At: now, Op: OpList, Method: "GET", Path: collection, Account: mainID, InFlight: 1, Status: 200, Limit: 5, Offset: 10},
		{Seq: 3, At: now, Op: OpDelete, Method: "DELETE", Path: collection + id + "/", Account: mainID, AuthID: id, InFlight: 1, Status: 204, Committed: true, Cascade: &yes},
	}
	got := r.sim.Calls()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	text, err := json.Marshal(got)
	if err != nil || strings.Contains(string(text), mainToken) || strings.Contains(string(text), created["auth_token"].(string)) {
		t.Errorf("got a token in %s (%v)", text, err)
	}
	r.sim.ResetCalls()
	r.want(200, "GET", collection, "")
	if got := r.sim.Calls(); len(got) != 1 || got[0].Seq != 4 {
		t.Errorf("after the reset: got %+v, want one call with Seq 4", got)
	}
}

func TestServer_ConcurrentUse_IsConsistent(t *testing.T) {
	r := start(t, Options{RateLimit: 1000})
	r.sim.Inject(Fault{Ops: []Op{OpCreate}, Probability: 0.2, When: Late, Status: 504, Delay: time.Millisecond})
	r.sim.Inject(Fault{Rows: Stale, Probability: 0.2})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				got := r.do("POST", collection, fmt.Sprintf(`{"name":"%d-%d"}`, i, j))
				if id, ok := got.json["auth_id"].(string); ok {
					r.do("POST", collection+id+"/", `{"enabled":true}`)
					r.do("GET", collection+id+"/", "")
				}
				r.do("GET", collection, "")
				r.sim.Calls()
				r.sim.Edit(mainID, r.sim.Add(mainID, "by hand", false).AuthID, func(s *Subaccount) { s.Enabled = true })
			}
		})
	}
	wg.Wait()
	r.sim.CommitLate()
	if n := len(r.sim.Subaccounts(mainID)); n != 160 {
		t.Errorf("got %d subaccounts, want 160: 80 by request, 80 in the console", n)
	}
}
