// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// SetupWithManager registers the reconciler. The caller must also add
// SecretCache to the manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.retries = kube.NewRetries()
	return ctrl.NewControllerManagedBy(mgr).
		Named("account").
		For(&v1alpha1.Account{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{},
			predicate.Funcs{UpdateFunc: finalizersChanged}))).
		// A terminating Account waits for the last Subaccount that uses it. An Account
		// with the reason AccountChanged waits for the last Subaccount that is recorded
		// under the former main account.
		Watches(&v1alpha1.Subaccount{}, handler.EnqueueRequestsFromMapFunc(r.requestsForWaitingAccount), builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(event.CreateEvent) bool { return false }, UpdateFunc: leavesMainAccount,
		})).
		// A change of one Account may make another one a duplicate, or end that.
		Watches(&v1alpha1.Account{}, handler.EnqueueRequestsFromMapFunc(r.requestsForAllAccounts), builder.WithPredicates(predicate.Funcs{
			UpdateFunc: changesMainAccount,
		})).
		WatchesRawSource(source.Kind(r.SecretCache, &corev1.Secret{}, handler.TypedEnqueueRequestsFromMapFunc(r.requestsForSecret))).
		WatchesRawSource(&r.queue).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 4,
			RateLimiter:             kube.Backoff(),
		}).
		Complete(r)
}

func finalizersChanged(e event.UpdateEvent) bool {
	return !slices.Equal(e.ObjectOld.GetFinalizers(), e.ObjectNew.GetFinalizers())
}

func leavesMainAccount(e event.UpdateEvent) bool {
	before := plan.RecordedAccount(e.ObjectOld.(*v1alpha1.Subaccount))
	return before != "" && plan.RecordedAccount(e.ObjectNew.(*v1alpha1.Subaccount)) != before
}

// requestsForWaitingAccount enqueues a Subaccount's Account if that waits for the
// Subaccount to leave its main account, or for its last Subaccount to go.
func (r *Reconciler) requestsForWaitingAccount(ctx context.Context, obj client.Object) []reconcile.Request {
	a := &v1alpha1.Account{}
	key := types.NamespacedName{Name: obj.(*v1alpha1.Subaccount).Spec.AccountRef.Name}
	if err := r.Client.Get(ctx, key, a); err != nil {
		return nil
	}
	if acct, ok := r.Accounts.Get(key.Name); ok && acct.Usable().Reason == v1alpha1.ReasonAccountChanged {
		return r.requestsForAllAccounts(ctx, obj)
	}
	if a.DeletionTimestamp == nil {
		return nil
	}
	users, err := kube.SubaccountsOf(ctx, r.Client, key.Name)
	if err != nil || hasUser(key.Name, users) {
		return nil
	}
	return []reconcile.Request{{NamespacedName: key}}
}

// changesMainAccount reports whether an update of an Account may change which
// main account it uses.
func changesMainAccount(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*v1alpha1.Account), e.ObjectNew.(*v1alpha1.Account)
	return before.Spec.CredentialsSecretRef != after.Spec.CredentialsSecretRef || !maps.Equal(before.Labels, after.Labels)
}

// requestsForAllAccounts enqueues all Accounts, because each may be a duplicate of
// another.
func (r *Reconciler) requestsForAllAccounts(ctx context.Context, _ client.Object) []reconcile.Request {
	var all v1alpha1.AccountList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: all.Items[i].Name}})
	}
	return requests
}

// requestsForSecret enqueues all Accounts if any of them refers to the Secret.
func (r *Reconciler) requestsForSecret(ctx context.Context, secret *corev1.Secret) []reconcile.Request {
	var all v1alpha1.AccountList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	for i := range all.Items {
		if all.Items[i].Spec.CredentialsSecretRef.Name == secret.Name {
			return r.requestsForAllAccounts(ctx, secret)
		}
	}
	return nil
}
