// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// maxSteps bounds a reconcile. The longest one, a recreation that renames the
// Secret, has about a dozen steps. A reconcile with more steps repeats a step
// that a webhook or another controller undoes.
const maxSteps = 30

// Reconciler reconciles Subaccounts: the subaccount at Plivo and the Secret match the
// spec.
type Reconciler struct {
	// Client reads from the cache and writes to the API server.
	Client client.Client
	// Live reads from the API server.
	Live   kube.LiveReader
	Events events.EventRecorder
	// Accounts holds the state of the Plivo main accounts in this process.
	Accounts *mainaccount.Registry
	// Digester digests tokens. It must be the Digester of the cache and of
	// Accounts, because their digests are compared.
	Digester *plivo.Digester
	// ClusterUID is the UID of the namespace kube-system.
	ClusterUID types.UID
	// Selector selects the Accounts that this instance serves.
	Selector labels.Selector
	// Timeout is the time limit of one call to Plivo.
	Timeout time.Duration
	// SettleTime is how long a create call may still take effect, counted from
	// when this process first observed its intent.
	SettleTime time.Duration
	// MaxConcurrent is the maximum number of concurrent reconciles.
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

// Reconcile reconciles one Subaccount:
//
//	caches, memory, inventory
//	        |
//	        | observe                    observe.go
//	        v
//	plan.Observation <-----------+
//	        |                    |
//	        | plan.Decide        | perform: one read or write; its result
//	        v                    | becomes part of the Observation
//	plan.Decision --- a step ----+       perform.go
//	        |
//	        | no step
//	        v
//	report: status, events, requeue      report.go
//
// The steps of a creation, in order:
//
//	ReadSecret     is the name of the Secret free?
//	DeclareIntent  reserve a slot of the request budget, write status.pendingCreation
//	AddFinalizer
//	Create         send the create call with the marker as the name; hold the response
//	Record         write status.authID, remove status.pendingCreation
//	Update         set the name of the spec
//	WriteSecret
//
// If the response of Create is lost, the reconcile ends with the reason
// CreationUnconfirmed and requests a sweep. A later reconcile records the
// subaccount that the sweep found by its marker, or declares another intent.
//
// A recreation has the same steps. Its DeclareIntent replaces status.authID by
// status.pendingCreation, and keeps the old ID in status.previousAuthID.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	s := &v1alpha1.Subaccount{}
	if err := r.Client.Get(ctx, req.NamespacedName, s); apierrors.IsNotFound(err) {
		r.memory.forgetExcept(req.NamespacedName, "")
		r.queue.leave(req.NamespacedName)
		r.retries.Succeeded(req.NamespacedName)
		return ctrl.Result{}, nil
	} else if err != nil {
		return ctrl.Result{}, err
	}
	r.memory.forgetExcept(req.NamespacedName, s.UID)
	if served, err := r.isServed(ctx, s); err != nil {
		return ctrl.Result{}, err
	} else if !served {
		r.queue.leave(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if r.memory.isStale(s) {
		return ctrl.Result{RequeueAfter: retryStale}, nil
	}
	st := &reconcileState{reconciler: r}
	st.obs, st.mainAccount = r.observe(ctx, s)
	if st.obs.HeldResponse != nil {
		st.loadHeldToken()
	}
	defer st.releaseReservations()
	return st.report(ctx, st.run(ctx)), nil
}

// loadHeldToken loads the token of a held response. EnqueueChanged may have
// dropped the response since observe, because the cache shows it recorded.
func (st *reconcileState) loadHeldToken() {
	st.reconciler.memory.update(st.obs.Object, func(rm *resourceMemory) {
		if rm.response == nil {
			st.obs.HeldResponse, st.obs.HasToken = nil, false
			return
		}
		st.token = rm.response.token
	})
}

// run performs steps until a decision has none, and returns that decision.
func (st *reconcileState) run(ctx context.Context) plan.Decision {
	for n := 0; ; n++ {
		decision := plan.Decide(st.obs)
		finalizerRemoved := decision.Step == plan.StepRemoveFinalizer && st.obs.HasPerformed(plan.StepRemoveFinalizer)
		switch {
		case decision.Step == plan.StepNone, finalizerRemoved:
			return decision
		case n == maxSteps:
			return plan.StepHasNoEffect(st.obs, decision.Step)
		}
		st.perform(ctx, decision)
		st.obs.Now = time.Now()
	}
}

// isServed reports whether this instance serves the Account of a Subaccount. A
// missing Account is matched as one without labels, so that one instance
// reports AccountNotFound.
func (r *Reconciler) isServed(ctx context.Context, s *v1alpha1.Subaccount) (bool, error) {
	a := &v1alpha1.Account{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: s.Spec.AccountRef.Name}, a, client.UnsafeDisableDeepCopy); client.IgnoreNotFound(err) != nil {
		return false, err
	}
	return r.Selector.Matches(labels.Set(a.Labels)), nil
}

// EnqueueChanged enqueues every Subaccount of an Account whose reconcile would
// change something.
func (r *Reconciler) EnqueueChanged(ctx context.Context, accountName string) error {
	all, err := kube.SubaccountsOf(ctx, r.Client, accountName)
	if err != nil {
		return err
	}
	for i := range all {
		s := &all[i]
		if o, _ := r.observe(ctx, s); r.memory.isStale(s) || plan.NeedsReconcile(o) {
			r.queue.Add(client.ObjectKeyFromObject(s))
		}
	}
	return nil
}
