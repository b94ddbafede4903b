// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// resourceCollector counts the resources that this instance serves, in the cache
// and at each scrape. Only the leader counts: other replicas have the same cache,
// and a sum over replicas would count each resource several times.
type resourceCollector struct {
	cached   client.Reader
	selector labels.Selector
	elected  <-chan struct{}
}

// collectTimeout is how long a scrape waits for the cache to sync.
const collectTimeout = 5 * time.Second

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("subaccount_operator_"+name, help, labels, nil)
}

var (
	leaderDesc      = desc("leader", "1 if this replica is the leader or leader election is disabled.")
	accountsDesc    = desc("accounts", "Number of Account resources (always 1), by name, state and reason.", "account", "state", "reason")
	remoteDesc      = desc("remote_subaccounts", "Number of subaccounts at Plivo at the last complete sweep, by Account and whether a Subaccount resource manages them.", "account", "managed")
	subaccountsDesc = desc("subaccounts", "Number of Subaccount resources, by Account, state and reason. The label account is empty if the Account does not exist.", "account", "state", "reason")
	pendingDesc     = desc("creations_unconfirmed", "Number of Subaccount resources with status.pendingCreation: a create call may have happened and is not recorded, by Account.", "account")
	oldestDesc      = desc("oldest_unconfirmed_creation_timestamp_seconds", "Unix timestamp of the oldest status.pendingCreation, by Account. Absent if there is none.", "account")
)

// Describe implements prometheus.Collector.
func (r *resourceCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{leaderDesc, accountsDesc, remoteDesc, subaccountsDesc, pendingDesc, oldestDesc} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (r *resourceCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	select {
	case <-r.elected:
		gauge(leaderDesc, 1)
	default:
		gauge(leaderDesc, 0)
		return
	}
	// No copies: there may be thousands of objects.
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	var accounts v1alpha1.AccountList
	var subaccounts v1alpha1.SubaccountList
	if r.cached.List(ctx, &accounts, client.UnsafeDisableDeepCopy) != nil ||
		r.cached.List(ctx, &subaccounts, client.UnsafeDisableDeepCopy) != nil {
		return
	}
	served := map[string]bool{} // existing Accounts by name: does this instance serve it?
	for i := range accounts.Items {
		a := &accounts.Items[i]
		if served[a.Name] = r.selector.Matches(labels.Set(a.Labels)); !served[a.Name] {
			continue
		}
		gauge(accountsDesc, 1, a.Name, stateOf(a, false, a.Status.Conditions), reasonOf(a.Status.Conditions))
		if n := a.Status.Subaccounts; n != nil && n.Managed != nil && n.Unmanaged != nil {
			gauge(remoteDesc, float64(*n.Managed), a.Name, "true")
			gauge(remoteDesc, float64(*n.Unmanaged), a.Name, "false")
		}
	}
	r.count(subaccounts.Items, served).collect(gauge)
}

// tally has the counts of Subaccounts.
type tally struct {
	resources map[series]int
	pending   map[string]int       // by Account
	oldest    map[string]time.Time // by Account
}

type series struct{ account, state, reason string }

// count counts the Subaccounts that this instance serves. Accounts that do not
// exist share one series with an empty name, because a tenant can invent any
// number of names.
func (r *resourceCollector) count(all []v1alpha1.Subaccount, served map[string]bool) tally {
	t := tally{map[series]int{}, map[string]int{}, map[string]time.Time{}}
	for name, isServed := range served {
		if isServed {
			t.pending[name] = 0
		}
	}
	for i := range all {
		s := &all[i]
		account := s.Spec.AccountRef.Name
		isServed, exists := served[account]
		if !exists {
			account, isServed = "", r.selector.Matches(labels.Set(nil))
		}
		if !isServed {
			continue
		}
		t.resources[series{account, stateOf(s, ptr.Deref(s.Spec.Suspend, false), s.Status.Conditions), reasonOf(s.Status.Conditions)}]++
		if p := s.Status.PendingCreation; p != nil {
			t.pending[account]++
			if first, ok := t.oldest[account]; !ok || p.Since.Time.Before(first) {
				t.oldest[account] = p.Since.Time
			}
		}
	}
	return t
}

func (t tally) collect(gauge func(*prometheus.Desc, float64, ...string)) {
	for s, n := range t.resources {
		gauge(subaccountsDesc, float64(n), s.account, s.state, s.reason)
	}
	for account, n := range t.pending {
		gauge(pendingDesc, float64(n), account)
	}
	for account, at := range t.oldest {
		gauge(oldestDesc, float64(at.Unix()), account)
	}
}

// stateOf returns the state of a resource, the first one that applies. The names
// follow kstatus where it has a name.
func stateOf(obj client.Object, suspended bool, conditions []metav1.Condition) string {
	switch {
	case obj.GetDeletionTimestamp() != nil:
		return "Terminating"
	case suspended:
		return "Suspended"
	case meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled):
		return "Stalled"
	case plan.IsReady(conditions, obj.GetGeneration()):
		return "Ready"
	default:
		return "Reconciling"
	}
}

// reasonOf returns the reason of Ready, or Unknown if v1alpha1.Reasons does not
// have it. That bounds the number of series.
func reasonOf(conditions []metav1.Condition) string {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return "Unknown"
	}
	if _, ok := v1alpha1.StatesOf(ready.Reason); !ok {
		return "Unknown"
	}
	return ready.Reason
}
