package account

import "github.com/prometheus/client_golang/prometheus"

var sweeps = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "subaccount_operator_sweeps_total",
	Help: "Sweeps of a main account's whole list, by Account and outcome.",
}, []string{"account", "outcome"})

// Collectors are this package's metrics, for the process's registry.
func Collectors() []prometheus.Collector { return []prometheus.Collector{sweeps} }

// String is the outcome's name as metrics show it.
func (o Outcome) String() string {
	return [...]string{"none", "complete", "changing", "refused", "rate_limited", "failed"}[o]
}
