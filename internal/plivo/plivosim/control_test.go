package plivosim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// control calls the control endpoint, without credentials, and decodes what it
// answers.
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

func TestControlSubaccounts(t *testing.T) {
	r := start(t, Options{})
	made := control[Subaccount](r, 201, "POST", "subaccounts"+of1, `{"name":"by hand","enabled":true}`)
	if got, _ := r.sim.Subaccount(mainID, made.AuthID); got != made || made.Name != "by hand" || !made.Enabled || made.AuthToken == "" {
		t.Errorf("added %+v, and there is %+v", made, got)
	}
	for _, method := range []string{"PATCH", "POST"} {
		before, _ := r.sim.Subaccount(mainID, made.AuthID)
		edited := control[Subaccount](r, 200, method, "subaccounts/"+made.AuthID, `{"name":"`+method+`","rotate_token":true}`)
		after, _ := r.sim.Subaccount(mainID, made.AuthID)
		if edited != after || after.Name != method || !after.Enabled || after.AuthToken == before.AuthToken || len(after.AuthToken) != 40 {
			t.Errorf("%s: %+v, was %+v", method, after, before)
		}
	}
	control[Subaccount](r, 200, "PATCH", "subaccounts/"+made.AuthID, `{"enabled":false}`)
	list := control[[]Subaccount](r, 200, "GET", "subaccounts"+of1, "")
	if len(list) != 1 || list[0].Enabled || list[0].Name != "POST" {
		t.Errorf("listed %+v", list)
	}
	control[any](r, 204, "DELETE", "subaccounts/"+made.AuthID, "")
	control[any](r, 404, "DELETE", "subaccounts/"+made.AuthID, "")
	control[any](r, 404, "PATCH", "subaccounts/"+made.AuthID, "{}")
	if list := control[[]Subaccount](r, 200, "GET", "subaccounts"+of1, ""); len(list) != 0 {
		t.Errorf("listed %+v", list)
	}
	control[any](r, 400, "GET", "subaccounts", "") // of which of the two accounts?
	control[any](r, 404, "GET", "subaccounts?account=MAUNKNOWN", "")
	control[any](r, 400, "POST", "subaccounts"+of1, `{"nome":"x"}`)
	if calls := r.sim.Calls(); len(calls) != 0 {
		t.Errorf("the control endpoint is in the calls: %+v", calls)
	}
}

func TestControlWithOneAccount(t *testing.T) {
	r := start(t, Options{})
	r.sim.mu.Lock()
	delete(r.sim.accounts, otherID)
	r.sim.mu.Unlock()
	control[Subaccount](r, 201, "POST", "subaccounts", `{"name":"x"}`)
	if n := len(r.sim.Subaccounts(mainID)); n != 1 {
		t.Errorf("%d subaccounts", n)
	}
}

func TestControlAccounts(t *testing.T) {
	r := start(t, Options{})
	control[any](r, 200, "PUT", "accounts/"+mainID, `{"auth_token":"rotated"}`)
	if got := r.doAs(mainID, "rotated", "GET", collection, ""); got.status != 200 {
		t.Errorf("the new token: %d", got.status)
	}
	control[any](r, 400, "PUT", "accounts/"+mainID, `{}`)
	list := control[[]controlAccount](r, 200, "GET", "accounts", "")
	if len(list) != 2 || list[0] != (controlAccount{mainID, "rotated"}) {
		t.Errorf("listed %+v", list)
	}
}

func TestControlNeighbours(t *testing.T) {
	r := start(t, Options{})
	made := control[Neighbour](r, 201, "POST", "neighbours"+of1, `{"kind":"Endpoint","name":"desk"}`)
	list := control[[]Neighbour](r, 200, "GET", "neighbours"+of1, "")
	if len(list) != 1 || list[0] != made || made.ID == "" || made.Kind != Endpoint {
		t.Errorf("added %+v, listed %+v", made, list)
	}
	control[any](r, 400, "POST", "neighbours"+of1, `{"kind":"Message"}`)
}

func TestControlFaults(t *testing.T) {
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
		t.Errorf("listed %+v", list)
	}
	control[any](r, 204, "DELETE", fmt.Sprintf("faults/%d", one), "")
	control[any](r, 404, "DELETE", fmt.Sprintf("faults/%d", one), "")
	control[any](r, 404, "DELETE", "faults/x", "")
	control[any](r, 204, "DELETE", "faults", "")
	if list := control[[]injected](r, 200, "GET", "faults", ""); len(list) != 0 {
		t.Errorf("listed %+v", list)
	}
}

func TestControlCallsAndLate(t *testing.T) {
	r := start(t, Options{})
	control[any](r, 201, "POST", "faults", `{"when":"late","what":"cut","times":1}`)
	r.do("POST", collection, `{"name":"x"}`)
	calls := control[[]Call](r, 200, "GET", "calls", "")
	if len(calls) != 1 || calls[0].Op != OpCreate || calls[0].Committed || calls[0].Fault != "times=1,what=cut,when=late" {
		t.Errorf("calls: %+v", calls)
	}
	if n := control[map[string]int](r, 200, "POST", "late", "")["committed"]; n != 1 || len(r.sim.Subaccounts(mainID)) != 1 {
		t.Errorf("%d late commits", n)
	}
	control[any](r, 204, "DELETE", "calls", "")
	if calls := control[[]Call](r, 200, "GET", "calls", ""); len(calls) != 0 {
		t.Errorf("calls: %+v", calls)
	}
}

func TestControlByItsClient(t *testing.T) {
	r := start(t, Options{})
	var made Subaccount
	if err := Control(t.Context(), r.url, "POST", "subaccounts"+of1, map[string]any{"name": "by hand", "enabled": true}, &made); err != nil {
		t.Fatal(err)
	}
	if got, ok := r.sim.Subaccount(mainID, made.AuthID); !ok || got != made || made.Name != "by hand" {
		t.Errorf("added %+v, and there is %+v", made, got)
	}
	if err := Control(t.Context(), r.url, "DELETE", "subaccounts/"+made.AuthID, nil, nil); err != nil {
		t.Error(err)
	}
	err := Control(t.Context(), r.url, "DELETE", "subaccounts/"+made.AuthID, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "no such subaccount") {
		t.Errorf("a second time: %v", err)
	}
}
