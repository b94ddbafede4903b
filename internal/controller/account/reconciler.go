// SPDX-License-Identifier: Apache-2.0

package account

import (
	"cmp"
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// defaultRequestsPer5Seconds is the default of the CRD. While the CRDs are those of another release,
// the field can be 0, and the operator would send nothing.
const defaultRequestsPer5Seconds = 150

// Reconciler configures the main account of an Account and reports its sweeps.
type Reconciler struct {
	// Client reads from the cache and writes to the API server.
	Client client.Client
	// SecretCache is the cache of the Secrets in OperatorNamespace.
	SecretCache cache.Cache
	// OperatorNamespace is the namespace of the credentials Secrets.
	OperatorNamespace string
	Events            events.EventRecorder
	// Accounts holds the state of the Plivo main accounts in this process.
	Accounts *mainaccount.Registry
	// EnqueueChanged MUST enqueue every Subaccount of an Account whose reconcile
	// would change something. It MAY read caches only, because every sweep calls it.
	EnqueueChanged func(ctx context.Context, accountName string) error
	// Live reads from the API server.
	Live kube.LiveReader
	// ClusterUID is the UID of the namespace kube-system.
	ClusterUID types.UID
	// SettleTime is the minimum time between the two sweeps that must show a stray
	// before the operator removes it.
	SettleTime time.Duration
	// Selector selects the Accounts that this instance serves.
	Selector labels.Selector

	queue   kube.Source
	retries *kube.Retries
	strays  strays
}

// +kubebuilder:rbac:groups=plivo.subaccount-operator.dev,resources=accounts,verbs=list;watch;patch
// +kubebuilder:rbac:groups=plivo.subaccount-operator.dev,resources=accounts/status,verbs=patch

// Notify enqueues the Account and the Subaccounts whose reconcile would change
// something. It does not block (mainaccount.Options.Notify).
func (r *Reconciler) Notify(name string) { go r.enqueueAfterSweep(context.Background(), name) }

func (r *Reconciler) enqueueAfterSweep(ctx context.Context, name string) {
	key := types.NamespacedName{Name: name}
	a := &v1alpha1.Account{}
	users, err := kube.SubaccountsOf(ctx, r.Client, name)
	acct, ok := r.Accounts.Get(name)
	if err != nil || !ok || r.Client.Get(ctx, key, a) != nil || r.needsReconcile(a, acct, users) ||
		r.EnqueueChanged(ctx, name) != nil {
		r.queue.Add(key)
	}
}

// needsReconcile reports whether a reconcile of an Account would change
// something, although its spec and credentials are unchanged.
func (r *Reconciler) needsReconcile(a *v1alpha1.Account, acct *mainaccount.Account, users []v1alpha1.Subaccount) bool {
	// While the guard is on, the Account may have a confirmation that only a
	// reconcile passes on.
	if a.DeletionTimestamp != nil || acct.Usable().Reason != "" || acct.GuardOn() || len(r.markedByCluster(a, acct, users)) > 0 {
		return true
	}
	reason, message := sweepCondition(a, acct)
	status, _ := r.status(a, users, reason, message)
	return !equality.Semantic.DeepEqual(status, a.Status)
}

// Recorded returns the authIDs in the status of an Account's Subaccounts. It
// leaves out terminating ones: the operator itself deletes their subaccounts. known
// is false if the cache cannot be read.
func (r *Reconciler) Recorded(name string) (authIDs []string, known bool) {
	users, err := kube.SubaccountsOf(context.Background(), r.Client, name)
	if err != nil {
		return nil, false
	}
	for i := range users {
		if s := &users[i]; s.Status.AuthID != "" && s.DeletionTimestamp == nil {
			authIDs = append(authIDs, s.Status.AuthID)
		}
	}
	return authIDs, true
}

// Reconcile reconciles one Account. The order matters: the work that a sweep
// found (strays, drift) must not wait for a status that cannot be written.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	a := &v1alpha1.Account{}
	err := r.Client.Get(ctx, req.NamespacedName, a)
	switch {
	case apierrors.IsNotFound(err), err == nil && !r.Selector.Matches(labels.Set(a.Labels)):
		r.Accounts.Remove(req.Name)
		r.strays.forget(req.Name)
		r.retries.Succeeded(req.NamespacedName)
		return ctrl.Result{}, r.EnqueueChanged(ctx, req.Name)
	case err != nil:
		return ctrl.Result{}, err
	}
	users, err := kube.SubaccountsOf(ctx, r.Client, a.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	removed, finalizerErr := r.finalize(ctx, a, users)
	if isGone := removed && finalizerErr == nil; isGone || apierrors.IsNotFound(finalizerErr) {
		r.retries.Succeeded(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	var reason, message string
	switch {
	case finalizerErr == nil, r.isUsed(a.Name):
		if reason, message, err = r.configure(ctx, a, users); err != nil {
			return ctrl.Result{}, err
		}
		if reason == "" {
			acct, _ := r.Accounts.Get(a.Name)
			r.removeStrays(ctx, a, acct, users)
			reason, message = sweepCondition(a, acct)
		}
	case r.isPersistent(a, finalizerErr):
		r.Accounts.Block(a.Name, v1alpha1.ReasonKubernetesError, finalizerMessage(finalizerErr))
	}
	if a.DeletionTimestamp != nil {
		reason, message = v1alpha1.ReasonInUse, "The Account is being deleted. The finalizer stays until no Subaccount uses the Account."
	}
	if err := r.EnqueueChanged(ctx, a.Name); err != nil {
		return ctrl.Result{}, err
	}
	if finalizerErr != nil {
		return r.reportFinalizerError(ctx, a, users, finalizerErr), nil
	}
	// After a restart the status stays until Plivo's first response, so that Ready
	// does not flap.
	if reason == v1alpha1.ReasonConnecting && hasReported(a) {
		return ctrl.Result{}, nil
	}
	switch err := r.report(ctx, a, users, reason, message); {
	case apierrors.IsConflict(err):
		return r.retries.Failed(ctx, req.NamespacedName, ""), nil
	case err != nil:
		return r.retries.Failed(ctx, req.NamespacedName, "Failed to write the status: "+plivo.Redact(err.Error())), nil
	}
	r.retries.Succeeded(req.NamespacedName)
	return ctrl.Result{}, nil
}

// isUsed reports whether Subaccounts may use the Account. A new one stays unused
// until it has the finalizer.
func (r *Reconciler) isUsed(name string) bool {
	acct, ok := r.Accounts.Get(name)
	return ok && acct.Usable().Reason != v1alpha1.ReasonKubernetesError
}

// reportFinalizerError reports a failure to add or remove the finalizer.
func (r *Reconciler) reportFinalizerError(ctx context.Context, a *v1alpha1.Account, users []v1alpha1.Subaccount, err error) ctrl.Result {
	message := finalizerMessage(err)
	if r.isPersistent(a, err) {
		if err := r.report(ctx, a, users, v1alpha1.ReasonKubernetesError, message); err != nil {
			message += " Failed to write the status: " + plivo.Redact(err.Error())
		}
	}
	return r.retries.Failed(ctx, client.ObjectKeyFromObject(a), message)
}

func (r *Reconciler) isPersistent(a *v1alpha1.Account, err error) bool {
	return kube.IsPersistent(err, r.retries.Count(client.ObjectKeyFromObject(a)))
}

func finalizerMessage(err error) string {
	return "The operator cannot change the Account's finalizer: " + plivo.Redact(err.Error()) + ". The operator retries with backoff."
}

// finalize adds the finalizer, or removes it from a terminating Account that no
// Subaccount uses. The cache is enough to keep the finalizer; to remove it, a
// live list must show no user either. removed reports that the Account has no
// finalizer left.
func (r *Reconciler) finalize(ctx context.Context, a *v1alpha1.Account, users []v1alpha1.Subaccount) (removed bool, err error) {
	before := a.DeepCopy()
	if a.DeletionTimestamp == nil {
		if !controllerutil.AddFinalizer(a, v1alpha1.Finalizer) {
			return false, nil
		}
		return false, r.patch(ctx, before, a)
	}
	if !controllerutil.ContainsFinalizer(a, v1alpha1.Finalizer) {
		return true, nil
	}
	if hasUser(a.Name, users) {
		return false, nil
	}
	// A Subaccount that the cache does not have yet may be about to create.
	live, err := r.Live.Subaccounts(ctx)
	if err != nil || hasUser(a.Name, live) {
		return false, err
	}
	controllerutil.RemoveFinalizer(a, v1alpha1.Finalizer)
	return true, r.patch(ctx, before, a)
}

// hasUser reports whether any of the Subaccounts uses the Account.
func hasUser(account string, all []v1alpha1.Subaccount) bool {
	for i := range all {
		s := &all[i]
		isCreating := s.Status.PendingCreation != nil && s.DeletionTimestamp == nil // gets the finalizer next
		isUser := isCreating || controllerutil.ContainsFinalizer(s, v1alpha1.Finalizer)
		if isUser && s.Spec.AccountRef.Name == account {
			return true
		}
	}
	return false
}

func (r *Reconciler) patch(ctx context.Context, before, after *v1alpha1.Account) error {
	return r.Client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// configure configures the main account with the credentials and settings of the
// Account. If that is not possible, it blocks the main account and returns the
// reason.
func (r *Reconciler) configure(ctx context.Context, a *v1alpha1.Account, users []v1alpha1.Subaccount) (reason, message string, err error) {
	if _, err := metav1.LabelSelectorAsSelector(a.Spec.NamespaceSelector); err != nil {
		reason, message = v1alpha1.ReasonInvalidSpec, "spec.namespaceSelector is invalid: "+err.Error()
	}
	var credentials plivo.Credentials
	if reason == "" {
		if credentials, reason, message, err = r.readCredentials(ctx, a); err != nil {
			return "", "", err
		}
	}
	if reason == "" {
		reason, message = checkAccountChanged(credentials.AuthID, users)
	}
	if reason == "" {
		if reason, message, err = r.checkDuplicate(ctx, a, credentials.AuthID); err != nil {
			return "", "", err
		}
	}
	if reason != "" {
		r.Accounts.Block(a.Name, reason, message)
		return reason, message, nil
	}
	budget := cmp.Or(int(a.Spec.RequestsPer5Seconds), defaultRequestsPer5Seconds)
	acct := r.Accounts.Configure(a.Name, credentials, budget, a.Spec.SweepInterval.Duration, a.Status.AuthID != "")
	if confirmsDisappearance(a) && acct.ConfirmDisappearance() {
		r.Events.Eventf(a, nil, corev1.EventTypeWarning, "DisappearanceConfirmed", "Sweep",
			"A person confirmed that the subaccounts missing from Plivo's list are gone. The operator may recreate them.")
	}
	if at := a.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]; at != "" && at != a.Status.LastHandledReconcileAt {
		acct.RequestReconcile(at)
	}
	return "", "", nil
}
