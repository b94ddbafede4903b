package mainaccount

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// sweeper is when the next sweep is due and how the last one ended.
type sweeper struct {
	wake           chan struct{}
	requestedStart time.Time // somebody waits for a sweep that starts at or after this; zero: nobody
	started        time.Time // the last one, of whatever end
	ended          time.Time
	failures       int // in a row
	outcome        Outcome
	message        string
	completeCount  int // complete ones

	requested   string    // value of the last request for a sweep by a person
	requestedAt time.Time // zero: no request
	handled     string    // value for which the last requested sweep has ended

	completedAt time.Time     // end of the last complete one; before that, when the account was new
	duration    time.Duration // that one
	progress    float64       // of the one under way: how much of the list is read
}

// Outcome is how the last sweep ended.
type Outcome int

const (
	// OutcomeNone: none has ended yet.
	OutcomeNone Outcome = iota
	// OutcomeComplete: the whole list was read.
	OutcomeComplete
	// OutcomeChanging: the list changed while it was read or has rows that cannot
	// be read, so that what it lacks proves nothing; the sweep is repeated.
	OutcomeChanging
	// OutcomeRefused: the credentials were refused.
	OutcomeRefused
	// OutcomeRateLimited: Plivo answered 429.
	OutcomeRateLimited
	// OutcomeFailed: anything else.
	OutcomeFailed
	outcomes
)

// RequestSweep asks for a sweep that starts at or after a time, before the
// interval would bring one. One sweep serves all that ask. Who asks for a
// later time than somebody else asks again when that sweep has ended.
func (a *Account) RequestSweep(notBefore time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweeper.requestStart(notBefore)
}

func (s *sweeper) requestStart(notBefore time.Time) {
	if s.requestedStart.IsZero() || notBefore.Before(s.requestedStart) {
		s.requestedStart = notBefore
		s.wakeUp()
	}
}

// RequestReconcile starts a sweep now, for a value that is not the last one,
// even if the credentials were refused or the last sweeps failed.
func (a *Account) RequestReconcile(value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := &a.sweeper; value != s.requested {
		s.requested, s.requestedAt = value, time.Now()
		s.wakeUp()
	}
}

// HandledReconcile returns the value given to RequestReconcile for which a sweep
// that started later has ended, however it ended; empty if there is none.
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

// due is when the next sweep should start.
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
		return s.requestedStart
	default:
		return due
	}
}

// early is by how much a sweep is due before the interval is over, up to a
// tenth of it, so that many accounts do not stay in step.
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
				a.sweeper.wakeUp() // it was for the one that runs in this one's place
			}
			a.sendProbe(ctx)
			continue
		case <-timer.C:
		}
		a.sweep(ctx)
		a.options.Notify(a.name)
	}
}

// sweep reads the whole list once.
func (a *Account) sweep(ctx context.Context) {
	a.mu.Lock()
	client, started := a.client, time.Now()
	a.sweeper.started = started
	a.mu.Unlock()
	if client == nil {
		return
	}
	reading, err := a.readList(ctx, client)

	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweeper.progress = 0
	if client != a.client {
		return // other credentials meanwhile: the next sweep is due at once
	}
	s := &a.sweeper
	s.ended = time.Now()
	if !s.requestedAt.After(started) {
		s.handled = s.requested
	}
	s.outcome, s.message = outcome(&reading, err)
	recorded, known := a.options.Recorded(a.name)
	if !known && s.outcome == OutcomeComplete {
		// Without them nobody can tell whether the list is plausible.
		s.outcome, s.message = OutcomeFailed, "what is recorded cannot be read"
	}
	a.counts.sweeps[s.outcome]++
	a.log.V(logging.Debug).Info("Swept", logging.Outcome, s.outcome.String(), logging.Message, s.message,
		logging.Duration, s.ended.Sub(started).Round(time.Millisecond).String())
	if s.outcome != OutcomeComplete {
		s.failures++
		return
	}
	s.failures = 0
	s.completeCount++
	s.completedAt, s.duration = s.ended, s.ended.Sub(started)
	if !s.requestedStart.After(started) {
		s.requestedStart = time.Time{}
	}
	a.inventory.endSweep(started)
	if a.guard.update(a.inventory.isMissing, recorded) {
		clear(a.inventory.notFound) // from while the list was doubted, or from before
		a.logGuard("Plivo's list")
	}
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
	case e.Status == 429:
		return OutcomeRateLimited, e.Message
	default:
		return OutcomeFailed, e.Message
	}
}

// readList reads page after page into the inventory.
func (a *Account) readList(ctx context.Context, client *plivo.Client) (plivo.Reading, error) {
	return plivo.ReadList(func(offset int) (plivo.Page, error) {
		page, asked, err := a.readPageWithRetry(ctx, client, offset)
		if err != nil {
			return page, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, s := range page.Subaccounts {
			a.inventory.setRead(s.AuthID, row{name: s.Name, enabled: s.Enabled, digest: a.digest(s.Token)}, asked)
		}
		a.sweeper.progress = min(1, float64(offset+len(page.Subaccounts))/float64(max(1, page.Total)))
		return page, nil
	}, func() plivo.Deletes {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.deletes
	})
}

// pageTries is how often a page is asked for, with a pause that grows by
// pagePause: one accident must not cost all that was read before it. A sweep
// that fails at its first page is tried again as a whole.
const (
	pageTries = 3
	pagePause = time.Second
)

func (a *Account) readPageWithRetry(ctx context.Context, client *plivo.Client, offset int) (page plivo.Page, asked time.Time, err error) {
	for try := 1; ; try++ {
		page, asked, err = a.readPage(ctx, client, offset)
		if err == nil || offset == 0 || try == pageTries || ctx.Err() != nil || refusesCredentials(plivo.AsError(err)) {
			return page, asked, err
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
	asked := time.Now()
	page, err := client.List(ctx, plivo.MaxPageSize, offset)
	a.finishCall(client, slot, plivo.OperationList, err)
	if err == nil {
		a.endProbe(asked)
	}
	return page, asked, err
}
