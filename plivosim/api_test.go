// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestServeHTTP_AnyRequest_HasDocumentedStatus(t *testing.T) {
	r := start(t, Options{})
	sub := r.sim.Add(mainID, "enabled", true)
	disabled := r.sim.Add(mainID, "disabled", false)
	item := collection + sub.AuthID + "/"
	for _, c := range []struct {
		name, user, token, method, path, body string
		status                                int
	}{
		{"no credentials", "", "", "GET", collection, "", 401},
		{"wrong token", mainID, "wrong", "GET", collection, "", 401},
		{"empty token", mainID, "", "GET", collection, "", 401},
		{"unknown account", "MACCCCCCCCCCCCCCCCCC", "x", "GET", collection, "", 401},
		{"another main account", otherID, "other-token", "GET", collection, "", 403},
		{"enabled subaccount", sub.AuthID, sub.AuthToken, "GET", collection, "", 403},
		{"disabled subaccount", disabled.AuthID, disabled.AuthToken, "GET", collection, "", 401},
		{"unknown subaccount", mainID, mainToken, "GET", collection + "SAXXXXXXXXXXXXXXXXXX/", "", 404},
		{"update unknown", mainID, mainToken, "POST", collection + "SAXXXXXXXXXXXXXXXXXX/", `{"name":"x"}`, 404},
		{"no trailing slash", mainID, mainToken, "GET", "/v1/Account/" + mainID + "/Subaccount", "", 404},
		{"no trailing slash on an item", mainID, mainToken, "GET", collection + sub.AuthID, "", 404},
		{"unknown resource", mainID, mainToken, "GET", "/v1/Account/" + mainID + "/Message/", "", 404},
		{"outside of the API", mainID, mainToken, "GET", "/", "", 404},
		{"DELETE of the collection", mainID, mainToken, "DELETE", collection, "", 405},
		{"PUT of an item", mainID, mainToken, "PUT", item, "{}", 405},
		{"DELETE of a neighbour", mainID, mainToken, "DELETE", "/v1/Account/" + mainID + "/Number/", "", 405},
		{"limit above 20", mainID, mainToken, "GET", collection + "?limit=21", "", 400},
		{"limit 0", mainID, mainToken, "GET", collection + "?limit=0", "", 400},
		{"limit is not a number", mainID, mainToken, "GET", collection + "?limit=ten", "", 400},
		{"negative offset", mainID, mainToken, "GET", collection + "?offset=-1", "", 400},
		{"create without a name", mainID, mainToken, "POST", collection, `{"enabled":true}`, 400},
		{"create with an empty name", mainID, mainToken, "POST", collection, `{"name":""}`, 400},
		{"create with a number for a name", mainID, mainToken, "POST", collection, `{"name":7}`, 400},
		{"create without a body", mainID, mainToken, "POST", collection, "", 400},
		{"create with a list", mainID, mainToken, "POST", collection, "[]", 400},
		{"create with broken JSON", mainID, mainToken, "POST", collection, `{"name":`, 400},
		{"create with an invalid enabled", mainID, mainToken, "POST", collection, `{"name":"x","enabled":"yes"}`, 400},
		{"update with an empty name", mainID, mainToken, "POST", item, `{"name":""}`, 400},
		{"delete with an invalid cascade", mainID, mainToken, "DELETE", item + "?cascade=1", "", 400},
		{"delete with two different cascades", mainID, mainToken, "DELETE", item + "?cascade=true", `{"cascade":false}`, 400},
		{"GET with the SDK's body", mainID, mainToken, "GET", item, `""`, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := r.sim.Subaccounts(mainID)
			got := r.doAs(c.user, c.token, c.method, c.path, c.body)
			if got.status != c.status {
				t.Fatalf("got %d %s (%v), want %d", got.status, got.raw, got.err, c.status)
			}
			if got.json["api_id"] == nil {
				t.Errorf("got no api_id in %s", got.raw)
			}
			if message, _ := got.json["error"].(string); c.status >= 400 && message == "" {
				t.Errorf("got no error in %s", got.raw)
			}
			if c.status == 405 && got.header.Get("Allow") == "" {
				t.Error("got a 405 without Allow")
			}
			if !slices.Equal(before, r.sim.Subaccounts(mainID)) {
				t.Error("got a change by a refused request")
			}
			if call := r.lastCall(); call.Status != c.status || call.Committed {
				t.Errorf("got recorded call %+v, want the request and its outcome", call)
			}
		})
	}
}

func TestSubaccount_CreateGetListUpdate_ShowSameObject(t *testing.T) {
	now := time.Date(2026, 3, 1, 23, 30, 0, 0, time.FixedZone("", -3600))
	r := start(t, Options{Now: func() time.Time { return now }})
	created := r.want(201, "POST", collection, `{"name":"tenant","enabled":"TRUE"}`)
	id, token := created["auth_id"].(string), created["auth_token"].(string)
	if !regexp.MustCompile(`^SA[A-Z0-9]{18}$`).MatchString(id) || len(token) != 40 || created["message"] != "created" || len(created) != 4 {
		t.Errorf("got %v, want auth_id, auth_token, message and api_id", created)
	}
	want := map[string]any{
		"account": "/v1/Account/" + mainID + "/", "resource_uri": collection + id + "/",
		"auth_id": id, "auth_token": token, "new_auth_token": token, "name": "tenant",
		"enabled": true, "created": "2026-03-02", "modified": nil,
	}
	check := func() {
		t.Helper()
		got := r.want(200, "GET", collection+id+"/", "")
		delete(got, "api_id")
		if !maps.Equal(got, want) {
			t.Errorf("get: got %v, want %v", got, want)
		}
		listed := r.want(200, "GET", collection, "")["objects"].([]any)
		if len(listed) != 1 || !maps.Equal(listed[0].(map[string]any), want) {
			t.Errorf("list: got %v, want %v", listed, want)
		}
	}
	check()

	now = now.AddDate(0, 0, 1)
	want["modified"] = "2026-03-03"
	if got := r.want(202, "POST", collection+id+"/", `{"enabled":false}`); got["message"] != "changed" {
		t.Errorf("update: got %v, want the message changed", got)
	}
	want["enabled"] = false // the name is omitted and stays
	check()
	r.want(202, "POST", collection+id+"/", `{"name":"renamed"}`)
	want["name"] = "renamed" // enabled is omitted and stays
	check()
}

func TestCreate_EnabledForms_AreAccepted(t *testing.T) {
	r := start(t, Options{})
	for form, want := range map[string]bool{
		`"enabled":true`: true, `"enabled":"true"`: true, `"enabled":"True"`: true,
		`"enabled":false`: false, `"enabled":"FALSE"`: false, `"enabled":null`: false, `"other":1`: false,
	} {
		id := r.want(201, "POST", collection, `{"name":"x",`+form+`}`)["auth_id"].(string)
		if got := r.want(200, "GET", collection+id+"/", "")["enabled"]; got != want {
			t.Errorf("%s: got %v, want %v", form, got, want)
		}
	}
}

func TestCreate_SameNameTwice_CreatesTwo(t *testing.T) {
	r := start(t, Options{})
	if one, two := r.create("same"), r.create("same"); one == two {
		t.Errorf("got %s twice, want two IDs", one)
	}
	if subs := r.sim.Subaccounts(mainID); len(subs) != 2 || subs[0].Name != "same" || subs[1].Name != "same" {
		t.Errorf("got %+v, want two with the same name", subs)
	}
}

func TestDelete_Cascade_DeletesNeighbours(t *testing.T) {
	for _, c := range []struct {
		name, query, body string
		cascade           bool
	}{
		{"by default", "", "", false},
		{"SDK's empty object", "", "{}", false},
		{"query", "?cascade=true", "", true},
		{"query false", "?cascade=false", "", false},
		{"body string", "", `{"cascade":"true"}`, true},
		{"body bool", "", `{"cascade":true}`, true},
		{"body false", "", `{"cascade":"False"}`, false},
		{"both", "?cascade=True", `{"cascade":true}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, Options{})
			id := r.create("owner")
			for _, kind := range []NeighbourKind{Application, Endpoint, Number} {
				r.sim.AddNeighbour(mainID, Neighbour{Kind: kind, Subaccount: id})
				r.sim.AddNeighbour(mainID, Neighbour{Kind: kind})
			}
			r.want(204, "DELETE", collection+id+"/"+c.query, c.body)
			left := r.sim.Neighbours(mainID)
			want := 6
			if c.cascade {
				want = 3
			}
			if len(left) != want {
				t.Errorf("got %d neighbours left, want %d", len(left), want)
			}
			for _, n := range left {
				if n.Subaccount != "" {
					t.Errorf("got %+v with a deleted owner, want none", n)
				}
			}
			if call := r.lastCall(); call.AuthID != id || !call.Committed {
				t.Errorf("got recorded call %+v, want the request and its outcome", call)
			}
			r.want(404, "DELETE", collection+id+"/"+c.query, c.body)
			r.want(404, "GET", collection+id+"/", "")
		})
	}
}

func TestNeighbours_CreateAndList_HaveOwner(t *testing.T) {
	r := start(t, Options{})
	id := r.create("owner")
	for _, c := range []struct{ kind, body, idField string }{
		{"Application", `{"app_name":"app","subaccount":"` + id + `"}`, "app_id"},
		{"Endpoint", `{"alias":"end","sub_account":"/v1/Account/` + id + `/"}`, "endpoint_id"},
		{"Number", `{"number":"15550001111","subaccount":"` + id + `"}`, "number"},
	} {
		path := "/v1/Account/" + mainID + "/" + c.kind + "/"
		created := r.want(201, "POST", path, c.body)
		r.want(201, "POST", path, `{}`)
		r.want(400, "POST", path, `{"subaccount":"SAXXXXXXXXXXXXXXXXXX"}`)
		objects := r.want(200, "GET", path, "")["objects"].([]any)
		if len(objects) != 2 {
			t.Fatalf("%s: got %v, want two", c.kind, objects)
		}
		owned := objects[0].(map[string]any)
		if owned[c.idField] != created[c.idField] || owned["sub_account"] != "/v1/Account/"+id+"/" {
			t.Errorf("%s: got %v, want the created one", c.kind, owned)
		}
		if owner := objects[1].(map[string]any)["sub_account"]; owner != nil {
			t.Errorf("%s of the main account: got owner %v, want none", c.kind, owner)
		}
		if got := r.want(200, "GET", path+"?subaccount="+id, ""); len(got["objects"].([]any)) != 1 {
			t.Errorf("%s filtered: got %v, want one", c.kind, got)
		}
	}
}

func TestList_Pages_CoverAllRows(t *testing.T) {
	r := start(t, Options{})
	for i := range 45 {
		r.sim.Add(mainID, fmt.Sprint(i), false)
	}
	ids, totals := r.listed(20)
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 45 || !slices.Equal(totals, []int{45, 45, 45}) {
		t.Errorf("got %d subaccounts, totals %v; want 45", len(ids), totals)
	}
	for _, c := range []struct {
		query          string
		rows           int
		next, previous any
	}{
		{"", 20, collection + "?limit=20&offset=20", nil},
		{"?limit=20&offset=20", 20, collection + "?limit=20&offset=40", collection + "?limit=20&offset=0"},
		{"?offset=40", 5, nil, collection + "?limit=20&offset=20"},
		{"?limit=3&offset=1", 3, collection + "?limit=3&offset=4", collection + "?limit=3&offset=0"},
		{"?limit=15&offset=30", 15, nil, collection + "?limit=15&offset=15"},
		{"?offset=45", 0, nil, collection + "?limit=20&offset=25"},
		{"?offset=1000", 0, nil, collection + "?limit=20&offset=980"},
	} {
		got := r.want(200, "GET", collection+c.query, "")
		meta, rows := got["meta"].(map[string]any), got["objects"].([]any)
		if len(rows) != c.rows || meta["next"] != c.next || meta["previous"] != c.previous {
			t.Errorf("%s: got %d rows, meta %v; want %d rows", c.query, len(rows), meta, c.rows)
		}
	}
}

// Lists show the newest date first. Within a date the order is random.
func TestList_Order_IsNewestDateFirst(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := start(t, Options{Seed: 1, Now: func() time.Time { return now }})
	var created []string
	for range 3 {
		for range 10 {
			created = append(created, r.create("x"))
		}
		now = now.AddDate(0, 0, 1)
	}
	r.sim.Edit(mainID, created[5], func(sub *Subaccount) { sub.Name = "stays in place" })
	subs := r.sim.Subaccounts(mainID)
	if !slices.IsSortedFunc(subs, func(a, b Subaccount) int { return strings.Compare(b.Created, a.Created) }) {
		t.Errorf("got %+v, want newest first", subs)
	}
	listed, _ := r.listed(20)
	again, _ := r.listed(7)
	slices.Reverse(created)
	if slices.Equal(listed, created) {
		t.Error("got the order of creation within a date, want a random one")
	}
	if !slices.Equal(listed, again) {
		t.Error("got another order in a second list, want the same")
	}
}

func TestList_TenThousandRows_AreAllListed(t *testing.T) {
	r := start(t, Options{})
	for range 10_000 {
		r.sim.Add(mainID, "x", false)
	}
	ids, totals := r.listed(20)
	slices.Sort(ids)
	if len(totals) != 500 || len(slices.Compact(ids)) != 10_000 {
		t.Errorf("got %d pages, %d subaccounts; want 500 and 10,000", len(totals), len(ids))
	}
}

func TestSeed_SameValue_RepeatsIDs(t *testing.T) {
	accounts := map[string]string{mainID: mainToken}
	created := func(seed uint64) Subaccount {
		return New(Options{Accounts: accounts, Seed: seed}).Add(mainID, "x", false)
	}
	if created(7) != created(7) {
		t.Error("got two different subaccounts for the same seed")
	}
	if created(7).AuthID == created(8).AuthID || created(0).AuthID == created(0).AuthID {
		t.Error("got the same ID for different seeds")
	}
}
