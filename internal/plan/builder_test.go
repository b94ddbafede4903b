// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

const (
	settle    = 40 * time.Second
	interval  = 5 * time.Minute
	mainID    = "MAAAAAAAAAAAAAAAAAAA"
	otherMain = "MABBBBBBBBBBBBBBBBBB"
	sa1       = "SAAAAAAAAAAAAAAAAAAA"
	sa2       = "SABBBBBBBBBBBBBBBBBB"
	uid       = "0b6a5c1e-2f3d-4a5b-8c7d-9e0f1a2b3c4d"
	cluster   = "c0ffee00-0000-4000-8000-000000000000"
	wanted    = "team-a"
)

var (
	base   = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	marker = plan.Marker(cluster, uid)
	token1 = [16]byte{1}
	token2 = [16]byte{2}
)

type observation = plan.Observation

// change modifies the observation of a builder.
type change func(*observation)

// fresh returns a new resource: all gates are open and nothing is created.
func fresh(changes ...change) *observation {
	o := &observation{
		Now: base, SettleTime: settle, Marker: marker,
		Object: &v1alpha1.Subaccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "a", UID: uid, Generation: 1},
			Spec: v1alpha1.SubaccountSpec{
				Name: new(wanted), Enabled: new(true), AccountRef: v1alpha1.AccountReference{Name: "default"},
				CascadePolicy: v1alpha1.CascadePolicyReassign,
			},
			Status: v1alpha1.SubaccountStatus{ObservedGeneration: -1},
		},
		CRDTerminating: plan.Known(false),
		Namespace:      plan.Known(plan.Namespace{}),
		Account:        plan.Known(plan.Account{ID: mainID, SweepInterval: interval, AllowsNamespace: plan.Known(true), GrantsAdoption: true}),
		Allowed:        plan.Known(plan.Allowed{}),
		Secret:         plan.Absent[plan.Secret](),
	}
	return withChanges(o, changes)
}

// ready returns a resource whose subaccount and Secret match the spec.
func ready(changes ...change) *observation {
	o := fresh(begun, recorded(sa1))
	o.Object.Status.Name, o.Object.Status.Enabled = new(wanted), new(true)
	o.Object.Status.Binding = &v1alpha1.SecretBinding{Name: "a-plivo"}
	o.Claim = plan.Known(plan.Claim{Ours: true})
	o.Remote = plan.Known(plan.Remote{Name: wanted, Enabled: true, TokenDigest: token1})
	o.Secret = plan.Known(plan.Secret{Owned: true, AuthID: sa1, TokenDigest: token1, WellFormed: true, MetadataUpToDate: true})
	plan.SetConditions(&o.Object.Status.Conditions, v1alpha1.ReasonReady, "", 1, metav1.NewTime(base))
	return withChanges(o, changes)
}

func begun(o *observation) {
	o.Object.Status.ObservedGeneration = 1
	o.Object.Finalizers = []string{v1alpha1.Finalizer}
}

func terminating(o *observation) { o.Object.DeletionTimestamp = new(metav1.NewTime(base)) }

func orphanDeletion(o *observation) { o.Object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan }

func suspend(o *observation) { o.Object.Spec.Suspend = new(true) }

func requested(o *observation) {
	o.Object.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
}

func lostStatus(o *observation) {
	o.Object.Finalizers = []string{v1alpha1.Finalizer}
	o.Object.Status = v1alpha1.SubaccountStatus{ObservedGeneration: -1}
}

func recorded(authID string) change {
	return func(o *observation) { o.Object.Status.AuthID, o.Object.Status.AccountID = authID, mainID }
}

// pending has an attempt that this process first saw at base.
func pending(attempt string) change {
	return func(o *observation) {
		o.Object.Status.AuthID, o.Object.Status.AccountID = "", ""
		o.Object.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: attempt, AccountID: mainID}
		o.PendingSince = base
	}
}

func adopting(o *observation) {
	o.Object.Spec.AuthID, o.Object.Spec.DeletionPolicy = new(sa1), v1alpha1.DeletionPolicyOrphan
	o.Claim = plan.Known(plan.Claim{Ours: true})
}

// reported sets the conditions for a reason.
func reported(reason string) change {
	return func(o *observation) {
		plan.SetConditions(&o.Object.Status.Conditions, reason, "reported before", o.Object.Generation, metav1.NewTime(base))
	}
}

func failed(step plan.Step, kind plan.FailureKind) change {
	return func(o *observation) { o.Failure = &plan.Failure{Step: step, Kind: kind, Message: "failed"} }
}

func held(o *observation) {
	o.HeldResponse = &plan.HeldResponse{Attempt: "one", AuthID: sa1, AccountID: mainID}
}

// account changes the facts about the Account.
func account(do func(*plan.Account)) change {
	return func(o *observation) {
		a, _ := o.Account.Get()
		do(&a)
		o.Account = plan.Known(a)
	}
}

func guardOn(o *observation) {
	account(func(a *plan.Account) { a.GuardOn = true })(o)
}

func noAccount(o *observation) { o.Account = plan.Absent[plan.Account]() }

func secret(do func(*plan.Secret)) change {
	return func(o *observation) {
		s, _ := o.Secret.Get()
		do(&s)
		o.Secret = plan.Known(s)
	}
}

func foreignSecret(o *observation) { o.Secret = plan.Known(plan.Secret{}) }

// loser claims an authID that another Subaccount holds, and has no Secret.
func loser(o *observation) {
	claim(false)(o)
	o.Secret = plan.Absent[plan.Secret]()
}

func remote(r plan.Remote) change {
	return func(o *observation) { o.Remote = plan.Known(r) }
}

func claim(ours bool) change {
	return func(o *observation) { o.Claim = plan.Known(plan.Claim{Ours: ours}) }
}

// swept sets a complete sweep that started at a time after base.
func swept(after time.Duration) change {
	return func(o *observation) { o.LastSweep = plan.Known(plan.Sweep{Started: base.Add(after)}) }
}

// missingSubaccount has no row in the sweeps since base, and got 404s at these times
// after base.
func missingSubaccount(after ...time.Duration) change {
	return func(o *observation) {
		o.Remote = plan.Absent[plan.Remote]()
		if len(after) > 0 {
			o.NotFound = plan.NotFound{First: base.Add(after[0]), Last: base.Add(after[len(after)-1]), MissingSince: base}
		}
	}
}

// refuted says how often Plivo's list showed the subaccount after a 404. A call has
// a 404 again.
func refuted(times int) change {
	return func(o *observation) { o.NotFound = plan.NotFound{First: base, Last: base, Refuted: times} }
}

func at(after time.Duration) change { return func(o *observation) { o.Now = base.Add(after) } }

func withChanges(o *observation, changes []change) *observation {
	for _, c := range changes {
		c(o)
	}
	return o
}

// decision is the expected result of a row.
type decision = plan.Decision

type row struct {
	name string
	o    *observation
	want decision
}

// check decides each row. It does not compare messages, but a reason must have one.
func check(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			got := plan.Decide(r.o)
			if got.Step == plan.StepNone && got.Reason != "" && got.Message == "" {
				t.Errorf("got reason %s without a message, want one", got.Reason)
			}
			got.Message = ""
			if got != r.want {
				t.Errorf("got  %+v\nwant %+v", got, r.want)
			}
		})
	}
}

func do(s plan.Step) decision { return decision{Step: s} }

func about(s plan.Step, authID string) decision { return decision{Step: s, AuthID: authID} }

func reports(reason string) decision { return decision{Reason: reason} }

func sweepFrom(reason string, after time.Duration) decision {
	return decision{Reason: reason, Wait: plan.Wait{Sweep: base.Add(after)}}
}

func retry(reason string) decision {
	return decision{Reason: reason, Wait: plan.Wait{Backoff: true}}
}
