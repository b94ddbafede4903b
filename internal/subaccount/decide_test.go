package subaccount_test

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/subaccount"
)

func TestHeldAnswerIsRecordedBeforeEveryGate(t *testing.T) {
	record := about(subaccount.StepRecord, sa1)
	pend := func(changes ...change) *observation {
		return fresh(append([]change{begun, pending("one"), held}, changes...)...)
	}
	check(t, []row{
		{"suspended", pend(suspend), record},
		{"no Account", pend(noAccount), record},
		{"Account unknown", pend(func(o *observation) { o.Account = subaccount.Unknown[subaccount.Account]() }), record},
		{"other main account", pend(account(func(a *subaccount.Account) { a.ID = otherMain })), record},
		{"terminating", pend(terminating), record},
		{"terminating, Orphan", pend(terminating, orphan), record},
		{"terminating, uninstall", pend(terminating, func(o *observation) { o.CRDTerminating = subaccount.Known(true) }), record},
		{"lost status", pend(lostStatus), record},
		{"namespace not allowed", pend(account(func(a *subaccount.Account) { a.Allows = subaccount.Known(false) })), record},
		{"another step failed", pend(failed(subaccount.StepWriteSecret, subaccount.FailureKubernetes)), record},
		{"the record failed", pend(failed(subaccount.StepRecord, subaccount.FailureKubernetes)), retry("")},
		{"the record failed while an Orphan is terminating", pend(terminating, orphan, failed(subaccount.StepRecord, subaccount.FailureKubernetes)), retry("")},
	})
}

func TestGatesBeforeAnythingIsMade(t *testing.T) {
	unknown := func(o *observation) { o.Account = subaccount.Unknown[subaccount.Account]() }
	blocked := account(func(a *subaccount.Account) {
		a.Blocked, a.BlockedMessage = v1alpha1.ReasonCredentialsRejected, "circuit open"
	})
	conflict := tell(v1alpha1.ReasonSecretConflict)
	conflict.Wait.After = 60e9
	check(t, []row{
		{"suspended", fresh(suspend), tell(v1alpha1.ReasonSuspended)},
		{"Account unknown", fresh(unknown), decision{}},
		{"Account absent", fresh(noAccount), tell(v1alpha1.ReasonAccountNotFound)},
		{"Account blocked", fresh(blocked), tell(v1alpha1.ReasonCredentialsRejected)},
		{"Account without credentials", fresh(account(func(a *subaccount.Account) { a.ID = "" })), decision{}},
		{"Account terminating", fresh(account(func(a *subaccount.Account) { a.Terminating = true })), tell(v1alpha1.ReasonAccountNotReady)},
		{"selection unknown", fresh(account(func(a *subaccount.Account) { a.Allows = subaccount.Unknown[bool]() })), decision{}},
		{"namespace not allowed", fresh(account(func(a *subaccount.Account) { a.Allows = subaccount.Known(false) })), tell(v1alpha1.ReasonNamespaceNotAllowed)},
		{"namespace unknown", fresh(func(o *observation) { o.Namespace = subaccount.Unknown[subaccount.Namespace]() }), decision{}},
		{"namespace terminating", fresh(func(o *observation) { o.Namespace = subaccount.Known(subaccount.Namespace{Terminating: true}) }), decision{}},
		{"Secret unknown", fresh(func(o *observation) { o.Secret = subaccount.Unknown[subaccount.Secret]() }), do(subaccount.StepReadSecret)},
		{"Secret of another", fresh(foreignSecret), conflict},
		{"rejected before", fresh(begun, told(v1alpha1.ReasonRejected)), tell(v1alpha1.ReasonRejected)},
		{"lost status", fresh(lostStatus), tell(v1alpha1.ReasonStatusLost)},
		{"terminating without our finalizer", fresh(terminating), decision{}},
		{"all clear", fresh(), do(subaccount.StepDeclareIntent)},
		{"all clear, finalizer of an earlier attempt", fresh(begun), do(subaccount.StepDeclareIntent)},
		{"intent declared, no finalizer yet", fresh(pending("one"), func(o *observation) { o.Unsent = "one" }), do(subaccount.StepAddFinalizer)},
	})
}

// unusable is an Account whose namespaceSelector cannot be used.
func unusable(o *observation) {
	o.Account = subaccount.Known(subaccount.Account{Blocked: v1alpha1.ReasonAccountNotReady, BlockedMessage: "x"})
}

func TestRecordedSubaccountIsGated(t *testing.T) {
	drifted := remote(subaccount.Remote{Name: "other", TokenDigest: token1})
	check(t, []row{
		{"everything as wanted", ready(), tell(v1alpha1.ReasonReady)},
		{"suspended", ready(drifted, suspend), tell(v1alpha1.ReasonSuspended)},
		{"credentials of another main account", ready(drifted, account(func(a *subaccount.Account) { a.ID = otherMain })), tell(v1alpha1.ReasonAccountChanged)},
		{"no Account", ready(drifted, noAccount), tell(v1alpha1.ReasonAccountNotFound)},
		{"namespace not allowed any more", ready(drifted, account(func(a *subaccount.Account) { a.Allows = subaccount.Known(false) })), tell(v1alpha1.ReasonNamespaceNotAllowed)},
		{"claim unknown", ready(drifted, func(o *observation) { o.Claim = subaccount.Unknown[subaccount.Claim]() }), do(subaccount.StepJudgeClaim)},
		{"claim lost", ready(drifted, loser), tell(v1alpha1.ReasonAlreadyManaged)},
		{"claim lost after the Secret was written", ready(claim(false)), decision{Step: subaccount.StepRemoveSecret, Secret: "a-plivo"}},
		{"missing when this process started", ready(told(v1alpha1.ReasonRemoteNotFound), func(o *observation) { o.Remote = subaccount.Unknown[subaccount.Remote]() }), tell("")},
		{"finalizer stripped", ready(drifted, func(o *observation) { o.Object.Finalizers = nil }), do(subaccount.StepAddFinalizer)},
		{"blocked Account with drift", ready(drifted, account(func(a *subaccount.Account) { a.Blocked = v1alpha1.ReasonAccountNotReady; a.BlockedMessage = "x" })), tell(v1alpha1.ReasonAccountNotReady)},
		{"a selector that cannot be used, new", fresh(unusable), tell(v1alpha1.ReasonAccountNotReady)},
		{"a selector that cannot be used, with drift", ready(drifted, unusable), tell(v1alpha1.ReasonAccountNotReady)},
		{"a selector that cannot be used, without drift", ready(unusable), tell(v1alpha1.ReasonReady)},
		{"blocked Account without drift", ready(account(func(a *subaccount.Account) { a.Blocked = v1alpha1.ReasonAccountNotReady })), tell(v1alpha1.ReasonReady)},
		{"finalizer stripped while pending", fresh(begun, pending("one"), func(o *observation) { o.Object.Finalizers = nil }), do(subaccount.StepAddFinalizer)},
	})
}

func TestFailuresAreTold(t *testing.T) {
	f := func(s subaccount.Step, k subaccount.FailureKind) *observation { return ready(failed(s, k)) }
	persistent := func(s subaccount.Step) *observation {
		return ready(failed(s, subaccount.FailureKubernetes), func(o *observation) { o.Failure.Persistent = true })
	}
	check(t, []row{
		{"refused", f(subaccount.StepGet, subaccount.FailureRefused), tell(v1alpha1.ReasonRejected)},
		{"rate limited", f(subaccount.StepUpdate, subaccount.FailureRateLimited), retry(v1alpha1.ReasonRateLimited)},
		{"unknown", f(subaccount.StepUpdate, subaccount.FailureUnknown), retry(v1alpha1.ReasonUnavailable)},
		{"no slot", ready(func(o *observation) {
			o.Failure = &subaccount.Failure{Step: subaccount.StepUpdate, Kind: subaccount.FailureNoSlot}
		}), decision{}},
		{"no slot during a long pause", f(subaccount.StepUpdate, subaccount.FailureNoSlot), tell(v1alpha1.ReasonRateLimited)},
		{"too often", ready(func(o *observation) {
			o.Failure = &subaccount.Failure{Step: subaccount.StepUpdate, Kind: subaccount.FailureTooOften, After: time.Second}
		}), decision{Reason: v1alpha1.ReasonUpdating, Wait: subaccount.Wait{After: time.Second}}},
		{"not sent", f(subaccount.StepUpdate, subaccount.FailureNotSent), retry("")},
		{"kubernetes", f(subaccount.StepReadSecret, subaccount.FailureKubernetes), retry("")},
		{"a Secret that may not be read", f(subaccount.StepReadSecret, subaccount.FailureForbidden), retry(v1alpha1.ReasonNamespaceNotAllowed)},
		{"kubernetes, again and again", persistent(subaccount.StepWriteSecret), retry(v1alpha1.ReasonKubernetesError)},
		{"the finalizer cannot be removed", persistent(subaccount.StepRelease), retry(v1alpha1.ReasonKubernetesError)},
		{"404 to a create says nothing of the spec", f(subaccount.StepCreate, subaccount.FailureBesideTheSpec), retry(v1alpha1.ReasonUnavailable)},
		{"405 to an update is no refusal", f(subaccount.StepUpdate, subaccount.FailureBesideTheSpec), retry(v1alpha1.ReasonUnavailable)},
		{"an update refused before the Secret stands", ready(failed(subaccount.StepUpdate, subaccount.FailureRefused), func(o *observation) {
			o.Object.Status.Binding = nil
		}), tell(v1alpha1.ReasonRejected)},
	})
}

func TestRefusedUpdateStillSeesToTheSecret(t *testing.T) {
	drift := remote(subaccount.Remote{Name: "old", Enabled: true, TokenDigest: token2})
	refused := failed(subaccount.StepUpdate, subaccount.FailureRefused)
	check(t, []row{
		{"refused in this pass", ready(drift, refused), about(subaccount.StepGet, sa1)},
		{"refused before", ready(drift, told(v1alpha1.ReasonRejected)), about(subaccount.StepGet, sa1)},
		{"Secret sound", ready(refused), tell(v1alpha1.ReasonRejected)},
	})
}

func TestRejectedHoldsUntilTheSpecChangesOrSomebodyAsks(t *testing.T) {
	drift := remote(subaccount.Remote{Name: "old", Enabled: true, TokenDigest: token1})
	update := decision{Step: subaccount.StepUpdate, AuthID: sa1, Name: wanted, Enabled: true, Reason: v1alpha1.ReasonUpdating}
	generation := func(o *observation) { o.Object.Generation++ }
	rejected := told(v1alpha1.ReasonRejected)
	check(t, []row{
		{"update held", ready(drift, rejected), tell(v1alpha1.ReasonRejected)},
		{"update, new generation", ready(drift, rejected, generation), update},
		{"update, asked: looks first", ready(drift, rejected, asked), about(subaccount.StepGet, sa1)},
		{"update, asked and looked", ready(drift, rejected, asked, func(o *observation) { o.Looked = true }), update},
		{"create held", fresh(begun, rejected), tell(v1alpha1.ReasonRejected)},
		{"create, new generation", fresh(begun, rejected, generation), do(subaccount.StepDeclareIntent)},
		{"create, asked", fresh(begun, rejected, asked), do(subaccount.StepDeclareIntent)},
		{"delete", ready(rejected, terminating), about(subaccount.StepDelete, sa1)},
		{"Secret not given: nothing is handed out", ready(drift, rejected, func(o *observation) {
			o.Object.Status.Binding, o.Secret = nil, subaccount.Absent[subaccount.Secret]()
		}), tell(v1alpha1.ReasonRejected)},
	})
}
