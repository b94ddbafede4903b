// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// control calls the control endpoint without credentials and decodes the response.
func control[T any](r *rig, status int, method, path, body string) (out T) {
	r.t.Helper()
	got := r.doAs("", "", method, "/_sim/"+path, body)
	if got.err != nil || got.status != status {
		r.t.Fatalf("%s %s %s: got %d %s (%v), want %d", method, path, body, got.status, got.raw, got.err, status)
	}
	if got.raw == "" {
		return out
	}
	if err := json.Unmarshal([]byte(got.raw), &out); err != nil {
		r.t.Fatalf("%s %s: %s: %v", method, path, got.raw, err)
	}
	return out
}

const of1 = "?account=" + mainID

func TestControl_Subaccounts_AddEditRemove(t *testing.T) {
	r := start(t, Options{})
	created := control[Subaccount](r, 201, "POST", "subaccounts"+of1, `{"name":"by hand","enabled":true}`)
	if got, _ := r.sim.Subaccount(mainID, created.AuthID); got != created || created.Name != "by hand" || !created.Enabled || created.AuthToken == "" {
		t.Errorf("got %+v added, but %+v stored", created, got)
	}
	for _, method := range []string{"PATCH", "POST"} {
		before, _ := r.sim.Subaccount(mainID, created.AuthID)
		edited := control[Subaccount](r, 200, method, "subaccounts/"+created.AuthID, `{"name":"`+method+`","rotate_token":true}`)
		after, _ := r.sim.Subaccount(mainID, created.AuthID)
		if edited != after || after.Name != method || !after.Enabled || after.AuthToken == before.AuthToken || len(after.AuthToken) != 40 {
			t.Errorf("%s: got %+v, want it changed from %+v", method, after, before)
		}
	}
	control[Subaccount](r, 200, "PATCH", "subaccounts/"+created.AuthID, `{"enabled":false}`)
	list := control[[]Subaccount](r, 200, "GET", "subaccounts"+of1, "")
	if len(list) != 1 || list[0].Enabled || list[0].Name != "POST" {
		t.Errorf("got the list %+v, want the current state", list)
	}
	control[any](r, 204, "DELETE", "subaccounts/"+created.AuthID, "")
	control[any](r, 404, "DELETE", "subaccounts/"+created.AuthID, "")
	control[any](r, 404, "PATCH", "subaccounts/"+created.AuthID, "{}")
	if list := control[[]Subaccount](r, 200, "GET", "subaccounts"+of1, ""); len(list) != 0 {
		t.Errorf("got the list %+v, want the current state", list)
	}
	control[any](r, 400, "GET", "subaccounts", "") // the account is missing
	control[any](r, 404, "GET", "subaccounts?account=MAUNKNOWN", "")
	control[any](r, 400, "POST", "subaccounts"+of1, `{"nome":"x"}`)
	if calls := r.sim.Calls(); len(calls) != 0 {
		t.Errorf("got control requests in the calls: %+v, want none", calls)
	}
}

func TestControl_OneAccount_NeedsNoQuery(t *testing.T) {
	r := start(t, Options{})
	r.sim.mu.Lock()
	delete(r.sim.accounts, otherID)
	r.sim.mu.Unlock()
	control[Subaccount](r, 201, "POST", "subaccounts", `{"name":"x"}`)
	if n := len(r.sim.Subaccounts(mainID)); n != 1 {
		t.Errorf("got %d subaccounts, want 1", n)
	}
}

func TestControl_Accounts_SetTokenAndList(t *testing.T) {
	r := start(t, Options{})
	control[any](r, 200, "PUT", "accounts/"+mainID, `{"auth_token":"rotated"}`)
	if got := r.doAs(mainID, "rotated", "GET", collection, ""); got.status != 200 {
		t.Errorf("new token: got %d, want 200", got.status)
	}
	control[any](r, 400, "PUT", "accounts/"+mainID, `{}`)
	list := control[[]controlAccount](r, 200, "GET", "accounts", "")
	if len(list) != 2 || list[0] != (controlAccount{mainID, "rotated"}) {
		t.Errorf("got the list %+v, want the current state", list)
	}
}

func TestControl_Neighbours_AddAndList(t *testing.T) {
	r := start(t, Options{})
	created := control[Neighbour](r, 201, "POST", "neighbours"+of1, `{"kind":"Endpoint","name":"desk"}`)
	list := control[[]Neighbour](r, 200, "GET", "neighbours"+of1, "")
	if len(list) != 1 || list[0] != created || created.ID == "" || created.Kind != Endpoint {
		t.Errorf("got %+v added, but the list %+v", created, list)
	}
	control[any](r, 400, "POST", "neighbours"+of1, `{"kind":"Message"}`)
}

func TestControl_Faults_InjectListRemove(t *testing.T) {
	r := start(t, Options{})
	type injected struct {
		ID, Struck int
		Fault      Fault
	}
	one := control[map[string]int](r, 201, "POST", "faults", `{"ops":["get"],"status":503,"delay":"1ms"}`)["id"]
	control[any](r, 201, "POST", "faults", `{"ops":["list"],"when":"late","rows":"none"}`)
	control[any](r, 400, "POST", "faults", `{"ops":["gets"]}`)
	control[any](r, 400, "POST", "faults", `{"opps":["get"]}`)
	r.want(503, "GET", collection+"SAXXXXXXXXXXXXXXXXXX/", "")
	list := control[[]injected](r, 200, "GET", "faults", "")
	if len(list) != 2 || list[0].ID != one || list[0].Struck != 1 || list[0].Fault.String() != "delay=1ms,ops=get,status=503" {
		t.Errorf("got the list %+v, want the current state", list)
	}
	control[any](r, 204, "DELETE", fmt.Sprintf("faults/%d", one), "")
	control[any](r, 404, "DELETE", fmt.Sprintf("faults/%d", one), "")
	control[any](r, 404, "DELETE", "faults/x", "")
	control[any](r, 204, "DELETE", "faults", "")
	if list := control[[]injected](r, 200, "GET", "faults", ""); len(list) != 0 {
		t.Errorf("got the list %+v, want the current state", list)
	}
}

func TestControl_CallsAndLate_ListAndCommit(t *testing.T) {
	r := start(t, Options{})
	control[any](r, 201, "POST", "faults", `{"when":"late","what":"cut","times":1}`)
	r.do("POST", collection, `{"name":"x"}`)
	calls := control[[]Call](r, 200, "GET", "calls", "")
	if len(calls) != 1 || calls[0].Op != OpCreate || calls[0].Committed || calls[0].Fault != "times=1,what=cut,when=late" {
		t.Errorf("got calls %+v, want the recorded ones", calls)
	}
	if n := control[map[string]int](r, 200, "POST", "late", "")["committed"]; n != 1 || len(r.sim.Subaccounts(mainID)) != 1 {
		t.Errorf("got %d late changes, want 1", n)
	}
	control[any](r, 204, "DELETE", "calls", "")
	if calls := control[[]Call](r, 200, "GET", "calls", ""); len(calls) != 0 {
		t.Errorf("got calls %+v, want the recorded ones", calls)
	}
}

func TestControl_Client_AddsAndRemoves(t *testing.T) {
	r := start(t, Options{})
	var created Subaccount
	if err := Control(t.Context(), r.url, "POST", "subaccounts"+of1, map[string]any{"name": "by hand", "enabled": true}, &created); err != nil {
		t.Fatal(err)
	}
	if got, ok := r.sim.Subaccount(mainID, created.AuthID); !ok || got != created || created.Name != "by hand" {
		t.Errorf("got %+v added, but %+v stored", created, got)
	}
	if err := Control(t.Context(), r.url, "DELETE", "subaccounts/"+created.AuthID, nil, nil); err != nil {
		t.Error(err)
	}
	err := Control(t.Context(), r.url, "DELETE", "subaccounts/"+created.AuthID, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "no such subaccount") {
		t.Errorf("second time: got %v, want a 404", err)
	}
}
