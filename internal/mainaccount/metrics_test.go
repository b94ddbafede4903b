// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func TestRegistry_RemovedAccount_HasNoSeries(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(1)[0]
		r.registry.Block("blocked", "SecretMissing", "no such Secret")
		a := r.swept()
		_, _ = get(t, a, mainID, one)
		_, _ = get(t, a, mainID, absentID)
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpGet}, Status: 429, Body: plivosim.BodyHTML, Times: 1})
		_, _ = get(t, a, mainID, one)
		a.Count(EventStrayRemoved)

		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(r.registry)
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
		want := strings.ReplaceAll(`
# HELP ACCOUNT_plivo_requests_total Total number of requests sent to Plivo, by Account, operation and outcome (success or the kind of error).
# TYPE ACCOUNT_plivo_requests_total counter
ACCOUNT_plivo_requests_total{account="a",operation="get",outcome="not_found"} 1
ACCOUNT_plivo_requests_total{account="a",operation="get",outcome="rate_limited"} 1
ACCOUNT_plivo_requests_total{account="a",operation="get",outcome="success"} 1
ACCOUNT_plivo_requests_total{account="a",operation="list",outcome="success"} 1
# HELP ACCOUNT_budget_size Number of requests that the operator may send to Plivo in any 5 seconds, by Account.
# TYPE ACCOUNT_budget_size gauge
ACCOUNT_budget_size{account="a"} 100
# HELP ACCOUNT_sweep_interval_seconds Interval between sweeps in seconds, by Account.
# TYPE ACCOUNT_sweep_interval_seconds gauge
ACCOUNT_sweep_interval_seconds{account="a"} 300
# HELP ACCOUNT_strays_removed_total Total number of strays that the operator deleted at Plivo, by Account.
# TYPE ACCOUNT_strays_removed_total counter
ACCOUNT_strays_removed_total{account="a"} 1
ACCOUNT_strays_removed_total{account="blocked"} 0
`, "ACCOUNT_", "subaccount_operator_")
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "subaccount_operator_plivo_requests_total",
			"subaccount_operator_budget_size", "subaccount_operator_sweep_interval_seconds", "subaccount_operator_strays_removed_total"); err != nil {
			t.Error(err)
		}

		r.registry.Remove("blocked")
		r.registry.Remove("a")
		a.Count(EventStrayRemoved) // a reconcile may still hold it
		if n := testutil.CollectAndCount(r.registry); n != 0 {
			t.Errorf("got %d series of removed accounts, want none", n)
		}
		r.sim.ResetCalls()
		time.Sleep(time.Hour)
		if n := len(r.sim.Calls()); n != 0 {
			t.Errorf("got %d requests after the removal, want none", n)
		}
	})
}

func TestSweep_FailedThenComplete_CountsBoth(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		created := time.Now()
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Status: 503, Times: 1})
		a := r.configure()
		time.Sleep(500 * time.Millisecond)
		if a.counts.sweeps[OutcomeFailed] != 1 || !a.sweeper.completedAt.Equal(created) {
			t.Errorf("after a failed sweep: got counts %v, completed at %v; want one failed and the creation time", a.counts.sweeps, a.sweeper.completedAt)
		}
		time.Sleep(10 * time.Second)
		if a.counts.sweeps[OutcomeFailed] != 1 || a.counts.sweeps[OutcomeComplete] != 1 || !a.sweeper.completedAt.After(created) {
			t.Errorf("after a complete sweep: got counts %v, completed at %v; want one failed, one complete and a later time", a.counts.sweeps, a.sweeper.completedAt)
		}
	})
}
