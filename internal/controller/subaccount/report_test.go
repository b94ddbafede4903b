// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"testing"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

func TestFailureOf_EveryPlivoKind_HasAFailureKind(t *testing.T) {
	st := &reconcileState{reconciler: &Reconciler{retries: kube.NewRetries()}, obs: &plan.Observation{Object: &v1alpha1.Subaccount{}}}
	for kind := plivo.Kind(0); kind.String() != ""; kind++ {
		f := st.failureOf(plan.StepDelete, &plivo.Error{Kind: kind, Message: "words"})
		if f.Kind == 0 {
			t.Errorf("%s: got no failure kind, want one", kind)
		}
	}
}
