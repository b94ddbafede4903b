// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestDecide_PendingCreation_IsConfirmedBySweep(t *testing.T) {
	p := func(changes ...change) *observation {
		return fresh(append([]change{begun, pending("one")}, changes...)...)
	}
	unconfirmed := v1alpha1.ReasonCreationUnconfirmed
	check(t, []row{
		{"no sweep yet", p(), sweepFrom(unconfirmed, 0)},
		{"a sweep before the attempt was seen", p(swept(-1)), sweepFrom(unconfirmed, 0)},
		{"a sweep within the settle time", p(swept(settle - 1)), sweepFrom(unconfirmed, settle+time.Millisecond)},
		{"a sweep at the settle time", p(swept(settle)), sweepFrom(unconfirmed, settle+time.Millisecond)},
		{"a sweep after the settle time", p(swept(settle + 1)), do(plan.StepDeclareIntent)},
		{"time of the attempt unknown", p(swept(settle+1), at(1), func(o *observation) { o.PendingSince = time.Time{} }), sweepFrom(unconfirmed, 1)},
		{"guard on", p(swept(settle+1), guardOn), reports(v1alpha1.ReasonInventoryImplausible)},
		{"marker found once", p(func(o *observation) { o.FoundByMarker = []string{sa1} }), about(plan.StepRecord, sa1)},
		{"marker found twice", p(func(o *observation) { o.FoundByMarker = []string{sa1, sa2} }), about(plan.StepRecord, sa1)},
		{"no credentials", p(swept(settle+1), account(func(a *plan.Account) { a.ID = "" })), decision{}},
		{"other main account", p(swept(settle+1), account(func(a *plan.Account) { a.ID = otherMain })), reports(v1alpha1.ReasonAccountChanged)},
		{"confirmed, namespace terminating", p(swept(settle+1), func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), decision{}},
		{"confirmed, Secret unknown", p(swept(settle+1), func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"confirmed, Account terminating", p(swept(settle+1), account(func(a *plan.Account) { a.Terminating = true })), reports(v1alpha1.ReasonAccountNotReady)},
		{"suspended", p(swept(settle+1), suspend), reports(v1alpha1.ReasonSuspended)},
		{"declared in this reconcile", p(func(o *observation) { o.DeclaredAttempt = "one" }), do(plan.StepCreate)},
		{"declared in this reconcile, Secret unknown", p(func(o *observation) { o.DeclaredAttempt, o.Secret = "one", plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"another attempt declared in this reconcile", p(func(o *observation) { o.DeclaredAttempt = "two" }), sweepFrom(unconfirmed, 0)},
		{"call not sent", p(func(o *observation) { o.DeclaredAttempt = "one" }, failed(plan.StepCreate, plan.FailureNotSent)), retry("")},
		{"call not sent again and again", fresh(begun, failed(plan.StepCreate, plan.FailureNotSent), func(o *observation) { o.Failure.Persistent = true }), retry(v1alpha1.ReasonUnavailable)},
		{"refused", p(func(o *observation) { o.RefusedAttempt = "one" }), do(plan.StepClearIntent)},
		{"refused in this reconcile", p(func(o *observation) { o.RefusedAttempt = "one" }, failed(plan.StepCreate, plan.FailureRefused)), do(plan.StepClearIntent)},
		{"another attempt refused", p(func(o *observation) { o.RefusedAttempt = "two" }), sweepFrom(unconfirmed, 0)},
	})
}

func TestDecide_Adoption_PassesGatesFirst(t *testing.T) {
	adopt := func(changes ...change) *observation { return fresh(append([]change{adopting}, changes...)...) }
	fetched := func(o *observation) { o.Fetched = true; o.Remote = plan.Known(plan.Remote{Name: "legacy"}) }
	check(t, []row{
		{"no grant", adopt(account(func(a *plan.Account) { a.GrantsAdoption = false })), reports(v1alpha1.ReasonAdoptionForbidden)},
		{"claim unknown", adopt(func(o *observation) { o.Claim = plan.Unknown[plan.Claim]() }), do(plan.StepReadClaim)},
		{"held by another", adopt(claim(false)), reports(v1alpha1.ReasonAlreadyManaged)},
		{"not read", adopt(), about(plan.StepGet, sa1)},
		{"not fetched, the list shows it", adopt(remote(plan.Remote{Name: "legacy"})), about(plan.StepGet, sa1)},
		{"read without a result", adopt(func(o *observation) { o.Fetched = true }), retry("")},
		{"not found", adopt(missingSubaccount(0), func(o *observation) { o.Fetched = true }), reports(v1alpha1.ReasonRemoteNotFound)},
		{"not found before", adopt(reported(v1alpha1.ReasonRemoteNotFound)), reports(v1alpha1.ReasonRemoteNotFound)},
		{"not found before, now in the list", adopt(reported(v1alpha1.ReasonRemoteNotFound), remote(plan.Remote{Name: "legacy"})), about(plan.StepGet, sa1)},
		{"not found before, read requested", adopt(reported(v1alpha1.ReasonRemoteNotFound), requested), about(plan.StepGet, sa1)},
		{"an unfinished creation", adopt(func(o *observation) { o.Fetched = true }, remote(plan.Remote{Name: marker})), reports(v1alpha1.ReasonAdoptionForbidden)},
		{"an unfinished creation in the list", adopt(remote(plan.Remote{Name: marker})), reports(v1alpha1.ReasonAdoptionForbidden)},
		{"an unfinished creation in the list, read requested", adopt(remote(plan.Remote{Name: marker}), requested), about(plan.StepGet, sa1)},
		{"an unfinished creation in the list, unless renamed since", adopt(remote(plan.Remote{Name: marker, UpdateUnconfirmed: true})), about(plan.StepGet, sa1)},
		{"an unfinished creation in the list, held by another", adopt(remote(plan.Remote{Name: marker}), claim(false)), reports(v1alpha1.ReasonAlreadyManaged)},
		{"held by another, Secret not read", adopt(claim(false), func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), reports(v1alpha1.ReasonAlreadyManaged)},
		{"Secret of another", adopt(fetched, foreignSecret), decision{Reason: v1alpha1.ReasonSecretConflict, Wait: plan.Wait{After: time.Minute}}},
		{"clear", adopt(fetched), about(plan.StepAdopt, sa1)},
		{"adopted, no finalizer yet", adopt(fetched, recorded(sa1)), do(plan.StepAddFinalizer)},
		{"adopted, claim unknown", adopt(fetched, begun, recorded(sa1), func(o *observation) { o.Claim = plan.Unknown[plan.Claim]() }), do(plan.StepReadClaim)},
	})
}

func TestParseMarker_OtherName_IsNoMarker(t *testing.T) {
	if want := "k8s-c0ffee00-" + uid; marker != want {
		t.Errorf("marker %q, want %q", marker, want)
	}
	if u, ok := plan.ParseMarker(marker); u != uid || !ok {
		t.Errorf("got %q, %v, want the UID of %q", u, ok, marker)
	}
	for _, name := range []string{"", "k8s-team", marker + " ", " " + marker, marker + "\n", "K8s" + marker[3:], marker[:len(marker)-1]} {
		if plan.IsMarker(name) {
			t.Errorf("IsMarker(%q): got true, want false", name)
		}
	}
	if got := plan.Marker("short", uid); got != "k8s-short-"+uid {
		t.Errorf("got marker %q, want k8s-short-%s", got, uid)
	}
}
