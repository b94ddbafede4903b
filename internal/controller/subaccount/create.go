// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// declareIntent reserves a slot of the request budget and then writes the
// intent under an optimistic lock. A replica with a stale cache, or one that is
// no longer the leader, gets a conflict and sends no create call.
func (st *reconcileState) declareIntent(ctx context.Context) error {
	facts, _ := st.obs.Account.Get()
	slot, err := st.reserveSlot(ctx)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(st.reconciler.Timeout)
	s := st.obs.Object.DeepCopy()
	st.setFirstStatus(s)
	replacedAuthID := s.Status.AuthID
	if replacedAuthID != "" {
		s.Status.PreviousAuthID = replacedAuthID
	}
	s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: rand.Text(), AccountID: facts.ID, Since: metav1.Now()}
	s.Status.AuthID, s.Status.AccountID, s.Status.Name, s.Status.Enabled = "", "", nil, nil
	if err := st.patchStatus(ctx, s); err != nil {
		slot.Cancel()
		// The API server may have stored the intent despite the error. No create
		// call belongs to it.
		attempt := s.Status.PendingCreation.Attempt
		st.reconciler.memory.update(st.obs.Object, func(rm *resourceMemory) { rm.refusedAttempt = attempt })
		return err
	}
	if replacedAuthID != "" {
		log.FromContext(ctx).Info("Recreating a subaccount that is gone at Plivo",
			logging.PreviousAuthID, replacedAuthID, logging.Attempt, s.Status.PendingCreation.Attempt)
		st.mainAccount.Count(mainaccount.EventRecreated)
		st.obs.ReplacedAuthID = replacedAuthID
	}
	st.createSlot, st.createDeadline = slot, deadline
	st.obs.DeclaredAttempt, st.obs.FoundByMarker = st.obs.Object.Status.PendingCreation.Attempt, nil
	st.obs.PendingSince = st.reconciler.memory.get(st.obs.Object, time.Now()).pendingSince
	st.obs.HasToken = false
	observeRemote(st.obs, st.mainAccount)
	return nil
}

// sendCreate sends the create call. The call ignores the end of the process's
// context, because otherwise its response would be lost.
func (st *reconcileState) sendCreate(ctx context.Context) error {
	s, slot := st.obs.Object, st.createSlot
	attempt := st.obs.DeclaredAttempt
	st.createSlot, st.obs.DeclaredAttempt = nil, ""
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), st.createDeadline)
	defer cancel()
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithValues(logging.Attempt, attempt))
	accountID := s.Status.PendingCreation.AccountID
	created, err := st.mainAccount.Create(ctx, slot, accountID, st.obs.Marker)
	if plivo.IsKind(err, plivo.KindNotSent) && !time.Now().Before(st.createDeadline) {
		err = &plivo.Error{Kind: plivo.KindNotSent, Operation: plivo.OperationCreate,
			Message: "the writes to the API server before the create call took longer than --plivo-timeout"}
	}
	if err == nil {
		response := plan.HeldResponse{Attempt: attempt, AuthID: created.AuthID, AccountID: accountID}
		st.reconciler.memory.update(s, func(rm *resourceMemory) {
			rm.response = &heldResponse{HeldResponse: response, token: created.Token}
		})
		st.obs.HeldResponse, st.token, st.obs.HasToken, st.obs.Fetched = &response, created.Token, true, true
		return nil
	}
	if plivo.AsError(err).IsDefinite() {
		st.obs.RefusedAttempt = attempt
		st.reconciler.memory.update(s, func(rm *resourceMemory) { rm.refusedAttempt = attempt })
		return err
	}
	return nil // the result is unknown: a sweep has to confirm the intent
}

// RecordTimeout is the time limit of the write that records a create response.
const RecordTimeout = 10 * time.Second

// recordResponse records the subaccount of the pending attempt: the held
// response, or else the authID that a sweep found by the marker.
func (st *reconcileState) recordResponse(ctx context.Context, authID string) error {
	s := st.obs.Object
	var response plan.HeldResponse
	if st.obs.HeldResponse != nil {
		response = *st.obs.HeldResponse
	} else {
		response = plan.HeldResponse{Attempt: s.Status.PendingCreation.Attempt, AccountID: s.Status.PendingCreation.AccountID, AuthID: authID}
	}
	// The write ignores the end of the process's context, like the create call.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout)
	defer cancel()
	err := st.patchStatusJSON(ctx, jsonPatch{}.
		test(pathUID, s.UID).test(pathAttempt, response.Attempt).test(pathAuthID, nil).
		add(pathAuthID, response.AuthID).add(pathAccount, response.AccountID).remove(pathPending))
	if isRefusedPatch(err) {
		err = st.resolveRefusedRecord(ctx, response, err)
	}
	if err != nil {
		return err
	}
	st.reconciler.memory.update(s, func(rm *resourceMemory) { rm.response = nil })
	st.obs.HeldResponse, st.obs.FoundByMarker = nil, nil
	st.obs.Claim = plan.Known(plan.Claim{Ours: true})
	observeRemote(st.obs, st.mainAccount)
	return nil
}

// isRefusedPatch reports whether the API server refused a JSON patch because of
// the stored object: the object is gone, or a test failed. A failed test is a
// 422 without a reason that apierrors knows.
func isRefusedPatch(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code == http.StatusUnprocessableEntity || code == http.StatusNotFound
}

// resolveRefusedRecord reads the stored object to find out why the record was
// refused. If an earlier record of the same response succeeded, it returns nil.
// If the attempt is no longer pending, it drops the held response: the
// subaccount is a stray, which sweeps remove.
func (st *reconcileState) resolveRefusedRecord(ctx context.Context, response plan.HeldResponse, refused error) error {
	s, live := st.obs.Object, &v1alpha1.Subaccount{}
	err := st.reconciler.Live.Get(ctx, client.ObjectKeyFromObject(s), live)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	exists := err == nil && live.UID == s.UID
	pending := live.Status.PendingCreation
	switch {
	case exists && live.Status.AuthID == response.AuthID:
		st.obs.Object = live
		return nil
	case exists && live.Status.AuthID == "" && pending != nil && pending.Attempt == response.Attempt:
		return refused // for another reason: a retry may succeed
	}
	st.reconciler.memory.update(s, func(rm *resourceMemory) { rm.response = nil })
	st.obs.HeldResponse = nil
	return conflict("the attempt that created the subaccount " + response.AuthID + " is no longer pending; the subaccount is a stray")
}

func (st *reconcileState) clearIntent(ctx context.Context) error {
	s := st.obs.Object.DeepCopy()
	s.Status.PendingCreation = nil
	return st.patchStatus(ctx, s)
}

// setFirstStatus sets observedGeneration and the conditions in a status that was
// never written. It reports whether it did.
func (st *reconcileState) setFirstStatus(s *v1alpha1.Subaccount) bool {
	if s.Status.ObservedGeneration != -1 {
		return false
	}
	s.Status.ObservedGeneration = s.Generation
	plan.SetConditions(&s.Status.Conditions, v1alpha1.ReasonCreating, "The operator creates or adopts the subaccount.", s.Generation, metav1.NewTime(st.obs.Now))
	return true
}

// adopt writes spec.authID into the status. Other Subaccounts may have done the
// same, so the claim becomes Unknown and has to be read again.
func (st *reconcileState) adopt(ctx context.Context, authID string) error {
	facts, _ := st.obs.Account.Get()
	patch := jsonPatch{}.
		test(pathUID, st.obs.Object.UID).test(pathAuthID, nil).test(pathPending, nil).
		add(pathAuthID, authID).add(pathAccount, facts.ID)
	if s := st.obs.Object.DeepCopy(); st.setFirstStatus(s) {
		patch = patch.add(pathObservedGeneration, s.Status.ObservedGeneration).add(pathConditions, s.Status.Conditions)
	}
	err := st.patchStatusJSON(ctx, patch)
	if err == nil {
		st.obs.Claim = plan.Unknown[plan.Claim]()
	}
	return err
}
