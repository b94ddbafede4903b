// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// observe collects the facts about a Subaccount from the caches, the memory and
// the inventory. It must stay cheap, because EnqueueChanged calls it for every
// Subaccount after every sweep: it sends no request and copies no cached object.
// The caller must not change an object of the Observation.
func (r *Reconciler) observe(ctx context.Context, s *v1alpha1.Subaccount) (*plan.Observation, *mainaccount.Account) {
	now := time.Now()
	remembered := r.memory.get(s, now)
	o := &plan.Observation{
		Now: now, SettleTime: r.SettleTime, Object: s, Marker: plan.Marker(r.ClusterUID, s.UID),
		RefusedAttempt: remembered.refusedAttempt, PendingSince: remembered.pendingSince,
	}
	if remembered.response != nil {
		o.HeldResponse, o.HasToken = &remembered.response.HeldResponse, true
	}
	o.ContestedUntil, o.ContestedBy = remembered.contest.pausedUntil, remembered.contest.managers
	ns := r.cachedNamespace(ctx, s.Namespace)
	if ns != nil {
		o.Namespace = plan.Known(plan.Namespace{Terminating: ns.DeletionTimestamp != nil})
	}
	acct := r.observeAccount(ctx, o, ns)
	r.observeSecrets(ctx, o)
	o.Claim = r.observeClaim(ctx, s, remembered.confirmedClaim)
	if acct != nil {
		o.LastSweep = acct.LastSweep()
		o.FoundByMarker = acct.WithMarker(o.Marker)
		observeRemote(o, acct)
	}
	return o, acct
}

// cachedNamespace returns nil if the cache does not have the namespace (yet).
func (r *Reconciler) cachedNamespace(ctx context.Context, name string) *corev1.Namespace {
	ns := &corev1.Namespace{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: name}, ns, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	return ns
}

// observeAccount sets the facts about the Account in spec.accountRef. It returns
// the state of the main account in this process; nil if there is none (yet).
func (r *Reconciler) observeAccount(ctx context.Context, o *plan.Observation, ns *corev1.Namespace) *mainaccount.Account {
	s, resource := o.Object, &v1alpha1.Account{}
	err := r.Client.Get(ctx, types.NamespacedName{Name: s.Spec.AccountRef.Name}, resource, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		o.Account, o.Allowed = plan.Absent[plan.Account](), plan.Absent[plan.Allowed]()
		return nil
	}
	if err != nil {
		return nil
	}
	o.Allowed = plan.Known(plan.Allowed{
		Deletion: resource.Spec.AllowedDeletionPolicies, Cascade: resource.Spec.AllowedCascadePolicies,
	})
	acct, ok := r.Accounts.Get(resource.Name)
	if !ok {
		return nil
	}
	usable := acct.Usable()
	facts := plan.Account{
		ID: usable.ID, Terminating: resource.DeletionTimestamp != nil,
		AllowsNamespace: allowsNamespace(resource, ns), GrantsAdoption: grantsAdoption(resource, s),
		GuardOn: acct.GuardOn(), SweepInterval: resource.Spec.SweepInterval.Duration,
	}
	switch {
	case usable.Reason != "":
		facts.Blocked = v1alpha1.ReasonAccountNotReady
		facts.BlockedMessage = "The Account " + resource.Name + " cannot be used: see its conditions (" + usable.Reason + ")."
	case usable.Refused:
		facts.Blocked = v1alpha1.ReasonCredentialsRejected
		facts.BlockedMessage = "Plivo refuses the credentials of the Account " + resource.Name + ": see its conditions."
	}
	o.Account = plan.Known(facts)
	return acct
}

// allowsNamespace reports whether an Account's namespaceSelector selects a
// namespace.
func allowsNamespace(a *v1alpha1.Account, ns *corev1.Namespace) plan.Fact[bool] {
	selector, err := metav1.LabelSelectorAsSelector(a.Spec.NamespaceSelector)
	if err != nil || ns == nil {
		return plan.Unknown[bool]()
	}
	return plan.Known(selector.Matches(labels.Set(ns.Labels)))
}

// grantsAdoption reports whether an Account's spec.adoption grants a
// Subaccount's spec.authID to its namespace.
func grantsAdoption(a *v1alpha1.Account, s *v1alpha1.Subaccount) bool {
	if s.Spec.AuthID == nil {
		return false
	}
	isGranted := func(authID string) bool { return authID == *s.Spec.AuthID || authID == v1alpha1.AnyAuthID }
	return slices.ContainsFunc(a.Spec.Adoption, func(g v1alpha1.AdoptionGrant) bool {
		return g.Namespace == s.Namespace && slices.ContainsFunc(g.AuthIDs, isGranted)
	})
}

// observeSecrets sets the facts about the wanted Secret and the obsolete one. A
// Secret that the cache does not have is Unknown and not Absent: it may exist
// without the label by which the cache selects.
func (r *Reconciler) observeSecrets(ctx context.Context, o *plan.Observation) {
	s, wanted, secret := o.Object, plan.SecretName(o.Object), &corev1.Secret{}
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: wanted}, secret, client.UnsafeDisableDeepCopy); err == nil {
		o.Secret = plan.Known(r.secretFacts(s, secret))
	}
	defaultName := plan.DefaultSecretName(s.Name)
	if wanted != defaultName && r.Client.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: defaultName}, secret, client.UnsafeDisableDeepCopy) == nil &&
		isOwner(s, secret) && !kube.IsCopy(s.Name, secret) {
		o.ObsoleteSecret = defaultName
		return
	}
	var renamed corev1.SecretList
	if err := r.Client.List(ctx, &renamed, client.InNamespace(s.Namespace), client.MatchingFields{kube.IndexOwner: string(s.UID)}, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	for i := range renamed.Items {
		if old := &renamed.Items[i]; old.Name != wanted && isOwner(s, old) {
			o.ObsoleteSecret = old.Name
		}
	}
}

// observeClaim returns whether this resource holds the authID that it claims, as
// far as the cache can decide. confirmed is the authID that a live list showed
// it to hold.
func (r *Reconciler) observeClaim(ctx context.Context, s *v1alpha1.Subaccount, confirmed string) plan.Fact[plan.Claim] {
	authID := plan.ClaimedAuthID(s)
	var holders v1alpha1.SubaccountList
	if authID == "" || r.Client.List(ctx, &holders, client.MatchingFields{kube.IndexAuthID: authID}, client.UnsafeDisableDeepCopy) != nil {
		return plan.Unknown[plan.Claim]()
	}
	return plan.ClaimFromCache(s, holders.Items, confirmed == authID)
}

// observeRemote sets the facts about the subaccount whose authID the resource
// claims, from the inventory.
func observeRemote(o *plan.Observation, acct *mainaccount.Account) {
	o.Remote, o.NotFound, o.Deleted = plan.Unknown[plan.Remote](), plan.NotFound{}, false
	if authID := plan.ClaimedAuthID(o.Object); authID != "" && acct != nil {
		o.Remote, o.NotFound, o.Deleted = acct.Remote(authID)
	}
}
