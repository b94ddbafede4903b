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

// declareIntent takes a slot of the request budget and then writes the intent: who
// has a stale view, or is not the leader any more, gets a conflict and stops.
func (st *reconcileState) declareIntent(ctx context.Context) error {
	facts, _ := st.obs.Account.Get()
	slot, err := st.reserveSlot(ctx)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(st.reconciler.Timeout)
	s := st.obs.Object.DeepCopy()
	st.setFirstStatus(s)
	givenUp := s.Status.AuthID
	if givenUp != "" {
		s.Status.PreviousAuthID = givenUp
	}
	s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: rand.Text(), AccountID: facts.ID, Since: metav1.Now()}
	s.Status.AuthID, s.Status.AccountID = "", ""
	if err := st.patchStatus(ctx, s); err != nil {
		slot.Cancel()
		// If it was written all the same, nothing was made by it and never will be.
		attempt := s.Status.PendingCreation.Attempt
		st.reconciler.memory.update(st.obs.Object, func(e *entry) { e.refusedAttempt = attempt })
		return err
	}
	if givenUp != "" {
		log.FromContext(ctx).Info("Recreating a subaccount that is gone at Plivo",
			logging.PreviousAuthID, givenUp, logging.Attempt, s.Status.PendingCreation.Attempt)
		st.mainAccount.Count(mainaccount.EventRecreated)
		st.obs.ReplacedAuthID = givenUp
	}
	st.createSlot, st.createDeadline = slot, deadline
	st.obs.DeclaredAttempt, st.obs.FoundByMarker = st.obs.Object.Status.PendingCreation.Attempt, nil
	st.obs.PendingSince = st.reconciler.memory.get(st.obs.Object, time.Now()).pendingSince
	st.obs.HasToken = false
	observeRemote(st.obs, st.mainAccount)
	return nil
}

// sendCreate sends the create call. Ending the process must not cut it off: its
// answer would be lost.
func (st *reconcileState) sendCreate(ctx context.Context) error {
	s, slot := st.obs.Object, st.createSlot
	attempt := st.obs.DeclaredAttempt
	st.createSlot, st.obs.DeclaredAttempt = nil, ""
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), st.createDeadline)
	defer cancel()
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithValues(logging.Attempt, attempt))
	main := s.Status.PendingCreation.AccountID
	created, err := st.mainAccount.Create(ctx, slot, main, st.obs.Marker)
	if err == nil {
		answer := plan.HeldResponse{Attempt: attempt, AuthID: created.AuthID, AccountID: main}
		st.reconciler.memory.update(s, func(e *entry) { e.response = &heldResponse{HeldResponse: answer, token: created.Token} })
		st.obs.HeldResponse, st.token, st.obs.HasToken, st.obs.Fetched = &answer, created.Token, true, true
		return nil
	}
	if plivo.AsError(err).IsDefinite() {
		st.obs.RefusedAttempt = attempt
		st.reconciler.memory.update(s, func(e *entry) { e.refusedAttempt = attempt })
		return err
	}
	return nil // unknown: the intent stands, and has to be confirmed
}

// RecordTimeout bounds the write that records what was made.
const RecordTimeout = 10 * time.Second

// recordResponse writes what the pending attempt has made.
func (st *reconcileState) recordResponse(ctx context.Context, authID string) error {
	s := st.obs.Object
	var answer plan.HeldResponse
	if st.obs.HeldResponse != nil {
		answer = *st.obs.HeldResponse
	} else {
		answer = plan.HeldResponse{Attempt: s.Status.PendingCreation.Attempt, AccountID: s.Status.PendingCreation.AccountID, AuthID: authID}
	}
	// The process may be ending; what was made must be recorded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout)
	defer cancel()
	err := st.patchJSON(ctx, jsonPatch{}.
		test(pathUID, s.UID).test(pathAttempt, answer.Attempt).test(pathAuthID, nil).
		add(pathAuthID, answer.AuthID).add(pathAccount, answer.AccountID).remove(pathPending))
	if isRefusedPatch(err) {
		err = st.resolveRefusedRecord(ctx, answer, err)
	}
	if err != nil {
		return err
	}
	st.reconciler.memory.update(s, func(e *entry) { e.response = nil })
	st.obs.HeldResponse, st.obs.FoundByMarker = nil, nil
	st.obs.Claim = plan.Known(plan.Claim{Ours: true})
	observeRemote(st.obs, st.mainAccount)
	return nil
}

// isRefusedPatch says whether the API server refused a patch for what stands
// there, and not for a passing reason. A test that fails is a 422 of no reason
// that apierrors knows.
func isRefusedPatch(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && (status.Status().Code == http.StatusUnprocessableEntity || status.Status().Code == http.StatusNotFound)
}

// resolveRefusedRecord looks at what stands there in place of the attempt. If it is
// not recorded and never will be, the subaccount just made is a stray: it is
// let go of here, and sweeps remove it.
func (st *reconcileState) resolveRefusedRecord(ctx context.Context, answer plan.HeldResponse, refused error) error {
	s, live := st.obs.Object, &v1alpha1.Subaccount{}
	err := st.reconciler.Live.Get(ctx, client.ObjectKeyFromObject(s), live)
	switch {
	case err == nil && live.UID == s.UID && live.Status.AuthID == answer.AuthID:
		st.obs.Object = live // an earlier try has done it
		return nil
	case err == nil && live.UID == s.UID && live.Status.AuthID == "" && live.Status.PendingCreation != nil &&
		live.Status.PendingCreation.Attempt == answer.Attempt:
		return refused // for another reason: keep the answer
	case err != nil && !apierrors.IsNotFound(err):
		return err
	}
	st.reconciler.memory.update(s, func(e *entry) { e.response = nil })
	st.obs.HeldResponse = nil
	return conflict("the attempt that made the subaccount " + answer.AuthID + " is not pending any more; it is a stray now")
}

func conflict(message string) error {
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("subaccounts").GroupResource(), "", errors.New(message))
}

func (st *reconcileState) clearIntent(ctx context.Context) error {
	return st.patchJSON(ctx, jsonPatch{}.
		test(pathUID, st.obs.Object.UID).test(pathAttempt, st.obs.Object.Status.PendingCreation.Attempt).remove(pathPending))
}

// setFirstStatus sets observedGeneration, and conditions that go with it, in a status
// that was never written, and returns whether it was.
func (st *reconcileState) setFirstStatus(s *v1alpha1.Subaccount) bool {
	if s.Status.ObservedGeneration != -1 {
		return false
	}
	s.Status.ObservedGeneration = s.Generation
	plan.SetConditions(&s.Status.Conditions, v1alpha1.ReasonCreating, "The operator creates or adopts the subaccount.", s.Generation, metav1.NewTime(st.obs.Now))
	return true
}

// adopt writes spec.authID into the status. Who holds it is judged anew after
// that, among all who have written the same.
func (st *reconcileState) adopt(ctx context.Context, authID string) error {
	facts, _ := st.obs.Account.Get()
	patch := jsonPatch{}.
		test(pathUID, st.obs.Object.UID).test(pathAuthID, nil).test(pathPending, nil).
		add(pathAuthID, authID).add(pathAccount, facts.ID)
	if s := st.obs.Object.DeepCopy(); st.setFirstStatus(s) {
		patch = patch.add(pathObservedGeneration, s.Status.ObservedGeneration).add(pathConditions, s.Status.Conditions)
	}
	err := st.patchJSON(ctx, patch)
	if err == nil {
		st.obs.Claim = plan.Unknown[plan.Claim]()
	}
	return err
}
