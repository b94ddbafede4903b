package subaccount

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
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
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// maxSteps bounds a reconcile. The longest one, a recreation that renames the
// Secret, has about a dozen steps. More means that something undoes them.
const maxSteps = 30

// Reconciler brings one Subaccount, its subaccount at Plivo and its
// Secret together.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	Live   kube.LiveReader
	Events events.EventRecorder
	// Accounts are the main accounts as this process knows them.
	Accounts *mainaccount.Registry
	// Digester of tokens, the same as the Accounts'.
	Digester *plivo.Digester
	// ClusterUID is the UID of the namespace kube-system.
	ClusterUID types.UID
	// Selector of the Accounts that this instance serves.
	Selector labels.Selector
	// Timeout of one call to Plivo.
	Timeout time.Duration
	// SettleTime is how long after its first sight a create call may still take effect.
	SettleTime time.Duration
	// MaxConcurrent passes.
	MaxConcurrent int

	memory  *memory
	queue   slotQueue
	retries *kube.Retries
}

// +kubebuilder:rbac:groups=plivo.subaccount-operator.dev,resources=subaccounts,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=plivo.subaccount-operator.dev,resources=subaccounts/status,verbs=patch
// +kubebuilder:rbac:groups=plivo.subaccount-operator.dev,resources=subaccounts/finalizers,verbs=update
// +kubebuilder:rbac:groups=plivo.subaccount-operator.dev,resources=accounts,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=subaccounts.plivo.subaccount-operator.dev,verbs=get

// Reconcile makes one pass: observe, then decide and perform until nothing is
// left to do or something has to be waited for, then one report.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	s := &v1alpha1.Subaccount{}
	if err := r.Client.Get(ctx, req.NamespacedName, s); apierrors.IsNotFound(err) {
		r.memory.forget(req.NamespacedName, "")
		r.queue.leave(req.NamespacedName)
		r.retries.Succeeded(req.NamespacedName)
		return ctrl.Result{}, nil
	} else if err != nil {
		return ctrl.Result{}, err
	}
	r.memory.forget(req.NamespacedName, s.UID)
	if served, err := r.isServed(ctx, s); err != nil {
		return ctrl.Result{}, err
	} else if !served {
		r.queue.leave(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if r.memory.isStale(s) {
		return ctrl.Result{RequeueAfter: retryStale}, nil
	}
	p := &reconcileState{reconciler: r}
	p.obs, p.mainAccount = r.observe(ctx, s)
	if p.obs.HeldResponse != nil {
		r.memory.update(s, func(e *entry) {
			if e.response == nil { // recorded meanwhile, as the cache has shown to somebody
				p.obs.HeldResponse, p.obs.HasToken = nil, false
				return
			}
			p.token = e.response.token
		})
	}
	defer p.releaseSlots()
	return p.report(ctx, p.run(ctx)), nil
}

// run performs steps until none is left, and returns the decision that the
// reconcile ends with.
func (st *reconcileState) run(ctx context.Context) plan.Decision {
	for n := 0; ; n++ {
		decision := plan.Decide(st.obs)
		released := decision.Step == plan.StepRemoveFinalizer && st.obs.HasPerformed(plan.StepRemoveFinalizer)
		switch {
		case decision.Step == plan.StepNone, released:
			return decision
		case n == maxSteps:
			return plan.StepHasNoEffect(st.obs, decision.Step)
		}
		st.perform(ctx, decision)
		st.obs.Now = time.Now()
	}
}

// isServed says whether the Subaccount's Account is one that this instance
// serves. One whose Account is missing belongs to the instance whose selector
// matches no labels.
func (r *Reconciler) isServed(ctx context.Context, s *v1alpha1.Subaccount) (bool, error) {
	a := &v1alpha1.Account{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: s.Spec.AccountRef.Name}, a, client.UnsafeDisableDeepCopy); client.IgnoreNotFound(err) != nil {
		return false, err
	}
	return r.Selector.Matches(labels.Set(a.Labels)), nil
}

// EnqueueChanged brings those Subaccounts of an Account into the queue for
// which there is something to do or to tell.
func (r *Reconciler) EnqueueChanged(ctx context.Context, accountName string) error {
	all, err := kube.SubaccountsOf(ctx, r.Client, accountName)
	if err != nil {
		return err
	}
	for i := range all {
		s := &all[i]
		if o, _ := r.observe(ctx, s); plan.NeedsReconcile(o) {
			r.queue.Add(client.ObjectKeyFromObject(s))
		}
	}
	return nil
}

// SetupWithManager registers the reconciler and the indexes that it reads by.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	r.memory, r.retries = newMemory(), kube.NewRetries()
	if err := kube.AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("subaccount").
		For(&v1alpha1.Subaccount{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: r.isForeignUpdate})).
		Owns(&corev1.Secret{}, builder.WithPredicates(predicate.Funcs{CreateFunc: isRenamed})).
		// Who else names an authID has to know when another's status names it, or does no more.
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

// isForeignUpdate says whether an update may hold something that no reconcile has
// seen. The reconcile that wrote a version, or a later one, goes on from it.
func (r *Reconciler) isForeignUpdate(e event.UpdateEvent) bool {
	return !r.memory.hasWritten(e.ObjectNew.(*v1alpha1.Subaccount))
}

// isRenamed says whether a new Secret may be the old one of a Subaccount whose
// spec.secret.name has changed since. The operator knows of all others, which it
// has just created.
func isRenamed(e event.CreateEvent) bool {
	return kube.ReadApplied(e.Object.(*corev1.Secret)).Name != ""
}

func authIDChanged(e event.UpdateEvent) bool {
	return e.ObjectOld.(*v1alpha1.Subaccount).Status.AuthID != e.ObjectNew.(*v1alpha1.Subaccount).Status.AuthID
}

// requestsForOtherClaimants are the other Subaccounts that have, or ask for, the authID in a
// Subaccount's status: it may have taken it from them, or left it to them.
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
