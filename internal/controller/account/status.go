package account

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// changingReportedFrom so many sweeps in a row the list cannot just have changed
// while it was read.
const changingReportedFrom = 3

// sweepCondition reads how the sweeps fare.
func sweepCondition(a *v1alpha1.Account, acct *mainaccount.Account) (reason, message string) {
	status := acct.Status()
	if acct.GuardOn() {
		return v1alpha1.ReasonInventoryImplausible, "Plivo's list lacks more than half of the subaccounts recorded under this Account. The operator " +
			"recreates nothing. If they are really gone, give the annotation " + v1alpha1.ConfirmDisappearanceAnnotation + " a new value."
	}
	if acct.Usable().Refused {
		return v1alpha1.ReasonCredentialsRejected, "Plivo refuses the credentials: put working ones into the Secret " +
			a.Spec.CredentialsSecretRef.Name + ". The operator tries them again at least once a minute, and at once when the Secret changes."
	}
	switch status.Outcome {
	case mainaccount.OutcomeNone:
		return v1alpha1.ReasonConnecting, "The credentials are being tried."
	case mainaccount.OutcomeChanging:
		if status.Failures < changingReportedFrom {
			return v1alpha1.ReasonReady, "Plivo accepts the credentials."
		}
		return v1alpha1.ReasonUnavailable, "Plivo's list does not add up: " + status.Message + ". Until it does, the operator repairs the drift " +
			"that it sees, and treats no subaccount as missing. It retries. If this stays, show the numbers to Plivo's support."
	case mainaccount.OutcomeComplete:
		return v1alpha1.ReasonReady, "Plivo accepts the credentials."
	case mainaccount.OutcomeRefused:
		return v1alpha1.ReasonCredentialsRejected, "Plivo refuses the credentials: " + status.Message
	case mainaccount.OutcomeRateLimited:
		return v1alpha1.ReasonRateLimited, "Plivo's rate limit is reached, by the operator or by the account's other traffic. It goes on by itself."
	default:
		return v1alpha1.ReasonUnavailable, "Plivo's list cannot be read: " + status.Message + ". This is tried again by itself."
	}
}

// hasReported says whether the status is about the current generation of the spec.
func hasReported(a *v1alpha1.Account) bool {
	c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.ObservedGeneration == a.Generation
}

// report writes what changed in the status, and an event if the reason did.
func (r *Reconciler) report(ctx context.Context, a *v1alpha1.Account, users []v1alpha1.Subaccount, reason, message string) error {
	before := a.DeepCopy()
	status, changed := r.status(a, users, reason, message)
	if equality.Semantic.DeepEqual(status, a.Status) {
		return nil
	}
	a.Status = status
	err := r.Client.Status().Patch(ctx, a, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	// Once it is written, or the next pass would tell it again.
	if changed && reason != v1alpha1.ReasonReady && reason != v1alpha1.ReasonConnecting {
		r.Events.Eventf(a, nil, corev1.EventTypeWarning, reason, "Reconcile", "%s", message)
	}
	return nil
}

// status is an Account's as it should read, and whether Ready has another state
// or reason in it.
func (r *Reconciler) status(a *v1alpha1.Account, users []v1alpha1.Subaccount, reason, message string) (status v1alpha1.AccountStatus, changed bool) {
	status = *a.Status.DeepCopy()
	status.ObservedGeneration = a.Generation
	changed = plan.SetConditions(&status.Conditions, reason, message, a.Generation, metav1.NewTime(time.Now()))
	if acct, ok := r.Accounts.Get(a.Name); ok {
		if id := acct.Usable().ID; id != "" && id != status.AuthID {
			status.AuthID, status.Subaccounts, status.MassDisappearance = id, nil, nil
		}
		if value := acct.HandledReconcile(); value != "" {
			status.LastHandledReconcileAt = value
		}
		switch tally := acct.Status(); {
		case reason == v1alpha1.ReasonDuplicateAccount: // the older one counts them
			status.Subaccounts, status.MassDisappearance = nil, nil
		case tally.Complete > 0 && status.AuthID != "":
			status.Subaccounts = countSubaccounts(acct, users, tally.Total)
			status.MassDisappearance = massDisappearance(a, tally.MassDisappearance)
		}
	}
	return status, changed
}

// massDisappearance records a disappearance with the confirmation that the
// Account has at that time: a value that was given before confirms nothing.
func massDisappearance(a *v1alpha1.Account, implausible bool) *v1alpha1.MassDisappearance {
	switch {
	case !implausible:
		return nil
	case a.Status.MassDisappearance != nil:
		return a.Status.MassDisappearance
	default:
		return &v1alpha1.MassDisappearance{
			Since: metav1.NewTime(time.Now()), HandledConfirmation: a.Annotations[v1alpha1.ConfirmDisappearanceAnnotation],
		}
	}
}

// confirmsDisappearance says whether a person has confirmed the disappearance
// that the status reports. The status keeps it over restarts.
func confirmsDisappearance(a *v1alpha1.Account) bool {
	value := a.Annotations[v1alpha1.ConfirmDisappearanceAnnotation]
	reported := a.Status.MassDisappearance
	return value != "" && reported != nil && value != reported.HandledConfirmation
}

// countSubaccounts what the last sweep saw.
func countSubaccounts(acct *mainaccount.Account, users []v1alpha1.Subaccount, total int) *v1alpha1.SubaccountCounts {
	managed := map[string]struct{}{}
	for i := range users {
		remote, _, _ := acct.Remote(users[i].Status.AuthID)
		if _, ok := remote.Get(); ok {
			managed[users[i].Status.AuthID] = struct{}{}
		}
	}
	return &v1alpha1.SubaccountCounts{
		Total: ptr.To(int32(total)), Managed: ptr.To(int32(len(managed))), Unmanaged: ptr.To(int32(total - len(managed))),
	}
}
