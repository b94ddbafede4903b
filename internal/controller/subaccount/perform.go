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

// pass is one pass over one Subaccount: the observation, into which each
// step's answer is folded, and what cannot stand in an observation.
type pass struct {
	r       *Reconciler
	o       *plan.Observation
	account *mainaccount.Account

	token    plivo.Token       // o.TokenInHand
	inSecret map[string][]byte // what was read of the Secret, to keep it out of messages
	slot     *plivo.Slot       // reserved for the create call of o.Unsent
	deadline time.Time         // of that call

	early   *plivo.Slot // reserved for the first call
	started bool        // the first call has a slot
	queued  bool        // there was none: the resource waits for one
}

// end gives back what the pass has reserved and not used. A call that was
// announced and not sent will never be sent.
func (p *pass) end() {
	p.r.memory.asked(p.o.Object.UID)
	if p.early != nil {
		p.early.Cancel()
	}
	if !p.queued {
		defer p.r.queue.leave(client.ObjectKeyFromObject(p.o.Object))
	}
	if p.slot == nil {
		return
	}
	p.slot.Cancel()
	p.r.memory.with(p.o.Object, func(e *entry) { e.refused = p.o.Unsent })
}

// perform does one step and folds its answer in.
func (p *pass) perform(ctx context.Context, d plan.Decision) {
	err := p.step(ctx, d)
	if err == nil {
		p.o.Done = append(p.o.Done, d.Step)
		return
	}
	p.o.Failure = p.failure(d.Step, err)
}

func (p *pass) step(ctx context.Context, d plan.Decision) error {
	switch d.Step {
	case plan.StepReadCRD:
		return p.readCRD(ctx)
	case plan.StepJudgeClaim:
		return p.judgeClaim(ctx)
	case plan.StepReadSecret:
		return p.readSecret(ctx)
	case plan.StepGet:
		return p.get(ctx, d.AuthID)
	case plan.StepAddFinalizer:
		return p.finalizer(ctx, controllerutil.AddFinalizer)
	case plan.StepDeclareIntent:
		return p.declareIntent(ctx)
	case plan.StepCreate:
		return p.create(ctx)
	case plan.StepClearIntent:
		return p.clearIntent(ctx)
	case plan.StepRecord:
		return p.record(ctx, d.AuthID)
	case plan.StepAdopt:
		return p.adopt(ctx, d.AuthID)
	case plan.StepUpdate:
		return p.update(ctx, d)
	case plan.StepDelete:
		return p.delete(ctx, d)
	case plan.StepWriteSecret:
		return p.writeSecret(ctx)
	case plan.StepRemoveSecret:
		return p.removeSecret(ctx, d.Secret)
	case plan.StepNoteOrphan:
		return p.r.noteOrphan(ctx, p.o.Object.Spec.AccountRef.Name, d.AuthID)
	case plan.StepRelease:
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
	p.o.CRDTerminating = plan.Known(crd.DeletionTimestamp != nil)
	return nil
}

// judgeClaim finds out on a live list who holds the authID. Of several that ask
// for one, a single pass at a time may go on to write its claim: the next one
// then finds it on the list.
func (p *pass) judgeClaim(ctx context.Context) error {
	s, authID := p.o.Object, plan.Claimed(p.o.Object)
	if s.Status.AuthID == "" && !p.r.memory.ask(authID, s.UID) {
		return conflict("another Subaccount asks for " + authID + " at this moment")
	}
	holders, err := p.r.Live.Subaccounts(ctx, client.MatchingFields{kube.SelectAuthID: authID})
	if err != nil {
		return err
	}
	ours := plan.Holds(s, holders)
	if ours && s.Status.AuthID != "" {
		p.r.memory.with(s, func(e *entry) { e.judged = authID })
	}
	p.o.Claim = plan.Known(plan.Claim{Ours: ours})
	return nil
}

func (p *pass) readSecret(ctx context.Context) error {
	if err := p.reserveEarly(ctx); err != nil {
		return err
	}
	secret := &corev1.Secret{}
	err := p.r.Live.Get(ctx, types.NamespacedName{Namespace: p.o.Object.Namespace, Name: plan.SecretName(p.o.Object)}, secret)
	switch {
	case apierrors.IsNotFound(err):
		p.o.Secret = plan.Absent[plan.Secret]()
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
	slot, err := p.reserveSparingly(ctx)
	if err != nil {
		return err
	}
	got, err := p.account.Get(ctx, slot, main, authID)
	if err == nil {
		p.token, p.o.TokenInHand = got.Token, true
	}
	if err = p.forgive404(err); err == nil {
		p.o.Looked = true
	}
	return err
}

func (p *pass) update(ctx context.Context, d plan.Decision) error {
	slot, err := p.reserveSparingly(ctx)
	if err != nil {
		return err
	}
	err = p.account.Update(ctx, slot, p.o.Object.Status.AccountID, d.AuthID, d.Name, d.Enabled)
	if err == nil && p.wasReady() {
		p.account.Count(mainaccount.EventDriftRepaired)
	}
	return p.forgive404(err)
}

// wasReady says whether the status tells that all was as the spec, as it is
// now, wants it: what has to be put right was then changed at Plivo.
func (p *pass) wasReady() bool {
	s := p.o.Object
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == s.Generation
}

func (p *pass) delete(ctx context.Context, d plan.Decision) error {
	slot, err := p.reserve(ctx)
	if err != nil {
		return err
	}
	return p.forgive404(p.account.Delete(ctx, slot, p.o.Object.Status.AccountID, d.AuthID, d.Cascade))
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

func (p *pass) finalizer(ctx context.Context, change func(client.Object, string) bool) error {
	s := p.o.Object.DeepCopy()
	change(s, v1alpha1.Finalizer)
	return p.patch(ctx, s, p.r.Client.Patch)
}

// failure says what a failed step means, in words that are safe to show.
func (p *pass) failure(step plan.Step, err error) *plan.Failure {
	f := &plan.Failure{Step: step, Kind: plan.FailureKubernetes}
	var e *plivo.Error
	var often tooOften
	var noSlot *mainaccount.NoSlotError
	switch {
	case errors.As(err, &often):
		f.Kind, f.After = plan.FailureTooOften, often.wait
	case errors.As(err, &noSlot):
		f.Kind, f.Message, f.Long = plan.FailureNoSlot, "", noSlot.Long
		if until := noSlot.PausedUntil; !until.IsZero() {
			f.Message = "Plivo's rate limit is reached. The operator sends nothing for this main account until " +
				until.UTC().Format(time.RFC3339) + " and then goes on by itself."
		}
	case errors.As(err, &e):
		f.Kind, f.Message = plivoFailures[e.Kind], err.Error()
	case apierrors.IsForbidden(err) && step == plan.StepReadSecret:
		f.Kind = plan.FailureForbidden
	default:
		f.Message = p.redacted(err)
		f.Persistent = kube.IsPersistent(err, p.r.retries.Count(client.ObjectKeyFromObject(p.o.Object)))
	}
	return f
}

// redacted returns the API server's words. A webhook may put anything into them,
// a Secret's data among it.
func (p *pass) redacted(err error) string {
	secrets := []string{p.token.Reveal()}
	for _, value := range p.inSecret {
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
	plivo.KindUnauthorized:     plan.FailureBesideTheSpec,
	plivo.KindRateLimited:      plan.FailureRateLimited,
	plivo.KindNotFound:         plan.FailureBesideTheSpec,
	plivo.KindMethodNotAllowed: plan.FailureBesideTheSpec,
}
