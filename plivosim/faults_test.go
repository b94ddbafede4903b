// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A create is the call for which faults matter most.
func TestFault_Create_StrikesOnce(t *testing.T) {
	const cut = 0
	for _, c := range []struct {
		name    string
		fault   Fault
		status  int // cut: the connection broke
		created bool
		check   func(t *testing.T, got clientResponse)
	}{
		{name: "500 by default", fault: Fault{}, status: 500, check: isError},
		{name: "400", fault: Fault{Status: 400}, status: 400, check: isError},
		{name: "429 without Retry-After", fault: Fault{Status: 429}, status: 429, check: hasNo("Retry-After")},
		{name: "429 with Retry-After", fault: Fault{Status: 429, RetryAfter: 7}, status: 429, check: has("Retry-After", "7")},
		{name: "created, response lost", fault: Fault{When: After, What: Cut}, status: cut, created: true},
		{name: "cut before the change", fault: Fault{What: Cut}, status: cut},
		{name: "created, then 502", fault: Fault{When: After, Status: 502}, status: 502, created: true, check: isError},
		{name: "created, response cut short", fault: Fault{When: After, What: CutShort}, status: 201, created: true, check: isCutShort},
		{name: "created, then HTML", fault: Fault{When: After, Body: BodyHTML}, status: 201, created: true, check: isHTML},
		{name: "created, then no body", fault: Fault{When: After, Body: BodyEmpty}, status: 201, created: true, check: reads("")},
		{name: "created, then half a body", fault: Fault{When: After, Body: BodyTruncated}, status: 201, created: true, check: isHalfJSON},
		{name: "HTML error", fault: Fault{Status: 502, Body: BodyHTML}, status: 502, check: isHTML},
		{name: "empty 401", fault: Fault{Status: 401, Body: BodyEmpty}, status: 401, check: reads("")},
		{name: "empty object", fault: Fault{Status: 404, Body: BodyEmptyObject}, status: 404, check: reads("{}")},
		{name: "nested error", fault: Fault{Status: 400, Body: BodyErrorObject}, status: 400, check: isNestedError},
		{name: "error without api_id", fault: Fault{Status: 400, Body: BodyErrorWithout}, status: 400, check: hasNoAPIID},
		{name: "literal text", fault: Fault{Status: 400, Text: "certainly not"}, status: 400, check: reads("certainly not")},
		{name: "redirect", fault: Fault{Status: 307, Location: "http://elsewhere.invalid/"}, status: 307, check: has("Location", "http://elsewhere.invalid/")},
		{name: "credentials reflected", fault: Fault{Status: 400, Body: BodyReflect}, status: 400, check: isReflection},
		{name: "huge", fault: Fault{When: After, Body: BodyHuge}, status: 201, created: true, check: isHuge},
		{name: "status 201 without a creation", fault: Fault{Status: 201}, status: 201, check: isNoCreation},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, Options{})
			c.fault.Ops = []Op{OpCreate}
			c.fault.Times = 1
			r.sim.Inject(c.fault)

			got := r.do("POST", collection, `{"name":"tenant"}`)
			switch {
			case c.status == cut && got.err == nil:
				t.Errorf("got %d %s, want a cut", got.status, got.raw)
			case got.status != c.status:
				t.Errorf("got %d (%v), want %d", got.status, got.err, c.status)
			}
			if c.check != nil {
				c.check(t, got)
			}
			if created := len(r.sim.Subaccounts(mainID)) == 1; created != c.created {
				t.Errorf("got created %v, want %v", created, c.created)
			}
			call := r.lastCall()
			if call.Op != OpCreate || call.Name != "tenant" || call.Status != c.status || call.Committed != c.created ||
				(call.AuthID != "") != c.created || call.Fault != c.fault.String() {
				t.Errorf("got recorded call %+v, want the request and its outcome", call)
			}
			r.create("no fault any more")
		})
	}
}

func isError(t *testing.T, got clientResponse) {
	t.Helper()
	if message, _ := got.json["error"].(string); message == "" || got.json["api_id"] == nil {
		t.Errorf("got %s, want an error", got.raw)
	}
}

func has(key, value string) func(*testing.T, clientResponse) {
	return func(t *testing.T, got clientResponse) {
		t.Helper()
		if got.header.Get(key) != value {
			t.Errorf("%s: got %q, want %q", key, got.header.Get(key), value)
		}
	}
}

func hasNo(key string) func(*testing.T, clientResponse) { return has(key, "") }

func reads(body string) func(*testing.T, clientResponse) {
	return func(t *testing.T, got clientResponse) {
		t.Helper()
		if got.raw != body || got.err != nil {
			t.Errorf("got the body %q (%v), want %q", got.raw, got.err, body)
		}
	}
}

func isHTML(t *testing.T, got clientResponse) {
	t.Helper()
	if !strings.HasPrefix(got.raw, "<html>") || got.header.Get("Content-Type") != "text/html" {
		t.Errorf("got %v %s, want HTML", got.header, got.raw)
	}
}

func isCutShort(t *testing.T, got clientResponse) {
	t.Helper()
	if got.err == nil || got.raw == "" || got.json != nil {
		t.Errorf("got %q (%v), want a part of the JSON", got.raw, got.err)
	}
}

func isHalfJSON(t *testing.T, got clientResponse) {
	t.Helper()
	if got.err != nil || !strings.HasPrefix(got.raw, "{") || got.json != nil {
		t.Errorf("got %q (%v), want a part of the JSON", got.raw, got.err)
	}
}

func isNestedError(t *testing.T, got clientResponse) {
	t.Helper()
	if _, ok := got.json["error"].(map[string]any); !ok || got.json["api_id"] == nil {
		t.Errorf("got %s, want the body of the fault", got.raw)
	}
}

func hasNoAPIID(t *testing.T, got clientResponse) {
	t.Helper()
	if got.json["error"] == nil || got.json["api_id"] != nil {
		t.Errorf("got %s, want the body of the fault", got.raw)
	}
}

func isReflection(t *testing.T, got clientResponse) {
	t.Helper()
	message, _ := got.json["error"].(string)
	for _, part := range []string{"Basic ", mainID + ":" + mainToken, `{"name":"tenant"}`} {
		if !strings.Contains(message, part) {
			t.Errorf("got %s, want %s in it", got.raw, part)
		}
	}
}

func isHuge(t *testing.T, got clientResponse) {
	t.Helper()
	if len(got.raw) < hugeBody || got.json["api_id"] == nil {
		t.Errorf("got %d bytes, JSON %v; want a huge object", len(got.raw), got.json != nil)
	}
}

func isNoCreation(t *testing.T, got clientResponse) {
	t.Helper()
	if got.json["api_id"] == nil || got.json["auth_id"] != nil {
		t.Errorf("got %s, want the body of the fault", got.raw)
	}
}

// Update and delete have the same three values of When as create.
func TestFault_UpdateAndDelete_FollowWhen(t *testing.T) {
	for _, c := range []struct {
		when    When
		changed bool
	}{{Before, false}, {After, true}, {Late, false}} {
		t.Run("when="+string(c.when), func(t *testing.T) {
			r := start(t, Options{})
			id, doomed := r.create("old"), r.create("doomed")
			r.sim.Inject(Fault{Ops: []Op{OpUpdate, OpDelete}, When: c.when, What: Cut})
			if got := r.do("POST", collection+id+"/", `{"name":"new"}`); got.err == nil {
				t.Errorf("got the response %s to the update, want a cut", got.raw)
			}
			if got := r.do("DELETE", collection+doomed+"/", ""); got.err == nil {
				t.Errorf("got the response %s to the delete, want a cut", got.raw)
			}
			check := func(want bool) {
				t.Helper()
				sub, _ := r.sim.Subaccount(mainID, id)
				_, exists := r.sim.Subaccount(mainID, doomed)
				if (sub.Name == "new") != want || exists == want {
					t.Errorf("got updated %v, deleted %v, want %v", sub.Name == "new", !exists, want)
				}
				for _, call := range r.sim.Calls()[2:] {
					if call.Committed != want {
						t.Errorf("%s: got committed %v, want the opposite", call.Op, call.Committed)
					}
				}
			}
			check(c.changed)
			late := r.sim.CommitLate()
			check(c.changed || c.when == Late)
			if want := map[When]int{Late: 2}[c.when]; late != want {
				t.Errorf("got %d late changes, want %d", late, want)
			}
		})
	}
}

func TestFault_Reads_AreAlwaysCarriedOut(t *testing.T) {
	r := start(t, Options{})
	id := r.create("there")
	for _, when := range []When{Before, After, Late} {
		fault := r.sim.Inject(Fault{Ops: []Op{OpGet, OpList}, When: when, Body: BodyHTML})
		for _, path := range []string{collection + id + "/", collection} {
			if got := r.do("GET", path, ""); got.status != 200 || !strings.HasPrefix(got.raw, "<html>") {
				t.Errorf("%s: got %d %s", path, got.status, got.raw)
			}
		}
		if !r.sim.RemoveFault(fault) || r.sim.RemoveFault(fault) {
			t.Error("RemoveFault: got a wrong result, want true once")
		}
	}
	r.sim.Inject(Fault{Ops: []Op{OpGet}, Status: http.StatusNotFound})
	r.want(404, "GET", collection+id+"/", "")
	if ids, _ := r.listed(20); !slices.Equal(ids, []string{id}) {
		t.Errorf("got the list %v, want it without a fault", ids)
	}
	r.sim.ClearFaults()
	r.want(200, "GET", collection+id+"/", "")
}

func TestFault_Selectors_LimitStrikes(t *testing.T) {
	r := start(t, Options{Seed: 3})
	one, two := r.create("one"), r.create("two")
	get := func(id string) int { return r.do("GET", collection+id+"/", "").status }
	statuses := func(n int) (out []int) {
		for range n {
			out = append(out, get(one))
		}
		return out
	}

	r.sim.Inject(Fault{Skip: 2, Times: 2, Status: 503})
	if got := statuses(6); !slices.Equal(got, []int{200, 200, 503, 503, 200, 200}) {
		t.Errorf("skip 2, times 2: got %v", got)
	}
	r.sim.ClearFaults()

	r.sim.Inject(Fault{AuthID: two, Status: 503})
	if get(one) != 200 || get(two) != 503 {
		t.Error("got a strike for another subaccount, or none for this one")
	}
	r.sim.ClearFaults()

	r.sim.Inject(Fault{Account: otherID, Status: 503})
	other := r.doAs(otherID, "other-token", "GET", "/v1/Account/"+otherID+"/Subaccount/", "")
	if get(one) != 200 || other.status != 503 {
		t.Error("got a strike for another main account, or none for this one")
	}
	r.sim.ClearFaults()

	r.sim.Inject(Fault{Times: 1, Status: 502})
	r.sim.Inject(Fault{Times: 1, Status: 503})
	if got := statuses(3); !slices.Equal(got, []int{502, 503, 200}) {
		t.Errorf("two faults: got %v, want 502, 503, 200", got)
	}
	r.sim.ClearFaults()

	r.sim.Inject(Fault{Probability: 0.5, Status: 503})
	struck := 0
	for _, status := range statuses(100) {
		if status == 503 {
			struck++
		}
	}
	if struck < 25 || struck > 75 {
		t.Errorf("probability 0.5: got %d strikes of 100, want about 50", struck)
	}
	r.sim.ClearFaults()

	r.sim.Inject(Fault{Status: 503})
	if got := r.doAs(mainID, "wrong", "GET", collection, ""); got.status != 401 {
		t.Errorf("a fault struck a request with wrong credentials: %d", got.status)
	}
}
