package controller

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/account"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/internal/subaccount"
)

// pass is one pass over one Subaccount: the observation, into which each
// step's answer is folded, and what cannot stand in an observation.
type pass struct {
	r       *SubaccountReconciler
	o       *subaccount.Observation
	account *account.Account

	token    plivo.Token // o.TokenInHand
	slot     *plivo.Slot // reserved for the create call of o.Unsent
	deadline time.Time   // of that call
}

// end gives back what the pass has reserved and not used. A call that was
// announced and not sent will never be sent.
func (p *pass) end() {
	if p.slot == nil {
		return
	}
	p.slot.Cancel()
	p.r.memory.with(p.o.Object, func(e *entry) { e.refused = p.o.Unsent })
}

// perform does one step and folds its answer in.
func (p *pass) perform(ctx context.Context, d subaccount.Decision) {
	err := p.step(ctx, d)
	if err == nil {
		p.o.Done = append(p.o.Done, d.Step)
		return
	}
	p.o.Failure = failure(d.Step, err)
}

func (p *pass) step(ctx context.Context, d subaccount.Decision) error {
	switch d.Step {
	case subaccount.StepReadCRD:
		return p.readCRD(ctx)
	case subaccount.StepJudgeClaim:
		return p.judgeClaim(ctx)
	case subaccount.StepReadSecret:
		return p.readSecret(ctx)
	case subaccount.StepGet:
		return p.get(ctx, d.AuthID)
	case subaccount.StepMarkSeen:
		return p.markSeen(ctx)
	case subaccount.StepAddFinalizer:
		return p.finalizer(ctx, controllerutil.AddFinalizer)
	case subaccount.StepDeclareIntent:
		return p.declareIntent(ctx)
	case subaccount.StepCreate:
		return p.create(ctx)
	case subaccount.StepClearIntent:
		return p.clearIntent(ctx)
	case subaccount.StepRecord:
		return p.record(ctx, d.AuthID)
	case subaccount.StepAdopt:
		return p.adopt(ctx, d.AuthID)
	case subaccount.StepUpdate:
		return p.forgive404(p.account.Update(ctx, p.o.Object.Namespace, p.o.Object.Status.AccountID, d.AuthID, d.Name, d.Enabled))
	case subaccount.StepDelete:
		return p.forgive404(p.account.Delete(ctx, p.o.Object.Namespace, p.o.Object.Status.AccountID, d.AuthID, d.Cascade))
	case subaccount.StepWriteSecret:
		return p.writeSecret(ctx)
	case subaccount.StepRemoveSecret:
		return p.removeSecret(ctx, d.Secret)
	case subaccount.StepRelease:
		return p.finalizer(ctx, controllerutil.RemoveFinalizer)
	default:
		return fmt.Errorf("no such step: %s", d.Step)
	}
}

func (p *pass) readCRD(ctx context.Context) error {
	crd := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}}
	if err := p.r.Live.Get(ctx, types.NamespacedName{Name: "subaccounts." + v1alpha1.Group}, crd); err != nil {
		return err
	}
	p.o.CRDTerminating = subaccount.Known(crd.DeletionTimestamp != nil)
	return nil
}

// judgeClaim finds out on a live list who holds the authID.
func (p *pass) judgeClaim(ctx context.Context) error {
	all, err := p.r.liveSubaccounts(ctx)
	if err != nil {
		return err
	}
	s, authID := p.o.Object, claimed(p.o.Object)
	var holders []v1alpha1.Subaccount
	for _, h := range all {
		if h.Status.AuthID == authID {
			holders = append(holders, h)
		}
	}
	ours := holds(s, holders)
	if ours && s.Status.AuthID != "" {
		p.r.memory.with(s, func(e *entry) { e.judged = authID })
	}
	p.o.Claim = subaccount.Known(subaccount.Claim{Ours: ours})
	return nil
}

func (p *pass) readSecret(ctx context.Context) error {
	secret := &corev1.Secret{}
	err := p.r.Live.Get(ctx, types.NamespacedName{Namespace: p.o.Object.Namespace, Name: subaccount.SecretName(p.o.Object)}, secret)
	switch {
	case apierrors.IsNotFound(err):
		p.o.Secret = subaccount.Absent[subaccount.Secret]()
		return nil
	case err != nil:
		return err
	}
	p.foldSecret(secret)
	return nil
}

func (p *pass) get(ctx context.Context, authID string) error {
	main := p.o.Object.Status.AccountID
	if facts, ok := p.o.Account.Get(); ok && main == "" {
		main = facts.ID
	}
	got, err := p.account.Get(ctx, p.o.Object.Namespace, main, authID)
	if err == nil {
		p.token, p.o.TokenInHand = got.Token, true
	}
	if err = p.forgive404(err); err == nil {
		p.o.Looked = true
	}
	return err
}

// forgive404 folds in what a call has told of the subaccount; a 404 is an
// answer here and not a failure.
func (p *pass) forgive404(err error) error {
	observeRemote(p.o, p.account)
	if plivo.IsKind(err, plivo.KindNotFound) {
		return nil
	}
	return err
}

func (p *pass) markSeen(ctx context.Context) error {
	s := p.o.Object.DeepCopy()
	s.Status.ObservedGeneration = s.Generation
	subaccount.SetConditions(&s.Status.Conditions, v1alpha1.ReasonCreating, "The subaccount is being made.", s.Generation, metav1.NewTime(p.o.Now))
	return p.patchStatus(ctx, s)
}

func (p *pass) finalizer(ctx context.Context, change func(client.Object, string) bool) error {
	s := p.o.Object.DeepCopy()
	change(s, v1alpha1.Finalizer)
	return p.patch(ctx, s, p.r.Client.Patch)
}

// declareIntent reserves a place in the budget and then writes the intent: who
// has a stale view, or is not the leader any more, gets a conflict and stops.
func (p *pass) declareIntent(ctx context.Context) error {
	facts, _ := p.o.Account.Get()
	slot, err := p.account.Reserve(ctx, p.o.Object.Namespace)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(p.r.Timeout)
	s := p.o.Object.DeepCopy()
	recreating := s.Status.AuthID != ""
	s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: rand.Text(), AccountID: facts.ID, Since: metav1.Now()}
	s.Status.AuthID, s.Status.AccountID = "", ""
	if err := p.patchStatus(ctx, s); err != nil {
		slot.Cancel()
		return err
	}
	p.slot, p.deadline = slot, deadline
	p.o.Recreating = p.o.Recreating || recreating
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
	main := s.Status.PendingCreation.AccountID
	created, err := p.account.Create(ctx, slot, main, p.o.Marker)
	if err == nil {
		answer := subaccount.Held{Attempt: attempt, AuthID: created.AuthID, AccountID: main}
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

// jsonPatch is an RFC 6902 patch. Unlike a merge patch it checks the UID on
// the status subresource, and an edit of the spec meanwhile cannot refuse it.
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
	pathUID     = "/metadata/uid"
	pathAttempt = "/status/pendingCreation/attempt"
	pathPending = "/status/pendingCreation"
	pathAuthID  = "/status/authID"
	pathAccount = "/status/accountID"
)

// record writes what the pending attempt has made.
func (p *pass) record(ctx context.Context, authID string) error {
	s := p.o.Object
	var answer subaccount.Held
	if p.o.Held != nil {
		answer = *p.o.Held
	} else {
		answer = subaccount.Held{Attempt: s.Status.PendingCreation.Attempt, AccountID: s.Status.PendingCreation.AccountID, AuthID: authID}
	}
	// The process may be ending; what was made must be recorded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.r.Timeout)
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
	p.o.Claim = subaccount.Known(subaccount.Claim{Ours: true})
	observeRemote(p.o, p.account)
	return nil
}

// refusedPatch says whether the API server refused a patch for what stands
// there, and not for a passing reason.
func refusedPatch(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsNotFound(err) || apierrors.ReasonForError(err) == metav1.StatusReasonUnknown &&
		apierrors.IsUnexpectedServerError(err) || isUnprocessable(err)
}

func isUnprocessable(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code == 422
}

// recordRefused looks at what stands there in place of the attempt. If it is
// not recorded and never will be, the subaccount just made is a stray: it is
// let go of here, and sweeps remove it.
func (p *pass) recordRefused(ctx context.Context, answer subaccount.Held, refused error) error {
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

// adopt writes spec.authID into the status. Who holds it is judged anew after
// that, among all who have written the same.
func (p *pass) adopt(ctx context.Context, authID string) error {
	facts, _ := p.o.Account.Get()
	err := p.patchJSON(ctx, jsonPatch{}.
		test(pathUID, p.o.Object.UID).test(pathAuthID, nil).test(pathPending, nil).
		add(pathAuthID, authID).add(pathAccount, facts.ID))
	if err == nil {
		p.o.Claim = subaccount.Unknown[subaccount.Claim]()
	}
	return err
}

func (p *pass) patchJSON(ctx context.Context, j jsonPatch) error {
	data, err := marshal(j)
	if err != nil {
		return err
	}
	return p.write(ctx, client.RawPatch(types.JSONPatchType, data), p.statusPatch)
}

func (p *pass) patchStatus(ctx context.Context, modified *v1alpha1.Subaccount) error {
	return p.patch(ctx, modified, p.statusPatch)
}

func (p *pass) statusPatch(ctx context.Context, obj client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return p.r.Client.Status().Patch(ctx, obj, patch)
}

type patcher func(context.Context, client.Object, client.Patch, ...client.PatchOption) error

// patch writes a change under an optimistic lock.
func (p *pass) patch(ctx context.Context, modified *v1alpha1.Subaccount, send patcher) error {
	patch := client.MergeFromWithOptions(p.o.Object, client.MergeFromWithOptimisticLock{})
	data, err := patch.Data(modified)
	if err != nil {
		return err
	}
	return p.write(ctx, client.RawPatch(patch.Type(), data), send)
}

// write sends a patch and takes the answer as the object. The answer is read
// into an empty object: decoding leaves alone what it does not mention.
func (p *pass) write(ctx context.Context, patch client.Patch, send patcher) error {
	s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: p.o.Object.Namespace, Name: p.o.Object.Name}}
	if err := send(ctx, s, patch); err != nil {
		return err
	}
	s.ManagedFields = nil
	p.o.Object = s
	p.r.memory.wrote(s)
	return nil
}

// failure says what a failed step means, in words that are safe to show.
func failure(step subaccount.Step, err error) *subaccount.Failure {
	f := &subaccount.Failure{Step: step, Kind: subaccount.FailureKubernetes, Message: err.Error()}
	var e *plivo.Error
	switch {
	case errors.As(err, &e):
		f.Kind, f.Message = plivoFailure(e)
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		f.Kind = subaccount.FailureConflict
	}
	return f
}

func plivoFailure(e *plivo.Error) (subaccount.FailureKind, string) {
	switch e.Kind {
	case plivo.KindNotSent:
		return subaccount.FailureNotSent, e.Message
	case plivo.KindUnauthorized:
		return subaccount.FailureCredentials, "Plivo refuses the main account's credentials: see the Account's conditions."
	case plivo.KindRateLimited:
		return subaccount.FailureRateLimited, "Plivo's rate limit is reached. The whole main account pauses; this is tried again by itself."
	case plivo.KindUnknown:
		return subaccount.FailureUnknown, "Plivo cannot be reached or fails: " + e.Error() + ". This is tried again by itself."
	case plivo.KindNotFound:
		return subaccount.FailureNotFound, "Plivo refused: " + e.Error() + "."
	default:
		return subaccount.FailureRefused, "Plivo refused: " + e.Error() + ". Change the spec, or ask for another try with the annotation " +
			v1alpha1.ReconcileRequestedAtAnnotation + "."
	}
}
