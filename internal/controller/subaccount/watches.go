// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
)

// SetupWithManager registers the reconciler and the indexes of the cache.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	r.memory, r.retries = newMemory(), kube.NewRetries()
	if err := kube.AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("subaccount").
		For(&v1alpha1.Subaccount{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: r.isForeignUpdate})).
		Owns(&corev1.Secret{}, builder.WithPredicates(predicate.Funcs{CreateFunc: isRenamed})).
		// The result of a claim changes when another Subaccount gains or loses the authID.
		Watches(&v1alpha1.Subaccount{}, handler.EnqueueRequestsFromMapFunc(r.requestsForOtherClaimants), builder.WithPredicates(predicate.Funcs{UpdateFunc: authIDChanged})).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.requestsForNamespace), builder.WithPredicates(
			predicate.Or(predicate.LabelChangedPredicate{}, predicate.Funcs{UpdateFunc: startsTerminating}))).
		WatchesRawSource(&r.queue).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: r.MaxConcurrent,
			RateLimiter:             kube.Backoff(),
			NewQueue:                r.queue.newQueue,
		}).
		Complete(r)
}

// isForeignUpdate reports whether an update contains a change that this process
// did not write. The reconcile that wrote a version has already acted on it.
func (r *Reconciler) isForeignUpdate(e event.UpdateEvent) bool {
	return !r.memory.hasWritten(e.ObjectNew.(*v1alpha1.Subaccount))
}

// isRenamed reports whether a new Secret may be an obsolete one, whose
// Subaccount has another spec.secret.name now. The reconcile that created any
// other Secret has already acted on it.
func isRenamed(e event.CreateEvent) bool {
	return kube.ReadApplied(e.Object.(*corev1.Secret)).Name != ""
}

func authIDChanged(e event.UpdateEvent) bool {
	return e.ObjectOld.(*v1alpha1.Subaccount).Status.AuthID != e.ObjectNew.(*v1alpha1.Subaccount).Status.AuthID
}

// requestsForOtherClaimants enqueues the other Subaccounts that claim the
// authID in a Subaccount's status.
func (r *Reconciler) requestsForOtherClaimants(ctx context.Context, obj client.Object) []reconcile.Request {
	var all v1alpha1.SubaccountList
	authID := obj.(*v1alpha1.Subaccount).Status.AuthID
	if authID == "" || r.Client.List(ctx, &all, client.MatchingFields{kube.IndexAuthID: authID}, client.UnsafeDisableDeepCopy) != nil {
		return nil
	}
	return requestsFor(slices.DeleteFunc(all.Items, func(s v1alpha1.Subaccount) bool { return s.UID == obj.GetUID() }))
}

func requestsFor(all []v1alpha1.Subaccount) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(all))
	for i := range all {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all[i])})
	}
	return requests
}

func startsTerminating(e event.UpdateEvent) bool {
	return e.ObjectOld.GetDeletionTimestamp().IsZero() && !e.ObjectNew.GetDeletionTimestamp().IsZero()
}

func (r *Reconciler) requestsForNamespace(ctx context.Context, ns client.Object) []reconcile.Request {
	var all v1alpha1.SubaccountList
	if err := r.Client.List(ctx, &all, client.InNamespace(ns.GetName()), client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	return requestsFor(all.Items)
}
