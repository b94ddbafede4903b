// Package sdk_test holds the simulator against Plivo's official Node SDK: what
// that client, written by Plivo, can use is Plivo's API.
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

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
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

func TestOfficialNodeSDK(t *testing.T) {
	requireSDK(t)
	sim := plivosim.New(plivosim.Options{Accounts: map[string]string{mainID: token}, RateLimit: 300})
	server := httptest.NewServer(sim)
	defer server.Close()

	cascaded := sim.Add(mainID, "cascaded", false)
	reassigned := sim.Add(mainID, "reassigned", false)
	for _, sub := range []plivosim.Subaccount{cascaded, reassigned} {
		sim.AddNeighbour(mainID, plivosim.Neighbour{Kind: plivosim.Application, Name: sub.Name, Subaccount: sub.AuthID})
	}

	got := drive(t, server.URL, mainID, token, cascaded.AuthID, reassigned.AuthID)

	checkObject(t, got)
	checkPages(t, got)
	checkFailures(t, got)
	checkSimulator(t, sim, got)
}

// requireSDK skips if Node is not installed, or if `make ready` could not reach
// a registry to install the SDK from.
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

func drive(t *testing.T, args ...string) result {
	t.Helper()
	// Opened here, and not by node, so that go test's cache notices a change.
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
		t.Errorf("create returned %+v", created)
	}
	if first.AuthID != created.AuthID || first.AuthToken != created.AuthToken || first.Name != "first" ||
		!first.Enabled || first.Modified != "" || first.Account != "/v1/Account/"+mainID+"/" ||
		first.ResourceURI != "/v1/Account/"+mainID+"/Subaccount/"+created.AuthID+"/" {
		t.Errorf("get returned %+v", first)
	}
	if got.Updated.Message != "changed" || got.Updated.APIID == "" {
		t.Errorf("update returned %+v", got.Updated)
	}
	if now := got.GotUpdated; now.Name != "renamed" || now.Enabled || now.Modified == "" || now.AuthToken != created.AuthToken {
		t.Errorf("get after the update returned %+v", now)
	}
}

func checkPages(t *testing.T, got result) {
	t.Helper()
	if got.DefaultPage != 20 {
		t.Errorf("a list without arguments had %d rows, want 20", got.DefaultPage)
	}
	if len(got.Pages) != 2 {
		t.Fatalf("got %d pages", len(got.Pages))
	}
	one, two := got.Pages[0], got.Pages[1]
	if len(one.IDs) != 20 || len(two.IDs) != 5 {
		t.Errorf("pages of %d and %d rows, want 20 and 5", len(one.IDs), len(two.IDs))
	}
	all := slices.Concat(one.IDs, two.IDs)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 25 {
		t.Errorf("the two pages hold %d subaccounts, want 25", n)
	}
	if enabled := slices.DeleteFunc(slices.Concat(one.Enabled, two.Enabled), func(e bool) bool { return !e }); len(enabled) != 1 {
		t.Errorf("%d rows are enabled, want 1", len(enabled))
	}
	if one.Meta.TotalCount != 25 || one.Meta.Next == nil || one.Meta.Previous != nil {
		t.Errorf("the first page's meta: %+v", one.Meta)
	}
	if two.Meta.Offset != 20 || two.Meta.Next != nil || two.Meta.Previous == nil {
		t.Errorf("the second page's meta: %+v", two.Meta)
	}
}

func checkFailures(t *testing.T, got result) {
	t.Helper()
	if f := got.NotFound; f.Status != 404 || f.Message != "not found" || f.APIID == "" {
		t.Errorf("get after delete was rejected with %+v", f)
	}
	if f := got.Unauthorized; f.Status != 401 || f.Message == "" || f.APIID == "" {
		t.Errorf("a wrong token was rejected with %+v", f)
	}
}

func checkSimulator(t *testing.T, sim *plivosim.Server, got result) {
	t.Helper()
	if !slices.Equal(got.Deleted, []bool{true, true, true}) {
		t.Errorf("delete returned %v", got.Deleted)
	}
	if n := len(sim.Subaccounts(mainID)); n != 22 {
		t.Errorf("%d subaccounts are left, want 22", n)
	}
	// The SDK sends cascade in the body, as a string.
	left := sim.Neighbours(mainID)
	if len(left) != 1 || left[0].Name != "reassigned" || left[0].Subaccount != "" {
		t.Errorf("after the deletions these neighbours are left: %+v", left)
	}
	statuses := map[int]int{}
	for _, call := range sim.Calls() {
		statuses[call.Status]++
	}
	want := map[int]int{200: 5, 201: 23, 202: 1, 204: 3, 401: 1, 404: 1}
	if !maps.Equal(statuses, want) {
		t.Errorf("the simulator answered with these statuses: %v, want %v", statuses, want)
	}
}
