// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/ptr"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// maxEvents is how many events Status shows, the latest ones.
const maxEvents = 5

// Status is one Subaccount with what its readiness depends on.
type Status struct {
	Subaccount *v1alpha1.Subaccount
	// Account that it refers to. AccountError is why it was not read.
	Account      *v1alpha1.Account
	AccountError error
	// SecretError is why the metadata of its Secret were not read; nil: there is one.
	SecretError error
	// Events about the Subaccount, in any order. EventsError is why they were not read.
	Events      []eventsv1.Event
	EventsError error

	Now time.Time
}

// reasonOf returns the reason, message and age of the condition Ready, for the current
// generation of the spec.
func reasonOf(conditions []metav1.Condition, generation int64, now time.Time) (status, reason, message, age string) {
	c := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if c == nil {
		return "Unknown", "", "", ""
	}
	status = string(c.Status)
	if c.ObservedGeneration != generation {
		status = "Unknown"
	}
	return status, c.Reason, c.Message, duration.HumanDuration(now.Sub(c.LastTransitionTime.Time))
}

// Write prints the Status for a person.
func (s *Status) Write(w io.Writer) error {
	var b strings.Builder
	sub := s.Subaccount
	status, reason, message, age := reasonOf(sub.Status.Conditions, sub.Generation, s.Now)
	a, known := advices[reason]
	switch {
	case reason == "":
		fmt.Fprintf(&b, "subaccount %s/%s is not Ready: the operator has not reconciled it.\n", sub.Namespace, sub.Name)
		a = notReconciled
	case status == "Unknown" && reason != v1alpha1.ReasonSuspended:
		fmt.Fprintf(&b, "subaccount %s/%s is not Ready: the operator has not reconciled the latest spec. Before: %s.\n", sub.Namespace, sub.Name, reason)
		a = notReconciled
	case status == string(metav1.ConditionTrue):
		fmt.Fprintf(&b, "subaccount %s/%s is Ready since %s.\n", sub.Namespace, sub.Name, age)
	default:
		fmt.Fprintf(&b, "subaccount %s/%s is not Ready since %s: %s.\n", sub.Namespace, sub.Name, age, reason)
	}
	if !known && reason != "" {
		a = advice{actPlatform, "Read the message. This version of the plugin does not know the reason; update it."}
	}
	if message != "" && status != string(metav1.ConditionTrue) {
		fmt.Fprintf(&b, "  %s\n", Printable(message))
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name+":", fmt.Sprintf(format, args...))
	}
	line("Subaccount", "%s", s.remote())
	line("Account", "%s", s.account())
	line("Secret", "%s", s.secret())
	if sub.Spec.Suspend != nil && *sub.Spec.Suspend {
		line("Suspended", "the operator reads and changes nothing at Plivo")
	}
	if p := sub.Status.PendingCreation; p != nil {
		line("Pending", "a create call of %s ago whose result is not recorded", duration.HumanDuration(s.Now.Sub(p.Since.Time)))
	}
	if status != string(metav1.ConditionTrue) {
		line("Who acts", "%s", a.who)
		line("What to do", "%s", a.do)
	}
	s.writeEvents(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Status) remote() string {
	sub := s.Subaccount
	if sub.Status.AuthID == "" {
		return "none at Plivo yet"
	}
	state := "disabled"
	if ptr.Deref(sub.Status.Enabled, false) {
		state = "enabled"
	}
	text := sub.Status.AuthID + ` "` + Printable(ptr.Deref(sub.Status.Name, "")) + `", ` + state + ", when last read"
	if sub.Status.PreviousAuthID != "" {
		text += ", instead of " + sub.Status.PreviousAuthID
	}
	return text
}

func (s *Status) account() string {
	name := s.Subaccount.Spec.AccountRef.Name
	switch {
	case apierrors.IsNotFound(s.AccountError):
		return name + " does not exist"
	case s.AccountError != nil:
		return name + " cannot be read: " + s.AccountError.Error()
	}
	status, reason, message, age := reasonOf(s.Account.Status.Conditions, s.Account.Generation, s.Now)
	switch {
	case reason == "":
		return name + " is not reconciled by the operator"
	case status == string(metav1.ConditionTrue):
		return name + " is Ready since " + age
	default:
		return fmt.Sprintf("%s is not Ready since %s: %s. %s", name, age, reason, Printable(message))
	}
}

func (s *Status) secret() string {
	name := plan.SecretName(s.Subaccount)
	ready := meta.FindStatusCondition(s.Subaccount.Status.Conditions, v1alpha1.ConditionReady)
	isConflict := ready != nil && ready.Reason == v1alpha1.ReasonSecretConflict
	switch {
	case apierrors.IsNotFound(s.SecretError):
		return name + " does not exist"
	case apierrors.IsForbidden(s.SecretError):
		return name + ": you may not read it"
	case s.SecretError != nil:
		return name + " cannot be read: " + s.SecretError.Error()
	case s.Subaccount.Status.Binding == nil, s.Subaccount.Status.Binding.Name != name, isConflict:
		return name + " exists and is not the operator's"
	default:
		return name + " has the credentials"
	}
}

func (s *Status) writeEvents(b *strings.Builder) {
	switch {
	case s.EventsError != nil:
		fmt.Fprintf(b, "Events:      cannot be read: %v\n", s.EventsError)
		return
	case len(s.Events) == 0:
		return
	}
	last := func(e *eventsv1.Event) time.Time {
		if e.Series != nil {
			return e.Series.LastObservedTime.Time
		}
		return cmp.Or(e.EventTime.Time, e.DeprecatedLastTimestamp.Time)
	}
	slices.SortStableFunc(s.Events, func(x, y eventsv1.Event) int { return last(&y).Compare(last(&x)) })
	b.WriteString("Events:\n")
	for i := range s.Events[:min(len(s.Events), maxEvents)] {
		e := &s.Events[i]
		fmt.Fprintf(b, "  %-5s %-8s %-20s %s\n", duration.HumanDuration(s.Now.Sub(last(e))), e.Type, e.Reason, Printable(e.Note))
	}
}
