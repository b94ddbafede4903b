// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestDecide_HeldResponse_IsRecordedBeforeEveryGate(t *testing.T) {
	record := about(plan.StepRecord, sa1)
	pend := func(changes ...change) *observation {
		return fresh(append([]change{begun, pending("one"), held}, changes...)...)
	}
	check(t, []row{
		{"suspended", pend(suspend), record},
		{"no Account", pend(noAccount), record},
		{"Account unknown", pend(func(o *observation) { o.Account = plan.Unknown[plan.Account]() }), record},
		{"other main account", pend(account(func(a *plan.Account) { a.ID = otherMain })), record},
		{"terminating", pend(terminating), record},
		{"terminating, Orphan", pend(terminating, orphanDeletion), record},
		{"CRD terminating", pend(terminating, func(o *observation) { o.CRDTerminating = plan.Known(true) }), record},
		{"lost status", pend(lostStatus), record},
		{"namespace not allowed", pend(account(func(a *plan.Account) { a.AllowsNamespace = plan.Known(false) })), record},
		{"another step failed", pend(failed(plan.StepWriteSecret, plan.FailureKubernetes)), record},
		{"failed to record", pend(failed(plan.StepRecord, plan.FailureKubernetes)), retry("")},
		{"failed to record, terminating, Orphan", pend(terminating, orphanDeletion, failed(plan.StepRecord, plan.FailureKubernetes)), retry("")},
	})
}

func TestDecide_NewResource_PassesGatesFirst(t *testing.T) {
	unknown := func(o *observation) { o.Account = plan.Unknown[plan.Account]() }
	blocked := account(func(a *plan.Account) {
		a.Blocked, a.BlockedMessage = v1alpha1.ReasonCredentialsRejected, "circuit open"
	})
	conflict := reports(v1alpha1.ReasonSecretConflict)
	conflict.Wait.After = 60e9
	check(t, []row{
		{"suspended", fresh(suspend), reports(v1alpha1.ReasonSuspended)},
		{"Account unknown", fresh(unknown), decision{}},
		{"Account absent", fresh(noAccount), reports(v1alpha1.ReasonAccountNotFound)},
		{"Account blocked", fresh(blocked), reports(v1alpha1.ReasonCredentialsRejected)},
		{"Account without credentials", fresh(account(func(a *plan.Account) { a.ID = "" })), decision{}},
		{"Account terminating", fresh(account(func(a *plan.Account) { a.Terminating = true })), reports(v1alpha1.ReasonAccountNotReady)},
		{"namespaceSelector not evaluated", fresh(account(func(a *plan.Account) { a.AllowsNamespace = plan.Unknown[bool]() })), decision{}},
		{"namespace not allowed", fresh(account(func(a *plan.Account) { a.AllowsNamespace = plan.Known(false) })), reports(v1alpha1.ReasonNamespaceNotAllowed)},
		{"namespace unknown", fresh(func(o *observation) { o.Namespace = plan.Unknown[plan.Namespace]() }), decision{}},
		{"namespace terminating", fresh(func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), decision{}},
		{"Secret unknown", fresh(func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"Secret of another owner", fresh(foreignSecret), conflict},
		{"rejected before", fresh(begun, reported(v1alpha1.ReasonRejected)), reports(v1alpha1.ReasonRejected)},
		{"lost status", fresh(lostStatus), reports(v1alpha1.ReasonStatusLost)},
		{"terminating without our finalizer", fresh(terminating), decision{}},
		{"all gates open", fresh(), do(plan.StepDeclareIntent)},
		{"all gates open, finalizer of an earlier attempt", fresh(begun), do(plan.StepDeclareIntent)},
		{"intent declared, no finalizer yet", fresh(pending("one"), func(o *observation) { o.DeclaredAttempt = "one" }), do(plan.StepAddFinalizer)},
	})
}

// unusable is an Account with an invalid namespaceSelector.
func unusable(o *observation) {
	o.Account = plan.Known(plan.Account{Blocked: v1alpha1.ReasonAccountNotReady, BlockedMessage: "x"})
}

func TestDecide_RecordedSubaccount_PassesGatesFirst(t *testing.T) {
	drifted := remote(plan.Remote{Name: "other", TokenDigest: token1})
	check(t, []row{
		{"everything matches", ready(), reports(v1alpha1.ReasonReady)},
		{"suspended", ready(drifted, suspend), reports(v1alpha1.ReasonSuspended)},
		{"credentials of another main account", ready(drifted, account(func(a *plan.Account) { a.ID = otherMain })), reports(v1alpha1.ReasonAccountChanged)},
		{"no Account", ready(drifted, noAccount), reports(v1alpha1.ReasonAccountNotFound)},
		{"namespace not allowed any more", ready(drifted, account(func(a *plan.Account) { a.AllowsNamespace = plan.Known(false) })), reports(v1alpha1.ReasonNamespaceNotAllowed)},
		{"claim unknown", ready(drifted, func(o *observation) { o.Claim = plan.Unknown[plan.Claim]() }), do(plan.StepReadClaim)},
		{"claim lost", ready(drifted, loser), reports(v1alpha1.ReasonAlreadyManaged)},
		{"claim lost after the Secret was written", ready(claim(false)), decision{Step: plan.StepRemoveSecret, Secret: "a-plivo"}},
		{"reported missing before this process started", ready(reported(v1alpha1.ReasonRemoteNotFound), func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }), reports("")},
		{"finalizer stripped", ready(drifted, func(o *observation) { o.Object.Finalizers = nil }), do(plan.StepAddFinalizer)},
		{"blocked Account with drift", ready(drifted, account(func(a *plan.Account) { a.Blocked = v1alpha1.ReasonAccountNotReady; a.BlockedMessage = "x" })), reports(v1alpha1.ReasonAccountNotReady)},
		{"invalid namespaceSelector, new", fresh(unusable), reports(v1alpha1.ReasonAccountNotReady)},
		{"invalid namespaceSelector, with drift", ready(drifted, unusable), reports(v1alpha1.ReasonAccountNotReady)},
		{"invalid namespaceSelector, without drift", ready(unusable), reports(v1alpha1.ReasonReady)},
		{"blocked Account without drift", ready(account(func(a *plan.Account) { a.Blocked = v1alpha1.ReasonAccountNotReady })), reports(v1alpha1.ReasonReady)},
		{"finalizer stripped while pending", fresh(begun, pending("one"), func(o *observation) { o.Object.Finalizers = nil }), do(plan.StepAddFinalizer)},
	})
}

func TestDecide_FailedStep_IsReportedOrRetried(t *testing.T) {
	f := func(s plan.Step, k plan.FailureKind) *observation { return ready(failed(s, k)) }
	persistent := func(s plan.Step) *observation {
		return ready(failed(s, plan.FailureKubernetes), func(o *observation) { o.Failure.Persistent = true })
	}
	check(t, []row{
		{"refused", f(plan.StepGet, plan.FailureRefused), reports(v1alpha1.ReasonRejected)},
		{"rate limited", f(plan.StepUpdate, plan.FailureRateLimited), retry(v1alpha1.ReasonRateLimited)},
		{"unknown", f(plan.StepUpdate, plan.FailureUnknown), retry(v1alpha1.ReasonUnavailable)},
		{"no slot", ready(func(o *observation) {
			o.Failure = &plan.Failure{Step: plan.StepUpdate, Kind: plan.FailureNoSlot}
		}), decision{}},
		{"no slot during a long pause", f(plan.StepUpdate, plan.FailureNoSlot), reports(v1alpha1.ReasonRateLimited)},
		{"throttled", ready(func(o *observation) {
			o.Failure = &plan.Failure{Step: plan.StepUpdate, Kind: plan.FailureThrottled, After: time.Second}
		}), decision{Reason: v1alpha1.ReasonUpdating, Wait: plan.Wait{After: time.Second}}},
		{"not sent", f(plan.StepUpdate, plan.FailureNotSent), retry("")},
		{"API server", f(plan.StepReadSecret, plan.FailureKubernetes), retry("")},
		{"no right to read Secrets", f(plan.StepReadSecret, plan.FailureForbidden), retry(v1alpha1.ReasonNamespaceNotAllowed)},
		{"API server, persistent", persistent(plan.StepWriteSecret), retry(v1alpha1.ReasonKubernetesError)},
		{"API server, persistent, removing the finalizer", persistent(plan.StepRemoveFinalizer), retry(v1alpha1.ReasonKubernetesError)},
		{"404 to a create call", f(plan.StepCreate, plan.FailureUnrelatedToSpec), retry(v1alpha1.ReasonUnavailable)},
		{"405 to an update", f(plan.StepUpdate, plan.FailureUnrelatedToSpec), retry(v1alpha1.ReasonUnavailable)},
		{"update refused before the Secret exists", ready(failed(plan.StepUpdate, plan.FailureRefused), func(o *observation) {
			o.Object.Status.Binding = nil
		}), reports(v1alpha1.ReasonRejected)},
	})
}

func TestDecide_RefusedUpdate_StillRestoresSecret(t *testing.T) {
	drift := remote(plan.Remote{Name: "old", Enabled: true, TokenDigest: token2})
	refused := failed(plan.StepUpdate, plan.FailureRefused)
	check(t, []row{
		{"refused in this reconcile", ready(drift, refused), about(plan.StepGet, sa1)},
		{"refused before", ready(drift, reported(v1alpha1.ReasonRejected)), about(plan.StepGet, sa1)},
		{"Secret matches", ready(refused), reports(v1alpha1.ReasonRejected)},
	})
}

func TestDecide_Rejected_WaitsForNewSpecOrRequest(t *testing.T) {
	drift := remote(plan.Remote{Name: "old", Enabled: true, TokenDigest: token1})
	update := decision{Step: plan.StepUpdate, AuthID: sa1, Name: wanted, Enabled: true}
	generation := func(o *observation) { o.Object.Generation++ }
	rejected := reported(v1alpha1.ReasonRejected)
	check(t, []row{
		{"update rejected before", ready(drift, rejected), reports(v1alpha1.ReasonRejected)},
		{"update, new generation", ready(drift, rejected, generation), update},
		{"update, requested", ready(drift, rejected, requested), about(plan.StepGet, sa1)},
		{"update, requested and read", ready(drift, rejected, requested, func(o *observation) { o.Fetched = true }), update},
		{"create rejected before", fresh(begun, rejected), reports(v1alpha1.ReasonRejected)},
		{"create, new generation", fresh(begun, rejected, generation), do(plan.StepDeclareIntent)},
		{"create, requested", fresh(begun, rejected, requested), do(plan.StepDeclareIntent)},
		{"delete", ready(rejected, terminating), about(plan.StepDelete, sa1)},
		{"no Secret yet", ready(drift, rejected, func(o *observation) {
			o.Object.Status.Binding, o.Secret = nil, plan.Absent[plan.Secret]()
		}), reports(v1alpha1.ReasonRejected)},
	})
}
