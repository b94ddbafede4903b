// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestDecide_MissingSubaccount_IsRecreatedOnceCertain(t *testing.T) {
	get, creating := about(plan.StepGet, sa1), v1alpha1.ReasonCreating
	// Two sweeps, an interval apart, lack the subaccount. A 404 came before and after the second.
	gone := func(changes ...change) *observation {
		return ready(append([]change{missingSubaccount(0, interval+1), swept(interval)}, changes...)...)
	}
	never := func(o *observation) { o.Object.Spec.RecreatePolicy = v1alpha1.RecreatePolicyNever }
	check(t, []row{
		{"Remote unknown", ready(func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }), reports(v1alpha1.ReasonReady)},
		{"missing from the sweep", ready(missingSubaccount()), get},
		{"404, but the list shows it", gone(remote(plan.Remote{Name: wanted, Enabled: true})), sweepFrom(creating, time.Millisecond)},
		{"404, no list", gone(func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }), sweepFrom(creating, time.Millisecond)},
		{"404, only one sweep without it", ready(missingSubaccount(0), swept(0)), sweepFrom(creating, interval)},
		{"404, second sweep too early", ready(missingSubaccount(0), swept(interval-1)), sweepFrom(creating, interval)},
		{"two 404s, second sweep too early", ready(missingSubaccount(0, settle), swept(interval-1)), sweepFrom(creating, interval)},
		{"404, second sweep", ready(missingSubaccount(0), swept(interval)), get},
		{"404 before and at the second sweep", ready(missingSubaccount(0, interval), swept(interval)), get},
		{"404 before and after the second sweep", gone(), do(plan.StepDeclareIntent)},
		{"404 less than a settle time before the second sweep", ready(missingSubaccount(interval, interval), swept(interval+1)), sweepFrom(creating, interval+settle)},
		{"missing twice, guard on", gone(guardOn), reports(v1alpha1.ReasonInventoryImplausible)},
		{"missing once, guard on", ready(missingSubaccount(), guardOn), reports(v1alpha1.ReasonInventoryImplausible)},
		{"missing twice,  Account terminating", gone(account(func(a *plan.Account) { a.Terminating = true })), reports(v1alpha1.ReasonAccountNotReady)},
		{"missing twice,  namespace terminating", gone(func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), decision{}},
		{"missing twice,  Secret unknown", gone(func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"missing twice,  adopted", gone(adopting), reports(v1alpha1.ReasonRemoteNotFound)},
		{"missing twice,  recreatePolicy Never", gone(never), reports(v1alpha1.ReasonRemoteNotFound)},
		{"missing once, recreatePolicy Never", ready(never, missingSubaccount()), get},
		{"recreatePolicy Never, reported before", ready(never, missingSubaccount(), reported(v1alpha1.ReasonRemoteNotFound)), reports(v1alpha1.ReasonRemoteNotFound)},
		{"recreatePolicy Automatic again", gone(reported(v1alpha1.ReasonRemoteNotFound), func(o *observation) { o.Object.Generation++ }), do(plan.StepDeclareIntent)},
		{"adopted, reported before", ready(adopting, missingSubaccount(), reported(v1alpha1.ReasonRemoteNotFound)), reports(v1alpha1.ReasonRemoteNotFound)},
		{"adopted, reported before, requested", ready(adopting, missingSubaccount(), reported(v1alpha1.ReasonRemoteNotFound), requested), get},
		{"suspended", gone(suspend), reports(v1alpha1.ReasonSuspended)},
	})
}

func TestDecide_RequestedReconcile_ReadsOnce(t *testing.T) {
	check(t, []row{
		{"requested", ready(requested), about(plan.StepGet, sa1)},
		{"requested and read", ready(requested, func(o *observation) { o.Fetched = true }), reports(v1alpha1.ReasonReady)},
		{"handled", ready(requested, func(o *observation) { o.Object.Status.LastHandledReconcileAt = "now" }), reports(v1alpha1.ReasonReady)},
		{"requested while suspended", ready(requested, suspend), reports(v1alpha1.ReasonSuspended)},
	})
}

func TestDecide_DriftAtPlivo_IsUpdated(t *testing.T) {
	update := func(name string, enabled bool) decision {
		return decision{Step: plan.StepUpdate, AuthID: sa1, Name: name, Enabled: enabled}
	}
	spec := func(name *string, enabled *bool) change {
		return func(o *observation) { o.Object.Spec.Name, o.Object.Spec.Enabled = name, enabled }
	}
	unread := func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }
	noStatus := func(o *observation) { o.Object.Status.Name = nil }
	fetched := func(o *observation) { o.Fetched = true }
	r := func(name string, enabled bool) change {
		return remote(plan.Remote{Name: name, Enabled: enabled, TokenDigest: token1})
	}
	unconfirmed := remote(plan.Remote{Name: wanted, Enabled: true, TokenDigest: token1, UpdateUnconfirmed: true})
	settled := remote(plan.Remote{Name: "team", Enabled: true, TokenDigest: token1, SentAs: wanted})
	check(t, []row{
		{"name", ready(r("old", true)), update(wanted, true)},
		{"enabled", ready(r(wanted, false)), update(wanted, true)},
		{"enabled omitted", ready(spec(new(wanted), nil)), update(wanted, false)},
		{"adopted, name omitted, not read", ready(adopting, spec(nil, new(false)), r("legacy", true)), about(plan.StepGet, sa1)},
		{"adopted, name omitted, read", ready(adopting, spec(nil, new(false)), r("legacy", true), fetched), update("legacy", false)},
		{"adopted, enabled omitted, not read", ready(adopting, spec(new(wanted), nil), r("legacy", true)), about(plan.StepGet, sa1)},
		{"adopted, enabled omitted, read", ready(adopting, spec(new(wanted), nil), r("legacy", true), fetched), update(wanted, true)},
		{"adopted, enabled omitted, list not read yet", ready(adopting, spec(new("new"), nil), unread), about(plan.StepGet, sa1)},
		{"adopted, name and enabled given", ready(adopting, spec(new(wanted), new(true)), r("legacy", true)), update(wanted, true)},
		{"adopted, name and enabled omitted", ready(adopting, spec(nil, nil), r("legacy", false)), reports(v1alpha1.ReasonReady)},
		{"last update unconfirmed", ready(unconfirmed), update(wanted, true)},
		{"adopted, name omitted, last update unconfirmed", ready(adopting, spec(nil, new(false)), unconfirmed), about(plan.StepGet, sa1)},
		{"Plivo stores another form of the name", ready(settled), reports(v1alpha1.ReasonReady)},
		{"Plivo stored another form of an earlier name", ready(settled, spec(new("new"), new(true))), update("new", true)},
		{"not read yet, status matches the spec", ready(unread), reports(v1alpha1.ReasonReady)},
		{"not read yet, spec edited", ready(unread, spec(new("new"), new(true))), update("new", true)},
		{"not read yet, no status", ready(unread, noStatus), update(wanted, true)},
		{"adopted, not read yet, no status", ready(adopting, unread, noStatus, spec(nil, new(true))), about(plan.StepGet, sa1)},
		{"adopted, read without a result", ready(adopting, unread, noStatus, spec(nil, new(true)), func(o *observation) { o.Fetched = true }), retry("")},
	})
}

func TestDecide_SecretDiffers_IsWritten(t *testing.T) {
	write, get := do(plan.StepWriteSecret), about(plan.StepGet, sa1)
	inHand := func(o *observation) { o.HasToken = true }
	absent := func(o *observation) { o.Secret = plan.Absent[plan.Secret]() }
	unseen := remote(plan.Remote{Name: wanted, Enabled: true})
	contested := func(after time.Duration) change {
		return func(o *observation) { o.ContestedUntil = o.Now.Add(after) }
	}
	wanting := func(reason string, w plan.Wait) decision { return decision{Reason: reason, Wait: w} }
	check(t, []row{
		{"metadata differs", ready(secret(func(s *plan.Secret) { s.MetadataUpToDate = false })), write},
		{"absent, no token", ready(absent), get},
		{"absent, with token", ready(absent, inHand), write},
		{"absent, read without a token", ready(absent, func(o *observation) { o.Fetched = true }), retry("")},
		{"unknown", ready(func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"another authID, same token", ready(secret(func(s *plan.Secret) { s.AuthID = sa2 })), write},
		{"another authID, token at Plivo unknown", ready(unseen, secret(func(s *plan.Secret) { s.AuthID = sa2 })), get},
		{"another token than at Plivo", ready(secret(func(s *plan.Secret) { s.TokenDigest = token2 })), get},
		{"no token", ready(secret(func(s *plan.Secret) { s.TokenDigest = [16]byte{} })), get},
		{"malformed, same token", ready(secret(func(s *plan.Secret) { s.WellFormed = false })), write},
		{"malformed, token at Plivo unknown", ready(unseen, secret(func(s *plan.Secret) { s.WellFormed = false })), get},
		{"contested", ready(absent, inHand, contested(time.Minute)), wanting(v1alpha1.ReasonUpdating, plan.Wait{After: time.Minute})},
		{"contested, but it matches now", ready(contested(time.Minute)), reports(v1alpha1.ReasonReady)},
		{"contested until now", ready(absent, inHand, contested(0)), write},
		{"malformed, with token", ready(secret(func(s *plan.Secret) { s.WellFormed = false }), inHand), write},
		{"token at Plivo unknown", ready(unseen), reports(v1alpha1.ReasonReady)},
		{"Secret of another owner", ready(foreignSecret, inHand), decision{Reason: v1alpha1.ReasonSecretConflict, Wait: plan.Wait{After: time.Minute}}},
		{"terminating namespace", ready(absent, inHand, func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), decision{}},
		{"drift comes first", ready(absent, inHand, remote(plan.Remote{Name: marker})), decision{
			Step: plan.StepUpdate, AuthID: sa1, Name: wanted, Enabled: true}},
	})
}

func TestDecide_ObsoleteSecret_IsDeletedAfterNewOneIsWritten(t *testing.T) {
	old := func(o *observation) { o.ObsoleteSecret = "b" }
	check(t, []row{
		{"new Secret exists", ready(old), decision{Step: plan.StepRemoveSecret, Secret: "b"}},
		{"new Secret is missing", ready(old, func(o *observation) { o.Secret, o.HasToken = plan.Absent[plan.Secret](), true }), do(plan.StepWriteSecret)},
		{"new Secret has another owner", ready(old, foreignSecret), decision{Reason: v1alpha1.ReasonSecretConflict, Wait: plan.Wait{After: time.Minute}}},
	})
}
