// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// reasons returns the values of the Reason constants in conditions.go.
func reasons(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if "Reason"+value != spec.Names[0].Name {
			t.Errorf("%s: got the value %s, want the name without Reason", spec.Names[0].Name, value)
		}
		values = append(values, value)
		return true
	})
	return values
}

func TestStatesOf_Reasons_HasExactlyTheConstants(t *testing.T) {
	all := reasons(t)
	for _, reason := range all {
		if _, ok := v1alpha1.StatesOf(reason); !ok {
			t.Errorf("%s: got no states, want some", reason)
		}
	}
	for _, reason := range v1alpha1.Reasons() {
		if !slices.Contains(all, reason) {
			t.Errorf("%s: got states, want none without a Reason constant", reason)
		}
	}
}

func TestStatesOf_EveryReason_StatesAreConsistent(t *testing.T) {
	for _, reason := range v1alpha1.Reasons() {
		states, _ := v1alpha1.StatesOf(reason)
		abnormal := 0
		for _, state := range []metav1.ConditionStatus{states.Reconciling, states.Stalled} {
			switch state {
			case metav1.ConditionTrue:
				abnormal++
			case metav1.ConditionFalse:
			default:
				t.Errorf("%s: got Reconciling %q and Stalled %q, want True or False", reason, states.Reconciling, states.Stalled)
			}
		}
		switch {
		case abnormal == 2:
			t.Errorf("%s: got Reconciling and Stalled, want at most one", reason)
		case states.Ready == metav1.ConditionTrue && abnormal != 0:
			t.Errorf("%s: got Ready and Reconciling or Stalled, want only Ready", reason)
		case states.Ready == metav1.ConditionFalse && abnormal == 0:
			t.Errorf("%s: got no condition True, want Reconciling or Stalled", reason)
		case states.Ready == "" && reason != v1alpha1.ReasonSuspended:
			t.Errorf("%s: got an unchanged Ready, want that only for Suspended", reason)
		}
	}
}
