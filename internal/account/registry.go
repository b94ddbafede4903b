package account

import (
	"context"
	"sync"
	"time"

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
	// Share is how many reconciles of one main account may have a turn at once.
	Share int
}

// Registry holds the accounts of a process by the name of their Account resource.
type Registry struct {
	ctx     context.Context
	options Options

	mu       sync.Mutex
	accounts map[string]*Account
	budgets  map[string]*sharedBudget // by main account
}

// sharedBudget is the budget of one main account; where several Accounts hold
// its credentials, the smallest of their budgets counts.
type sharedBudget struct {
	budget *plivo.Budget
	sizes  map[string]int
}

// NewRegistry makes an empty registry. The sweeps of its accounts end with the
// context.
func NewRegistry(ctx context.Context, options Options) *Registry {
	return &Registry{ctx: ctx, options: options, accounts: map[string]*Account{}, budgets: map[string]*sharedBudget{}}
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
	a.configure(r.ctx, credentials, r.budget(name, credentials.AuthID, requestBudget), sweepInterval)
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
	a := r.accounts[name]
	if a == nil {
		return
	}
	a.block("", "")
	if shared := r.budgets[a.mainID]; shared != nil {
		delete(shared.sizes, name)
		shared.resize()
	}
	delete(r.accounts, name)
}

func (r *Registry) budget(name, mainID string, size int) *plivo.Budget {
	shared := r.budgets[mainID]
	if shared == nil {
		shared = &sharedBudget{budget: plivo.NewBudget(size, r.options.Share, r.options.Wake), sizes: map[string]int{}}
		r.budgets[mainID] = shared
	}
	if shared.sizes[name] != size {
		shared.sizes[name] = size
		shared.resize()
	}
	return shared.budget
}

func (s *sharedBudget) resize() {
	if smallest := s.smallest(); smallest > 0 {
		s.budget.Resize(smallest)
	}
}

func (s *sharedBudget) smallest() int {
	smallest := 0
	for _, size := range s.sizes {
		if smallest == 0 || size < smallest {
			smallest = size
		}
	}
	return smallest
}
