// SPDX-License-Identifier: Apache-2.0

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

// changingReportedFrom is the number of incomplete sweeps in a row from which the
// status reports them. Fewer can be caused by changes during a sweep.
const changingReportedFrom = 3

// sweepCondition returns the reason and message for the result of the last sweep.
func sweepCondition(a *v1alpha1.Account, acct *mainaccount.Account) (reason, message string) {
	status := acct.Status()
	if acct.GuardOn() {
		return v1alpha1.ReasonInventoryImplausible, "Plivo's list lacks more than half of the subaccounts recorded under this Account. The operator " +
			"recreates nothing. If they are really gone, set the annotation " + v1alpha1.ConfirmDisappearanceAnnotation + " to a new value."
	}
	if acct.Usable().Refused {
		return v1alpha1.ReasonCredentialsRejected, "Plivo refuses the credentials. Put valid credentials into the Secret " +
			a.Spec.CredentialsSecretRef.Name + ". The operator retries at least once a minute, and immediately when the Secret changes."
	}
	switch status.Outcome {
	case mainaccount.OutcomeNone:
		return v1alpha1.ReasonConnecting, "The operator is trying the credentials."
	case mainaccount.OutcomeChanging:
		if status.Failures < changingReportedFrom {
			return v1alpha1.ReasonReady, "Plivo accepts the credentials."
		}
		return v1alpha1.ReasonUnavailable, "Plivo's list is inconsistent: " + status.Message + ". The operator retries. Meanwhile it fixes the drift " +
			"that it finds and treats no subaccount as missing. If this persists, send the numbers to Plivo's support."
	case mainaccount.OutcomeComplete:
		return v1alpha1.ReasonReady, "Plivo accepts the credentials."
	case mainaccount.OutcomeRefused:
		return v1alpha1.ReasonCredentialsRejected, "Plivo refuses the credentials: " + status.Message
	case mainaccount.OutcomeRateLimited:
		return v1alpha1.ReasonRateLimited, "Plivo's rate limit is reached, by the operator or by the account's other traffic. The operator retries."
	default:
		return v1alpha1.ReasonUnavailable, "Plivo's list cannot be read: " + status.Message + ". The operator retries."
	}
}

// hasReported reports whether the status describes the current generation.
func hasReported(a *v1alpha1.Account) bool {
	c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.ObservedGeneration == a.Generation
}

// report writes the status if it changed, and then emits an event if the state or
// reason of Ready changed.
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
	// Only after the write: otherwise a retry would emit the event again.
	if changed && reason != v1alpha1.ReasonReady && reason != v1alpha1.ReasonConnecting {
		r.Events.Eventf(a, nil, corev1.EventTypeWarning, reason, "Reconcile", "%s", message)
	}
	return nil
}

// status returns the status that the Account should have. changed reports whether
// the state or reason of Ready differs from the current one.
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
		case reason == v1alpha1.ReasonDuplicateAccount: // the older Account counts them
			status.Subaccounts, status.MassDisappearance = nil, nil
		case tally.Complete > 0 && status.AuthID != "":
			status.Subaccounts = countSubaccounts(acct, users, tally.Total)
			status.MassDisappearance = massDisappearance(a, tally.MassDisappearance)
		}
	}
	return status, changed
}

// massDisappearance returns status.massDisappearance. It stores the annotation's
// value of the time of the disappearance, which confirms nothing: a person must
// set another value.
func massDisappearance(a *v1alpha1.Account, detected bool) *v1alpha1.MassDisappearance {
	switch {
	case !detected:
		return nil
	case a.Status.MassDisappearance != nil:
		return a.Status.MassDisappearance
	default:
		return &v1alpha1.MassDisappearance{
			Since: metav1.NewTime(time.Now()), HandledConfirmation: a.Annotations[v1alpha1.ConfirmDisappearanceAnnotation],
		}
	}
}

// confirmsDisappearance reports whether a person has confirmed the disappearance
// in the status. It works across restarts, because both values are stored there.
func confirmsDisappearance(a *v1alpha1.Account) bool {
	value := a.Annotations[v1alpha1.ConfirmDisappearanceAnnotation]
	reported := a.Status.MassDisappearance
	return value != "" && reported != nil && value != reported.HandledConfirmation
}

// countSubaccounts counts the subaccounts of the main account, by whether a
// Subaccount holds them.
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
