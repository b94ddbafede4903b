// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"testing"

	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

func TestFailureOf_EveryPlivoKind_HasAFailureKind(t *testing.T) {
	for kind := plivo.Kind(0); kind.String() != ""; kind++ {
		f := (&reconcileState{}).failureOf(plan.StepDelete, &plivo.Error{Kind: kind, Message: "words"})
		if f.Kind == 0 {
			t.Errorf("%s: got no failure kind, want one", kind)
		}
	}
}
