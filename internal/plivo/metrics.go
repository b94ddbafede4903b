package plivo

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "subaccount_operator_plivo_requests_total",
		Help: "Requests sent to Plivo, by operation and outcome (success, or the kind of error).",
	}, []string{"operation", "outcome"})

	durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "subaccount_operator_plivo_request_duration_seconds",
		Help:    "Time from sending a request to Plivo to the end of its answer, by operation.",
		Buckets: prometheus.ExponentialBuckets(0.01, 2, 11),
	}, []string{"operation"})
)

// Collectors are this package's metrics, for the process's registry.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{requests, durations}
}

func observe(op Operation, err *Error, took time.Duration) {
	outcome := "success"
	if err != nil {
		outcome = err.Kind.String()
	}
	requests.WithLabelValues(string(op), outcome).Inc()
	durations.WithLabelValues(string(op)).Observe(took.Seconds())
}
