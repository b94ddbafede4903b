// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// reconcileState is the state of one reconcile of one Subaccount: the
// Observation, which every step updates, and what does not belong into it.
type reconcileState struct {
	reconciler  *Reconciler
	obs         *plan.Observation
	mainAccount *mainaccount.Account // nil while this process has none for the Account

	token          plivo.Token       // valid if obs.HasToken
	secretDataRead map[string][]byte // data of the Secret as read, to redact it from messages
	createSlot     *plivo.Slot       // for the create call of obs.DeclaredAttempt
	createDeadline time.Time         // of that call

	reservedSlot *plivo.Slot // for the first call, reserved early
	hasTurn      bool        // the first call got a slot; later calls may wait for theirs
	isQueued     bool        // no slot was free: the resource waits in the queue
}

// releaseReservations gives up everything that the reconcile reserved and did
// not use. No later reconcile sends a create call that this one declared, so its
// attempt counts as refused.
func (st *reconcileState) releaseReservations() {
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
	st.reconciler.memory.update(st.obs.Object, func(rm *resourceMemory) { rm.refusedAttempt = st.obs.DeclaredAttempt })
}

// perform performs one step and updates the Observation with its result.
func (st *reconcileState) perform(ctx context.Context, d plan.Decision) {
	err := st.performStep(ctx, d)
	if err == nil {
		st.obs.Performed = append(st.obs.Performed, d.Step)
		return
	}
	st.obs.Failure = st.failureOf(d.Step, err)
}

// performStep calls the function of a step. Each of these functions MUST update
// the Observation on success, because plan.Decide repeats a step otherwise. Each
// MAY return a plivo.Error, an error of the API server, a throttledError or a
// NoSlotError; failureOf classifies them.
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

// readClaim reads from a live list which Subaccount holds the authID. Several
// Subaccounts may claim an authID that none holds. Only one reconcile at a time
// may write its claim, so that the next one finds that claim in its list.
func (st *reconcileState) readClaim(ctx context.Context) error {
	s, authID := st.obs.Object, plan.ClaimedAuthID(st.obs.Object)
	if s.Status.AuthID == "" && !st.reconciler.memory.tryClaim(authID, s.UID) {
		return conflict("another Subaccount is claiming " + authID + " at the same time")
	}
	holders, err := st.reconciler.Live.Subaccounts(ctx, client.MatchingFields{kube.SelectAuthID: authID})
	if err != nil {
		return err
	}
	ours := plan.IsClaimHolder(s, holders)
	if ours && s.Status.AuthID != "" {
		st.reconciler.memory.update(s, func(rm *resourceMemory) { rm.confirmedClaim = authID })
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
	st.setSecretFacts(secret)
	return nil
}

func (st *reconcileState) getSubaccount(ctx context.Context, authID string) error {
	accountID := st.obs.Object.Status.AccountID
	if facts, ok := st.obs.Account.Get(); ok && accountID == "" {
		accountID = facts.ID
	}
	slot, err := st.reserveThrottledSlot(ctx)
	if err != nil {
		return err
	}
	got, err := st.mainAccount.Get(ctx, slot, accountID, authID)
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

// wasReady reports whether the status says Ready for the current generation. A
// difference at Plivo is then drift, and not a change of the spec.
func (st *reconcileState) wasReady() bool {
	s := st.obs.Object
	return plan.IsReady(s.Status.Conditions, s.Generation)
}

func (st *reconcileState) deleteSubaccount(ctx context.Context, d plan.Decision) error {
	slot, err := st.reserveSlot(ctx)
	if err != nil {
		return err
	}
	return st.ignoreNotFound(st.mainAccount.Delete(ctx, slot, st.obs.Object.Status.AccountID, d.AuthID, d.Cascade))
}

// ignoreNotFound returns the error of a call to Plivo, or nil for a 404. The
// inventory has noted the 404, and plan.Decide finds it in the updated
// Observation.
func (st *reconcileState) ignoreNotFound(err error) error {
	observeRemote(st.obs, st.mainAccount)
	if plivo.IsKind(err, plivo.KindNotFound) {
		return nil
	}
	return err
}

// recordOrphan adds a subaccount to its Account's status.orphaned, so that no
// sweep removes it as a stray. Without the Account nothing removes strays.
func (r *Reconciler) recordOrphan(ctx context.Context, accountName, authID string) error {
	a, err := r.Live.Account(ctx, accountName)
	if err != nil || a == nil || slices.Contains(a.Status.Orphaned, authID) {
		return err
	}
	before := a.DeepCopy()
	a.Status.Orphaned = append(a.Status.Orphaned, authID)
	return r.Client.Status().Patch(ctx, a, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

func (st *reconcileState) patchFinalizer(ctx context.Context, change func(client.Object, string) bool) error {
	s := st.obs.Object.DeepCopy()
	change(s, v1alpha1.Finalizer)
	return st.patchLocked(ctx, s, st.reconciler.Client.Patch)
}

// patchStatus writes the status under an optimistic lock.
func (st *reconcileState) patchStatus(ctx context.Context, modified *v1alpha1.Subaccount) error {
	return st.patchLocked(ctx, modified, st.sendStatusPatch)
}

// patchLocked writes the difference to obs.Object under an optimistic lock.
func (st *reconcileState) patchLocked(ctx context.Context, modified *v1alpha1.Subaccount, send sendPatch) error {
	patch := client.MergeFromWithOptions(st.obs.Object, client.MergeFromWithOptimisticLock{})
	data, err := patch.Data(modified)
	if err != nil {
		return err
	}
	return st.write(ctx, client.RawPatch(patch.Type(), data), send)
}

// patchStatusJSON writes the status by a JSON patch, whose tests take the place
// of the optimistic lock: a concurrent change of the spec does not refuse it.
func (st *reconcileState) patchStatusJSON(ctx context.Context, j jsonPatch) error {
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return st.write(ctx, client.RawPatch(types.JSONPatchType, data), st.sendStatusPatch)
}

// sendPatch is the type of client.Client.Patch.
type sendPatch func(context.Context, client.Object, client.Patch, ...client.PatchOption) error

func (st *reconcileState) sendStatusPatch(ctx context.Context, obj client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return st.reconciler.Client.Status().Patch(ctx, obj, patch)
}

// write sends a patch and sets obs.Object to the response. It decodes the
// response into an empty object, because decoding keeps fields that the response
// omits.
func (st *reconcileState) write(ctx context.Context, patch client.Patch, send sendPatch) error {
	s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: st.obs.Object.Namespace, Name: st.obs.Object.Name}}
	if err := send(ctx, s, patch); err != nil {
		return err
	}
	_, _ = kube.StripSubaccount(s) // so that it equals the cached object; never fails
	st.obs.Object = s
	st.reconciler.memory.recordWrite(s)
	return nil
}

// jsonPatch is an RFC 6902 patch. Unlike a merge patch, it can test the UID on
// the status subresource.
type jsonPatch []map[string]any

func (j jsonPatch) test(path string, value any) jsonPatch {
	return append(j, map[string]any{"op": "test", "path": path, "value": value})
}

func (j jsonPatch) add(path string, value any) jsonPatch {
	return append(j, map[string]any{"op": "add", "path": path, "value": value})
}

func (j jsonPatch) remove(path string) jsonPatch {
	return append(j, map[string]any{"op": "remove", "path": path})
}

const (
	pathUID        = "/metadata/uid"
	pathAttempt    = "/status/pendingCreation/attempt"
	pathPending    = "/status/pendingCreation"
	pathAuthID     = "/status/authID"
	pathAccount    = "/status/accountID"
	pathConditions = "/status/conditions"

	pathObservedGeneration = "/status/observedGeneration"
)

// conflict returns an error that makes the reconcile retry, like a conflict
// reported by the API server.
func conflict(message string) error {
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("subaccounts").GroupResource(), "", errors.New(message))
}
