package plan

import (
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// Step is one thing to do: a look that turns an Unknown fact into another, or
// a write. StepNone is to wait, or to be done.
type Step string

// The looks.
const (
	StepNone Step = ""
	// StepReadCRD reads whether the CRD is terminating.
	StepReadCRD Step = "ReadCRD"
	// StepReadClaim finds out, on a live list, who holds the authID.
	StepReadClaim Step = "ReadClaim"
	// StepReadSecret reads the Secret past the cache, which holds only our own.
	StepReadSecret Step = "ReadSecret"
	// StepGet reads the subaccount at Plivo.
	StepGet Step = "Get"
)

// The writes.
const (
	// StepDeclareIntent takes a slot of the request budget and writes
	// pendingCreation, in place of authID where there is one, under an optimistic
	// lock. It writes observedGeneration too, so that a resource that has the
	// finalizer and reads as never seen can only have lost its status.
	StepDeclareIntent Step = "DeclareIntent"
	// StepAddFinalizer adds the finalizer, under an optimistic lock.
	StepAddFinalizer Step = "AddFinalizer"
	// StepCreate sends the create call of the intent that was just written.
	StepCreate Step = "Create"
	// StepClearIntent removes the pendingCreation of an attempt that made nothing.
	StepClearIntent Step = "ClearIntent"
	// StepRecord writes authID and accountID and removes pendingCreation.
	StepRecord Step = "Record"
	// StepAdopt writes spec.authID and observedGeneration into the status.
	StepAdopt Step = "Adopt"
	// StepUpdate sets name and enabled at Plivo.
	StepUpdate Step = "Update"
	// StepDelete deletes the subaccount at Plivo.
	StepDelete Step = "Delete"
	// StepWriteSecret writes the Secret: all of it with the token in hand, its
	// metadata only without.
	StepWriteSecret Step = "WriteSecret"
	// StepRemoveSecret deletes a Secret that this resource owns.
	StepRemoveSecret Step = "RemoveSecret"
	// StepRecordOrphan enters the subaccount in the Account's status.orphaned, so
	// that it is not removed as a stray once its resource is gone.
	StepRecordOrphan Step = "RecordOrphan"
	// StepRemoveFinalizer removes the finalizer.
	StepRemoveFinalizer Step = "RemoveFinalizer"
)

// Decision is what to do next.
type Decision struct {
	Step Step

	// AuthID is what Get, Record, Adopt, Update, Delete and NoteOrphan are about.
	AuthID string
	// Name and Enabled are what Update sends.
	Name    string
	Enabled bool
	// Cascade is what Delete sends.
	Cascade bool
	// Secret is the name that RemoveSecret speaks of.
	Secret string

	// Reason and Message are what to tell if the pass ends here. Without a
	// reason nothing is told: nothing is known that is worth a write.
	Reason  string
	Message string
	// Wait is what to wait for once there is no step.
	Wait Wait
}

// Wait is what brings the resource back. Every wait also ends with a change of
// the resource, its Account, its namespace, its Secret or the inventory.
type Wait struct {
	// After this time, if positive.
	After time.Duration
	// Sweep asks for a sweep that starts at or after this time, if not zero.
	Sweep time.Time
	// Backoff asks for another try, with a growing pause.
	Backoff bool
}

func step(s Step) *Decision { return &Decision{Step: s} }

func wait(reason, message string) *Decision { return &Decision{Reason: reason, Message: message} }

// noAction waits without telling anything.
func noAction() *Decision { return &Decision{} }

func (d *Decision) withRequeueAfter(t time.Duration) *Decision { d.Wait.After = t; return d }
func (d *Decision) withSweep(t time.Time) *Decision            { d.Wait.Sweep = t; return d }
func (d *Decision) withBackoff() *Decision                     { d.Wait.Backoff = true; return d }

// StepHasNoEffect ends a reconcile that has performed as many steps as it may:
// the next one is what something undoes each time.
func StepHasNoEffect(o *Observation, next Step) Decision {
	reason := v1alpha1.ReasonUpdating
	if o.isTerminating() {
		reason = v1alpha1.ReasonDeleting
	}
	return *wait(reason, "The operator repeats the step "+string(next)+" without effect. Check whether a webhook or another "+
		"controller undoes it. The operator retries with backoff.").withBackoff()
}

// needsCredentials says whether a step, or what is waited for, needs the Account's
// credentials.
func (d *Decision) needsCredentials() bool {
	switch d.Step {
	case StepGet, StepCreate, StepUpdate, StepDelete, StepDeclareIntent:
		return true
	default:
		return !d.Wait.Sweep.IsZero()
	}
}
