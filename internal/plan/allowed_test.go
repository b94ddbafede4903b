// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func allowed(deletion v1alpha1.DeletionPolicy, cascade v1alpha1.CascadePolicy) change {
	return func(o *observation) {
		var a plan.Allowed
		if deletion != "" {
			a.Deletion = []v1alpha1.DeletionPolicy{deletion}
		}
		if cascade != "" {
			a.Cascade = []v1alpha1.CascadePolicy{cascade}
		}
		o.Allowed = plan.Known(a)
	}
}

var (
	noOrphan  = allowed(v1alpha1.DeletionPolicyDelete, "")
	noDelete  = allowed(v1alpha1.DeletionPolicyOrphan, "")
	noCascade = allowed("", v1alpha1.CascadePolicyReassign)
	onlyCasc  = allowed("", v1alpha1.CascadePolicyDelete)
)

func cascading(o *observation) { o.Object.Spec.CascadePolicy = v1alpha1.CascadePolicyDelete }

func allowedUnknown(o *observation) { o.Allowed = plan.Unknown[plan.Allowed]() }

func allowedAbsent(o *observation) { o.Allowed = plan.Absent[plan.Allowed]() }

func TestDecide_DisallowedPolicy_ChangesNothing(t *testing.T) {
	refused := reports(v1alpha1.ReasonPolicyNotAllowed)
	drifted := remote(plan.Remote{Name: "other", TokenDigest: token1})
	check(t, []row{
		{"new resource", fresh(orphanDeletion, noOrphan), refused},
		{"disallowed cascadePolicy", fresh(cascading, noCascade), refused},
		{"the default deletionPolicy", fresh(noDelete), refused},
		{"the default cascadePolicy", fresh(onlyCasc, func(o *observation) { o.Object.Spec.CascadePolicy = "" }), refused},
		{"allowed policies", fresh(orphanDeletion, noDelete), do(plan.StepDeclareIntent)},
		{"unknown", fresh(allowedUnknown), decision{}},
		{"drift", ready(drifted, orphanDeletion, noOrphan), refused},
		{"no drift", ready(orphanDeletion, noOrphan), refused},
		{"suspended", ready(orphanDeletion, noOrphan, suspend), reports(v1alpha1.ReasonSuspended)},
		{"claim lost", ready(claim(false), orphanDeletion, noOrphan), decision{Step: plan.StepRemoveSecret, Secret: "a-plivo"}},
	})
}

func TestDecide_TerminatingWithDisallowedPolicy_Waits(t *testing.T) {
	refused, removeFinalizer := reports(v1alpha1.ReasonPolicyNotAllowed), do(plan.StepRemoveFinalizer)
	gone := func(changes ...change) *observation { return ready(append([]change{terminating}, changes...)...) }
	del := about(plan.StepDelete, sa1)
	cascaded := del
	cascaded.Cascade = true
	check(t, []row{
		{"Orphan", gone(orphanDeletion, noOrphan), refused},
		{"Orphan allowed again", gone(orphanDeletion, allowed("", "")), removeFinalizer},
		{"Delete again in the spec", gone(noOrphan), del},
		{"Orphan of a pending creation", fresh(begun, pending("one"), terminating, orphanDeletion, noOrphan), refused},
		{"Orphan of a lost status", gone(orphanDeletion, lostStatus, noOrphan), refused},
		{"Orphan with nothing at Plivo", fresh(begun, terminating, orphanDeletion, noOrphan), removeFinalizer},
		{"Orphan, CRD terminating", gone(orphanDeletion, noOrphan, func(o *observation) { o.CRDTerminating = plan.Known(true) }), removeFinalizer},
		{"Orphan, allowed policies unknown", gone(orphanDeletion, allowedUnknown), decision{}},
		{"Orphan, no Account", gone(orphanDeletion, noAccount, allowedAbsent), removeFinalizer},
		{"Delete", gone(noDelete), refused},
		{"Delete, allowed policies unknown", gone(allowedUnknown), decision{}},
		{"cascade", gone(cascading, noCascade), refused},
		{"cascade, allowed", gone(cascading, onlyCasc), cascaded},
		{"cascade, deleted before the Account changed", gone(cascading, noCascade, func(o *observation) { o.Deleted = true }),
			decision{Step: plan.StepRemoveSecret, Secret: "a-plivo"}},
		{"cascade of an Orphan", gone(orphanDeletion, cascading, noCascade), refused},
	})
}

func TestDecide_DisallowedPolicy_MessageNamesFieldAndAccount(t *testing.T) {
	message := plan.Decide(ready(terminating, orphanDeletion, noOrphan)).Message
	for _, words := range []string{"Account default", "deletionPolicy: Orphan", "spec.allowedDeletionPolicies", "the finalizer stays", "nothing is deleted"} {
		if !strings.Contains(message, words) {
			t.Errorf("got %q, want %q in it", message, words)
		}
	}
	if message := plan.Decide(fresh(cascading, noCascade)).Message; !strings.Contains(message, "spec.allowedCascadePolicies") {
		t.Errorf("got %q, want the field in it", message)
	}
}
