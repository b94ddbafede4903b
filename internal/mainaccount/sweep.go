// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// sweeper has the requests for the next sweep and the result of the last one.
type sweeper struct {
	wake           chan struct{}
	requestedStart time.Time // earliest start of the requested sweep; zero: no request
	started        time.Time // of the last sweep, complete or not
	ended          time.Time // of the last sweep, complete or not
	failures       int       // number of incomplete sweeps in a row
	outcome        Outcome
	message        string
	completeCount  int

	requested   string    // value of the last reconcile request
	requestedAt time.Time // of the last reconcile request or new credentials
	handled     string    // value of the last reconcile request whose sweep has ended

	completedAt time.Time     // end of the last complete sweep; before the first one, creation of the account
	duration    time.Duration // of the last complete sweep
	progress    float64       // of the current sweep: the part of the list that is read
}

// Outcome is how the last sweep ended.
type Outcome int

const (
	// OutcomeNone: no sweep has ended yet.
	OutcomeNone Outcome = iota
	// OutcomeComplete: the sweep has read the whole list.
	OutcomeComplete
	// OutcomeChanging: the list changed during the sweep, or has rows that cannot be
	// read. A missing row proves nothing, so the operator repeats the sweep.
	OutcomeChanging
	// OutcomeRefused: Plivo refused the credentials.
	OutcomeRefused
	// OutcomeRateLimited: Plivo responded with 429.
	OutcomeRateLimited
	// OutcomeFailed: any other failure.
	OutcomeFailed
	outcomes
)

// RequestSweep requests a sweep that starts at or after a time, without waiting for
// the sweep interval. One sweep serves all requests for an earlier or equal time. If
// the sweep starts before notBefore, the caller has to request another one. A
// requested sweep starts at least one plivo.Window after the end of the last sweep, so
// that a stream of requests does not read the list all the time.
func (a *Account) RequestSweep(notBefore time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := &a.sweeper; s.requestedStart.IsZero() || notBefore.Before(s.requestedStart) {
		s.requestedStart = notBefore
		s.wakeUp()
	}
}

// RequestReconcile starts a sweep now if the value differs from the last one, even
// if Plivo refuses the credentials or the last sweeps failed.
func (a *Account) RequestReconcile(value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := &a.sweeper; value != s.requested {
		s.requested, s.requestedAt = value, time.Now()
		s.wakeUp()
	}
}

// HandledReconcile returns the last value of RequestReconcile whose sweep has
// ended, complete or not; empty if there is none.
func (a *Account) HandledReconcile() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sweeper.handled
}

func (s *sweeper) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// due returns when the next sweep starts.
func (a *Account) due() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.sweeper
	if s.started.IsZero() {
		return time.Now()
	}
	due := s.started.Add(a.interval - a.early())
	switch {
	case s.requestedAt.After(s.started):
		return s.requestedAt
	case a.circuit.open:
		return s.started.Add(min(a.interval, probeInterval))
	case s.failures > 0:
		return s.ended.Add(min(time.Second<<min(s.failures-1, 6), time.Minute, a.interval))
	case !s.requestedStart.IsZero() && s.requestedStart.Before(due):
		return slices.MaxFunc([]time.Time{s.requestedStart, s.ended.Add(plivo.Window)}, time.Time.Compare)
	default:
		return due
	}
}

// early returns by how much a sweep starts before the end of the interval, at most
// a tenth of it, so that the sweeps of many accounts spread out.
func (a *Account) early() time.Duration {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, a.name, a.sweeper.completeCount) // never fails
	return a.interval / 10 * time.Duration(h.Sum32()%1000) / 1000
}

func (a *Account) run(ctx context.Context) {
	for ctx.Err() == nil {
		due := a.due()
		timer := time.NewTimer(time.Until(due))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-a.sweeper.wake:
			timer.Stop()
			if ctx.Err() != nil {
				a.sweeper.wakeUp() // the signal was for the run that replaces this one
			}
			a.sendProbe(ctx)
			continue
		case <-timer.C:
		}
		if a.sweep(ctx) {
			a.options.Notify(a.name)
		}
	}
}

// sweep reads the whole list once and evaluates what it shows. It returns false if it
// was interrupted, which says nothing about Plivo.
func (a *Account) sweep(ctx context.Context) bool {
	a.mu.Lock()
	client, started := a.client, time.Now()
	hasEnded := client == nil || ctx.Err() != nil
	if !hasEnded {
		a.sweeper.started = started
	}
	a.mu.Unlock()
	if hasEnded {
		return false
	}
	reading, err := a.readList(ctx, client)

	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweeper.progress = 0
	if client != a.client || ctx.Err() != nil {
		return false // the credentials changed, and configure has requested another sweep; or the process ends
	}
	s := &a.sweeper
	s.ended = time.Now()
	if !s.requestedAt.After(started) {
		s.handled = s.requested
	}
	s.outcome, s.message = outcome(&reading, err)
	recorded, known := a.options.Recorded(a.name)
	if !known && s.outcome == OutcomeComplete {
		// Without them the mass-deletion guard cannot check the list.
		s.outcome, s.message = OutcomeFailed, "the operator could not list the Subaccounts at the API server"
	}
	a.counts.sweeps[s.outcome]++
	a.log.V(logging.Debug).Info("Swept", logging.Outcome, s.outcome.String(), logging.Message, s.message,
		logging.Duration, s.ended.Sub(started).Round(time.Millisecond).String())
	if s.outcome != OutcomeComplete {
		s.failures++
		return true
	}
	s.failures = 0
	s.completeCount++
	s.completedAt, s.duration = s.ended, s.ended.Sub(started)
	if !s.requestedStart.After(started) {
		s.requestedStart = time.Time{}
	}
	a.inventory.endSweep(started)
	if a.guard.update(a.inventory.isMissing, recorded) {
		clear(a.inventory.notFound) // a 404 from before the switch proves nothing
		a.logGuard("Plivo's list")
	}
	return true
}

func outcome(reading *plivo.Reading, err error) (Outcome, string) {
	e := plivo.AsError(err)
	switch {
	case e == nil && reading.IsWhole():
		return OutcomeComplete, ""
	case e == nil:
		return OutcomeChanging, reading.String()
	case refusesCredentials(e):
		return OutcomeRefused, e.Message
	case e.IsRateLimit():
		return OutcomeRateLimited, e.Message
	default:
		return OutcomeFailed, e.Message
	}
}

// readList reads all pages into the inventory.
func (a *Account) readList(ctx context.Context, client *plivo.Client) (plivo.Reading, error) {
	return plivo.ReadList(func(offset int) (plivo.Page, error) {
		page, sentAt, err := a.readPageWithRetry(ctx, client, offset)
		if err != nil {
			return page, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, s := range page.Subaccounts {
			a.inventory.setRead(s.AuthID, row{name: s.Name, enabled: s.Enabled, digest: a.digest(s.Token)}, sentAt)
		}
		a.sweeper.progress = min(1, float64(offset+len(page.Subaccounts))/float64(max(1, page.Total)))
		return page, nil
	}, func() plivo.Deletes {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.deletes
	})
}

// pageTries is how often a sweep reads one page, with a pause that grows by
// pagePause. One failure must not discard the pages before it. A sweep that fails
// at its first page has nothing to lose, so the operator repeats the whole sweep.
const (
	pageTries = 3
	pagePause = time.Second
)

func (a *Account) readPageWithRetry(ctx context.Context, client *plivo.Client, offset int) (page plivo.Page, sentAt time.Time, err error) {
	for try := 1; ; try++ {
		page, sentAt, err = a.readPage(ctx, client, offset)
		if err == nil || offset == 0 || try == pageTries || ctx.Err() != nil || refusesCredentials(plivo.AsError(err)) {
			return page, sentAt, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(try) * pagePause):
		}
	}
}

func (a *Account) readPage(ctx context.Context, client *plivo.Client, offset int) (plivo.Page, time.Time, error) {
	slot, err := a.requestBudget().Acquire(ctx, plivo.ClassBackground)
	if err != nil {
		return plivo.Page{}, time.Time{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.options.Timeout)
	defer cancel()
	sentAt := time.Now()
	page, err := client.List(ctx, plivo.MaxPageSize, offset)
	a.finishCall(client, slot, plivo.OperationList, err)
	if err == nil {
		a.endProbe(client, sentAt)
	}
	return page, sentAt, err
}
