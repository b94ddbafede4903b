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
func (p *pass) declareIntent(ctx context.Context) error {
	facts, _ := p.o.Account.Get()
	slot, err := p.reserve(ctx)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(p.r.Timeout)
	s := p.o.Object.DeepCopy()
	p.markSeen(s)
	givenUp := s.Status.AuthID
	if givenUp != "" {
		s.Status.PreviousAuthID = givenUp
	}
	s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: rand.Text(), AccountID: facts.ID, Since: metav1.Now()}
	s.Status.AuthID, s.Status.AccountID = "", ""
	if err := p.patchStatus(ctx, s); err != nil {
		slot.Cancel()
		// If it was written all the same, nothing was made by it and never will be.
		attempt := s.Status.PendingCreation.Attempt
		p.r.memory.with(p.o.Object, func(e *entry) { e.refused = attempt })
		return err
	}
	if givenUp != "" {
		log.FromContext(ctx).Info("Recreating a subaccount that is gone at Plivo",
			logging.PreviousAuthID, givenUp, logging.Attempt, s.Status.PendingCreation.Attempt)
		p.account.Count(mainaccount.EventRecreated)
		p.o.GivenUp = givenUp
	}
	p.slot, p.deadline = slot, deadline
	p.o.Unsent, p.o.Found = p.o.Object.Status.PendingCreation.Attempt, nil
	p.o.FirstSight = p.r.memory.get(p.o.Object, time.Now()).firstSight
	p.o.TokenInHand = false
	observeRemote(p.o, p.account)
	return nil
}

// create sends the create call. Ending the process must not cut it off: its
// answer would be lost.
func (p *pass) create(ctx context.Context) error {
	s, slot := p.o.Object, p.slot
	attempt := p.o.Unsent
	p.slot, p.o.Unsent = nil, ""
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), p.deadline)
	defer cancel()
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithValues(logging.Attempt, attempt))
	main := s.Status.PendingCreation.AccountID
	created, err := p.account.Create(ctx, slot, main, p.o.Marker)
	if err == nil {
		answer := plan.Held{Attempt: attempt, AuthID: created.AuthID, AccountID: main}
		p.r.memory.with(s, func(e *entry) { e.held = &held{Held: answer, token: created.Token} })
		p.o.Held, p.token, p.o.TokenInHand, p.o.Looked = &answer, created.Token, true, true
		return nil
	}
	if plivo.AsError(err).Definite() {
		p.o.Refused = attempt
		p.r.memory.with(s, func(e *entry) { e.refused = attempt })
		return err
	}
	return nil // unknown: the intent stands, and has to be confirmed
}

// RecordTimeout bounds the write that records what was made.
const RecordTimeout = 10 * time.Second

// record writes what the pending attempt has made.
func (p *pass) record(ctx context.Context, authID string) error {
	s := p.o.Object
	var answer plan.Held
	if p.o.Held != nil {
		answer = *p.o.Held
	} else {
		answer = plan.Held{Attempt: s.Status.PendingCreation.Attempt, AccountID: s.Status.PendingCreation.AccountID, AuthID: authID}
	}
	// The process may be ending; what was made must be recorded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout)
	defer cancel()
	err := p.patchJSON(ctx, jsonPatch{}.
		test(pathUID, s.UID).test(pathAttempt, answer.Attempt).test(pathAuthID, nil).
		add(pathAuthID, answer.AuthID).add(pathAccount, answer.AccountID).remove(pathPending))
	if refusedPatch(err) {
		err = p.recordRefused(ctx, answer, err)
	}
	if err != nil {
		return err
	}
	p.r.memory.with(s, func(e *entry) { e.held = nil })
	p.o.Held, p.o.Found = nil, nil
	p.o.Claim = plan.Known(plan.Claim{Ours: true})
	observeRemote(p.o, p.account)
	return nil
}

// refusedPatch says whether the API server refused a patch for what stands
// there, and not for a passing reason. A test that fails is a 422 of no reason
// that apierrors knows.
func refusedPatch(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && (status.Status().Code == http.StatusUnprocessableEntity || status.Status().Code == http.StatusNotFound)
}

// recordRefused looks at what stands there in place of the attempt. If it is
// not recorded and never will be, the subaccount just made is a stray: it is
// let go of here, and sweeps remove it.
func (p *pass) recordRefused(ctx context.Context, answer plan.Held, refused error) error {
	s, live := p.o.Object, &v1alpha1.Subaccount{}
	err := p.r.Live.Get(ctx, client.ObjectKeyFromObject(s), live)
	switch {
	case err == nil && live.UID == s.UID && live.Status.AuthID == answer.AuthID:
		p.o.Object = live // an earlier try has done it
		return nil
	case err == nil && live.UID == s.UID && live.Status.AuthID == "" && live.Status.PendingCreation != nil &&
		live.Status.PendingCreation.Attempt == answer.Attempt:
		return refused // for another reason: keep the answer
	case err != nil && !apierrors.IsNotFound(err):
		return err
	}
	p.r.memory.with(s, func(e *entry) { e.held = nil })
	p.o.Held = nil
	return conflict("the attempt that made the subaccount " + answer.AuthID + " is not pending any more; it is a stray now")
}

func conflict(message string) error {
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("subaccounts").GroupResource(), "", errors.New(message))
}

func (p *pass) clearIntent(ctx context.Context) error {
	return p.patchJSON(ctx, jsonPatch{}.
		test(pathUID, p.o.Object.UID).test(pathAttempt, p.o.Object.Status.PendingCreation.Attempt).remove(pathPending))
}

// markSeen sets observedGeneration, and conditions that go with it, in a status
// that was never written, and returns whether it was.
func (p *pass) markSeen(s *v1alpha1.Subaccount) bool {
	if s.Status.ObservedGeneration != -1 {
		return false
	}
	s.Status.ObservedGeneration = s.Generation
	plan.SetConditions(&s.Status.Conditions, v1alpha1.ReasonCreating, "The operator creates or adopts the subaccount.", s.Generation, metav1.NewTime(p.o.Now))
	return true
}

// adopt writes spec.authID into the status. Who holds it is judged anew after
// that, among all who have written the same.
func (p *pass) adopt(ctx context.Context, authID string) error {
	facts, _ := p.o.Account.Get()
	patch := jsonPatch{}.
		test(pathUID, p.o.Object.UID).test(pathAuthID, nil).test(pathPending, nil).
		add(pathAuthID, authID).add(pathAccount, facts.ID)
	if s := p.o.Object.DeepCopy(); p.markSeen(s) {
		patch = patch.add(pathObservedGeneration, s.Status.ObservedGeneration).add(pathConditions, s.Status.Conditions)
	}
	err := p.patchJSON(ctx, patch)
	if err == nil {
		p.o.Claim = plan.Unknown[plan.Claim]()
	}
	return err
}
