package plan_test

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestHeldAnswerIsRecordedBeforeEveryGate(t *testing.T) {
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
		{"terminating, uninstall", pend(terminating, func(o *observation) { o.CRDTerminating = plan.Known(true) }), record},
		{"lost status", pend(lostStatus), record},
		{"namespace not allowed", pend(account(func(a *plan.Account) { a.AllowsNamespace = plan.Known(false) })), record},
		{"another step failed", pend(failed(plan.StepWriteSecret, plan.FailureKubernetes)), record},
		{"the record failed", pend(failed(plan.StepRecord, plan.FailureKubernetes)), retry("")},
		{"the record failed while an Orphan is terminating", pend(terminating, orphanDeletion, failed(plan.StepRecord, plan.FailureKubernetes)), retry("")},
	})
}

func TestGatesBeforeAnythingIsMade(t *testing.T) {
	unknown := func(o *observation) { o.Account = plan.Unknown[plan.Account]() }
	blocked := account(func(a *plan.Account) {
		a.Blocked, a.BlockedMessage = v1alpha1.ReasonCredentialsRejected, "circuit open"
	})
	conflict := tell(v1alpha1.ReasonSecretConflict)
	conflict.Wait.After = 60e9
	check(t, []row{
		{"suspended", fresh(suspend), tell(v1alpha1.ReasonSuspended)},
		{"Account unknown", fresh(unknown), decision{}},
		{"Account absent", fresh(noAccount), tell(v1alpha1.ReasonAccountNotFound)},
		{"Account blocked", fresh(blocked), tell(v1alpha1.ReasonCredentialsRejected)},
		{"Account without credentials", fresh(account(func(a *plan.Account) { a.ID = "" })), decision{}},
		{"Account terminating", fresh(account(func(a *plan.Account) { a.Terminating = true })), tell(v1alpha1.ReasonAccountNotReady)},
		{"selection unknown", fresh(account(func(a *plan.Account) { a.AllowsNamespace = plan.Unknown[bool]() })), decision{}},
		{"namespace not allowed", fresh(account(func(a *plan.Account) { a.AllowsNamespace = plan.Known(false) })), tell(v1alpha1.ReasonNamespaceNotAllowed)},
		{"namespace unknown", fresh(func(o *observation) { o.Namespace = plan.Unknown[plan.Namespace]() }), decision{}},
		{"namespace terminating", fresh(func(o *observation) { o.Namespace = plan.Known(plan.Namespace{Terminating: true}) }), decision{}},
		{"Secret unknown", fresh(func(o *observation) { o.Secret = plan.Unknown[plan.Secret]() }), do(plan.StepReadSecret)},
		{"Secret of another", fresh(foreignSecret), conflict},
		{"rejected before", fresh(begun, told(v1alpha1.ReasonRejected)), tell(v1alpha1.ReasonRejected)},
		{"lost status", fresh(lostStatus), tell(v1alpha1.ReasonStatusLost)},
		{"terminating without our finalizer", fresh(terminating), decision{}},
		{"all clear", fresh(), do(plan.StepDeclareIntent)},
		{"all clear, finalizer of an earlier attempt", fresh(begun), do(plan.StepDeclareIntent)},
		{"intent declared, no finalizer yet", fresh(pending("one"), func(o *observation) { o.DeclaredAttempt = "one" }), do(plan.StepAddFinalizer)},
	})
}

// unusable is an Account whose namespaceSelector cannot be used.
func unusable(o *observation) {
	o.Account = plan.Known(plan.Account{Blocked: v1alpha1.ReasonAccountNotReady, BlockedMessage: "x"})
}

func TestRecordedSubaccountIsGated(t *testing.T) {
	drifted := remote(plan.Remote{Name: "other", TokenDigest: token1})
	check(t, []row{
		{"everything as wanted", ready(), tell(v1alpha1.ReasonReady)},
		{"suspended", ready(drifted, suspend), tell(v1alpha1.ReasonSuspended)},
		{"credentials of another main account", ready(drifted, account(func(a *plan.Account) { a.ID = otherMain })), tell(v1alpha1.ReasonAccountChanged)},
		{"no Account", ready(drifted, noAccount), tell(v1alpha1.ReasonAccountNotFound)},
		{"namespace not allowed any more", ready(drifted, account(func(a *plan.Account) { a.AllowsNamespace = plan.Known(false) })), tell(v1alpha1.ReasonNamespaceNotAllowed)},
		{"claim unknown", ready(drifted, func(o *observation) { o.Claim = plan.Unknown[plan.Claim]() }), do(plan.StepReadClaim)},
		{"claim lost", ready(drifted, loser), tell(v1alpha1.ReasonAlreadyManaged)},
		{"claim lost after the Secret was written", ready(claim(false)), decision{Step: plan.StepRemoveSecret, Secret: "a-plivo"}},
		{"missing when this process started", ready(told(v1alpha1.ReasonRemoteNotFound), func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }), tell("")},
		{"finalizer stripped", ready(drifted, func(o *observation) { o.Object.Finalizers = nil }), do(plan.StepAddFinalizer)},
		{"blocked Account with drift", ready(drifted, account(func(a *plan.Account) { a.Blocked = v1alpha1.ReasonAccountNotReady; a.BlockedMessage = "x" })), tell(v1alpha1.ReasonAccountNotReady)},
		{"a selector that cannot be used, new", fresh(unusable), tell(v1alpha1.ReasonAccountNotReady)},
		{"a selector that cannot be used, with drift", ready(drifted, unusable), tell(v1alpha1.ReasonAccountNotReady)},
		{"a selector that cannot be used, without drift", ready(unusable), tell(v1alpha1.ReasonReady)},
		{"blocked Account without drift", ready(account(func(a *plan.Account) { a.Blocked = v1alpha1.ReasonAccountNotReady })), tell(v1alpha1.ReasonReady)},
		{"finalizer stripped while pending", fresh(begun, pending("one"), func(o *observation) { o.Object.Finalizers = nil }), do(plan.StepAddFinalizer)},
	})
}

func TestFailuresAreTold(t *testing.T) {
	f := func(s plan.Step, k plan.FailureKind) *observation { return ready(failed(s, k)) }
	persistent := func(s plan.Step) *observation {
		return ready(failed(s, plan.FailureKubernetes), func(o *observation) { o.Failure.Persistent = true })
	}
	check(t, []row{
		{"refused", f(plan.StepGet, plan.FailureRefused), tell(v1alpha1.ReasonRejected)},
		{"rate limited", f(plan.StepUpdate, plan.FailureRateLimited), retry(v1alpha1.ReasonRateLimited)},
		{"unknown", f(plan.StepUpdate, plan.FailureUnknown), retry(v1alpha1.ReasonUnavailable)},
		{"no slot", ready(func(o *observation) {
			o.Failure = &plan.Failure{Step: plan.StepUpdate, Kind: plan.FailureNoSlot}
		}), decision{}},
		{"no slot during a long pause", f(plan.StepUpdate, plan.FailureNoSlot), tell(v1alpha1.ReasonRateLimited)},
		{"too often", ready(func(o *observation) {
			o.Failure = &plan.Failure{Step: plan.StepUpdate, Kind: plan.FailureThrottled, After: time.Second}
		}), decision{Reason: v1alpha1.ReasonUpdating, Wait: plan.Wait{After: time.Second}}},
		{"not sent", f(plan.StepUpdate, plan.FailureNotSent), retry("")},
		{"kubernetes", f(plan.StepReadSecret, plan.FailureKubernetes), retry("")},
		{"a Secret that may not be read", f(plan.StepReadSecret, plan.FailureForbidden), retry(v1alpha1.ReasonNamespaceNotAllowed)},
		{"kubernetes, again and again", persistent(plan.StepWriteSecret), retry(v1alpha1.ReasonKubernetesError)},
		{"the finalizer cannot be removed", persistent(plan.StepRemoveFinalizer), retry(v1alpha1.ReasonKubernetesError)},
		{"404 to a create says nothing of the spec", f(plan.StepCreate, plan.FailureUnrelatedToSpec), retry(v1alpha1.ReasonUnavailable)},
		{"405 to an update is no refusal", f(plan.StepUpdate, plan.FailureUnrelatedToSpec), retry(v1alpha1.ReasonUnavailable)},
		{"an update refused before the Secret stands", ready(failed(plan.StepUpdate, plan.FailureRefused), func(o *observation) {
			o.Object.Status.Binding = nil
		}), tell(v1alpha1.ReasonRejected)},
	})
}

func TestRefusedUpdateStillSeesToTheSecret(t *testing.T) {
	drift := remote(plan.Remote{Name: "old", Enabled: true, TokenDigest: token2})
	refused := failed(plan.StepUpdate, plan.FailureRefused)
	check(t, []row{
		{"refused in this pass", ready(drift, refused), about(plan.StepGet, sa1)},
		{"refused before", ready(drift, told(v1alpha1.ReasonRejected)), about(plan.StepGet, sa1)},
		{"Secret sound", ready(refused), tell(v1alpha1.ReasonRejected)},
	})
}

func TestRejectedHoldsUntilTheSpecChangesOrSomebodyAsks(t *testing.T) {
	drift := remote(plan.Remote{Name: "old", Enabled: true, TokenDigest: token1})
	update := decision{Step: plan.StepUpdate, AuthID: sa1, Name: wanted, Enabled: true, Reason: v1alpha1.ReasonUpdating}
	generation := func(o *observation) { o.Object.Generation++ }
	rejected := told(v1alpha1.ReasonRejected)
	check(t, []row{
		{"update held", ready(drift, rejected), tell(v1alpha1.ReasonRejected)},
		{"update, new generation", ready(drift, rejected, generation), update},
		{"update, asked: looks first", ready(drift, rejected, asked), about(plan.StepGet, sa1)},
		{"update, asked and looked", ready(drift, rejected, asked, func(o *observation) { o.Fetched = true }), update},
		{"create held", fresh(begun, rejected), tell(v1alpha1.ReasonRejected)},
		{"create, new generation", fresh(begun, rejected, generation), do(plan.StepDeclareIntent)},
		{"create, asked", fresh(begun, rejected, asked), do(plan.StepDeclareIntent)},
		{"delete", ready(rejected, terminating), about(plan.StepDelete, sa1)},
		{"Secret not given: nothing is handed out", ready(drift, rejected, func(o *observation) {
			o.Object.Status.Binding, o.Secret = nil, plan.Absent[plan.Secret]()
		}), tell(v1alpha1.ReasonRejected)},
	})
}
