package subaccount

import (
	"testing"

	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

func TestFailure_EveryKindOfPlivo_HasMeaning(t *testing.T) {
	for kind := plivo.Kind(0); kind.String() != ""; kind++ {
		f := (&reconcileState{}).failureOf(plan.StepDelete, &plivo.Error{Kind: kind, Message: "words"})
		if f.Kind == 0 {
			t.Errorf("%s has no meaning", kind)
		}
	}
}
