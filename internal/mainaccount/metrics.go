package mainaccount

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// Event is what an account counts beside its calls and its sweeps.
type Event int

const (
	// EventDriftRepaired: name or enabled, changed at Plivo, was put right.
	EventDriftRepaired Event = iota
	// EventStrayRemoved: an unfinished creation that is nobody's was deleted.
	EventStrayRemoved
	// EventRecreated: a subaccount that was gone is made anew.
	EventRecreated
	events
)

// counts are an account's counters. They go with the account, and so do the
// series that show them.
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

// countCall counts a call that was sent, by its answer.
func (c *counts) countCall(op plivo.Operation, err *plivo.Error) {
	if err != nil && err.Kind == plivo.KindNotSent {
		return
	}
	if c.calls == nil {
		c.calls = map[call]int{}
	}
	c.calls[call{op, callOutcome(err)}]++
}

// callOutcome is the outcome of a call as metrics and the log name it.
func callOutcome(err *plivo.Error) string {
	switch {
	case err == nil:
		return "success"
	case err.Status == 429: // whatever its body, the account pauses
		return plivo.KindRateLimited.String()
	default:
		return err.Kind.String()
	}
}

// String is the outcome's name as metrics show it.
func (o Outcome) String() string {
	return [...]string{"none", "complete", "changing", "refused", "rate_limited", "failed"}[o]
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("subaccount_operator_"+name, help, append([]string{"account"}, labels...), nil)
}

var (
	callsDesc    = desc("plivo_requests_total", "Requests sent to Plivo, by Account, operation and outcome (success, or the kind of error).", "operation", "outcome")
	budgetDesc   = desc("budget_size", "Requests that may be sent in any 5 seconds, by Account.")
	sweepsDesc   = desc("sweeps_total", "Sweeps of a main account's whole list, by Account and outcome.", "outcome")
	intervalDesc = desc("sweep_interval_seconds", "How often the whole list is to be read, by Account.")
	progressDesc = desc("sweep_progress_ratio", "How much of the list the sweep under way has read, by Account: 0 to 1, and 0 between sweeps.")
	durationDesc = desc("last_sweep_duration_seconds", "How long the last complete sweep took, by Account; 0 before the first.")
	lastDesc     = desc("last_sweep_timestamp_seconds", "When the last complete sweep ended, by Account, in seconds since 1970; before the first, when this process began with the Account.")

	eventDescs = [events]*prometheus.Desc{
		EventDriftRepaired: desc("drifts_repaired_total", "Subaccounts whose name or enabled somebody had changed at Plivo and that were put right, by Account."),
		EventStrayRemoved:  desc("strays_removed_total", "Subaccounts that bore a marker of this cluster, were nobody's, and were deleted, by Account."),
		EventRecreated:     desc("recreations_total", "Subaccounts that were gone at Plivo and are made anew, with new credentials, by Account."),
	}
)

// Describe implements prometheus.Collector.
func (r *Registry) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range append(eventDescs[:], callsDesc, budgetDesc, sweepsDesc, intervalDesc, progressDesc, durationDesc, lastDesc) {
		ch <- desc
	}
}

// Collect implements prometheus.Collector: what the accounts are at this
// moment, so that what is told of one goes with it.
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
		return // it has never had credentials
	}
	gauge(budgetDesc, float64(a.size))
	gauge(intervalDesc, a.interval.Seconds())
	gauge(progressDesc, a.sweeper.progress)
	gauge(durationDesc, a.sweeper.duration.Seconds())
	gauge(lastDesc, float64(a.sweeper.completedAt.UnixMilli())/1000)
}
