// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// statusOf returns the first letters of Ready, Reconciling and Stalled, and the
// reason of Ready.
func statusOf(t *testing.T, s v1alpha1.SubaccountStatus) (states, reason string) {
	t.Helper()
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		c := meta.FindStatusCondition(s.Conditions, kind)
		if c == nil {
			t.Fatalf("got no condition %s, want one", kind)
		}
		states += string(c.Status)[:1]
		if kind == v1alpha1.ConditionReady {
			reason = c.Reason
		}
	}
	return states, reason
}

func summarize(o *observation) plan.Summary {
	return plan.Summarize(o, plan.Decide(o))
}

func reasonsOf(events []plan.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Reason)
	}
	return out
}

func TestSummarize_Reason_SetsConditions(t *testing.T) {
	for _, r := range []struct {
		name, states, reason string
		o                    *observation
		observed, ready      int64 // generation of the status, and of Ready
	}{
		{"ready", "TFF", v1alpha1.ReasonReady, ready(), 7, 7},
		{"suspended keeps Ready", "TFF", v1alpha1.ReasonSuspended, ready(suspend), 1, 1},
		{"suspended clears the others", "FFF", v1alpha1.ReasonSuspended, ready(reported(v1alpha1.ReasonRejected), suspend), 1, 1},
		{"suspended from the beginning", "UFF", v1alpha1.ReasonSuspended, fresh(suspend), -1, 0},
		{"needs no action", "FTF", v1alpha1.ReasonAccountNotFound, ready(noAccount), 7, 7},
		{"needs action by a user", "FFT", v1alpha1.ReasonAlreadyManaged, ready(loser), 7, 7},
		{"a refused deletion", "FTF", v1alpha1.ReasonDeleting, ready(terminating, failed(plan.StepDelete, plan.FailureRefused)), 7, 7},
	} {
		t.Run(r.name, func(t *testing.T) {
			r.o.Object.Generation = 7
			s := summarize(r.o)
			if states, reason := statusOf(t, s.Status); states != r.states || reason != r.reason {
				t.Errorf("got %s %s, want %s %s", states, reason, r.states, r.reason)
			}
			if s.Status.ObservedGeneration != r.observed || !s.Changed {
				t.Errorf("got observedGeneration %d, changed %v; want %d, true", s.Status.ObservedGeneration, s.Changed, r.observed)
			}
			for _, c := range s.Status.Conditions {
				want := int64(7)
				if c.Type == v1alpha1.ConditionReady {
					want = r.ready
				}
				if c.ObservedGeneration != want {
					t.Errorf("%s: got observedGeneration %d, want %d", c.Type, c.ObservedGeneration, want)
				}
			}
		})
	}
}

// The status of a suspended resource must neither acknowledge the spec nor look like a
// lost status.
func TestSummarize_SuspendedThenResumed_SpecIsApplied(t *testing.T) {
	for name, r := range map[string]struct {
		o    *observation
		want plan.Step
	}{
		"new":      {fresh(suspend), plan.StepDeclareIntent},
		"recorded": {ready(suspend, func(o *observation) { o.Object.Spec.Name = new("new") }), plan.StepUpdate},
	} {
		o := r.o
		o.Object.Generation = 2
		o.Object.Status = summarize(o).Status
		if again := summarize(o); again.Changed {
			t.Errorf("%s: got a second change %+v, want none", name, again.Status)
		}
		o.Object.Spec.Suspend, o.Object.Generation = nil, 3
		if d := plan.Decide(o); d.Step != r.want {
			t.Errorf("%s, resumed: got %+v, want step %s", name, d, r.want)
		}
		if o.Object.Status.ObservedGeneration > 1 {
			t.Errorf("%s: got observedGeneration %d, want at most 1", name, o.Object.Status.ObservedGeneration)
		}
	}
}

// If the report hid the loss, the next reconcile would create another subaccount or
// remove the finalizer.
func TestSummarize_LostStatus_StaysVisible(t *testing.T) {
	for name, o := range map[string]*observation{
		"lost": fresh(lostStatus), "suspended": fresh(lostStatus, suspend), "terminating": fresh(lostStatus, terminating),
		"a step failed": fresh(lostStatus, failed(plan.StepReadCRD, plan.FailureRateLimited)),
	} {
		t.Run(name, func(t *testing.T) {
			o.Object.Status = summarize(o).Status
			o.Object.Spec.Suspend, o.Failure = nil, nil
			if d := plan.Decide(o); d.Reason != v1alpha1.ReasonStatusLost {
				t.Errorf("after the report: got %+v, want reason StatusLost", d)
			}
		})
	}
}

func TestSummarize_NothingNew_ReportsNothing(t *testing.T) {
	o := ready()
	o.Object.Status = summarize(o).Status
	if s := summarize(o); s.Changed || len(s.Events)+len(s.DeferredEvents) > 0 || plan.NeedsReconcile(o) {
		t.Errorf("got changed %v, events %v, deferred events %v; want none", s.Changed, s.Events, s.DeferredEvents)
	}
	o = ready(loser)
	first := summarize(o)
	o.Object.Status = first.Status
	if again := summarize(o); len(first.DeferredEvents) != 1 || first.DeferredEvents[0].Type != corev1.EventTypeWarning || len(again.DeferredEvents) > 0 {
		t.Errorf("got deferred events %v, then %v; want one warning, then none", first.DeferredEvents, again.DeferredEvents)
	}
}

func TestSummarize_PerformedSteps_EmitEvents(t *testing.T) {
	done := func(steps ...plan.Step) change { return func(o *observation) { o.Performed = steps } }
	notFound := func(o *observation) { o.NotFound = plan.NotFound{First: base, Last: base} }
	settled := remote(plan.Remote{Name: "team", Enabled: true, TokenDigest: token1, SentAs: wanted})
	for _, r := range []struct {
		name string
		o    *observation
		want []string
	}{
		{"created", ready(done(plan.StepRecord, plan.StepUpdate, plan.StepWriteSecret)), []string{"Created"}},
		{"adopted", ready(done(plan.StepAdopt)), []string{"Adopted"}},
		{"updated", ready(done(plan.StepUpdate)), []string{"Updated"}},
		{"update answered with a 404", ready(done(plan.StepUpdate), notFound), []string{v1alpha1.ReasonCreating}},
		{"old Secret", ready(done(plan.StepRemoveSecret)), []string{"SecretRemoved"}},
		{"deleted", ready(terminating, done(plan.StepDelete), func(o *observation) { o.Deleted = true }), []string{"Deleted"}},
		{"delete refused", ready(terminating, failed(plan.StepDelete, plan.FailureRefused)), []string{v1alpha1.ReasonDeleting}},
		{"delete answered with a 404", ready(terminating, done(plan.StepDelete), notFound), nil},
		{"reads", ready(done(plan.StepGet, plan.StepReadSecret, plan.StepReadClaim)), nil},
		{"recreated", ready(func(o *observation) { o.ReplacedAuthID = sa2 }), []string{"Recreating"}},
		{"name in another form", ready(settled), []string{"NameChangedByPlivo"}},
		{"name in another form, reported before", ready(settled, func(o *observation) { o.Object.Status.Name = new("team") }), nil},
	} {
		t.Run(r.name, func(t *testing.T) {
			s := summarize(r.o)
			if got := reasonsOf(append(s.Events, s.DeferredEvents...)); !slices.Equal(got, r.want) {
				t.Errorf("got %v, want %v", got, r.want)
			}
			for _, e := range s.Events {
				if e.Reason == "Recreating" && !strings.Contains(e.Message, sa2) {
					t.Errorf("got message %q, want the replaced authID in it", e.Message)
				}
			}
		})
	}
}

func TestSummarize_Status_ShowsLastReadValues(t *testing.T) {
	s := summarize(ready(remote(plan.Remote{Name: "seen"}))).Status
	if *s.Name != "seen" || *s.Enabled {
		t.Errorf("got name %s, enabled %v; want seen, false", *s.Name, *s.Enabled)
	}
	for name, o := range map[string]*observation{
		"another's":    ready(claim(false), remote(plan.Remote{Name: "seen"})),
		"unconfirmed":  ready(remote(plan.Remote{Name: "seen", UpdateUnconfirmed: true})),
		"not read":     ready(func(o *observation) { o.Remote = plan.Unknown[plan.Remote]() }),
		"not recorded": fresh(adopting, begun, remote(plan.Remote{Name: "seen"}), func(o *observation) { o.Object.Status.Name = new(wanted) }),
	} {
		if got := summarize(o).Status.Name; *got != wanted {
			t.Errorf("%s: got name %s, want %s", name, *got, wanted)
		}
	}
	renamed := func(o *observation) { o.Object.Spec.Secret.Name = "new" }
	if got := summarize(ready(renamed)).Status.Binding.Name; got != "new" {
		t.Errorf("got binding %s, want new", got)
	}
	for name, c := range map[string]change{"malformed": secret(func(s *plan.Secret) { s.WellFormed = false }), "another's": foreignSecret, "terminating": terminating} {
		if got := summarize(ready(renamed, c)).Status.Binding.Name; got != "a-plivo" {
			t.Errorf("%s: got binding %s, want a-plivo", name, got)
		}
	}
}

func TestSummarize_RequestedReconcile_IsHandledOnceRead(t *testing.T) {
	fetched := func(o *observation) { o.Fetched = true }
	for _, r := range []struct {
		name, want string
		o          *observation
	}{
		{"read", "now", ready(requested, fetched)},
		{"not read", "", ready(requested)},
		{"not requested", "", ready(fetched)},
		{"refused", "now", fresh(begun, requested, failed(plan.StepCreate, plan.FailureRefused))},
		{"no response", "", fresh(begun, requested, failed(plan.StepGet, plan.FailureUnknown))},
		{"suspended", "", ready(requested, suspend)},
	} {
		s := summarize(r.o).Status
		if s.LastHandledReconcileAt != r.want {
			t.Errorf("%s: got %q, want %q", r.name, s.LastHandledReconcileAt, r.want)
		}
		if r.name == "refused" { // else each reconcile would send the call again
			o := fresh(begun, requested)
			o.Object.Status = s
			if d := plan.Decide(o); d.Reason != v1alpha1.ReasonRejected {
				t.Errorf("refused: got %+v, want Rejected", d)
			}
		}
	}
}

func TestSetConditions_ReadyChanges_ReturnsTrue(t *testing.T) {
	var cs []metav1.Condition
	for _, r := range []struct {
		reason, message string
		want            bool
	}{
		{v1alpha1.ReasonCreating, "a", true}, {v1alpha1.ReasonCreating, "b", false}, {v1alpha1.ReasonReady, "", true}, {v1alpha1.ReasonSuspended, "", true},
	} {
		if got := plan.SetConditions(&cs, r.reason, r.message, 1, metav1.NewTime(base)); got != r.want {
			t.Errorf("%s %s: got %v, want %v", r.reason, r.message, got, r.want)
		}
	}
}

func TestNeedsReconcile_StepOrReportDue_ReturnsTrue(t *testing.T) {
	for name, r := range map[string]struct {
		o    *observation
		want bool
	}{
		"drift":              {ready(remote(plan.Remote{Name: "old"})), true},
		"waits for a sweep":  {fresh(begun, pending("one")), true},
		"waits for the time": {fresh(foreignSecret), true},
		"rejected, reported": {fresh(begun, reported(v1alpha1.ReasonRejected), func(o *observation) { o.Object.Status.Conditions[0].Message = "" }), true},
	} {
		if got := plan.NeedsReconcile(r.o); got != r.want {
			t.Errorf("%s: got %v, want %v", name, got, r.want)
		}
	}
	o := fresh(begun, reported(v1alpha1.ReasonRejected))
	if plan.NeedsReconcile(o) {
		t.Error("got true for a rejection that is reported, want false")
	}
}
