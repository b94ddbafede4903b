// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// Step is one read, which replaces an Unknown fact, or one write. StepNone means
// to wait, or that nothing is left to do.
type Step string

// The reads.
const (
	StepNone Step = ""
	// StepReadCRD reads whether the CRD is terminating.
	StepReadCRD Step = "ReadCRD"
	// StepReadClaim lists the Subaccounts at the API server and finds the one that
	// holds the authID.
	StepReadClaim Step = "ReadClaim"
	// StepReadSecret reads the Secret at the API server. The cache has only Secrets
	// with the operator's label.
	StepReadSecret Step = "ReadSecret"
	// StepGet reads the subaccount at Plivo.
	StepGet Step = "Get"
)

// The writes.
const (
	// StepDeclareIntent takes a slot of the request budget and writes
	// pendingCreation under an optimistic lock. It removes the authID of a missing
	// subaccount. It also writes observedGeneration: a resource that has the
	// finalizer but no observedGeneration has then lost its status.
	StepDeclareIntent Step = "DeclareIntent"
	// StepAddFinalizer adds the finalizer, under an optimistic lock.
	StepAddFinalizer Step = "AddFinalizer"
	// StepCreate sends the create call of the intent that this reconcile has written.
	StepCreate Step = "Create"
	// StepClearIntent removes the pendingCreation of an attempt that created nothing.
	StepClearIntent Step = "ClearIntent"
	// StepRecord writes authID and accountID and removes pendingCreation.
	StepRecord Step = "Record"
	// StepAdopt writes spec.authID and observedGeneration into the status.
	StepAdopt Step = "Adopt"
	// StepUpdate sets name and enabled at Plivo.
	StepUpdate Step = "Update"
	// StepDelete deletes the subaccount at Plivo.
	StepDelete Step = "Delete"
	// StepWriteSecret writes the whole Secret. It needs the token: this reconcile
	// holds it, or the Secret already has it.
	StepWriteSecret Step = "WriteSecret"
	// StepRemoveSecret deletes a Secret that this resource owns.
	StepRemoveSecret Step = "RemoveSecret"
	// StepRecordOrphan adds the subaccount to the Account's status.orphaned, so
	// that the operator does not delete it as a stray once its resource is gone.
	StepRecordOrphan Step = "RecordOrphan"
	// StepRemoveFinalizer removes the finalizer.
	StepRemoveFinalizer Step = "RemoveFinalizer"
)

// Decision is what to do next.
type Decision struct {
	Step Step

	// AuthID is the subaccount for Get, Record, Adopt, Update, Delete and
	// RecordOrphan.
	AuthID string
	// Name and Enabled are the values that Update sends.
	Name    string
	Enabled bool
	// Cascade is the value that Delete sends.
	Cascade bool
	// Secret is the name of the Secret that RemoveSecret deletes.
	Secret string

	// Reason and Message go into the conditions if the reconcile ends here. If
	// Reason is empty, the conditions stay as they are.
	Reason  string
	Message string
	// Wait is for a decision without a step.
	Wait Wait
}

// Wait says when the reconciler requeues the resource. A change of the resource,
// its Account, its namespace, its Secret or the inventory always requeues it.
type Wait struct {
	// After requeues it after this time, if positive.
	After time.Duration
	// Sweep requests a sweep that starts at or after this time, if not zero. The end
	// of the sweep requeues the resource.
	Sweep time.Time
	// Backoff requeues it with exponential backoff.
	Backoff bool
}

func step(s Step) *Decision { return &Decision{Step: s} }

func wait(reason, message string) *Decision { return &Decision{Reason: reason, Message: message} }

// noAction waits for a change and leaves the conditions as they are.
func noAction() *Decision { return &Decision{} }

func (d *Decision) withRequeueAfter(t time.Duration) *Decision { d.Wait.After = t; return d }
func (d *Decision) withSweep(t time.Time) *Decision            { d.Wait.Sweep = t; return d }
func (d *Decision) withBackoff() *Decision                     { d.Wait.Backoff = true; return d }

// StepHasNoEffect ends a reconcile that has performed the maximum number of
// steps: something undoes the next step each time.
func StepHasNoEffect(o *Observation, next Step) Decision {
	reason := v1alpha1.ReasonUpdating
	if o.isTerminating() {
		reason = v1alpha1.ReasonDeleting
	}
	return *wait(reason, "The operator repeats the step "+string(next)+" without effect. Check whether a webhook or another "+
		"controller undoes it. The operator retries with backoff.").withBackoff()
}

// needsCredentials says whether the step or the requested sweep needs the
// Account's credentials.
func (d *Decision) needsCredentials() bool {
	switch d.Step {
	case StepGet, StepCreate, StepUpdate, StepDelete, StepDeclareIntent:
		return true
	default:
		return !d.Wait.Sweep.IsZero()
	}
}
