package plivo

import "github.com/prometheus/client_golang/prometheus"

var (
	durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "subaccount_operator_plivo_request_duration_seconds",
		Help:    "Time from sending a request to Plivo to the end of its answer, by operation.",
		Buckets: prometheus.ExponentialBuckets(0.01, 2, 11),
	}, []string{"operation"})

	slotsUsed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "subaccount_operator_budget_spent_total",
		Help: "Slots of the request budgets of all main accounts that were used.",
	})

	waiting = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "subaccount_operator_budget_waiting",
		Help: "Calls that wait for a slot of a request budget, by class.",
	}, []string{"class"})

	waitSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "subaccount_operator_budget_wait_seconds",
		Help:    "How long calls have waited for a slot of a request budget, by class.",
		Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
	}, []string{"class"})
)

// String is the class's name as metrics show it.
func (c Class) String() string {
	return [...]string{"interactive", "continued", "background"}[c]
}

// Collectors are this package's metrics, for the process's registry.
func Collectors() []prometheus.Collector {
	for class := ClassInteractive; class < classes; class++ {
		waiting.WithLabelValues(class.String()) // shown, and 0, from the beginning
		waitSeconds.WithLabelValues(class.String())
	}
	return []prometheus.Collector{durations, slotsUsed, waiting, waitSeconds}
}
