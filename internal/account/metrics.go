package account

import "github.com/prometheus/client_golang/prometheus"

var (
	sweeps = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "subaccount_operator_sweeps_total",
		Help: "Sweeps of a main account's whole list, by Account and outcome.",
	}, []string{"account", "outcome"})

	sweepProgress = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "subaccount_operator_sweep_progress_ratio",
		Help: "How much of the list the sweep under way has read, by Account: 0 to 1, and 0 between sweeps.",
	}, []string{"account"})

	sweepDuration = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "subaccount_operator_last_sweep_duration_seconds",
		Help: "How long the last complete sweep took, by Account.",
	}, []string{"account"})

	lastSweep = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "subaccount_operator_last_sweep_timestamp_seconds",
		Help: "When the last complete sweep ended, by Account, in seconds since 1970.",
	}, []string{"account"})
)

// Collectors are this package's metrics, for the process's registry.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{sweeps, sweepProgress, sweepDuration, lastSweep}
}

// forgetMetrics drops what is told of an Account that is gone.
func forgetMetrics(account string) {
	of := prometheus.Labels{"account": account}
	sweeps.DeletePartialMatch(of)
	for _, gauge := range []*prometheus.GaugeVec{sweepProgress, sweepDuration, lastSweep} {
		gauge.Delete(of)
	}
}

// String is the outcome's name as metrics show it.
func (o Outcome) String() string {
	return [...]string{"none", "complete", "changing", "refused", "rate_limited", "failed"}[o]
}
