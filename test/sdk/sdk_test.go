// SPDX-License-Identifier: Apache-2.0

// Package sdk_test calls the simulator with Plivo's official Node SDK, because a simulator
// that works with Plivo's own client follows Plivo's API.
package sdk_test

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

const (
	mainID = "MASDKSDKSDKSDKSDKSDK"
	token  = "sdk-test-token"
)

type subaccount struct {
	Account     string
	APIID       string `json:"apiId"`
	AuthID      string `json:"authId"`
	AuthToken   string `json:"authToken"`
	Created     string
	Enabled     bool
	Message     string
	Modified    string
	Name        string
	ResourceURI string `json:"resourceUri"`
}

type failure struct {
	Status  int
	Message string
	APIID   string `json:"apiID"`
}

type page struct {
	Meta struct {
		Limit, Offset, TotalCount int
		Next, Previous            *string
	}
	IDs     []string
	Enabled []bool
}

type result struct {
	Created, Got, Updated, GotUpdated subaccount
	Pages                             []page
	DefaultPage                       int
	Deleted                           []bool
	NotFound, Unauthorized            failure
}

func TestSimulator_OfficialNodeSDK_BehavesLikePlivo(t *testing.T) {
	requireSDK(t)
	sim := plivosim.New(plivosim.Options{Accounts: map[string]string{mainID: token}, RateLimit: 300})
	server := httptest.NewServer(sim)
	defer server.Close()

	cascaded := sim.Add(mainID, "cascaded", false)
	reassigned := sim.Add(mainID, "reassigned", false)
	for _, sub := range []plivosim.Subaccount{cascaded, reassigned} {
		sim.AddNeighbour(mainID, plivosim.Neighbour{Kind: plivosim.Application, Name: sub.Name, Subaccount: sub.AuthID})
	}

	got := runDriver(t, server.URL, mainID, token, cascaded.AuthID, reassigned.AuthID)

	checkObject(t, got)
	checkPages(t, got)
	checkFailures(t, got)
	checkSimulator(t, sim, got)
}

// requireSDK skips the test if Node is not installed, or if `make ready` could not install
// the SDK.
func requireSDK(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT TESTED against Plivo's official SDK: %s is not installed", tool)
		}
	}
	if _, err := os.Stat("node_modules"); os.IsNotExist(err) {
		t.Skip("NOT TESTED against Plivo's official SDK: it is not installed; run `make ready`, which needs an npm registry")
	}
	if out, err := exec.CommandContext(t.Context(), "npm", "ls", "--all").CombinedOutput(); err != nil {
		t.Fatalf("node_modules is not what package-lock.json says; run `make ready`: npm ls: %v\n%s", err, out)
	}
}

func runDriver(t *testing.T, args ...string) result {
	t.Helper()
	// Opened by this process, so that the cache of go test detects a change.
	source, err := os.Open("drive.js")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	script := exec.CommandContext(t.Context(), "node", append([]string{"-"}, args...)...)
	script.Stdin = source
	var stderr strings.Builder
	script.Stderr = &stderr
	out, err := script.Output()
	if err != nil {
		t.Fatalf("drive.js: %v\n%s", err, stderr.String())
	}
	var got result
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("drive.js printed %q: %v", out, err)
	}
	return got
}

func checkObject(t *testing.T, got result) {
	t.Helper()
	created, first := got.Created, got.Got
	if created.Message != "created" || created.APIID == "" || len(created.AuthID) != 20 || created.AuthToken == "" {
		t.Errorf("create: got %+v, want message, apiId, authId and authToken", created)
	}
	if first.AuthID != created.AuthID || first.AuthToken != created.AuthToken || first.Name != "first" ||
		!first.Enabled || first.Modified != "" || first.Account != "/v1/Account/"+mainID+"/" ||
		first.ResourceURI != "/v1/Account/"+mainID+"/Subaccount/"+created.AuthID+"/" {
		t.Errorf("get: got %+v, want the created subaccount %+v", first, created)
	}
	if got.Updated.Message != "changed" || got.Updated.APIID == "" {
		t.Errorf("update: got %+v, want the message \"changed\" and an apiId", got.Updated)
	}
	if now := got.GotUpdated; now.Name != "renamed" || now.Enabled || now.Modified == "" || now.AuthToken != created.AuthToken {
		t.Errorf("get after the update: got %+v, want name \"renamed\", disabled, modified, the same token", now)
	}
}

func checkPages(t *testing.T, got result) {
	t.Helper()
	if got.DefaultPage != 20 {
		t.Errorf("list without arguments: got %d rows, want 20", got.DefaultPage)
	}
	if len(got.Pages) != 2 {
		t.Fatalf("got %d pages, want 2", len(got.Pages))
	}
	one, two := got.Pages[0], got.Pages[1]
	if len(one.IDs) != 20 || len(two.IDs) != 5 {
		t.Errorf("got pages of %d and %d rows, want 20 and 5", len(one.IDs), len(two.IDs))
	}
	all := slices.Concat(one.IDs, two.IDs)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 25 {
		t.Errorf("got %d subaccounts on two pages, want 25", n)
	}
	if enabled := slices.DeleteFunc(slices.Concat(one.Enabled, two.Enabled), func(e bool) bool { return !e }); len(enabled) != 1 {
		t.Errorf("got %d enabled rows, want 1", len(enabled))
	}
	if one.Meta.TotalCount != 25 || one.Meta.Next == nil || one.Meta.Previous != nil {
		t.Errorf("first page: got meta %+v, want total_count 25, a next page and no previous page", one.Meta)
	}
	if two.Meta.Offset != 20 || two.Meta.Next != nil || two.Meta.Previous == nil {
		t.Errorf("second page: got meta %+v, want offset 20, a previous page and no next page", two.Meta)
	}
}

func checkFailures(t *testing.T, got result) {
	t.Helper()
	if f := got.NotFound; f.Status != 404 || f.Message != "not found" || f.APIID == "" {
		t.Errorf("get after delete: got %+v, want 404 \"not found\"", f)
	}
	if f := got.Unauthorized; f.Status != 401 || f.Message == "" || f.APIID == "" {
		t.Errorf("get with a wrong token: got %+v, want 401", f)
	}
}

func checkSimulator(t *testing.T, sim *plivosim.Server, got result) {
	t.Helper()
	if !slices.Equal(got.Deleted, []bool{true, true, true}) {
		t.Errorf("delete: got %v, want true three times", got.Deleted)
	}
	if n := len(sim.Subaccounts(mainID)); n != 22 {
		t.Errorf("got %d subaccounts after the deletions, want 22", n)
	}
	// The SDK sends cascade in the body, as a string.
	left := sim.Neighbours(mainID)
	if len(left) != 1 || left[0].Name != "reassigned" || left[0].Subaccount != "" {
		t.Errorf("got the neighbours %+v after the deletions, want only the reassigned one", left)
	}
	statuses := map[int]int{}
	for _, call := range sim.Calls() {
		statuses[call.Status]++
	}
	want := map[int]int{200: 5, 201: 23, 202: 1, 204: 3, 401: 1, 404: 1}
	if !maps.Equal(statuses, want) {
		t.Errorf("got responses by status %v, want %v", statuses, want)
	}
}
