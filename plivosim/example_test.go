// SPDX-License-Identifier: Apache-2.0

package plivosim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// The response to the first create call is lost. A client that repeats the call has two
// subaccounts.
func Example() {
	const mainID, token = "MASIMULATORSIMULATOR", "token-of-the-simulator"
	sim := plivosim.New(plivosim.Options{Accounts: map[string]string{mainID: token}, RateLimit: 300})
	sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, When: plivosim.After, What: plivosim.Cut, Times: 1})
	server := httptest.NewServer(sim)
	defer server.Close()

	create := func() (status string) {
		req, _ := http.NewRequest(http.MethodPost, server.URL+"/v1/Account/"+mainID+"/Subaccount/", strings.NewReader(`{"name": "Team A"}`))
		req.SetBasicAuth(mainID, token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return "no response"
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.Status
	}
	fmt.Println(create())
	fmt.Println(create())
	for _, sub := range sim.Subaccounts(mainID) {
		fmt.Println("at Plivo:", sub.Name)
	}
	for _, call := range sim.Calls() {
		fmt.Println(call.Op, call.Status, call.Committed)
	}
	// Output:
	// no response
	// 201 Created
	// at Plivo: Team A
	// at Plivo: Team A
	// create 0 true
	// create 201 true
}
