package controller

import (
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// telling is a Subaccount whose conditions tell a reason, and then changed.
func telling(account, reason string, change func(*v1alpha1.Subaccount)) v1alpha1.Subaccount {
	s := v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Spec: v1alpha1.SubaccountSpec{AccountRef: v1alpha1.AccountReference{Name: account}}}
	plan.SetConditions(&s.Status.Conditions, reason, "", 2, metav1.Now())
	change(&s)
	return s
}

func TestSubaccountsAreCountedByStateAndReason(t *testing.T) {
	now, as := metav1.Now(), func(*v1alpha1.Subaccount) {}
	earlier := metav1.NewTime(now.Add(-time.Hour))
	pending := func(since metav1.Time) func(*v1alpha1.Subaccount) {
		return func(s *v1alpha1.Subaccount) { s.Status.PendingCreation = &v1alpha1.PendingCreation{Since: since} }
	}
	all := []v1alpha1.Subaccount{
		telling("a", v1alpha1.ReasonReady, as),
		telling("a", v1alpha1.ReasonReady, as),
		telling("a", v1alpha1.ReasonReady, func(s *v1alpha1.Subaccount) { s.Generation++ }),
		telling("a", v1alpha1.ReasonRejected, as),
		telling("a", v1alpha1.ReasonReady, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = new(true) }),
		telling("a", v1alpha1.ReasonRejected, func(s *v1alpha1.Subaccount) { s.Spec.Suspend, s.DeletionTimestamp = new(true), &now }),
		telling("a", v1alpha1.ReasonCreationUnconfirmed, pending(now)),
		telling("a", v1alpha1.ReasonCreationUnconfirmed, pending(earlier)),
		telling("a", "OfAnotherVersion", as),
		telling("a", v1alpha1.ReasonReady, func(s *v1alpha1.Subaccount) { s.Status.Conditions = nil }),
		telling("anothers", v1alpha1.ReasonReady, pending(earlier)),
		telling("made up by a tenant", v1alpha1.ReasonAccountNotFound, as),
		telling("and another", v1alpha1.ReasonAccountNotFound, as),
	}
	everything := &resources{selector: labels.Everything()}
	got := everything.count(all, map[string]bool{"a": true, "b": true, "anothers": false})
	want := map[series]int{
		{"a", "Ready", "Ready"}:                             2,
		{"a", "Reconciling", "Ready"}:                       1,
		{"a", "Stalled", "Rejected"}:                        1,
		{"a", "Suspended", "Ready"}:                         1,
		{"a", "Terminating", "Rejected"}:                    1,
		{"a", "Reconciling", "CreationUnconfirmed"}:         2,
		{"a", "Reconciling", "Unknown"}:                     2,
		{"", "Reconciling", v1alpha1.ReasonAccountNotFound}: 2,
	}
	if !maps.Equal(got.resources, want) {
		t.Errorf("%v", got.resources)
	}
	if !maps.Equal(got.pending, map[string]int{"a": 2, "b": 0}) || !maps.Equal(got.oldest, map[string]time.Time{"a": earlier.Time}) {
		t.Errorf("%v %v", got.pending, got.oldest)
	}

	shard := &resources{selector: labels.SelectorFromSet(labels.Set{"shard": "a"})}
	if got := shard.count(all, map[string]bool{"a": false, "anothers": true}); !maps.Equal(got.resources, map[series]int{{"anothers", "Ready", "Ready"}: 1}) {
		t.Errorf("another instance: %v", got.resources)
	}
}

func TestWhoWaitsForTheLeaseTellsOnlyThat(t *testing.T) {
	waits := &resources{elected: make(chan struct{})} // and has no cache to read
	if n := testutil.CollectAndCount(waits); n != 1 {
		t.Errorf("%d series", n)
	}
	if problems, err := testutil.CollectAndLint(waits); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
