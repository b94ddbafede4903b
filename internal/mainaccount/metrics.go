// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// Event is something that an account counts, apart from calls and sweeps.
type Event int

const (
	// EventDriftRepaired: the operator fixed drift of name or enabled.
	EventDriftRepaired Event = iota
	// EventStrayRemoved: the operator deleted a stray.
	EventStrayRemoved
	// EventRecreated: the operator recreates a missing subaccount.
	EventRecreated
	events
)

// counts has the counters of an account. The metric series of an account end when
// the Registry removes it.
type counts struct {
	calls  map[call]int
	sweeps [outcomes]int
	events [events]int
}

type call struct {
	operation plivo.Operation
	outcome   string
}

// Count counts an event.
func (a *Account) Count(e Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts.events[e]++
}

// countCall counts a call by its outcome, unless it was not sent.
func (c *counts) countCall(op plivo.Operation, err *plivo.Error) {
	if err != nil && err.Kind == plivo.KindNotSent {
		return
	}
	if c.calls == nil {
		c.calls = map[call]int{}
	}
	c.calls[call{op, callOutcome(err)}]++
}

// callOutcome returns the outcome of a call for metrics and the log.
func callOutcome(err *plivo.Error) string {
	switch {
	case err == nil:
		return "success"
	case err.IsRateLimit():
		return plivo.KindRateLimited.String()
	default:
		return err.Kind.String()
	}
}

// String returns the outcome's name in metrics.
func (o Outcome) String() string {
	return [...]string{"none", "complete", "changing", "refused", "rate_limited", "failed"}[o]
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("subaccount_operator_"+name, help, append([]string{"account"}, labels...), nil)
}

var (
	callsDesc    = desc("plivo_requests_total", "Total number of requests sent to Plivo, by Account, operation and outcome (success or the kind of error).", "operation", "outcome")
	budgetDesc   = desc("budget_size", "Number of requests that the operator may send to Plivo in any 5 seconds, by Account.")
	sweepsDesc   = desc("sweeps_total", "Total number of sweeps of a main account's list, by Account and outcome.", "outcome")
	intervalDesc = desc("sweep_interval_seconds", "Interval between sweeps in seconds, by Account.")
	progressDesc = desc("sweep_progress_ratio", "Part of the list that the current sweep has read, by Account. From 0 to 1; 0 between sweeps.")
	durationDesc = desc("last_sweep_duration_seconds", "Duration of the last complete sweep in seconds, by Account. 0 before the first one.")
	lastDesc     = desc("last_sweep_timestamp_seconds", "Unix time of the end of the last complete sweep, by Account. Before the first one, the time when this process began to serve the Account.")

	eventDescs = [events]*prometheus.Desc{
		EventDriftRepaired: desc("drifts_repaired_total", "Total number of subaccounts whose drift of name or enabled the operator fixed at Plivo, by Account."),
		EventStrayRemoved:  desc("strays_removed_total", "Total number of strays that the operator deleted at Plivo, by Account."),
		EventRecreated:     desc("recreations_total", "Total number of missing subaccounts that the operator recreates with new credentials, by Account."),
	}
)

// Describe implements prometheus.Collector.
func (r *Registry) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range append(eventDescs[:], callsDesc, budgetDesc, sweepsDesc, intervalDesc, progressDesc, durationDesc, lastDesc) {
		ch <- desc
	}
}

// Collect implements prometheus.Collector. It reads the current accounts, so that
// the series of a removed account end.
func (r *Registry) Collect(ch chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.accounts {
		a.collect(ch)
	}
}

func (a *Account) collect(ch chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	counter := func(desc *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), append([]string{a.name}, labels...)...)
	}
	gauge := func(desc *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, a.name)
	}
	for c, n := range a.counts.calls {
		counter(callsDesc, n, string(c.operation), c.outcome)
	}
	for o := OutcomeComplete; o < outcomes; o++ {
		counter(sweepsDesc, a.counts.sweeps[o], o.String())
	}
	for e, desc := range eventDescs {
		counter(desc, a.counts.events[e])
	}
	if a.interval == 0 {
		return // the account has never had credentials
	}
	gauge(budgetDesc, float64(a.size))
	gauge(intervalDesc, a.interval.Seconds())
	gauge(progressDesc, a.sweeper.progress)
	gauge(durationDesc, a.sweeper.duration.Seconds())
	gauge(lastDesc, float64(a.sweeper.completedAt.UnixMilli())/1000)
}
