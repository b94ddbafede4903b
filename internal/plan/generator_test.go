// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func from[T any](t *rapid.T, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

func flag(t *rapid.T, label string) bool { return rapid.Bool().Draw(t, label) }

// usually is true in 9 of 10 draws: with fair flags, few observations would pass all
// gates.
func usually(t *rapid.T, label string) bool { return rapid.IntRange(0, 9).Draw(t, label) < 9 }

func rarely(t *rapid.T, label string) bool { return !usually(t, label) }

// fact is Known in 8 of 10 draws.
func fact[T any](t *rapid.T, label string, value T) plan.Fact[T] {
	switch rapid.IntRange(0, 9).Draw(t, label) {
	case 0:
		return plan.Unknown[T]()
	case 1:
		return plan.Absent[T]()
	default:
		return plan.Known(value)
	}
}

// moment is close to an instant that matters to the protocol, or zero.
func moment(t *rapid.T, label string) time.Time {
	after := from(t, label, -1, 0, -settle, 1, settle-1, settle, settle+1, settle+time.Millisecond, interval-1, interval, interval+1, 2*interval)
	if after == -settle {
		return time.Time{}
	}
	return base.Add(after)
}

func pointer[T any](t *rapid.T, label string, values ...T) *T {
	if rarely(t, label+" omitted") {
		return nil
	}
	return new(from(t, label, values...))
}

// observations draws any observation, also those that cannot occur.
var observations = rapid.Custom(func(t *rapid.T) *observation {
	o := &observation{
		Now: moment(t, "now"), SettleTime: settle, Object: drawObject(t), Marker: marker,
		CRDTerminating: fact(t, "CRD", rarely(t, "CRD terminating")),
		Namespace:      fact(t, "namespace", plan.Namespace{Terminating: rarely(t, "namespace terminating")}),
		Account:        fact(t, "account", drawAccount(t)),
		Allowed: fact(t, "allowed", plan.Allowed{
			Deletion: from(t, "allowed deletion", nil, nil, nil, []v1alpha1.DeletionPolicy{v1alpha1.DeletionPolicyDelete}, []v1alpha1.DeletionPolicy{v1alpha1.DeletionPolicyOrphan}),
			Cascade:  from(t, "allowed cascade", nil, nil, nil, []v1alpha1.CascadePolicy{v1alpha1.CascadePolicyReassign}, []v1alpha1.CascadePolicy{v1alpha1.CascadePolicyDelete}),
		}),
		Claim: fact(t, "claim", plan.Claim{Ours: usually(t, "claim ours")}),
		Secret: fact(t, "secret", plan.Secret{
			Owned: usually(t, "secret owned"), AuthID: from(t, "secret authID", sa1, sa2, ""),
			TokenDigest: from(t, "secret token", token1, token2, [16]byte{}), WellFormed: flag(t, "well formed"), MetadataUpToDate: flag(t, "labelled"),
		}),
		ObsoleteSecret:  from(t, "obsolete secret", "", "", "b"),
		DeclaredAttempt: from(t, "declared attempt", "", "", "one", "two"), RefusedAttempt: from(t, "refused", "", "", "one", "two"),
		PendingSince: moment(t, "pending since"), FoundByMarker: from(t, "found", nil, nil, nil, []string{sa1}, []string{sa2, sa1}),
		LastSweep: fact(t, "swept", plan.Sweep{Started: moment(t, "sweep started")}),
		Deleted:   rarely(t, "deleted"), Fetched: flag(t, "fetched"), ReplacedAuthID: from(t, "replaced authID", "", "", sa2), HasToken: flag(t, "has token"),
		NotFound:  plan.NotFound{First: moment(t, "first 404"), Last: moment(t, "last 404"), MissingSince: moment(t, "missing since"), Refuted: from(t, "refuted", 0, 1, 100)},
		Performed: rapid.SliceOfN(rapid.SampledFrom(steps), 0, 3).Draw(t, "done"),
	}
	r := plan.Remote{
		Name: from(t, "remote name", wanted, marker, ""), Enabled: flag(t, "remote enabled"), UpdateUnconfirmed: rarely(t, "update unconfirmed"),
		TokenDigest: from(t, "remote token", token1, token2, [16]byte{}), SentAs: from(t, "sent as", "", "other", wanted),
	}
	o.Remote = from(t, "remote", plan.Known(r), plan.Known(r), plan.Absent[plan.Remote](), plan.Unknown[plan.Remote]())
	if flag(t, "no 404") {
		o.NotFound = plan.NotFound{}
	} else if flag(t, "missing") { // random values would seldom give this
		o.Remote = plan.Absent[plan.Remote]()
		first := from(t, "first", 0, interval-settle)
		o.NotFound = plan.NotFound{First: base.Add(first), Last: base.Add(from(t, "last", settle, interval, interval+1)), MissingSince: base}
		o.LastSweep = plan.Known(plan.Sweep{Started: base.Add(from(t, "second sweep", 0, interval-1, interval))})
	}
	if rarely(t, "held") {
		o.HeldResponse = &plan.HeldResponse{Attempt: from(t, "held attempt", "one", "two"), AuthID: from(t, "held authID", sa1, sa2), AccountID: from(t, "held account", mainID, otherMain)}
	}
	if rarely(t, "failure") {
		o.Failure = &plan.Failure{
			Step: from(t, "failed step", steps...), Message: "failed",
			Persistent: rarely(t, "persistent"),
			Kind:       plan.FailureKind(rapid.IntRange(0, int(plan.FailureKubernetes)+1).Draw(t, "failure kind")),
		}
	}
	return o
})

var steps = []plan.Step{
	plan.StepReadCRD, plan.StepReadClaim, plan.StepReadSecret, plan.StepGet,
	plan.StepAddFinalizer, plan.StepDeclareIntent, plan.StepCreate, plan.StepClearIntent, plan.StepRecord,
	plan.StepAdopt, plan.StepUpdate, plan.StepDelete, plan.StepWriteSecret, plan.StepRemoveSecret, plan.StepRecordOrphan, plan.StepRemoveFinalizer,
}

func drawAccount(t *rapid.T) plan.Account {
	a := plan.Account{
		ID: from(t, "account ID", mainID, mainID, mainID, mainID, otherMain, ""), Terminating: rarely(t, "account terminating"),
		AllowsNamespace: fact(t, "allows", usually(t, "allowed")), GrantsAdoption: usually(t, "grants"), GuardOn: rarely(t, "guardOn"),
		SweepInterval: from(t, "interval", interval, interval, interval, settle/4),
	}
	if rarely(t, "blocked") {
		a.Blocked = from(t, "blocked reason", v1alpha1.ReasonAccountNotReady, v1alpha1.ReasonCredentialsRejected, v1alpha1.ReasonRateLimited)
		a.BlockedMessage = "blocked"
	}
	return a
}

func drawObject(t *rapid.T) *v1alpha1.Subaccount {
	s := &v1alpha1.Subaccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "a", UID: uid, Generation: int64(from(t, "generation", 1, 2))},
		Spec: v1alpha1.SubaccountSpec{
			Name: pointer(t, "name", wanted, "other"), Enabled: pointer(t, "enabled", true, false),
			AccountRef:     v1alpha1.AccountReference{Name: "default"},
			DeletionPolicy: from(t, "deletion policy", "", v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyOrphan),
			RecreatePolicy: from(t, "recreate policy", "", v1alpha1.RecreatePolicyAutomatic, v1alpha1.RecreatePolicyNever),
			CascadePolicy:  from(t, "cascade policy", v1alpha1.CascadePolicyReassign, v1alpha1.CascadePolicyDelete),
			Secret:         v1alpha1.SubaccountSecret{Name: from(t, "secret name", "", "mine")},
		},
	}
	if from(t, "finalizer", true, true, false) {
		s.Finalizers = []string{"another/finalizer", v1alpha1.Finalizer}
	}
	if from(t, "terminating", false, false, true) {
		s.DeletionTimestamp = new(metav1.NewTime(base))
	}
	if rarely(t, "requested") {
		s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
	}
	if from(t, "adopting", false, false, true) {
		s.Spec.AuthID = new(from(t, "spec authID", sa1, sa2))
	}
	if rarely(t, "has suspend") {
		s.Spec.Suspend = new(flag(t, "suspend"))
	}
	drawStatus(t, &s.Status)
	return s
}

func drawStatus(t *rapid.T, s *v1alpha1.SubaccountStatus) {
	s.ObservedGeneration = int64(from(t, "observed generation", 1, 1, 1, 2, -1))
	s.AuthID = from(t, "authID", "", "", sa1, sa1, sa2)
	s.AccountID = from(t, "accountID", mainID, mainID, mainID, mainID, otherMain, "")
	s.PreviousAuthID = from(t, "previous authID", "", "", sa2)
	if from(t, "pending", false, false, true) {
		s.PendingCreation = &v1alpha1.PendingCreation{Attempt: from(t, "attempt", "one", "two"), AccountID: from(t, "pending account", mainID, mainID, mainID, otherMain)}
		if usually(t, "pending alone") {
			s.AuthID, s.AccountID = "", ""
		}
	}
	s.Name, s.Enabled = pointer(t, "status name", wanted, marker), pointer(t, "status enabled", true, false)
	if flag(t, "binding") {
		s.Binding = &v1alpha1.SecretBinding{Name: "a-plivo"}
	}
	s.LastHandledReconcileAt = from(t, "handled", "", "now")
	if flag(t, "has conditions") {
		reason := from(t, "reported reason", v1alpha1.ReasonReady, v1alpha1.ReasonCreating, v1alpha1.ReasonRejected, v1alpha1.ReasonRemoteNotFound, v1alpha1.ReasonSuspended)
		plan.SetConditions(&s.Conditions, reason, "reported before", int64(from(t, "reported generation", 1, 2)), metav1.NewTime(base))
	}
}
