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

func TestDecide_PolicyThatTheAccountDoesNotAllow_IsNotActedUpon(t *testing.T) {
	refused := tell(v1alpha1.ReasonPolicyNotAllowed)
	drifted := remote(plan.Remote{Name: "other", TokenDigest: token1})
	check(t, []row{
		{"nothing is created", fresh(orphanDeletion, noOrphan), refused},
		{"cascade", fresh(cascading, noCascade), refused},
		{"the default deletionPolicy", fresh(noDelete), refused},
		{"the default cascadePolicy", fresh(onlyCasc, func(o *observation) { o.Object.Spec.CascadePolicy = "" }), refused},
		{"allowed ones", fresh(orphanDeletion, noDelete), do(plan.StepDeclareIntent)},
		{"unknown", fresh(allowedUnknown), decision{}},
		{"no drift is fixed", ready(drifted, orphanDeletion, noOrphan), refused},
		{"without drift it is reported too", ready(orphanDeletion, noOrphan), refused},
		{"suspended", ready(orphanDeletion, noOrphan, suspend), tell(v1alpha1.ReasonSuspended)},
		{"who lost the claim loses the Secret", ready(claim(false), orphanDeletion, noOrphan), decision{Step: plan.StepRemoveSecret, Secret: "a-plivo"}},
	})
}

func TestDecide_TerminatingWithPolicyThatTheAccountDoesNotAllow_Waits(t *testing.T) {
	refused, release := tell(v1alpha1.ReasonPolicyNotAllowed), do(plan.StepRemoveFinalizer)
	gone := func(changes ...change) *observation { return ready(append([]change{terminating}, changes...)...) }
	del := about(plan.StepDelete, sa1)
	cascaded := del
	cascaded.Cascade = true
	check(t, []row{
		{"Orphan", gone(orphanDeletion, noOrphan), refused},
		{"Orphan, and the Account allows it again", gone(orphanDeletion, allowed("", "")), release},
		{"Orphan, and the spec says Delete again", gone(noOrphan), del},
		{"Orphan of a pending creation", fresh(begun, pending("one"), terminating, orphanDeletion, noOrphan), refused},
		{"Orphan of a lost status", gone(orphanDeletion, lostStatus, noOrphan), refused},
		{"Orphan with nothing at Plivo", fresh(begun, terminating, orphanDeletion, noOrphan), release},
		{"Orphan, uninstall", gone(orphanDeletion, noOrphan, func(o *observation) { o.CRDTerminating = plan.Known(true) }), release},
		{"Orphan, not known whether it is allowed", gone(orphanDeletion, allowedUnknown), decision{}},
		{"Orphan, no Account", gone(orphanDeletion, noAccount, allowedAbsent), release},
		{"Delete", gone(noDelete), refused},
		{"Delete, not known whether it is allowed", gone(allowedUnknown), decision{}},
		{"cascade", gone(cascading, noCascade), refused},
		{"cascade, allowed", gone(cascading, onlyCasc), cascaded},
		{"cascade, deleted before the Account changed", gone(cascading, noCascade, func(o *observation) { o.Deleted = true }),
			decision{Step: plan.StepRemoveSecret, Secret: "a-plivo"}},
		{"cascade of an Orphan", gone(orphanDeletion, cascading, noCascade), refused},
	})
}

func TestDecide_PolicyNotAllowed_SaysWhoCanChangeWhat(t *testing.T) {
	message := plan.Decide(ready(terminating, orphanDeletion, noOrphan)).Message
	for _, words := range []string{"Account default", "deletionPolicy: Orphan", "spec.allowedDeletionPolicies", "the finalizer stays", "nothing is deleted"} {
		if !strings.Contains(message, words) {
			t.Errorf("%q does not say %q", message, words)
		}
	}
	if message := plan.Decide(fresh(cascading, noCascade)).Message; !strings.Contains(message, "spec.allowedCascadePolicies") {
		t.Errorf("%q does not name the field", message)
	}
}
