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
)

// resources tells of the resources that this instance serves, counted in the
// cache whenever somebody asks. Replicas that wait for the lease see the same
// ones, and tell nothing of them.
type resources struct {
	cached   client.Reader
	selector labels.Selector
	elected  <-chan struct{}
}

// collectTimeout bounds how long a cache that still fills is waited for.
const collectTimeout = 5 * time.Second

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("subaccount_operator_"+name, help, labels, nil)
}

var (
	leaderDesc      = desc("leader", "1 if this process does the work: it holds the lease, or needs none.")
	accountsDesc    = desc("accounts", "Accounts, by name, state and reason.", "account", "state", "reason")
	remoteDesc      = desc("remote_subaccounts", "Subaccounts at Plivo at the last sweep, by Account and whether a Subaccount resource manages them.", "account", "managed")
	subaccountsDesc = desc("subaccounts", "Subaccount resources, by Account (empty: it does not exist), state and reason.", "account", "state", "reason")
	pendingDesc     = desc("creations_unconfirmed", "Subaccount resources for which a create call may have happened that is not recorded, by Account.", "account")
	oldestDesc      = desc("oldest_unconfirmed_creation_timestamp_seconds", "When the oldest unconfirmed creation was begun, by Account, in seconds since 1970; absent without any.", "account")
)

// Describe implements prometheus.Collector.
func (r *resources) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{leaderDesc, accountsDesc, remoteDesc, subaccountsDesc, pendingDesc, oldestDesc} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (r *resources) Collect(ch chan<- prometheus.Metric) {
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
	// The cache's own objects, of which there may be thousands: no copies.
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	var accounts v1alpha1.AccountList
	var subaccounts v1alpha1.SubaccountList
	if r.cached.List(ctx, &accounts, client.UnsafeDisableDeepCopy) != nil ||
		r.cached.List(ctx, &subaccounts, client.UnsafeDisableDeepCopy) != nil {
		return
	}
	served := map[string]bool{} // by name, of those that exist
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

// tally is what is counted of Subaccounts.
type tally struct {
	resources map[series]int
	pending   map[string]int       // by Account
	oldest    map[string]time.Time // by Account
}

type series struct{ account, state, reason string }

// count counts the Subaccounts that this instance serves. Names of Accounts
// that do not exist are whatever a tenant makes up, and make no series.
func (r *resources) count(all []v1alpha1.Subaccount, served map[string]bool) tally {
	t := tally{map[series]int{}, map[string]int{}, map[string]time.Time{}}
	for name, is := range served {
		if is {
			t.pending[name] = 0
		}
	}
	for i := range all {
		s := &all[i]
		account := s.Spec.AccountRef.Name
		serves, exists := served[account]
		if !exists {
			account, serves = "", r.selector.Matches(labels.Set(nil))
		}
		if !serves {
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

// stateOf a resource is, in the words of kstatus where it has one: what comes
// first here hides the others.
func stateOf(obj client.Object, suspended bool, conditions []metav1.Condition) string {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	switch {
	case obj.GetDeletionTimestamp() != nil:
		return "Terminating"
	case suspended:
		return "Suspended"
	case meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled):
		return "Stalled"
	case ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == obj.GetGeneration():
		return "Ready"
	default:
		return "Reconciling"
	}
}

// reasonOf a resource is one of v1alpha1.Reasons, so that the number of series is bounded.
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
