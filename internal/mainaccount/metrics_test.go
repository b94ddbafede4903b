package mainaccount

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

func TestWhatAnAccountTellsGoesWithIt(t *testing.T) {
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
# HELP ACCOUNT_plivo_requests_total Requests sent to Plivo, by Account, operation and outcome (success, or the kind of error).
# TYPE ACCOUNT_plivo_requests_total counter
ACCOUNT_plivo_requests_total{account="a",operation="get",outcome="not_found"} 1
ACCOUNT_plivo_requests_total{account="a",operation="get",outcome="rate_limited"} 1
ACCOUNT_plivo_requests_total{account="a",operation="get",outcome="success"} 1
ACCOUNT_plivo_requests_total{account="a",operation="list",outcome="success"} 1
# HELP ACCOUNT_budget_size Requests that may be sent in any 5 seconds, by Account.
# TYPE ACCOUNT_budget_size gauge
ACCOUNT_budget_size{account="a"} 100
# HELP ACCOUNT_sweep_interval_seconds How often the whole list is to be read, by Account.
# TYPE ACCOUNT_sweep_interval_seconds gauge
ACCOUNT_sweep_interval_seconds{account="a"} 300
# HELP ACCOUNT_strays_removed_total Subaccounts that bore a marker of this cluster, were nobody's, and were deleted, by Account.
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
		a.Count(EventStrayRemoved) // by somebody who still holds it
		if n := testutil.CollectAndCount(r.registry); n != 0 {
			t.Errorf("%d series of accounts that are gone", n)
		}
		r.sim.ResetCalls()
		time.Sleep(time.Hour)
		if n := len(r.sim.Calls()); n != 0 {
			t.Errorf("%d requests after the removal", n)
		}
	})
}

func TestSweepsAreCountedByOutcomeAndTheirAgeFromTheBeginning(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		began := time.Now()
		r.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Status: 503, Times: 1})
		a := r.configure()
		time.Sleep(500 * time.Millisecond)
		if a.counts.sweeps[OutcomeFailed] != 1 || !a.sweeper.completedAt.Equal(began) {
			t.Errorf("after a sweep that failed: %v, %v", a.counts.sweeps, a.sweeper.completedAt)
		}
		time.Sleep(10 * time.Second)
		if a.counts.sweeps[OutcomeFailed] != 1 || a.counts.sweeps[OutcomeComplete] != 1 || !a.sweeper.completedAt.After(began) {
			t.Errorf("after a complete one: %v, %v", a.counts.sweeps, a.sweeper.completedAt)
		}
	})
}
