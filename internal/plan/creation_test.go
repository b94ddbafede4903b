package plan_test

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestPendingCreationIsConfirmedByASweep(t *testing.T) {
	p := func(changes ...change) *observation {
		return fresh(append([]change{begun, pending("one")}, changes...)...)
	}
	unconfirmed := v1alpha1.ReasonCreationUnconfirmed
	check(t, []row{
		{"no sweep yet", p(), sweepFrom(unconfirmed, 0)},
		{"a sweep before the first sight", p(swept(-1)), sweepFrom(unconfirmed, 0)},
		{"a sweep within the settle time", p(swept(settle - 1)), sweepFrom(unconfirmed, settle+time.Millisecond)},
		{"a sweep at the settle time", p(swept(settle)), sweepFrom(unconfirmed, settle+time.Millisecond)},
		{"a sweep after the settle time", p(swept(settle + 1)), do(plan.StepDeclareIntent)},
		{"first sight not known", p(swept(settle+1), at(1), func(o *observation) { o.PendingSince = time.Time{} }), sweepFrom(unconfirmed, 1)},
		{"list doubted", p(swept(settle+1), implausible), tell(v1alpha1.ReasonInventoryImplausible)},
		{"found once", p(func(o *observation) { o.FoundByMarker = []string{sa1} }), about(plan.StepRecord, sa1)},
		{"found twice: one of them", p(func(o *observation) { o.FoundByMarker = []string{sa1, sa2} }), about(plan.StepRecord, sa1)},
		{"credentials gone: nobody knows whose list it was", p(swept(settle+1), account(func(a *plan.Account) { a.ID = "" })), decision{}},
		{"other main account", p(swept(settle+1), account(func(a *plan.Account) { a.ID = otherMain })), tell(v1alpha1.ReasonAccountChanged)},
		{"confirmed, namespace terminating", p(swept(settle+1), func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), decision{}},
		{"confirmed, Secret unknown", p(swept(settle+1), func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"confirmed, Account terminating", p(swept(settle+1), account(func(a *plan.Account) { a.Terminating = true })), tell(v1alpha1.ReasonAccountNotReady)},
		{"suspended", p(swept(settle+1), suspend), tell(v1alpha1.ReasonSuspended)},
		{"unsent in this pass", p(func(o *observation) { o.DeclaredAttempt = "one" }), do(plan.StepCreate)},
		{"unsent, Secret unknown", p(func(o *observation) { o.DeclaredAttempt, o.Secret = "one", plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"another attempt was unsent", p(func(o *observation) { o.DeclaredAttempt = "two" }), sweepFrom(unconfirmed, 0)},
		{"not sent for want of time", p(func(o *observation) { o.DeclaredAttempt = "one" }, failed(plan.StepCreate, plan.FailureNotSent)), retry("")},
		{"refused", p(func(o *observation) { o.RefusedAttempt = "one" }), do(plan.StepClearIntent)},
		{"refused in this pass", p(func(o *observation) { o.RefusedAttempt = "one" }, failed(plan.StepCreate, plan.FailureRefused)), do(plan.StepClearIntent)},
		{"another attempt was refused", p(func(o *observation) { o.RefusedAttempt = "two" }), sweepFrom(unconfirmed, 0)},
	})
}

func TestAdoptionIsGated(t *testing.T) {
	adopt := func(changes ...change) *observation { return fresh(append([]change{adopting}, changes...)...) }
	looked := func(o *observation) { o.Fetched = true; o.Remote = plan.Known(plan.Remote{Name: "legacy"}) }
	check(t, []row{
		{"no grant", adopt(account(func(a *plan.Account) { a.GrantsAdoption = false })), tell(v1alpha1.ReasonAdoptionForbidden)},
		{"claim not judged", adopt(func(o *observation) { o.Claim = plan.Unknown[plan.Claim]() }), do(plan.StepReadClaim)},
		{"held by another", adopt(claim(false)), tell(v1alpha1.ReasonAlreadyManaged)},
		{"not looked", adopt(), about(plan.StepGet, sa1)},
		{"not looked, the list shows it", adopt(remote(plan.Remote{Name: "legacy"})), about(plan.StepGet, sa1)},
		{"looked and nothing learned", adopt(func(o *observation) { o.Fetched = true }), retry("")},
		{"not found", adopt(missingSubaccount(0), func(o *observation) { o.Fetched = true }), tell(v1alpha1.ReasonRemoteNotFound)},
		{"not found before", adopt(told(v1alpha1.ReasonRemoteNotFound)), tell(v1alpha1.ReasonRemoteNotFound)},
		{"not found before, now in the list", adopt(told(v1alpha1.ReasonRemoteNotFound), remote(plan.Remote{Name: "legacy"})), about(plan.StepGet, sa1)},
		{"not found before, asked", adopt(told(v1alpha1.ReasonRemoteNotFound), asked), about(plan.StepGet, sa1)},
		{"an unfinished creation", adopt(func(o *observation) { o.Fetched = true }, remote(plan.Remote{Name: marker})), tell(v1alpha1.ReasonAdoptionForbidden)},
		{"Secret of another", adopt(looked, foreignSecret), decision{Reason: v1alpha1.ReasonSecretConflict, Wait: plan.Wait{After: time.Minute}}},
		{"clear", adopt(looked), about(plan.StepAdopt, sa1)},
		{"adopted, no finalizer yet", adopt(looked, recorded(sa1)), do(plan.StepAddFinalizer)},
		{"adopted, judged anew", adopt(looked, begun, recorded(sa1), func(o *observation) { o.Claim = plan.Unknown[plan.Claim]() }), do(plan.StepReadClaim)},
	})
}

func TestMarker(t *testing.T) {
	if want := "k8s-c0ffee00-" + uid; marker != want {
		t.Errorf("marker %q, want %q", marker, want)
	}
	if c, u, ok := plan.ParseMarker(marker); c != "c0ffee00" || u != uid || !ok {
		t.Errorf("parsed %q, %q, %v", c, u, ok)
	}
	for _, name := range []string{"", "k8s-team", marker + " ", " " + marker, marker + "\n", "K8s" + marker[3:], marker[:len(marker)-1]} {
		if plan.IsMarker(name) {
			t.Errorf("%q is taken for a marker", name)
		}
	}
	if got := plan.Marker("short", uid); got != "k8s-short-"+uid {
		t.Errorf("marker of a short cluster UID: %q", got)
	}
}
