package mainaccount

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// Account is one main account. All methods may be called at the same time.
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
		// New credentials take effect at once, and deserve to be tried at once.
		a.log.Info("Started using credentials", logging.AccountID, c.AuthID, "rotated", a.client != nil)
		a.client, a.token = a.options.NewClient(c), c.Token
		a.circuit = circuit{}
		a.sweeper.failures = 0
		a.sweeper.requestStart(time.Now())
		a.sweeper.wakeUp() // also where an older wish still stands
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
	a.circuit = circuit{} // that of the credentials that are gone
	a.blockedReason, a.blockedMessage = reason, message
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
}

// Create sends one create call through a reserved slot, never after the
// context's deadline, and only to the main account accountID.
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

// Get reads one subaccount through a slot.
func (a *Account) Get(ctx context.Context, slot *plivo.Slot, accountID, authID string) (plivo.Subaccount, error) {
	var got plivo.Subaccount
	var asked time.Time
	err := a.send(ctx, slot, accountID, callInfo{plivo.OperationGet, &authID}, func(ctx context.Context, c *plivo.Client) (err error) {
		asked = time.Now()
		got, err = c.Get(ctx, authID)
		return err
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.inventory.setRead(authID, row{name: got.Name, enabled: got.Enabled, digest: a.digest(got.Token)}, asked)
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

// NoSlotError says that a reconcile has to end because no slot of the request
// budget is free for it.
type NoSlotError struct {
	// PausedUntil is not zero if the main account pauses for longer than a call
	// may take, which is worth a report.
	PausedUntil time.Time
	// ReportWait: the resource has waited for so long that its status should say so.
	ReportWait bool
}

// Error implements error.
func (*NoSlotError) Error() string { return "no slot of the request budget is free" }

// RequestSlot returns the slot for the first call of a reconcile, or a NoSlotError if
// the key waits in the queue now; see plivo.Budget.Ask.
func (a *Account) RequestSlot(ctx context.Context, key plivo.Key) (*plivo.Slot, error) {
	budget := a.requestBudget()
	switch {
	case budget == nil:
		return nil, errNoCredentials
	case !budget.RequestTurn(key):
		return nil, &NoSlotError{PausedUntil: a.longPauseUntil(budget)}
	}
	return a.AcquireSlot(ctx)
}

// LeaveQueue takes a key out of the queue, and ends its turn.
func (a *Account) LeaveQueue(key plivo.Key) {
	if budget := a.requestBudget(); budget != nil {
		budget.EndTurn(key)
	}
}

// AcquireSlot waits for a slot for a call of a reconcile that has a turn. There is one
// within a window, unless calls hang for their whole time limit.
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

// longPauseUntil returns when a pause ends that takes longer than a call may take.
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

// callInfo is a call to Plivo as the log names it.
type callInfo struct {
	operation plivo.Operation
	authID    *string // of a create call: known once it has ended
}

// send makes one call through a slot, if the circuit lets it, learns from its
// answer, and logs it.
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

// clientFor returns the client if it may be used for the given main account.
func (a *Account) clientFor(accountID string) (*plivo.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.client == nil:
		return nil, errNoCredentials
	case accountID != a.client.AccountID():
		return nil, notSent("the Account's credentials are another main account's")
	case a.circuit.open:
		return nil, notSent("the Account's credentials were refused")
	case a.budget.PausedUntil().After(time.Now()): // since the slot was given
		return nil, errPaused
	}
	return a.client, nil
}

var (
	errNoCredentials = notSent("the Account has no credentials")
	errPaused        = &plivo.Error{Kind: plivo.KindRateLimited, Message: "the main account pauses"}
)

func notSent(message string) error { return &plivo.Error{Kind: plivo.KindNotSent, Message: message} }
