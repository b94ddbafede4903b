// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// Account is one main account. Its methods are safe for concurrent use.
type Account struct {
	name    string
	options *Options
	log     logr.Logger
	mainID  string // set once, by the first configure

	mu       sync.Mutex
	client   *plivo.Client
	token    plivo.Token
	budget   *plivo.Budget
	size     int // of the budget
	interval time.Duration
	stop     context.CancelFunc // ends the sweeps

	blockedReason, blockedMessage string

	circuit   circuit
	inventory inventory
	guard     guard
	sweeper   sweeper
	deletes   plivo.Deletes
	counts    counts
}

func newAccount(name string, options *Options) *Account {
	return &Account{name: name, options: options, log: options.Log.WithValues(logging.Account, name), inventory: newInventory(), sweeper: sweeper{wake: make(chan struct{}, 1), completedAt: time.Now()}}
}

func (a *Account) configure(ctx context.Context, c plivo.Credentials, budget *plivo.Budget, size int, interval time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mainID, a.budget, a.size = c.AuthID, budget, size
	a.blockedReason, a.blockedMessage = "", ""
	if interval != a.interval {
		a.interval = interval
		a.sweeper.wakeUp()
	}
	if a.client == nil || !a.token.Equal(c.Token) {
		// The operator uses new credentials at once and checks them with a sweep.
		a.log.Info("Started using credentials", logging.AccountID, c.AuthID, "rotated", a.client != nil)
		a.client, a.token = a.options.NewClient(c), c.Token
		a.circuit = circuit{}
		a.sweeper.failures, a.sweeper.requestedAt = 0, time.Now()
		a.sweeper.outcome, a.sweeper.message = OutcomeNone, ""
		a.endSweeps() // a list with the earlier credentials proves nothing
	}
	if a.stop == nil {
		ctx, a.stop = context.WithCancel(ctx)
		go a.run(ctx)
	}
}

func (a *Account) block(reason, message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.client, a.token = nil, plivo.Token{}
	a.circuit = circuit{} // it was about the removed credentials
	a.blockedReason, a.blockedMessage = reason, message
	a.endSweeps()
}

func (a *Account) endSweeps() {
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
}

// Create sends one create call with a slot that the caller has acquired. It sends
// nothing after the context's deadline, or if the credentials belong to another
// main account than accountID.
func (a *Account) Create(ctx context.Context, slot *plivo.Slot, accountID, name string) (plivo.Created, error) {
	var created plivo.Created
	err := a.send(ctx, slot, accountID, callInfo{plivo.OperationCreate, &created.AuthID}, func(ctx context.Context, c *plivo.Client) (err error) {
		created, err = c.Create(ctx, name, false)
		return err
	})
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.inventory.setWritten(created.AuthID, row{name: name, digest: a.digest(created.Token)}, time.Now())
	}
	return created, err
}

// Get reads one subaccount, with a slot.
func (a *Account) Get(ctx context.Context, slot *plivo.Slot, accountID, authID string) (plivo.Subaccount, error) {
	var got plivo.Subaccount
	var sentAt time.Time
	err := a.send(ctx, slot, accountID, callInfo{plivo.OperationGet, &authID}, func(ctx context.Context, c *plivo.Client) (err error) {
		sentAt = time.Now()
		got, err = c.Get(ctx, authID)
		return err
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.inventory.setRead(authID, row{name: got.Name, enabled: got.Enabled, digest: a.digest(got.Token)}, sentAt)
	}
	a.recordNotFound(authID, err)
	return got, err
}

// Update sets name and enabled.
func (a *Account) Update(ctx context.Context, slot *plivo.Slot, accountID, authID, name string, enabled bool) error {
	err := a.send(ctx, slot, accountID, callInfo{plivo.OperationUpdate, &authID}, func(ctx context.Context, c *plivo.Client) error {
		return c.Update(ctx, authID, name, enabled)
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.inventory.setUpdated(authID, name, enabled, time.Now())
	case plivo.IsKind(err, plivo.KindUnknown):
		a.inventory.setUpdateUnconfirmed(authID, time.Now())
	}
	a.recordNotFound(authID, err)
	return err
}

// Delete deletes a subaccount.
func (a *Account) Delete(ctx context.Context, slot *plivo.Slot, accountID, authID string, cascade bool) error {
	a.mu.Lock()
	a.deletes.Sent++
	a.mu.Unlock()
	err := a.send(ctx, slot, accountID, callInfo{plivo.OperationDelete, &authID}, func(ctx context.Context, c *plivo.Client) error {
		return c.Delete(ctx, authID, cascade)
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deletes.Ended++
	if err == nil {
		a.inventory.setDeleted(authID, time.Now())
	}
	a.recordNotFound(authID, err)
	return err
}

func (a *Account) recordNotFound(authID string, err error) {
	if plivo.IsKind(err, plivo.KindNotFound) {
		a.inventory.setNotFound(authID, time.Now())
	}
}

func (a *Account) digest(t plivo.Token) plivo.Digest {
	return a.options.Digester.Digest([]byte(t.Reveal()))
}

// NoSlotError says that a reconcile has to end because the request budget has no
// free slot for it.
type NoSlotError struct {
	// PausedUntil is not zero if the main account pauses for longer than a call may
	// take. The status should report such a pause.
	PausedUntil time.Time
	// Waited is how long the resource has waited.
	Waited time.Duration
}

// Error implements error.
func (*NoSlotError) Error() string { return "no slot of the request budget is free" }

// RequestSlot returns the slot for the first call of a reconcile, or a NoSlotError
// if the key now waits in the queue; see plivo.Budget.RequestTurn.
func (a *Account) RequestSlot(ctx context.Context, key plivo.Key) (*plivo.Slot, error) {
	budget := a.requestBudget()
	if budget == nil {
		return nil, errNoCredentials
	}
	if turn, waited := budget.RequestTurn(key); !turn {
		return nil, &NoSlotError{PausedUntil: a.longPauseUntil(budget), Waited: waited}
	}
	return a.AcquireSlot(ctx)
}

// LeaveQueue removes a key from the queue, or ends its turn.
func (a *Account) LeaveQueue(key plivo.Key) {
	if budget := a.requestBudget(); budget != nil {
		budget.EndTurn(key)
	}
}

// AcquireSlot waits for a slot for a call of a reconcile that has a turn. A slot
// becomes free within one window, unless calls hang until their timeout.
func (a *Account) AcquireSlot(ctx context.Context) (*plivo.Slot, error) {
	budget := a.requestBudget()
	switch {
	case budget == nil:
		return nil, errNoCredentials
	case !a.longPauseUntil(budget).IsZero():
		return nil, errPaused
	}
	ctx, cancel := context.WithTimeout(ctx, plivo.Window+a.options.Timeout)
	defer cancel()
	return budget.Acquire(ctx, plivo.ClassContinued)
}

// longPauseUntil returns the end of a pause that is longer than the timeout of a
// call; zero if there is none.
func (a *Account) longPauseUntil(budget *plivo.Budget) time.Time {
	if until := budget.PausedUntil(); time.Until(until) >= a.options.Timeout {
		return until
	}
	return time.Time{}
}

func (a *Account) requestBudget() *plivo.Budget {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.budget
}

// callInfo describes a call to Plivo for the log.
type callInfo struct {
	operation plivo.Operation
	authID    *string // a create call sets it when it ends
}

// send makes one call with a slot unless the circuit is open, evaluates the
// response, and logs the call.
func (a *Account) send(ctx context.Context, slot *plivo.Slot, accountID string, s callInfo, do func(context.Context, *plivo.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.options.Timeout)
	defer cancel()
	client, err := a.clientFor(accountID)
	if err != nil {
		slot.Cancel()
		return err
	}
	started := time.Now()
	err = do(ctx, client)
	if plivo.IsKind(err, plivo.KindNotSent) {
		slot.Cancel()
		return err
	}
	a.finishCall(client, slot, s.operation, err)
	s.log(ctx, err, time.Since(started))
	return err
}

func (s callInfo) log(ctx context.Context, err error, took time.Duration) {
	e := plivo.AsError(err)
	level := logging.Info
	if s.operation == plivo.OperationGet {
		level = logging.Debug
	}
	log := logr.FromContextOrDiscard(ctx).V(level)
	if e != nil {
		log = log.WithValues(logging.Status, e.Status, logging.Message, e.Message)
	}
	log.Info("Called Plivo", logging.Operation, s.operation, logging.AuthID, *s.authID, logging.Outcome, callOutcome(e),
		logging.Duration, took.Round(time.Millisecond).String())
}

// clientFor returns the client, or an error if it must not be used for the given
// main account now.
func (a *Account) clientFor(accountID string) (*plivo.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.client == nil:
		return nil, errNoCredentials
	case accountID != a.client.AccountID():
		return nil, notSent("the Account's credentials belong to another main account")
	case a.circuit.open:
		return nil, notSent("Plivo refuses the Account's credentials")
	case a.budget.PausedUntil().After(time.Now()): // the pause began after the slot was acquired
		return nil, errPaused
	}
	return a.client, nil
}

var (
	errNoCredentials = notSent("the Account has no credentials")
	errPaused        = &plivo.Error{Kind: plivo.KindRateLimited, Message: "the operator pauses all calls of the main account"}
)

func notSent(message string) error { return &plivo.Error{Kind: plivo.KindNotSent, Message: message} }
