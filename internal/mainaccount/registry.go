package mainaccount

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// Options are what all accounts of a process share.
type Options struct {
	// NewClient makes a client for a main account's credentials.
	NewClient func(plivo.Credentials) *plivo.Client
	// Timeout of one call.
	Timeout time.Duration
	// Digester of tokens.
	Digester *plivo.Digester
	// Recorded returns the authIDs that are recorded under an account, and
	// whether that is known. It must not call the account.
	Recorded func(name string) (authIDs []string, known bool)
	// Notify is called, and must not block, whenever an account's Status or
	// inventory has something new to tell.
	Notify func(name string)
	// Wake is called, and must not block, to have a key reconciled that waits for
	// a slot of a request budget; see plivo.NewBudget.
	Wake func(plivo.Key)
	// Log is where what decides about money or credentials is logged.
	Log logr.Logger
	// Share is how many reconciles of one main account may have a turn at once.
	Share int
}

// Registry holds the accounts of a process by the name of their Account resource.
type Registry struct {
	ctx     context.Context
	options Options

	mu       sync.Mutex
	accounts map[string]*Account
	// budgets by main account. They stay when an Account goes: another one may
	// take over within the window that Plivo counts.
	budgets map[string]*plivo.Budget
}

// NewRegistry makes an empty registry. The sweeps of its accounts end with the
// context.
func NewRegistry(ctx context.Context, options Options) *Registry {
	return &Registry{ctx: ctx, options: options, accounts: map[string]*Account{}, budgets: map[string]*plivo.Budget{}}
}

// Get returns the account of that name; none before it was first configured
// or blocked.
func (r *Registry) Get(name string) (*Account, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.accounts[name]
	return a, ok
}

// Configure gives an account its credentials and settings, and starts its
// sweeps. Credentials of another main account begin a new inventory.
func (r *Registry) Configure(name string, credentials plivo.Credentials, requestBudget int, sweepInterval time.Duration) *Account {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[name]
	if a == nil || a.mainID != "" && a.mainID != credentials.AuthID {
		r.remove(name)
		a = newAccount(name, &r.options)
		r.accounts[name] = a
	}
	budget := r.budgets[credentials.AuthID]
	if budget == nil {
		budget = plivo.NewBudget(requestBudget, r.options.Share, r.options.Wake)
		r.budgets[credentials.AuthID] = budget
	}
	budget.Resize(requestBudget)
	a.configure(r.ctx, credentials, budget, requestBudget, sweepInterval)
	return a
}

// Block takes an account's client away; reason and message say why.
func (r *Registry) Block(name, reason, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[name]
	if a == nil {
		a = newAccount(name, &r.options)
		r.accounts[name] = a
	}
	a.block(reason, message)
}

// Remove forgets an account and ends its sweeps.
func (r *Registry) Remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(name)
}

func (r *Registry) remove(name string) {
	if a := r.accounts[name]; a != nil {
		a.block("", "")
		delete(r.accounts, name)
	}
}
