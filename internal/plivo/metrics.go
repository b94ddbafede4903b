// SPDX-License-Identifier: Apache-2.0

package plivo

import "github.com/prometheus/client_golang/prometheus"

var (
	durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "subaccount_operator_plivo_request_duration_seconds",
		Help:    "Duration of requests to Plivo in seconds, from sending to the end of the response, by operation.",
		Buckets: prometheus.ExponentialBuckets(0.01, 2, 11),
	}, []string{"operation"})

	slotsUsed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "subaccount_operator_budget_spent_total",
		Help: "Total number of used slots of the request budgets of all main accounts.",
	})

	waiting = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "subaccount_operator_budget_waiting",
		Help: "Number of calls and reconciles that wait for a slot of a request budget, by class.",
	}, []string{"class"})

	waitSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "subaccount_operator_budget_wait_seconds",
		Help:    "Time that calls and reconciles waited for a slot of a request budget in seconds, by class.",
		Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
	}, []string{"class"})
)

// String returns the class's name in metrics.
func (c Class) String() string {
	return [...]string{"interactive", "continued", "background"}[c]
}

// Collectors returns the metrics of this package.
func Collectors() []prometheus.Collector {
	for class := ClassInteractive; class < classes; class++ {
		waiting.WithLabelValues(class.String()) // a series exists before the first wait
		waitSeconds.WithLabelValues(class.String())
	}
	return []prometheus.Collector{durations, slotsUsed, waiting, waitSeconds}
}
