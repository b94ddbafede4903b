// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	pending      = "pendingCreation: {attempt: x, accountID: " + mainA + ", since: '2026-01-01T00:00:00Z'}"
	recorded     = "{observedGeneration: 1, accountID: " + mainA + ", authID: " + subaccountA + "}"
	recordedB    = "{observedGeneration: 1, accountID: " + mainA + ", authID: " + subaccountB + "}"
	intended     = "{observedGeneration: 1, " + pending + "}"
	neitherStood = "{observedGeneration: 1}"
)

func withStatus(t *testing.T, object *unstructured.Unstructured, status string) *unstructured.Unstructured {
	t.Helper()
	updated := object.DeepCopy()
	delete(updated.Object, "status")
	if status != "" {
		var value map[string]any
		if err := yaml.Unmarshal([]byte(status), &value); err != nil {
			t.Fatal(err)
		}
		updated.Object["status"] = value
	}
	return updated
}

// Each case is a sequence of status writes. The API server must accept all of them,
// or all except the last. An empty status removes the whole status.
func TestSubaccountStatusRules_AuthID(t *testing.T) {
	const removal = "status.authID may be removed only when status.pendingCreation is added"
	const replacing = "authID can be replaced only through pendingCreation"
	for _, test := range []struct {
		name    string
		writes  []string
		message string
	}{
		{"is recorded as pendingCreation goes", []string{intended, recorded}, ""},
		{"is kept as previousAuthID as pendingCreation appears", []string{recorded, "{observedGeneration: 1, previousAuthID: " + subaccountA + ", " + pending + "}"}, ""},
		{"cannot move to previousAuthID alone", []string{recorded, "{observedGeneration: 1, previousAuthID: " + subaccountA + "}"}, removal},
		{"stays while other fields change", []string{recorded, "{observedGeneration: 2, name: a, authID: " + subaccountA + "}"}, ""},
		{"vanishes as pendingCreation appears", []string{recorded, intended}, ""},
		{"is replaced only through pendingCreation", []string{recorded, intended, recordedB}, ""},
		{"cannot vanish alone", []string{recorded, neitherStood}, removal},
		{"cannot vanish after pendingCreation has appeared beside it",
			[]string{recorded, "{authID: " + subaccountA + ", " + pending + "}", intended}, removal},
		{"cannot vanish with the whole status", []string{recorded, ""}, removal},
		{"cannot be replaced", []string{recorded, recordedB}, replacing},
		{"cannot be replaced as pendingCreation appears", []string{recorded, "{authID: " + subaccountB + ", " + pending + "}"}, replacing},
		{"lets the status be removed that has none", []string{neitherStood, ""}, ""},
		{"lets pendingCreation vanish, for nothing was made", []string{intended, neitherStood}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			object := create(t, "Subaccount", "spec: {name: a}")
			for i, status := range test.writes {
				updated := withStatus(t, object, status)
				err := server.Status().Update(t.Context(), updated)
				if test.message != "" && i == len(test.writes)-1 {
					checkRefusal(t, err, refusal{status, "status", test.message})
					return
				}
				if err != nil {
					t.Fatalf("got %v, want accepted:\n%s", err, status)
				}
				object = updated
			}
			if test.message != "" {
				t.Fatal("got a refusal without an earlier write")
			}
		})
	}
}

func TestStatusRules_Fields(t *testing.T) {
	type status struct{ accepted, refused, field, message string }
	for kind, object := range map[string]*unstructured.Unstructured{
		"Subaccount": create(t, "Subaccount", "spec: {name: a}"),
		"Account":    create(t, "Account", account("")),
	} {
		for name, test := range map[string]map[string]status{
			"Subaccount": {
				"authID has the form of a subaccount's ID": {"{authID: " + subaccountA + "}", "{authID: " + mainA + "}", "status.authID", "should match"},
				"previousAuthID has the form of a subaccount's ID": {"{previousAuthID: " + subaccountA + "}", "{previousAuthID: " + mainA + "}",
					"status.previousAuthID", "should match"},
				"accountID has the form of a main account's ID": {"{accountID: " + mainB + "}", "{accountID: " + subaccountA + "}",
					"status.accountID", "should match"},
				"pendingCreation needs its attempt": {intended, "{pendingCreation: {accountID: " + mainA + ", since: '2026-01-01T00:00:00Z'}}",
					"status.pendingCreation.attempt", "Required value"},
				"pendingCreation needs its accountID": {intended, "{pendingCreation: {attempt: x, since: '2026-01-01T00:00:00Z'}}",
					"status.pendingCreation.accountID", "Required value"},
				"binding names the Secret": {"{binding: {name: a}}", "{binding: {}}", "status.binding.name", "Required value"},
			},
			"Account": {
				"authID has the form of a main account's ID": {"{authID: " + mainA + "}", "{authID: " + subaccountA + "}", "status.authID", "should match"},
				"subaccounts has all three numbers": {"{subaccounts: {total: 0, managed: 0, unmanaged: 0}}", "{subaccounts: {total: 1, managed: 1}}",
					"status.subaccounts.unmanaged", "Required value"},
			},
		}[kind] {
			t.Run(kind+" "+name, func(t *testing.T) {
				if err := server.Status().Update(t.Context(), withStatus(t, object, test.accepted), client.DryRunAll); err != nil {
					t.Errorf("got %v, want accepted:\n%s", err, test.accepted)
				}
				err := server.Status().Update(t.Context(), withStatus(t, object, test.refused), client.DryRunAll)
				checkRefusal(t, err, refusal{test.refused, test.field, test.message})
			})
		}
	}
}
