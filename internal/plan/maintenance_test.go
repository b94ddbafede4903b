package plan_test

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestGoneAtPlivo(t *testing.T) {
	look, creating := about(plan.StepGet, sa1), v1alpha1.ReasonCreating
	// Two sweeps an interval apart lack it, with a 404 before and after the second.
	gone := func(changes ...change) *observation {
		return ready(append([]change{missingSubaccount(0, interval+1), swept(interval)}, changes...)...)
	}
	never := func(o *observation) { o.Object.Spec.RecreatePolicy = v1alpha1.RecreatePolicyNever }
	check(t, []row{
		{"unknown is not missing", ready(func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }), tell(v1alpha1.ReasonReady)},
		{"missing from the sweep", ready(missingSubaccount()), look},
		{"404, but the list shows it", gone(remote(plan.Remote{Name: wanted, Enabled: true})), sweepFrom(creating, 1)},
		{"404, no list", gone(func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }), sweepFrom(creating, 1)},
		{"404, the sweep that showed it first is the last one", ready(missingSubaccount(0), swept(0)), sweepFrom(creating, interval)},
		{"404, second sweep too early", ready(missingSubaccount(0), swept(interval-1)), sweepFrom(creating, interval)},
		{"two 404s, second sweep too early", ready(missingSubaccount(0, settle), swept(interval-1)), sweepFrom(creating, interval)},
		{"404, second sweep", ready(missingSubaccount(0), swept(interval)), look},
		{"404 before and at the second sweep", ready(missingSubaccount(0, interval), swept(interval)), look},
		{"404 before and after the second sweep", gone(), do(plan.StepDeclareIntent)},
		{"404 late: a settle time between the 404s", ready(missingSubaccount(interval, interval), swept(interval+1)), sweepFrom(creating, interval+settle)},
		{"gone, list doubted", gone(implausible), tell(v1alpha1.ReasonInventoryImplausible)},
		{"missing, list doubted", ready(missingSubaccount(), implausible), tell(v1alpha1.ReasonInventoryImplausible)},
		{"gone, Account terminating", gone(account(func(a *plan.Account) { a.Terminating = true })), tell(v1alpha1.ReasonAccountNotReady)},
		{"gone, namespace terminating", gone(func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), decision{}},
		{"gone, Secret unknown", gone(func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"gone, adopted", gone(adopting), tell(v1alpha1.ReasonRemoteNotFound)},
		{"gone, recreatePolicy Never", gone(never), tell(v1alpha1.ReasonRemoteNotFound)},
		{"missing once, recreatePolicy Never", ready(never, missingSubaccount()), look},
		{"recreatePolicy Never, reported before", ready(never, missingSubaccount(), told(v1alpha1.ReasonRemoteNotFound)), tell(v1alpha1.ReasonRemoteNotFound)},
		{"recreatePolicy Automatic again", gone(told(v1alpha1.ReasonRemoteNotFound), func(o *observation) { o.Object.Generation++ }), do(plan.StepDeclareIntent)},
		{"adopted, reported before", ready(adopting, missingSubaccount(), told(v1alpha1.ReasonRemoteNotFound)), tell(v1alpha1.ReasonRemoteNotFound)},
		{"adopted, reported before, requested", ready(adopting, missingSubaccount(), told(v1alpha1.ReasonRemoteNotFound), asked), look},
		{"suspended", gone(suspend), tell(v1alpha1.ReasonSuspended)},
	})
}

func TestAskedLooksOnce(t *testing.T) {
	check(t, []row{
		{"asked", ready(asked), about(plan.StepGet, sa1)},
		{"asked and looked", ready(asked, func(o *observation) { o.Fetched = true }), tell(v1alpha1.ReasonReady)},
		{"handled", ready(asked, func(o *observation) { o.Object.Status.LastHandledReconcileAt = "now" }), tell(v1alpha1.ReasonReady)},
		{"asked while suspended", ready(asked, suspend), tell(v1alpha1.ReasonSuspended)},
	})
}

func TestDrift(t *testing.T) {
	update := func(name string, enabled bool) decision {
		return decision{Step: plan.StepUpdate, AuthID: sa1, Name: name, Enabled: enabled, Reason: v1alpha1.ReasonUpdating}
	}
	spec := func(name *string, enabled *bool) change {
		return func(o *observation) { o.Object.Spec.Name, o.Object.Spec.Enabled = name, enabled }
	}
	unread := func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }
	noStatus := func(o *observation) { o.Object.Status.Name = nil }
	looked := func(o *observation) { o.Fetched = true }
	r := func(name string, enabled bool) change {
		return remote(plan.Remote{Name: name, Enabled: enabled, TokenDigest: token1})
	}
	unsure := remote(plan.Remote{Name: wanted, Enabled: true, TokenDigest: token1, UpdateUnconfirmed: true})
	settled := remote(plan.Remote{Name: "team", Enabled: true, TokenDigest: token1, SentAs: wanted})
	check(t, []row{
		{"name", ready(r("old", true)), update(wanted, true)},
		{"enabled", ready(r(wanted, false)), update(wanted, true)},
		{"enabled left out means false", ready(spec(new(wanted), nil)), update(wanted, false)},
		{"adopted: name left open, not read", ready(adopting, spec(nil, new(false)), r("legacy", true)), about(plan.StepGet, sa1)},
		{"adopted: name left open, read", ready(adopting, spec(nil, new(false)), r("legacy", true), looked), update("legacy", false)},
		{"adopted: enabled left open, not read", ready(adopting, spec(new(wanted), nil), r("legacy", true)), about(plan.StepGet, sa1)},
		{"adopted: enabled left open, read", ready(adopting, spec(new(wanted), nil), r("legacy", true), looked), update(wanted, true)},
		{"adopted: enabled left open, list not read yet", ready(adopting, spec(new("new"), nil), unread), about(plan.StepGet, sa1)},
		{"adopted: both given need no read", ready(adopting, spec(new(wanted), new(true)), r("legacy", true)), update(wanted, true)},
		{"adopted: both left alone", ready(adopting, spec(nil, nil), r("legacy", false)), tell(v1alpha1.ReasonReady)},
		{"last update unsure", ready(unsure), update(wanted, true)},
		{"adopted: unsure of what is left alone", ready(adopting, spec(nil, new(false)), unsure), about(plan.StepGet, sa1)},
		{"Plivo keeps another form", ready(settled), tell(v1alpha1.ReasonReady)},
		{"Plivo kept another form of another name", ready(settled, spec(new("new"), new(true))), update("new", true)},
		{"not read yet, status as wanted", ready(unread), tell(v1alpha1.ReasonReady)},
		{"not read yet, spec edited", ready(unread, spec(new("new"), new(true))), update("new", true)},
		{"not read yet, no status", ready(unread, noStatus), update(wanted, true)},
		{"adopted: not read yet, no status", ready(adopting, unread, noStatus, spec(nil, new(true))), about(plan.StepGet, sa1)},
		{"adopted: looked and nothing learned", ready(adopting, unread, noStatus, spec(nil, new(true)), func(o *observation) { o.Fetched = true }), retry("")},
	})
}

func TestSecretIsMended(t *testing.T) {
	write, look := do(plan.StepWriteSecret), about(plan.StepGet, sa1)
	inHand := func(o *observation) { o.HasToken = true }
	absent := func(o *observation) { o.Secret = plan.Absent[plan.Secret]() }
	unseen := remote(plan.Remote{Name: wanted, Enabled: true})
	contested := func(after time.Duration) change {
		return func(o *observation) { o.ContestedUntil = o.Now.Add(after) }
	}
	wanting := func(reason string, w plan.Wait) decision { return decision{Reason: reason, Wait: w} }
	check(t, []row{
		{"metadata only needs no token", ready(secret(func(s *plan.Secret) { s.MetadataUpToDate = false })), write},
		{"absent, no token", ready(absent), look},
		{"absent, token in hand", ready(absent, inHand), write},
		{"absent, looked in vain", ready(absent, func(o *observation) { o.Fetched = true }), retry("")},
		{"unknown", ready(func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"another authID, the token is right", ready(secret(func(s *plan.Secret) { s.AuthID = sa2 })), write},
		{"another authID, token at Plivo not seen", ready(unseen, secret(func(s *plan.Secret) { s.AuthID = sa2 })), look},
		{"another token than at Plivo", ready(secret(func(s *plan.Secret) { s.TokenDigest = token2 })), look},
		{"no token", ready(secret(func(s *plan.Secret) { s.TokenDigest = [16]byte{} })), look},
		{"unsound, the token is right", ready(secret(func(s *plan.Secret) { s.WellFormed = false })), write},
		{"unsound, token at Plivo not seen", ready(unseen, secret(func(s *plan.Secret) { s.WellFormed = false })), look},
		{"contested", ready(absent, inHand, contested(time.Minute)), wanting(v1alpha1.ReasonUpdating, plan.Wait{After: time.Minute})},
		{"contested, and as wanted by now", ready(contested(time.Minute)), tell(v1alpha1.ReasonReady)},
		{"contested until now", ready(absent, inHand, contested(0)), write},
		{"unsound, token in hand", ready(secret(func(s *plan.Secret) { s.WellFormed = false }), inHand), write},
		{"token at Plivo not seen", ready(unseen), tell(v1alpha1.ReasonReady)},
		{"of another", ready(foreignSecret, inHand), decision{Reason: v1alpha1.ReasonSecretConflict, Wait: plan.Wait{After: time.Minute}}},
		{"terminating namespace", ready(absent, inHand, func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), decision{}},
		{"only once the subaccount is as wanted", ready(absent, inHand, remote(plan.Remote{Name: marker})), decision{
			Step: plan.StepUpdate, AuthID: sa1, Name: wanted, Enabled: true, Reason: v1alpha1.ReasonUpdating}},
	})
}

func TestOldSecretGoesOnceTheNewOneIsWritten(t *testing.T) {
	old := func(o *observation) { o.ObsoleteSecret = "b" }
	check(t, []row{
		{"the new one stands", ready(old), decision{Step: plan.StepRemoveSecret, Secret: "b"}},
		{"the new one is missing", ready(old, func(o *observation) { o.Secret, o.HasToken = plan.Absent[plan.Secret](), true }), do(plan.StepWriteSecret)},
		{"the new one is another's", ready(old, foreignSecret), decision{Reason: v1alpha1.ReasonSecretConflict, Wait: plan.Wait{After: time.Minute}}},
	})
}
