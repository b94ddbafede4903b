package account

import (
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// Reconciler gives a main account its credentials, and takes what its
// sweeps tell to the Subaccounts and to the Account's status.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Credentials is the cache of the Secrets in the operator's own namespace.
	Credentials cache.Cache
	// OperatorNamespace is where they are.
	OperatorNamespace string
	Events            events.EventRecorder
	Accounts          *mainaccount.Registry
	// EnqueueChanged enqueues those Subaccounts of an Account whose reconcile would
	// change something; it is called after each sweep.
	EnqueueChanged func(ctx context.Context, accountName string) error
	// Live reads past the cache.
	Live kube.LiveReader
	// ClusterUID is the UID of the namespace kube-system.
	ClusterUID types.UID
	// SettleTime is how long after its first sight a create call may still take effect.
	SettleTime time.Duration
	// Selector of the Accounts that this instance serves.
	Selector labels.Selector

	queue   kube.Source
	retries *kube.Retries
	strays  strays
}

// +kubebuilder:rbac:groups=plivo.subaccount-operator.dev,resources=accounts,verbs=list;watch;patch
// +kubebuilder:rbac:groups=plivo.subaccount-operator.dev,resources=accounts/status,verbs=patch

// Notify brings an Account and its Subaccounts back, those of them for which
// the last sweep has something to do or to tell.
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

// needsReconcile says whether a pass over an Account whose spec and credentials
// have not changed would do or tell anything.
func (r *Reconciler) needsReconcile(a *v1alpha1.Account, acct *mainaccount.Account, users []v1alpha1.Subaccount) bool {
	// While the guard is on, a confirmation may wait for the sweep that has ended.
	if a.DeletionTimestamp != nil || acct.Usable().Reason != "" || acct.GuardOn() || len(r.markedByCluster(a, acct)) > 0 {
		return true
	}
	reason, message := sweepCondition(a, acct)
	status, _ := r.status(a, users, reason, message)
	return !equality.Semantic.DeepEqual(status, a.Status)
}

// Recorded returns the authIDs that are recorded under an Account by
// Subaccounts that have not been released, and whether that is known.
func (r *Reconciler) Recorded(name string) (authIDs []string, known bool) {
	users, err := kube.SubaccountsOf(context.Background(), r.Client, name)
	if err != nil {
		return nil, false
	}
	for i := range users {
		s := &users[i]
		released := s.DeletionTimestamp != nil && !controllerutil.ContainsFinalizer(s, v1alpha1.Finalizer)
		if s.Status.AuthID != "" && !released {
			authIDs = append(authIDs, s.Status.AuthID)
		}
	}
	return authIDs, true
}

// Reconcile makes one pass over an Account.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	a := &v1alpha1.Account{}
	err := r.Client.Get(ctx, req.NamespacedName, a)
	switch {
	case apierrors.IsNotFound(err):
		r.Accounts.Remove(req.Name)
		r.strays.forget(req.Name)
		return ctrl.Result{}, r.EnqueueChanged(ctx, req.Name)
	case err != nil:
		return ctrl.Result{}, err
	case !r.Selector.Matches(labels.Set(a.Labels)):
		r.Accounts.Remove(req.Name)
		return ctrl.Result{}, nil
	}
	users, err := kube.SubaccountsOf(ctx, r.Client, a.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	done, err := r.finalize(ctx, a, users)
	switch {
	case apierrors.IsNotFound(err), done && err == nil:
		r.retries.Succeeded(req.NamespacedName)
		return ctrl.Result{}, nil
	case err != nil:
		return r.finalizerRefused(ctx, a, users, err), nil
	}
	reason, message, err := r.configure(ctx, a, users)
	if err != nil {
		return ctrl.Result{}, err
	}
	if reason == "" {
		acct, _ := r.Accounts.Get(a.Name)
		r.removeStrays(ctx, a, acct)
		reason, message = sweepCondition(a, acct)
	}
	if a.DeletionTimestamp != nil {
		reason, message = v1alpha1.ReasonInUse, "The Account is being deleted, and stays until no Subaccount needs it any more."
	}
	// First the work that the sweep has found: it does not depend on the status.
	if err := r.EnqueueChanged(ctx, a.Name); err != nil {
		return ctrl.Result{}, err
	}
	// A new process keeps the status of the former one until Plivo's first response.
	if reason == v1alpha1.ReasonConnecting && hasReported(a) {
		return ctrl.Result{}, nil
	}
	switch err := r.report(ctx, a, users, reason, message); {
	case apierrors.IsConflict(err):
		return r.retries.Failed(ctx, req.NamespacedName, ""), nil
	case err != nil:
		return r.retries.Failed(ctx, req.NamespacedName, "The Account's status cannot be written: "+plivo.Redact(err.Error())), nil
	}
	r.retries.Succeeded(req.NamespacedName)
	return ctrl.Result{}, nil
}

// finalizerRefused reports that the Account's finalizer cannot be added or
// removed. Without it, an Account that is new is not used.
func (r *Reconciler) finalizerRefused(ctx context.Context, a *v1alpha1.Account, users []v1alpha1.Subaccount, err error) ctrl.Result {
	key := client.ObjectKeyFromObject(a)
	message := "The operator cannot change the Account's finalizer: " + plivo.Redact(err.Error()) + ". The operator retries with backoff."
	if kube.IsPersistent(err, r.retries.Count(key)) {
		if _, used := r.Accounts.Get(a.Name); !used {
			r.Accounts.Block(a.Name, v1alpha1.ReasonKubernetesError, message)
		}
		if err := r.report(ctx, a, users, v1alpha1.ReasonKubernetesError, message); err != nil {
			message += " The status cannot be written either: " + plivo.Redact(err.Error())
		}
	}
	return r.retries.Failed(ctx, key, message)
}

// finalize adds the finalizer, or removes it from a terminating Account that
// no Subaccount needs any more; then it is done. The cache decides to keep it,
// a live list to remove it.
func (r *Reconciler) finalize(ctx context.Context, a *v1alpha1.Account, users []v1alpha1.Subaccount) (done bool, err error) {
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
	if isNeeded(a.Name, users) {
		return false, nil
	}
	// A Subaccount that the cache does not show yet may be about to create.
	live, err := r.Live.Subaccounts(ctx)
	if err != nil || isNeeded(a.Name, live) {
		return false, err
	}
	controllerutil.RemoveFinalizer(a, v1alpha1.Finalizer)
	return true, r.patch(ctx, before, a)
}

// isNeeded says whether any of the Subaccounts needs the Account.
func isNeeded(account string, all []v1alpha1.Subaccount) bool {
	return slices.ContainsFunc(all, func(s v1alpha1.Subaccount) bool {
		creating := s.Status.PendingCreation != nil && s.DeletionTimestamp == nil // the finalizer follows
		return s.Spec.AccountRef.Name == account && (creating || controllerutil.ContainsFinalizer(&s, v1alpha1.Finalizer))
	})
}

func (r *Reconciler) patch(ctx context.Context, before, after *v1alpha1.Account) error {
	return r.Client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// configure gives the account its credentials; a reason says why it cannot.
func (r *Reconciler) configure(ctx context.Context, a *v1alpha1.Account, users []v1alpha1.Subaccount) (reason, message string, err error) {
	if _, err := metav1.LabelSelectorAsSelector(a.Spec.NamespaceSelector); err != nil {
		reason, message = v1alpha1.ReasonInvalidSpec, "spec.namespaceSelector cannot be used: "+err.Error()
	}
	var credentials plivo.Credentials
	if reason == "" {
		if credentials, reason, message, err = r.credentials(ctx, a); err != nil {
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
	acct := r.Accounts.Configure(a.Name, credentials, int(a.Spec.RequestsPer5Seconds), a.Spec.SweepInterval.Duration)
	if confirmsDisappearance(a) && acct.ConfirmDisappearance() {
		r.Events.Eventf(a, nil, corev1.EventTypeWarning, "DisappearanceConfirmed", "Sweep",
			"A person has confirmed that the subaccounts that Plivo's list lacks are gone.")
	}
	if at := a.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]; at != "" && at != a.Status.LastHandledReconcileAt {
		acct.RequestReconcile(at)
	}
	return "", "", nil
}

// SetupWithManager registers the reconciler. The cache of credentials has to
// be added to the manager too.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.retries = kube.NewRetries()
	return ctrl.NewControllerManagedBy(mgr).
		Named("account").
		For(&v1alpha1.Account{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{},
			predicate.Funcs{UpdateFunc: finalizersChanged}))).
		// A terminating Account, and one whose credentials are another main
		// account's, wait for the last Subaccount that stands in the way.
		Watches(&v1alpha1.Subaccount{}, handler.EnqueueRequestsFromMapFunc(r.requestsForWaitingAccount), builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(event.CreateEvent) bool { return false }, UpdateFunc: leavesMainAccount,
		})).
		// An Account may take over a main account, or has to leave it to an older one.
		Watches(&v1alpha1.Account{}, handler.EnqueueRequestsFromMapFunc(r.requestsForAllAccounts), builder.WithPredicates(predicate.Funcs{
			UpdateFunc: changesMainAccount,
		})).
		WatchesRawSource(source.Kind(r.Credentials, &corev1.Secret{}, handler.TypedEnqueueRequestsFromMapFunc(r.requestsForSecret))).
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

// requestsForWaitingAccount returns a Subaccount's Account if that waits for it to go.
func (r *Reconciler) requestsForWaitingAccount(ctx context.Context, obj client.Object) []reconcile.Request {
	a := &v1alpha1.Account{}
	key := types.NamespacedName{Name: obj.(*v1alpha1.Subaccount).Spec.AccountRef.Name}
	if err := r.Client.Get(ctx, key, a); err != nil {
		return nil
	}
	if a.DeletionTimestamp != nil {
		return []reconcile.Request{{NamespacedName: key}}
	}
	if acct, ok := r.Accounts.Get(key.Name); ok && acct.Usable().Reason == v1alpha1.ReasonAccountChanged {
		return r.requestsForAllAccounts(ctx, obj)
	}
	return nil
}

// changesMainAccount says whether an Account may have left or taken a main
// account by an update.
func changesMainAccount(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*v1alpha1.Account), e.ObjectNew.(*v1alpha1.Account)
	return before.Spec.CredentialsSecretRef != after.Spec.CredentialsSecretRef || !maps.Equal(before.Labels, after.Labels)
}

// requestsForAllAccounts enqueues all Accounts: each may be another's duplicate.
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
