// SPDX-License-Identifier: Apache-2.0

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

// withReason returns a Subaccount with the conditions of a reason, after change.
func withReason(account, reason string, change func(*v1alpha1.Subaccount)) v1alpha1.Subaccount {
	s := v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Spec: v1alpha1.SubaccountSpec{AccountRef: v1alpha1.AccountReference{Name: account}}}
	plan.SetConditions(&s.Status.Conditions, reason, "", 2, metav1.Now())
	change(&s)
	return s
}

func TestCount_Subaccounts_GroupsByAccountStateAndReason(t *testing.T) {
	now, unchanged := metav1.Now(), func(*v1alpha1.Subaccount) {}
	earlier := metav1.NewTime(now.Add(-time.Hour))
	pending := func(since metav1.Time) func(*v1alpha1.Subaccount) {
		return func(s *v1alpha1.Subaccount) { s.Status.PendingCreation = &v1alpha1.PendingCreation{Since: since} }
	}
	all := []v1alpha1.Subaccount{
		withReason("a", v1alpha1.ReasonReady, unchanged),
		withReason("a", v1alpha1.ReasonReady, unchanged),
		withReason("a", v1alpha1.ReasonReady, func(s *v1alpha1.Subaccount) { s.Generation++ }),
		withReason("a", v1alpha1.ReasonRejected, unchanged),
		withReason("a", v1alpha1.ReasonReady, func(s *v1alpha1.Subaccount) { s.Spec.Suspend = new(true) }),
		withReason("a", v1alpha1.ReasonRejected, func(s *v1alpha1.Subaccount) { s.Spec.Suspend, s.DeletionTimestamp = new(true), &now }),
		withReason("a", v1alpha1.ReasonCreationUnconfirmed, pending(now)),
		withReason("a", v1alpha1.ReasonCreationUnconfirmed, pending(earlier)),
		withReason("a", "UnknownReason", unchanged),
		withReason("a", v1alpha1.ReasonReady, func(s *v1alpha1.Subaccount) { s.Status.Conditions = nil }),
		withReason("other-instance", v1alpha1.ReasonReady, pending(earlier)),
		withReason("missing", v1alpha1.ReasonAccountNotFound, unchanged),
		withReason("also-missing", v1alpha1.ReasonAccountNotFound, unchanged),
	}
	everything := &resourceCollector{selector: labels.Everything()}
	got := everything.count(all, map[string]bool{"a": true, "b": true, "other-instance": false})
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
		t.Errorf("got %v, want %v", got.resources, want)
	}
	if !maps.Equal(got.pending, map[string]int{"a": 2, "b": 0}) || !maps.Equal(got.oldest, map[string]time.Time{"a": earlier.Time}) {
		t.Errorf("got pending %v and oldest %v, want 2 of a and 0 of b, the oldest %v", got.pending, got.oldest, earlier)
	}

	shard := &resourceCollector{selector: labels.SelectorFromSet(labels.Set{"shard": "a"})}
	if got := shard.count(all, map[string]bool{"a": false, "other-instance": true}); !maps.Equal(got.resources, map[series]int{{"other-instance", "Ready", "Ready"}: 1}) {
		t.Errorf("other instance: got %v, want only its own Account", got.resources)
	}
}

func TestCollect_NotLeader_ExportsOnlyLeader(t *testing.T) {
	standby := &resourceCollector{elected: make(chan struct{})}
	if n := testutil.CollectAndCount(standby); n != 1 {
		t.Errorf("got %d series, want 1", n)
	}
	if problems, err := testutil.CollectAndLint(standby); err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v, want no problems", problems, err)
	}
}
