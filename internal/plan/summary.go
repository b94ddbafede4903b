package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// Summary is what a pass tells.
type Summary struct {
	// Status is the resource's status as it should read. The protocol's own
	// fields (authID, accountID, pendingCreation) are as they were.
	Status v1alpha1.SubaccountStatus
	// Changed says whether that differs from what stands there.
	Changed bool
	// Events are what happened in this pass.
	Events []Event
	// DeferredEvents is what the status tells anew: to be told once that is written, or it
	// would be told again by the next pass.
	DeferredEvents []Event
}

// Event is one thing that happened.
type Event struct {
	Type, Reason, Action, Message string
}

// Summarize says what to tell about a resource at the end of a pass, from what
// is known and from the decision that the pass ended with.
func Summarize(o *Observation, d Decision) Summary {
	s := Summary{Status: *o.Object.Status.DeepCopy()}
	s.Events = append(s.Events, o.performedEvents()...)
	if d.Reason != "" {
		states, _ := v1alpha1.StatesOf(d.Reason)
		if actedUpon := states.Ready != ""; actedUpon && !o.hasLostStatus() {
			s.Status.ObservedGeneration = o.Object.Generation
		}
		if changed := SetConditions(&s.Status.Conditions, d.Reason, d.Message, o.Object.Generation, metav1.NewTime(o.Now)); changed &&
			states.Ready == metav1.ConditionFalse && o.needsEvent(d.Reason) {
			s.DeferredEvents = append(s.DeferredEvents, Event{corev1.EventTypeWarning, d.Reason, "Reconcile", d.Message})
		}
	}
	if ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); o.isTerminating() && ready != nil && ready.Status == metav1.ConditionTrue {
		if d.Reason == "" {
			SetConditions(&s.Status.Conditions, v1alpha1.ReasonDeleting, "The resource is being deleted.", o.Object.Generation, metav1.NewTime(o.Now))
		}
		ready.Status, ready.LastTransitionTime = metav1.ConditionFalse, metav1.NewTime(o.Now) // whatever the reason keeps
	}
	claim, judged := o.Claim.Get()
	anothers := judged && !claim.Ours // whose state is not ours to show
	if remote, ok := o.Remote.Get(); ok && s.Status.AuthID != "" && !remote.UpdateUnconfirmed && !anothers {
		if remote.SentAs != "" && (s.Status.Name == nil || *s.Status.Name != remote.Name) {
			s.DeferredEvents = append(s.DeferredEvents, Event{corev1.EventTypeWarning, "NameChangedByPlivo", "Update",
				"Plivo keeps the name in another form than the spec gives it; it is not sent again."})
		}
		s.Status.Name, s.Status.Enabled = &remote.Name, &remote.Enabled
	}
	if anothers {
		s.Status.Binding = nil
	}
	if secret, ok := o.Secret.Get(); ok && secret.Owned && secret.WellFormed && !o.isTerminating() {
		s.Status.Binding = &v1alpha1.SecretBinding{Name: SecretName(o.Object)}
	}
	if o.hasReconcileRequest() && (o.Fetched || o.Failure != nil && d.Reason == v1alpha1.ReasonRejected) {
		s.Status.LastHandledReconcileAt = o.Object.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]
	}
	s.Changed = !equality.Semantic.DeepEqual(s.Status, o.Object.Status)
	return s
}

// needsEvent says whether a reason for which Ready is False is worth an event: what
// was asked for, and is under way, is not.
func (o *Observation) needsEvent(reason string) bool {
	switch reason {
	case v1alpha1.ReasonDeleting:
		return o.failedAt(StepDelete)
	case v1alpha1.ReasonCreating:
		return o.Failure == nil
	default:
		return true
	}
}

// SetConditions sets the three conditions to the states that v1alpha1.StatesOf
// gives to a reason. A Ready that is kept keeps its generation too: it says
// nothing about a spec that was not acted upon. SetConditions returns whether
// Ready now has another status or reason.
func SetConditions(conditions *[]metav1.Condition, reason, message string, generation int64, now metav1.Time) bool {
	states, _ := v1alpha1.StatesOf(reason)
	before := meta.FindStatusCondition(*conditions, v1alpha1.ConditionReady)
	was := metav1.Condition{Status: metav1.ConditionUnknown}
	if before != nil {
		was = *before
	}
	readyFor := generation
	if states.Ready == "" {
		states.Ready, readyFor = was.Status, was.ObservedGeneration
	}
	for _, c := range []struct {
		kind       string
		status     metav1.ConditionStatus
		generation int64
	}{
		{v1alpha1.ConditionReady, states.Ready, readyFor},
		{v1alpha1.ConditionReconciling, states.Reconciling, generation},
		{v1alpha1.ConditionStalled, states.Stalled, generation},
	} {
		meta.SetStatusCondition(conditions, metav1.Condition{
			Type: c.kind, Status: c.status, Reason: reason, Message: message,
			ObservedGeneration: c.generation, LastTransitionTime: now,
		})
	}
	return was.Status != states.Ready || was.Reason != reason
}

// performedEvents turns the steps of the pass into events.
func (o *Observation) performedEvents() []Event {
	var events []Event
	normal := func(reason, action, format string, args ...any) {
		events = append(events, Event{corev1.EventTypeNormal, reason, action, fmt.Sprintf(format, args...)})
	}
	status := &o.Object.Status
	for _, done := range o.Performed {
		switch done {
		case StepRecord:
			if o.HasPerformed(StepWriteSecret) {
				normal("Created", "Create", "Created the subaccount %s and wrote its credentials to the Secret %s.", status.AuthID, SecretName(o.Object))
			} else {
				normal("Created", "Create", "Created the subaccount %s.", status.AuthID)
			}
		case StepAdopt:
			normal("Adopted", "Adopt", "Adopted the subaccount %s.", status.AuthID)
		case StepUpdate:
			// Right after a creation it is the second half of that.
			if !o.HasPerformed(StepRecord) && o.NotFound.First.IsZero() {
				normal("Updated", "Update", "Set name and enabled at Plivo.")
			}
		case StepWriteSecret:
			if !o.HasPerformed(StepRecord) {
				normal("SecretWritten", "WriteSecret", "Wrote the credentials to the Secret %s.", SecretName(o.Object))
			}
		case StepRemoveSecret:
			normal("SecretRemoved", "RemoveSecret", "Removed a Secret that is not wanted any more.")
		case StepDelete:
			if o.Deleted { // and not only a 404
				normal("Deleted", "Delete", "Deleted the subaccount %s.", status.AuthID)
			}
		}
	}
	if o.ReplacedAuthID != "" {
		events = append(events, Event{corev1.EventTypeWarning, "Recreating", "Create",
			"The subaccount " + o.ReplacedAuthID + " is gone at Plivo. The operator creates another one with new credentials."})
	}
	return events
}

// NeedsReconcile says whether a pass over this observation would do or tell
// anything. It is how a sweep finds what differs.
func NeedsReconcile(o *Observation) bool {
	d := Decide(o)
	waits := d.Wait.After > 0 || !d.Wait.Sweep.IsZero() // for what may have come, or for another of it
	return waits || d.Step != StepNone || Summarize(o, d).Changed
}
