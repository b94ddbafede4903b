package plan_test

import (
	"testing"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestDeletion(t *testing.T) {
	gone := func(changes ...change) *observation { return ready(append([]change{terminating}, changes...)...) }
	release, deleting := do(plan.StepRemoveFinalizer), v1alpha1.ReasonDeleting
	deleted := func(o *observation) { o.Deleted = true }
	cascade := about(plan.StepDelete, sa1)
	cascade.Cascade = true
	note := about(plan.StepRecordOrphan, sa1)
	marked := remote(plan.Remote{Name: marker})
	noted := func(o *observation) { o.Performed = []plan.Step{plan.StepRecordOrphan} }
	unread := func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }
	named := func(name string) change { return func(o *observation) { o.Object.Status.Name = &name } }
	unjudged := func(o *observation) { o.Claim = plan.Unknown[plan.Claim]() }
	check(t, []row{
		{"reassigning", gone(), about(plan.StepDelete, sa1)},
		{"cascading", gone(func(o *observation) { o.Object.Spec.CascadePolicy = v1alpha1.CascadePolicyDelete }), cascade},
		{"the status says what, not the spec", gone(func(o *observation) { o.Object.Spec.AuthID = new(sa2) }), about(plan.StepDelete, sa1)},
		{"terminating namespace", gone(func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), about(plan.StepDelete, sa1)},
		{"terminating Account", gone(account(func(a *plan.Account) { a.Terminating = true })), about(plan.StepDelete, sa1)},
		{"namespace not allowed any more", gone(account(func(a *plan.Account) { a.AllowsNamespace = plan.Known(false) })), about(plan.StepDelete, sa1)},
		{"Secret conflict", gone(foreignSecret), about(plan.StepDelete, sa1)},
		{"suspended", gone(suspend), tell(v1alpha1.ReasonSuspended)},
		{"no Account", gone(noAccount), tell(v1alpha1.ReasonAccountNotFound)},
		{"other main account", gone(account(func(a *plan.Account) { a.ID = otherMain })), tell(v1alpha1.ReasonAccountChanged)},
		{"204, Secret stands", gone(deleted), decision{Step: plan.StepRemoveSecret, Secret: "a-plivo"}},
		{"204, Secret stands, terminating namespace", gone(deleted, func(o *observation) {
			o.Namespace = plan.Known(plan.Namespace{Terminating: true})
		}), release},
		{"204, old Secret stands", gone(deleted, func(o *observation) {
			o.Secret, o.ObsoleteSecret = plan.Absent[plan.Secret](), "old"
		}), decision{Step: plan.StepRemoveSecret, Secret: "old"}},
		{"204, Secret of another", gone(deleted, foreignSecret), release},
		{"204, no Secret", gone(deleted, func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), release},
		{"unknown answer", gone(failed(plan.StepDelete, plan.FailureUnknown)), retry(v1alpha1.ReasonUnavailable)},
		{"refused", gone(failed(plan.StepDelete, plan.FailureRefused)), retry(deleting)},
		{"refused by an earlier version, which did not retry", gone(told(v1alpha1.ReasonRejected)), about(plan.StepDelete, sa1)},
		{"an update refused says nothing of a delete", gone(failed(plan.StepUpdate, plan.FailureRefused)), about(plan.StepDelete, sa1)},
		{"404, no sweep", gone(missingSubaccount(0)), sweepFrom(deleting, 1)},
		{"404, sweep before it", gone(missingSubaccount(0), swept(0)), sweepFrom(deleting, 1)},
		{"404, sweep lacks it", gone(missingSubaccount(0), swept(1)), about(plan.StepDelete, sa1)},
		{"404, sweep lacks it, 404 again", gone(missingSubaccount(0, 2), swept(1), func(o *observation) { o.Secret = plan.Absent[plan.Secret]() }), release},
		{"404 twice, no sweep between", gone(missingSubaccount(0, 1), swept(1)), about(plan.StepDelete, sa1)},
		{"404, sweep doubted", gone(missingSubaccount(0), swept(1), implausible), tell(v1alpha1.ReasonInventoryImplausible)},
		{"404, sweep shows it", gone(missingSubaccount(0), swept(1), remote(plan.Remote{Name: wanted})), retry(deleting)},
		{"404, credentials gone", gone(missingSubaccount(0), swept(1), account(func(a *plan.Account) { a.ID = "" })), decision{}},
		{"claim not judged", gone(unjudged), do(plan.StepReadClaim)},
		{"another's", gone(claim(false)), release},
		{"another's, no Account", gone(claim(false), noAccount), release},
		{"Orphan", gone(orphanDeletion), release},
		{"Orphan, suspended", gone(orphanDeletion, suspend), release},
		{"Orphan, no Account", gone(orphanDeletion, noAccount), release},
		{"Orphan, still under its marker", gone(orphanDeletion, marked), note},
		{"Orphan, still under its marker, noted", gone(orphanDeletion, marked, noted), release},
		{"Orphan, still under its marker, suspended, no Account", gone(orphanDeletion, marked, suspend, noAccount), note},
		{"Orphan, not read yet, the status says its marker", gone(orphanDeletion, unread, named(marker)), note},
		{"Orphan, not read yet, no status", gone(orphanDeletion, unread, func(o *observation) { o.Object.Status.Name = nil }), note},
		{"Orphan, not read yet, the status says its name", gone(orphanDeletion, unread, named(wanted)), release},
		{"Orphan, answer to the rename lost", gone(orphanDeletion, named(marker), remote(plan.Remote{Name: wanted, UpdateUnconfirmed: true})), note},
		{"CRD terminating, still under its marker", gone(marked, func(o *observation) { o.CRDTerminating = plan.Known(true) }), note},
		{"Orphan needs no look at the CRD", gone(orphanDeletion, func(o *observation) { o.CRDTerminating = plan.Unknown[bool]() }), release},
		{"Orphan, lost status", gone(orphanDeletion, lostStatus), release},
		{"lost status", gone(lostStatus), tell(v1alpha1.ReasonStatusLost)},
		{"CRD not looked at", gone(func(o *observation) { o.CRDTerminating = plan.Unknown[bool]() }), do(plan.StepReadCRD)},
		{"CRD terminating", gone(func(o *observation) { o.CRDTerminating = plan.Known(true) }), release},
		{"CRD terminating, suspended", gone(suspend, func(o *observation) { o.CRDTerminating = plan.Known(true) }), release},
		{"nothing was made", fresh(begun, terminating), release},
		{"nothing was made, no Account", fresh(begun, terminating, noAccount), release},
		{"nothing was adopted", fresh(begun, adopting, terminating, func(o *observation) { o.Object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete }), release},
		{"released", gone(func(o *observation) { o.Object.Finalizers = nil }), decision{}},
	})
}

func TestDeletionOfPendingConfirmsFirst(t *testing.T) {
	gone := func(changes ...change) *observation {
		return fresh(append([]change{begun, pending("one"), terminating}, changes...)...)
	}
	release := do(plan.StepRemoveFinalizer)
	check(t, []row{
		{"not confirmed", gone(), sweepFrom(v1alpha1.ReasonCreationUnconfirmed, 0)},
		{"not settled", gone(swept(settle)), sweepFrom(v1alpha1.ReasonCreationUnconfirmed, settle+1e6)},
		{"found", gone(func(o *observation) { o.FoundByMarker = []string{sa1} }), about(plan.StepRecord, sa1)},
		{"made nothing", gone(swept(settle + 1)), release},
		{"made nothing, but an authID stands too", gone(swept(settle+1), func(o *observation) {
			o.Object.Status.AuthID, o.Object.Status.AccountID = sa1, mainID
		}, claim(true)), about(plan.StepDelete, sa1)},
		{"list doubted", gone(swept(settle+1), implausible), tell(v1alpha1.ReasonInventoryImplausible)},
		{"credentials gone", gone(swept(settle+1), account(func(a *plan.Account) { a.ID = "" })), decision{}},
		{"no Account", gone(noAccount), tell(v1alpha1.ReasonAccountNotFound)},
		{"refused", gone(func(o *observation) { o.RefusedAttempt = "one" }), release},
		{"unsent", gone(func(o *observation) { o.DeclaredAttempt = "one" }), release},
		{"Orphan", gone(orphanDeletion), release},
		{"suspended", gone(swept(settle+1), suspend), tell(v1alpha1.ReasonSuspended)},
	})
}
