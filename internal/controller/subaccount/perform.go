package subaccount

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// reconcileState is one pass over one Subaccount: the observation, into which each
// step's answer is folded, and what cannot stand in an observation.
type reconcileState struct {
	reconciler  *Reconciler
	obs         *plan.Observation
	mainAccount *mainaccount.Account

	token          plivo.Token       // o.TokenInHand
	secretDataRead map[string][]byte // what was read of the Secret, to keep it out of messages
	createSlot     *plivo.Slot       // reserved for the create call of o.Unsent
	createDeadline time.Time         // of that call

	reservedSlot *plivo.Slot // reserved for the first call
	hasTurn      bool        // the first call has a slot
	isQueued     bool        // there was none: the resource waits for one
}

// releaseSlots gives back what the pass has reserved and not used. A call that was
// announced and not sent will never be sent.
func (st *reconcileState) releaseSlots() {
	st.reconciler.memory.endClaim(st.obs.Object.UID)
	if st.reservedSlot != nil {
		st.reservedSlot.Cancel()
	}
	if !st.isQueued {
		defer st.reconciler.queue.leave(client.ObjectKeyFromObject(st.obs.Object))
	}
	if st.createSlot == nil {
		return
	}
	st.createSlot.Cancel()
	st.reconciler.memory.update(st.obs.Object, func(e *entry) { e.refusedAttempt = st.obs.DeclaredAttempt })
}

// perform does one step and folds its answer in.
func (st *reconcileState) perform(ctx context.Context, d plan.Decision) {
	err := st.performStep(ctx, d)
	if err == nil {
		st.obs.Performed = append(st.obs.Performed, d.Step)
		return
	}
	st.obs.Failure = st.failureOf(d.Step, err)
}

func (st *reconcileState) performStep(ctx context.Context, d plan.Decision) error {
	switch d.Step {
	case plan.StepReadCRD:
		return st.readCRD(ctx)
	case plan.StepReadClaim:
		return st.readClaim(ctx)
	case plan.StepReadSecret:
		return st.readSecret(ctx)
	case plan.StepGet:
		return st.getSubaccount(ctx, d.AuthID)
	case plan.StepAddFinalizer:
		return st.patchFinalizer(ctx, controllerutil.AddFinalizer)
	case plan.StepDeclareIntent:
		return st.declareIntent(ctx)
	case plan.StepCreate:
		return st.sendCreate(ctx)
	case plan.StepClearIntent:
		return st.clearIntent(ctx)
	case plan.StepRecord:
		return st.recordResponse(ctx, d.AuthID)
	case plan.StepAdopt:
		return st.adopt(ctx, d.AuthID)
	case plan.StepUpdate:
		return st.updateSubaccount(ctx, d)
	case plan.StepDelete:
		return st.deleteSubaccount(ctx, d)
	case plan.StepWriteSecret:
		return st.writeSecret(ctx)
	case plan.StepRemoveSecret:
		return st.removeSecret(ctx, d.Secret)
	case plan.StepRecordOrphan:
		return st.reconciler.recordOrphan(ctx, st.obs.Object.Spec.AccountRef.Name, d.AuthID)
	case plan.StepRemoveFinalizer:
		return st.patchFinalizer(ctx, controllerutil.RemoveFinalizer)
	default:
		return fmt.Errorf("no such step: %s", d.Step)
	}
}

func (st *reconcileState) readCRD(ctx context.Context) error {
	crd := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}}
	if err := st.reconciler.Live.Get(ctx, types.NamespacedName{Name: "subaccounts." + v1alpha1.Group}, crd); err != nil {
		return err
	}
	st.obs.CRDTerminating = plan.Known(crd.DeletionTimestamp != nil)
	return nil
}

// readClaim finds out on a live list who holds the authID. Of several that ask
// for one, a single pass at a time may go on to write its claim: the next one
// then finds it on the list.
func (st *reconcileState) readClaim(ctx context.Context) error {
	s, authID := st.obs.Object, plan.ClaimedAuthID(st.obs.Object)
	if s.Status.AuthID == "" && !st.reconciler.memory.tryClaim(authID, s.UID) {
		return conflict("another Subaccount asks for " + authID + " at this moment")
	}
	holders, err := st.reconciler.Live.Subaccounts(ctx, client.MatchingFields{kube.SelectAuthID: authID})
	if err != nil {
		return err
	}
	ours := plan.IsClaimHolder(s, holders)
	if ours && s.Status.AuthID != "" {
		st.reconciler.memory.update(s, func(e *entry) { e.confirmedClaim = authID })
	}
	st.obs.Claim = plan.Known(plan.Claim{Ours: ours})
	return nil
}

func (st *reconcileState) readSecret(ctx context.Context) error {
	if err := st.reserveSlotEarly(ctx); err != nil {
		return err
	}
	secret := &corev1.Secret{}
	err := st.reconciler.Live.Get(ctx, types.NamespacedName{Namespace: st.obs.Object.Namespace, Name: plan.SecretName(st.obs.Object)}, secret)
	switch {
	case apierrors.IsNotFound(err):
		st.obs.Secret = plan.Absent[plan.Secret]()
		return nil
	case err != nil:
		return err
	}
	st.foldSecret(secret)
	return nil
}

func (st *reconcileState) getSubaccount(ctx context.Context, authID string) error {
	main := st.obs.Object.Status.AccountID
	if facts, ok := st.obs.Account.Get(); ok && main == "" {
		main = facts.ID
	}
	slot, err := st.reserveThrottledSlot(ctx)
	if err != nil {
		return err
	}
	got, err := st.mainAccount.Get(ctx, slot, main, authID)
	if err == nil {
		st.token, st.obs.HasToken = got.Token, true
	}
	if err = st.ignoreNotFound(err); err == nil {
		st.obs.Fetched = true
	}
	return err
}

func (st *reconcileState) updateSubaccount(ctx context.Context, d plan.Decision) error {
	slot, err := st.reserveThrottledSlot(ctx)
	if err != nil {
		return err
	}
	err = st.mainAccount.Update(ctx, slot, st.obs.Object.Status.AccountID, d.AuthID, d.Name, d.Enabled)
	if err == nil && st.wasReady() {
		st.mainAccount.Count(mainaccount.EventDriftRepaired)
	}
	return st.ignoreNotFound(err)
}

// wasReady says whether the status tells that all was as the spec, as it is
// now, wants it: what has to be put right was then changed at Plivo.
func (st *reconcileState) wasReady() bool {
	s := st.obs.Object
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == s.Generation
}

func (st *reconcileState) deleteSubaccount(ctx context.Context, d plan.Decision) error {
	slot, err := st.reserveSlot(ctx)
	if err != nil {
		return err
	}
	return st.ignoreNotFound(st.mainAccount.Delete(ctx, slot, st.obs.Object.Status.AccountID, d.AuthID, d.Cascade))
}

// ignoreNotFound folds in what a call has told of the subaccount; a 404 is an
// answer here and not a failure.
func (st *reconcileState) ignoreNotFound(err error) error {
	observeRemote(st.obs, st.mainAccount)
	if plivo.IsKind(err, plivo.KindNotFound) {
		return nil
	}
	return err
}

func (st *reconcileState) patchFinalizer(ctx context.Context, change func(client.Object, string) bool) error {
	s := st.obs.Object.DeepCopy()
	change(s, v1alpha1.Finalizer)
	return st.patch(ctx, s, st.reconciler.Client.Patch)
}

// failureOf says what a failed step means, in words that are safe to show.
func (st *reconcileState) failureOf(step plan.Step, err error) *plan.Failure {
	f := &plan.Failure{Step: step, Kind: plan.FailureKubernetes}
	var e *plivo.Error
	var often throttledError
	var noSlot *mainaccount.NoSlotError
	switch {
	case errors.As(err, &often):
		f.Kind, f.After = plan.FailureThrottled, often.wait
	case errors.As(err, &noSlot):
		f.Kind, f.Message, f.Long = plan.FailureNoSlot, "", noSlot.ReportWait
		if until := noSlot.PausedUntil; !until.IsZero() {
			f.Message = "Plivo's rate limit is reached. The operator sends nothing for this main account until " +
				until.UTC().Format(time.RFC3339) + " and then goes on by itself."
		}
	case errors.As(err, &e):
		f.Kind, f.Message = plivoFailures[e.Kind], err.Error()
	case apierrors.IsForbidden(err) && step == plan.StepReadSecret:
		f.Kind = plan.FailureForbidden
	default:
		f.Message = st.redactedMessage(err)
		f.Persistent = kube.IsPersistent(err, st.reconciler.retries.Count(client.ObjectKeyFromObject(st.obs.Object)))
	}
	return f
}

// redactedMessage returns the API server's words. A webhook may put anything into them,
// a Secret's data among it.
func (st *reconcileState) redactedMessage(err error) string {
	secrets := []string{st.token.Reveal()}
	for _, value := range st.secretDataRead {
		secrets = append(secrets, string(value))
	}
	return plivo.Redact(err.Error(), secrets...)
}

// plivoFailures maps what Plivo answered to what it means for a step. What that
// means for the conditions is decided in internal/plan/failure.go.
var plivoFailures = map[plivo.Kind]plan.FailureKind{
	plivo.KindUnknown:          plan.FailureUnknown,
	plivo.KindNotSent:          plan.FailureNotSent,
	plivo.KindInvalid:          plan.FailureRefused,
	plivo.KindForbidden:        plan.FailureRefused,
	plivo.KindUnauthorized:     plan.FailureUnrelatedToSpec,
	plivo.KindRateLimited:      plan.FailureRateLimited,
	plivo.KindNotFound:         plan.FailureUnrelatedToSpec,
	plivo.KindMethodNotAllowed: plan.FailureUnrelatedToSpec,
}
