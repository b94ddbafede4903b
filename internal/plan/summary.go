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
	// News is what the status tells anew: to be told once that is written, or it
	// would be told again by the next pass.
	News []Event
}

// Event is one thing that happened.
type Event struct {
	Type, Reason, Action, Message string
}

// Summarize says what to tell about a resource at the end of a pass, from what
// is known and from the decision that the pass ended with.
func Summarize(o *Observation, d Decision) Summary {
	s := Summary{Status: *o.Object.Status.DeepCopy()}
	s.Events = append(s.Events, o.happened()...)
	if d.Reason != "" {
		if actedUpon := v1alpha1.Catalogue[d.Reason].Ready != ""; actedUpon && !o.lost() {
			s.Status.ObservedGeneration = o.Object.Generation
		}
		if changed := SetConditions(&s.Status.Conditions, d.Reason, d.Message, o.Object.Generation, metav1.NewTime(o.Now)); changed &&
			v1alpha1.Catalogue[d.Reason].Ready == metav1.ConditionFalse && o.isNews(d.Reason) {
			s.News = append(s.News, Event{corev1.EventTypeWarning, d.Reason, "Reconcile", d.Message})
		}
	}
	if ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); o.terminating() && ready != nil && ready.Status == metav1.ConditionTrue {
		if d.Reason == "" {
			SetConditions(&s.Status.Conditions, v1alpha1.ReasonDeleting, "The resource is being deleted.", o.Object.Generation, metav1.NewTime(o.Now))
		}
		ready.Status, ready.LastTransitionTime = metav1.ConditionFalse, metav1.NewTime(o.Now) // whatever the reason keeps
	}
	claim, judged := o.Claim.Get()
	anothers := judged && !claim.Ours // whose state is not ours to show
	if remote, ok := o.Remote.Get(); ok && s.Status.AuthID != "" && !remote.Unsure && !anothers {
		if remote.SettledAs != "" && (s.Status.Name == nil || *s.Status.Name != remote.Name) {
			s.News = append(s.News, Event{corev1.EventTypeWarning, "NameChangedByPlivo", "Update",
				"Plivo keeps the name in another form than the spec gives it; it is not sent again."})
		}
		s.Status.Name, s.Status.Enabled = &remote.Name, &remote.Enabled
	}
	if anothers {
		s.Status.Binding = nil
	}
	if secret, ok := o.Secret.Get(); ok && secret.Owned && secret.Sound && !o.terminating() {
		s.Status.Binding = &v1alpha1.SecretBinding{Name: SecretName(o.Object)}
	}
	if o.asked() && (o.Looked || o.Failure != nil && d.Reason == v1alpha1.ReasonRejected) {
		s.Status.LastHandledReconcileAt = o.Object.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]
	}
	s.Changed = !equality.Semantic.DeepEqual(s.Status, o.Object.Status)
	return s
}

// isNews says whether a reason for which Ready is False is worth an event: what
// was asked for, and is under way, is not.
func (o *Observation) isNews(reason string) bool {
	switch reason {
	case v1alpha1.ReasonDeleting:
		return o.failedAt(StepDelete)
	case v1alpha1.ReasonCreating:
		return o.Failure == nil
	default:
		return true
	}
}

// SetConditions sets the three conditions to the states that the Catalogue
// gives to a reason. A Ready that is kept keeps its generation too: it says
// nothing about a spec that was not acted upon. SetConditions returns whether
// Ready now has another status or reason.
func SetConditions(conditions *[]metav1.Condition, reason, message string, generation int64, now metav1.Time) bool {
	states := v1alpha1.Catalogue[reason]
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

// happened turns the steps of the pass into events.
func (o *Observation) happened() []Event {
	var events []Event
	normal := func(reason, action, format string, args ...any) {
		events = append(events, Event{corev1.EventTypeNormal, reason, action, fmt.Sprintf(format, args...)})
	}
	status := &o.Object.Status
	for _, done := range o.Done {
		switch done {
		case StepRecord:
			if o.Did(StepWriteSecret) {
				normal("Created", "Create", "Created the subaccount %s and wrote its credentials to the Secret %s.", status.AuthID, SecretName(o.Object))
			} else {
				normal("Created", "Create", "Created the subaccount %s.", status.AuthID)
			}
		case StepAdopt:
			normal("Adopted", "Adopt", "Adopted the subaccount %s.", status.AuthID)
		case StepUpdate:
			// Right after a creation it is the second half of that.
			if !o.Did(StepRecord) && o.NotFound.First.IsZero() {
				normal("Updated", "Update", "Set name and enabled at Plivo.")
			}
		case StepWriteSecret:
			if !o.Did(StepRecord) {
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
	if o.GivenUp != "" {
		events = append(events, Event{corev1.EventTypeWarning, "Recreating", "Create",
			"The subaccount " + o.GivenUp + " is gone at Plivo. The operator creates another one with new credentials."})
	}
	return events
}

// NeedsAttention says whether a pass over this observation would do or tell
// anything. It is how a sweep finds what differs.
func NeedsAttention(o *Observation) bool {
	d := Decide(o)
	waits := d.Wait.After > 0 || !d.Wait.Sweep.IsZero() // for what may have come, or for another of it
	return waits || d.Step != StepNone || Summarize(o, d).Changed
}
