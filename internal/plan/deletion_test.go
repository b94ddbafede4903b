// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestDecide_TerminatingResource_DeletesSubaccountThenFinalizer(t *testing.T) {
	gone := func(changes ...change) *observation { return ready(append([]change{terminating}, changes...)...) }
	removeFinalizer, deleting := do(plan.StepRemoveFinalizer), v1alpha1.ReasonDeleting
	deleted := func(o *observation) { o.Deleted = true }
	missing := func(o *observation) { o.Remote = plan.Absent[plan.Remote]() }
	cascade := about(plan.StepDelete, sa1)
	cascade.Cascade = true
	recordOrphan := about(plan.StepRecordOrphan, sa1)
	marked := remote(plan.Remote{Name: marker})
	orphanRecorded := func(o *observation) { o.Performed = []plan.Step{plan.StepRecordOrphan} }
	unread := func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }
	named := func(name string) change { return func(o *observation) { o.Object.Status.Name = &name } }
	claimUnknown := func(o *observation) { o.Claim = plan.Unknown[plan.Claim]() }
	check(t, []row{
		{"cascadePolicy Reassign", gone(), about(plan.StepDelete, sa1)},
		{"cascadePolicy Delete", gone(func(o *observation) { o.Object.Spec.CascadePolicy = v1alpha1.CascadePolicyDelete }), cascade},
		{"another authID in the spec than in the status", gone(func(o *observation) { o.Object.Spec.AuthID = new(sa2) }), about(plan.StepDelete, sa1)},
		{"terminating namespace", gone(func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), about(plan.StepDelete, sa1)},
		{"terminating Account", gone(account(func(a *plan.Account) { a.Terminating = true })), about(plan.StepDelete, sa1)},
		{"namespace not allowed any more", gone(account(func(a *plan.Account) { a.AllowsNamespace = plan.Known(false) })), about(plan.StepDelete, sa1)},
		{"Secret conflict", gone(foreignSecret), about(plan.StepDelete, sa1)},
		{"suspended", gone(suspend), reports(v1alpha1.ReasonSuspended)},
		{"no Account", gone(noAccount), reports(v1alpha1.ReasonAccountNotFound)},
		{"other main account", gone(account(func(a *plan.Account) { a.ID = otherMain })), reports(v1alpha1.ReasonAccountChanged)},
		{"204, Secret exists", gone(deleted), decision{Step: plan.StepRemoveSecret, Secret: "a-plivo"}},
		{"204, Secret exists, terminating namespace", gone(deleted, func(o *observation) {
			o.Namespace = plan.Known(plan.Namespace{Terminating: true})
		}), removeFinalizer},
		{"204, obsolete Secret exists", gone(deleted, func(o *observation) {
			o.Secret, o.ObsoleteSecret = plan.Absent[plan.Secret](), "old"
		}), decision{Step: plan.StepRemoveSecret, Secret: "old"}},
		{"204, Secret of another owner", gone(deleted, foreignSecret), removeFinalizer},
		{"204, no Secret", gone(deleted, func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), removeFinalizer},
		{"response lost", gone(failed(plan.StepDelete, plan.FailureUnknown)), retry(v1alpha1.ReasonUnavailable)},
		{"refused", gone(failed(plan.StepDelete, plan.FailureRefused)), retry(deleting)},
		{"Rejected by an earlier version", gone(reported(v1alpha1.ReasonRejected)), about(plan.StepDelete, sa1)},
		{"update refused", gone(failed(plan.StepUpdate, plan.FailureRefused)), about(plan.StepDelete, sa1)},
		{"404, no sweep", gone(missingSubaccount(0)), sweepFrom(deleting, time.Millisecond)},
		{"404, sweep before it", gone(missingSubaccount(0), swept(0)), sweepFrom(deleting, time.Millisecond)},
		{"404, sweep lacks it", gone(missingSubaccount(0), swept(1)), about(plan.StepDelete, sa1)},
		{"404, sweep lacks it, 404 again", gone(missingSubaccount(0, 2), swept(1), func(o *observation) { o.Secret = plan.Absent[plan.Secret]() }), removeFinalizer},
		{"404 twice, no sweep between", gone(missingSubaccount(0, 1), swept(1)), about(plan.StepDelete, sa1)},
		{"404, guard on", gone(missingSubaccount(0), swept(1), guardOn), reports(v1alpha1.ReasonInventoryImplausible)},
		{"404, sweep shows it", gone(missingSubaccount(0), swept(1), remote(plan.Remote{Name: wanted})), sweepFrom(deleting, time.Millisecond)},
		{"404, earlier 404 refuted by the list", gone(refuted(1)), sweepFrom(deleting, 10*time.Second)},
		{"404, three earlier 404s refuted by the list", gone(refuted(3)), sweepFrom(deleting, 40*time.Second)},
		{"404, many earlier 404s refuted by the list", gone(refuted(99)), sweepFrom(deleting, time.Hour)},
		{"refuted by the list, no 404 since", gone(refuted(1), func(o *observation) { o.NotFound.First = time.Time{} }), about(plan.StepDelete, sa1)},
		{"404, earlier 404 refuted, sweep lacks it", gone(refuted(1), missing, swept(1)), about(plan.StepDelete, sa1)},
		{"404, no credentials", gone(missingSubaccount(0), swept(1), account(func(a *plan.Account) { a.ID = "" })), decision{}},
		{"claim unknown", gone(claimUnknown), do(plan.StepReadClaim)},
		{"claim lost", gone(claim(false)), removeFinalizer},
		{"claim lost, no Account", gone(claim(false), noAccount), removeFinalizer},
		{"Orphan", gone(orphanDeletion), removeFinalizer},
		{"Orphan, suspended", gone(orphanDeletion, suspend), removeFinalizer},
		{"Orphan, no Account", gone(orphanDeletion, noAccount), removeFinalizer},
		{"Orphan, name is the marker", gone(orphanDeletion, marked), recordOrphan},
		{"Orphan, name is the marker, recorded as orphan", gone(orphanDeletion, marked, orphanRecorded), removeFinalizer},
		{"Orphan, name is the marker, suspended, no Account", gone(orphanDeletion, marked, suspend, noAccount), recordOrphan},
		{"Orphan, not read yet, marker in the status", gone(orphanDeletion, unread, named(marker)), recordOrphan},
		{"Orphan, not read yet, no status", gone(orphanDeletion, unread, func(o *observation) { o.Object.Status.Name = nil }), recordOrphan},
		{"Orphan, not read yet, wanted name in the status", gone(orphanDeletion, unread, named(wanted)), removeFinalizer},
		{"Orphan, response to the rename lost", gone(orphanDeletion, named(marker), remote(plan.Remote{Name: wanted, UpdateUnconfirmed: true})), recordOrphan},
		{"CRD terminating, name is the marker", gone(marked, func(o *observation) { o.CRDTerminating = plan.Known(true) }), recordOrphan},
		{"Orphan, CRD not read", gone(orphanDeletion, func(o *observation) { o.CRDTerminating = plan.Unknown[bool]() }), removeFinalizer},
		{"Orphan, lost status", gone(orphanDeletion, lostStatus), removeFinalizer},
		{"lost status", gone(lostStatus), reports(v1alpha1.ReasonStatusLost)},
		{"CRD not read", gone(func(o *observation) { o.CRDTerminating = plan.Unknown[bool]() }), do(plan.StepReadCRD)},
		{"CRD terminating", gone(func(o *observation) { o.CRDTerminating = plan.Known(true) }), removeFinalizer},
		{"CRD terminating, suspended", gone(suspend, func(o *observation) { o.CRDTerminating = plan.Known(true) }), removeFinalizer},
		{"nothing created", fresh(begun, terminating), removeFinalizer},
		{"nothing created, no Account", fresh(begun, terminating, noAccount), removeFinalizer},
		{"nothing adopted", fresh(begun, adopting, terminating, func(o *observation) { o.Object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete }), removeFinalizer},
		{"finalizer removed", gone(func(o *observation) { o.Object.Finalizers = nil }), decision{}},
	})
}

func TestDecide_TerminatingWithPendingCreation_ConfirmsFirst(t *testing.T) {
	gone := func(changes ...change) *observation {
		return fresh(append([]change{begun, pending("one"), terminating}, changes...)...)
	}
	removeFinalizer := do(plan.StepRemoveFinalizer)
	check(t, []row{
		{"not confirmed", gone(), sweepFrom(v1alpha1.ReasonCreationUnconfirmed, 0)},
		{"not settled", gone(swept(settle)), sweepFrom(v1alpha1.ReasonCreationUnconfirmed, settle+1e6)},
		{"marker found", gone(func(o *observation) { o.FoundByMarker = []string{sa1} }), about(plan.StepRecord, sa1)},
		{"nothing created", gone(swept(settle + 1)), removeFinalizer},
		{"nothing created, but the status has an authID", gone(swept(settle+1), func(o *observation) {
			o.Object.Status.AuthID, o.Object.Status.AccountID = sa1, mainID
		}, claim(true)), about(plan.StepDelete, sa1)},
		{"guard on", gone(swept(settle+1), guardOn), reports(v1alpha1.ReasonInventoryImplausible)},
		{"no credentials", gone(swept(settle+1), account(func(a *plan.Account) { a.ID = "" })), decision{}},
		{"no Account", gone(noAccount), reports(v1alpha1.ReasonAccountNotFound)},
		{"refused", gone(func(o *observation) { o.RefusedAttempt = "one" }), removeFinalizer},
		{"declared in this reconcile", gone(func(o *observation) { o.DeclaredAttempt = "one" }), removeFinalizer},
		{"Orphan", gone(orphanDeletion), removeFinalizer},
		{"suspended", gone(swept(settle+1), suspend), reports(v1alpha1.ReasonSuspended)},
	})
}
