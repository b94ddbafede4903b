package subaccount_test

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/subaccount"
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
		{"a sweep after the settle time", p(swept(settle + 1)), do(subaccount.StepDeclareIntent)},
		{"first sight not known", p(swept(settle+1), at(1), func(o *observation) { o.FirstSight = time.Time{} }), sweepFrom(unconfirmed, 1)},
		{"list doubted", p(swept(settle+1), implausible), tell(v1alpha1.ReasonInventoryImplausible)},
		{"found once", p(func(o *observation) { o.Found = []string{sa1} }), about(subaccount.StepRecord, sa1)},
		{"found twice: one of them", p(func(o *observation) { o.Found = []string{sa1, sa2} }), about(subaccount.StepRecord, sa1)},
		{"credentials gone: nobody knows whose list it was", p(swept(settle+1), account(func(a *subaccount.Account) { a.ID = "" })), decision{}},
		{"other main account", p(swept(settle+1), account(func(a *subaccount.Account) { a.ID = otherMain })), tell(v1alpha1.ReasonAccountChanged)},
		{"confirmed, namespace terminating", p(swept(settle+1), func(o *observation) { o.Namespace = subaccount.Known(subaccount.Namespace{Terminating: true}) }), decision{}},
		{"confirmed, Secret unknown", p(swept(settle+1), func(o *observation) { o.Secret = subaccount.Unknown[subaccount.Secret]() }), do(subaccount.StepReadSecret)},
		{"confirmed, Account terminating", p(swept(settle+1), account(func(a *subaccount.Account) { a.Terminating = true })), tell(v1alpha1.ReasonAccountNotReady)},
		{"suspended", p(swept(settle+1), suspend), tell(v1alpha1.ReasonSuspended)},
		{"unsent in this pass", p(func(o *observation) { o.Unsent = "one" }), do(subaccount.StepCreate)},
		{"unsent, Secret unknown", p(func(o *observation) { o.Unsent, o.Secret = "one", subaccount.Unknown[subaccount.Secret]() }), do(subaccount.StepReadSecret)},
		{"another attempt was unsent", p(func(o *observation) { o.Unsent = "two" }), sweepFrom(unconfirmed, 0)},
		{"not sent for want of time", p(func(o *observation) { o.Unsent = "one" }, failed(subaccount.StepCreate, subaccount.FailureNotSent)), retry("")},
		{"refused", p(func(o *observation) { o.Refused = "one" }), do(subaccount.StepClearIntent)},
		{"refused in this pass", p(func(o *observation) { o.Refused = "one" }, failed(subaccount.StepCreate, subaccount.FailureRefused)), do(subaccount.StepClearIntent)},
		{"another attempt was refused", p(func(o *observation) { o.Refused = "two" }), sweepFrom(unconfirmed, 0)},
	})
}

func TestAdoptionIsGated(t *testing.T) {
	adopt := func(changes ...change) *observation { return fresh(append([]change{adopting}, changes...)...) }
	looked := func(o *observation) { o.Looked = true; o.Remote = subaccount.Known(subaccount.Remote{Name: "legacy"}) }
	check(t, []row{
		{"no grant", adopt(account(func(a *subaccount.Account) { a.Grants = false })), tell(v1alpha1.ReasonAdoptionForbidden)},
		{"claim not judged", adopt(func(o *observation) { o.Claim = subaccount.Unknown[subaccount.Claim]() }), do(subaccount.StepJudgeClaim)},
		{"held by another", adopt(claim(false)), tell(v1alpha1.ReasonAlreadyManaged)},
		{"not looked", adopt(), about(subaccount.StepGet, sa1)},
		{"not looked, the list shows it", adopt(remote(subaccount.Remote{Name: "legacy"})), about(subaccount.StepGet, sa1)},
		{"looked and nothing learned", adopt(func(o *observation) { o.Looked = true }), retry("")},
		{"not found", adopt(missing(0), func(o *observation) { o.Looked = true }), tell(v1alpha1.ReasonRemoteNotFound)},
		{"not found before", adopt(told(v1alpha1.ReasonRemoteNotFound)), tell(v1alpha1.ReasonRemoteNotFound)},
		{"not found before, now in the list", adopt(told(v1alpha1.ReasonRemoteNotFound), remote(subaccount.Remote{Name: "legacy"})), about(subaccount.StepGet, sa1)},
		{"not found before, asked", adopt(told(v1alpha1.ReasonRemoteNotFound), asked), about(subaccount.StepGet, sa1)},
		{"an unfinished creation", adopt(func(o *observation) { o.Looked = true }, remote(subaccount.Remote{Name: marker})), tell(v1alpha1.ReasonAdoptionForbidden)},
		{"Secret of another", adopt(looked, foreignSecret), decision{Reason: v1alpha1.ReasonSecretConflict, Wait: subaccount.Wait{After: time.Minute}}},
		{"clear", adopt(looked), about(subaccount.StepAdopt, sa1)},
		{"adopted, no finalizer yet", adopt(looked, recorded(sa1)), do(subaccount.StepAddFinalizer)},
		{"adopted, judged anew", adopt(looked, begun, recorded(sa1), func(o *observation) { o.Claim = subaccount.Unknown[subaccount.Claim]() }), do(subaccount.StepJudgeClaim)},
	})
}

func TestMarker(t *testing.T) {
	if want := "k8s-c0ffee00-" + uid; marker != want {
		t.Errorf("marker %q, want %q", marker, want)
	}
	if c, u, ok := subaccount.ParseMarker(marker); c != "c0ffee00" || u != uid || !ok {
		t.Errorf("parsed %q, %q, %v", c, u, ok)
	}
	for _, name := range []string{"", "k8s-team", marker + " ", " " + marker, marker + "\n", "K8s" + marker[3:], marker[:len(marker)-1]} {
		if subaccount.IsMarker(name) {
			t.Errorf("%q is taken for a marker", name)
		}
	}
	if got := subaccount.Marker("short", uid); got != "k8s-short-"+uid {
		t.Errorf("marker of a short cluster UID: %q", got)
	}
}
